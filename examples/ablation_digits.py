"""Pixels of the digits that may be changed at will: ablation, a network trained with masks.

Of the 64 pixels some are shown, chosen at random, and the network sees in a channel of its own which they are. The
fewer are shown, the more changed pixels are survived, and the less the network knows. Beside the exact bound stand the
two-way Clopper–Pearson limits and the bound on one class alone, on the same votes.

    python examples/ablation_digits.py --output pictures
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
from rsopt.noise import Ablation
from rsopt.smoothing import DigitsRecipe, SmoothedClassifier, digits_data, digits_model

KEEPS, ALPHA, MANY = (4, 8, 16), 1e-3, 50
BOUNDS = {"rsopt": rsopt.lower_bound, "two-way Clopper–Pearson": baselines.two_way_clopper_pearson,
          "one class": baselines.cohen}
COLOURS = dict(zip(KEEPS, ("#0b5cad", "#d1662b", "#5b6472"), strict=True))
STYLES = {"rsopt": "-", "two-way Clopper–Pearson": "--", "one class": ":"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = digits_data()
    images, labels = data.images[:options.inputs], data.labels[:options.inputs].tolist()
    found = {keep: radii(Ablation(keep), images, labels, options.n) for keep in KEEPS}

    print(f"digits, {len(labels)} inputs, n {options.n:,}, alpha {ALPHA:g}, some of 64 pixels shown")
    print(f"{'shown':>5s}  {'bound':26s}{'r >= 1':>8s}{'mean r':>8s}{'largest':>9s}")
    for keep, methods in found.items():
        for method, values in methods.items():
            print(f"{keep:5d}  {method:26s}{(values > 0).mean():8.0%}{values.mean():8.2f}{values.max():9.0f}")
    folder = options.output or Path(tempfile.mkdtemp(prefix="rsopt-"))
    folder.mkdir(parents=True, exist_ok=True)
    draw(folder / "ablation.png", found, options.n)
    print(f"wrote {folder / 'ablation.png'}")

    if len(labels) >= MANY:
        # Each is the exact bound on its own statistic: on one input either may be ahead, on the whole it is ours.
        for methods in found.values():
            assert methods["rsopt"].mean() >= methods["two-way Clopper–Pearson"].mean()


def radii(noise: Ablation, images: torch.Tensor, labels: list[int], n: int) -> dict[str, np.ndarray]:
    """Certified numbers of pixels as the label, by method, (inputs,)."""
    model = SmoothedClassifier(digits_model(DigitsRecipe.under(noise)), noise, 10, progress=False)
    fitted = noise.fitted(tuple(images[0].shape))
    votes = [model.counts(image, n, seed=0, index=index).tolist() for index, image in enumerate(images)]
    return {method: np.array([bound(row, label, functional="margin", alpha=ALPHA).radius(fitted)
                              for row, label in zip(votes, labels, strict=True)]) for method, bound in BOUNDS.items()}


def draw(path: Path, found: dict[int, dict[str, np.ndarray]], n: int) -> None:
    figure = Figure(figsize=(8.5, 4.4), layout="constrained")
    axes = figure.subplots()
    for keep, methods in found.items():
        for method, values in methods.items():
            steps = np.arange(1, int(max(values.max() for values in methods.values())) + 2)
            axes.plot(steps, [(values >= r).mean() for r in steps], "o", markersize=3.5, color=COLOURS[keep],
                      linestyle=STYLES[method], label=f"{keep} shown, {method}, mean {values.mean():.2f}")
    axes.set(xlabel="l0 radius: changed pixels of 64", ylabel="share certified as the label", ylim=(0.0, 1.02),
             title=f"digits, a few pixels shown at a time, n {n:,}, alpha {ALPHA:g}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
