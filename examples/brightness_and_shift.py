"""Noise in a parameter: by how much the digits may be brightened, and by how many pixels shifted.

Theorem N3 turns the radius of additive noise into one of the parameter. Brightness is a real number; the shift, down
and right with wrap-around, is known for whole pixels only, so that its noise is rounded to them. One network is trained
under the noise and one without any. Beside the exact bound stand the two-way Clopper–Pearson limits and the bound on
one class alone, on the same votes.

    python examples/brightness_and_shift.py --output pictures

From this folder the same noises go to the command line:

    rsopt certify --preset digits --noise brightness_and_shift:SHIFT
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

import rsopt
from rsopt import baselines
from rsopt.noise import Gaussian, Laplace, Transformed
from rsopt.smoothing import DigitsRecipe, SmoothedClassifier, digits_data, digits_model

ALPHA, MANY = 1e-3, 50
BOUNDS = {"rsopt": rsopt.lower_bound, "two-way Clopper–Pearson": baselines.two_way_clopper_pearson,
          "one class": baselines.cohen}
COLOURS = {"trained under it": "#0b5cad", "trained without": "#d1662b"}
STYLES = {"rsopt": "-", "two-way Clopper–Pearson": "--", "one class": ":"}

Found = dict[str, dict[str, np.ndarray]]


def brighter(batch: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
    """Every pixel of a row brighter by one amount, (rows, 1): not clipped, which would break the group law."""
    return batch + amount[:, :, None, None]


def shifted(batch: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Rows shifted down and right by whole pixels, (rows, 2); what leaves on one side comes in on the other."""
    rows, _, height, width = batch.shape
    moved = pixels.round().long()
    down = (torch.arange(height, device=batch.device) - moved[:, :1]) % height
    right = (torch.arange(width, device=batch.device) - moved[:, 1:]) % width
    each = torch.arange(rows, device=batch.device)[:, None, None]
    return batch[each, :, down[:, :, None], right[:, None, :]].movedim(-1, 1)


BRIGHTNESS = Transformed(Gaussian(0.5), brighter, 1)
SHIFT = Transformed(Laplace(1.0), shifted, 2, step=1.0)
NOISES = {"brightness, pixels from 0 to 1": BRIGHTNESS, "shift, pixels down and right together": SHIFT}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = digits_data()
    images, labels = data.images[:options.inputs], data.labels[:options.inputs].tolist()
    found = {name: radii(noise, images, labels, options.n) for name, noise in NOISES.items()}

    print(f"digits, {len(labels)} inputs, n {options.n:,}, alpha {ALPHA:g}")
    for name, networks in found.items():
        print(f"{name}: {NOISES[name].setting}")
        print(f"  {'network':18s}{'bound':26s}{'certified':>10s}{'mean radius':>13s}{'largest':>9s}")
        for network, methods in networks.items():
            for method, values in methods.items():
                print(f"  {network:18s}{method:26s}{(values > 0.0).mean():10.0%}{values.mean():13.4f}"
                      f"{values.max():9.3f}")
    folder = options.output or Path(tempfile.mkdtemp(prefix="rsopt-"))
    folder.mkdir(parents=True, exist_ok=True)
    draw(folder / "parameters.png", found, options.n)
    print(f"wrote {folder / 'parameters.png'}")

    if len(labels) >= MANY:
        # Each is the exact bound on its own statistic: on one input either may be ahead, on the whole it is ours.
        for methods in (methods for networks in found.values() for methods in networks.values()):
            assert methods["rsopt"].mean() >= methods["two-way Clopper–Pearson"].mean()


def radii(noise: Transformed, images: torch.Tensor, labels: list[int], n: int) -> Found:
    """Certified radii in the parameter as the label, by network and method, (inputs,)."""
    found: Found = {}
    for name, recipe in zip(COLOURS, (DigitsRecipe.under(noise), DigitsRecipe(sigma=0.0)), strict=True):
        model = SmoothedClassifier(digits_model(recipe), noise, 10, progress=False)
        votes = [model.counts(image, n, seed=0, index=index).tolist() for index, image in enumerate(images)]
        found[name] = {method: np.array([bound(row, label, functional=noise.functionals[0], alpha=ALPHA).radius(noise)
                                         for row, label in zip(votes, labels, strict=True)])
                       for method, bound in BOUNDS.items()}
    return found


def draw(path: Path, found: dict[str, Found], n: int) -> None:
    figure = Figure(figsize=(10.5, 5.4), layout="constrained")
    for axes, (name, networks) in zip(figure.subplots(1, len(found), sharey=True), found.items(), strict=True):
        for network, methods in networks.items():
            for method, values in methods.items():
                reached = np.sort(values[values > 0.0])
                axes.step([0.0, *reached, max(reached, default=0.0)],
                          [*np.arange(len(reached), -1, -1) / len(values), 0.0], where="post", color=COLOURS[network],
                          linestyle=STYLES[method], label=f"{network}, {method}, mean {values.mean():.2f}")
        axes.set(xlabel=f"radius in the {name}", title=NOISES[name].setting, xlim=(0.0, None), ylim=(0.0, 1.02))
        axes.title.set_fontsize(10)
        axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16))
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("share certified as the label")
    figure.axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    figure.suptitle(f"digits under noise in a parameter, n {n:,}, alpha {ALPHA:g}", fontsize=11)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
