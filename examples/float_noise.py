"""Why noise goes on a grid: with noise in float32 a certified radius can be too large, for a classifier made for that.

After Voráček & Hein 2023: a sum is rounded in a way that depends on the input, and the last bits tell. The classifier
here answers class 0 where all pixels are multiples of 2^-25. One half plus noise always is in float32, a smaller number
plus noise often is not, so that the votes turn well inside the radius that they certify. Noise on the grid is whole
steps of 1/256: what the classifier sees depends on whole numbers alone, and the radius holds.

    python examples/float_noise.py --output pictures
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import nn

from rsopt.noise import Gaussian
from rsopt.smoothing import SmoothedClassifier

SIGMA, ALPHA, PIXELS = 0.25, 1e-3, 64
STEPS = range(0, 31, 2)
NOISES = {"noise in float32": Gaussian(SIGMA), "noise on the grid of 1/256": Gaussian(SIGMA, grid=1 / 256)}


class LastBits(nn.Module):
    """Class 0 where all pixels are multiples of 2^-25."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (rows, pixels) -> scores (rows, 2)."""
        whole = (x * 2.0**25).frac().eq(0.0).all(dim=1)
        return torch.stack([whole, ~whole], dim=1)


def image(step: int) -> torch.Tensor:
    """All pixels so many steps of 1/256 below one half."""
    return torch.full((PIXELS,), 0.5 - step / 256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    distances = [float((image(step) - image(0)).norm()) for step in STEPS]
    radii, shares = {}, {}
    for name, noise in NOISES.items():
        classifier = SmoothedClassifier(LastBits(), noise, 2, chunk=500, progress=False)
        radii[name] = classifier.certify(image(0), label=0, n=options.n, alpha=ALPHA, seed=0).radius
        shares[name] = [classifier.counts(image(step), options.n, 0, index=1 + step)[0] / options.n for step in STEPS]
        turned = next((distance for distance, share in zip(distances, shares[name], strict=True) if share < 0.5), None)
        print(f"{name}: l2 radius {radii[name]:.3f} certified; "
              + ("no other class wins on the way" if turned is None else
                 f"another class wins at distance {turned:.3f}"))
    folder = options.output or Path(tempfile.mkdtemp(prefix="rsopt-"))
    folder.mkdir(parents=True, exist_ok=True)
    draw(folder / "float_noise.png", distances, shares, radii, options.n)
    print(f"wrote {folder / 'float_noise.png'}")

    least = {name: min(share for distance, share in zip(distances, shares[name], strict=True) if distance < radius)
             for name, radius in radii.items()}
    assert least["noise in float32"] < 0.5, "the class changes inside the radius"
    assert least["noise on the grid of 1/256"] > 0.5, "it does not"


def draw(path: Path, distances: list[float], shares: dict[str, list[float]], radii: dict[str, float], n: int) -> None:
    figure = Figure(figsize=(9.0, 3.9), layout="constrained")
    for axes, (name, values) in zip(figure.subplots(1, 2, sharey=True), shares.items(), strict=True):
        wrong = min(values) < 0.5
        colour = "#b3261e" if wrong else "#0b5cad"
        axes.axvspan(0.0, radii[name], color="#5b6472", alpha=0.12, linewidth=0)
        axes.axhline(0.5, color="#5b6472", linewidth=1, linestyle=":")
        axes.plot(distances, values, "o-", color=colour, markersize=4)
        axes.annotate(f"certified: class 0\nup to {radii[name]:.2f}", (radii[name], 0.07), xytext=(-6, 0),
                      textcoords="offset points", ha="right", fontsize=9)
        if wrong:
            place = next(k for k, share in enumerate(values) if share < 0.5)
            axes.annotate(f"another class\nfrom {distances[place]:.2f} on", (distances[place], values[place]),
                          xytext=(28, 22), textcoords="offset points", fontsize=9, color=colour,
                          arrowprops={"arrowstyle": "->", "color": colour})
        axes.set(title=f"{name}: {'unsound' if wrong else 'sound'}", xlabel="l2 distance from the certified image",
                 xlim=(0.0, 1.05 * max(radii.values())), ylim=(0.0, 1.04))
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel(f"votes for the certified class, n {n:,}")
    figure.axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
