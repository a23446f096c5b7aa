"""Flips of sparse bits: how many ones may be deleted or added before the smoothed class may change.

The digits as 64 bits, a small network trained under flips. Each radius r has a functional of its own, and the radii are
tested one after the other at the full alpha (`rsopt.largest_certified`). Beside it stand what published code does on
the same votes: Clopper–Pearson limits of the two classes at alpha/K each, and the one-class limit at alpha; and the
radius that a bound on the margin alone gives. Every radius is proven again from its certificate.

    python examples/sparse_flips.py --output pictures
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

import rsopt
from rsopt import baselines
from rsopt.noise import Flips, Source
from rsopt.noise.flip_margin import FlipMargin
from rsopt.smoothing import SmoothedClassifier, digits_data

NOISE, ALPHA = Flips(0.05, 0.3), 1e-3
CHANGES: dict[str, Callable[[int], FlipMargin]] = {
    "deletions": lambda r: NOISE.margin(0, r), "additions": lambda r: NOISE.margin(r, 0),
    "changes of any kind": NOISE.margin_within}
COLOURS = {"rsopt": "#0b5cad", "two classes at alpha/K": "#d1662b", "one class": "#5b6472"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    smoothed = SmoothedClassifier(trained(), NOISE, 10, progress=False)
    data = digits_data()
    votes = [smoothed.counts(image, options.n, seed=0, index=index).tolist()
             for index, image in enumerate(bits(data.images[:options.inputs]))]
    labels = data.labels[:options.inputs].tolist()
    found = {kind: certified(votes, labels, margin) for kind, margin in CHANGES.items()}
    simple = [NOISE.radius("margin", rsopt.lower_bound(row, label, functional="margin", alpha=ALPHA).lower)
              for row, label in zip(votes, labels, strict=True)]

    print(f"digits as bits, {options.inputs} inputs, {NOISE.setting}, n {options.n:,}, alpha {ALPHA:g}")
    print(f"{'':22s}{'method':26s}{'r >= 1':>8s}{'mean r':>8s}{'largest':>9s}")
    for kind, methods in found.items():
        for method, radii in methods.items():
            print(f"{kind:22s}{method:26s}{(radii > 0).mean():8.0%}{radii.mean():8.2f}{radii.max():9.0f}")
    print(f"{'changes of any kind':22s}{'margin alone':26s}{np.mean(np.array(simple) > 0):8.0%}"
          f"{np.mean(simple):8.2f}{max(simple):9.0f}")
    folder = options.output or Path(tempfile.mkdtemp(prefix="rsopt-"))
    folder.mkdir(parents=True, exist_ok=True)
    draw(folder / "flips.png", found, options.n)
    print(f"wrote {folder / 'flips.png'}")

    for methods in found.values():
        # Never behind the two-way limits at alpha/2, and so not behind those at alpha/K.
        assert (methods["rsopt"] >= methods["two classes at alpha/K"]).all()
    assert (found["changes of any kind"]["rsopt"] >= np.array(simple)).mean() > 0.9


def certified(votes: list[list[int]], labels: list[int], margin: Callable[[int], FlipMargin]) -> dict[str, np.ndarray]:
    """Certified radii as the label, by method, (inputs,)."""
    found = [rsopt.largest_certified(row, label, radii=itertools.count(1), functional_of=margin, alpha=ALPHA)
             for row, label in zip(votes, labels, strict=True)]
    proven = [each for each in found if each.certified]
    assert all(rsopt.check_nested_certificate(each.certificate).radii == each.radius for each in proven)
    ours = [each.radius or 0 for each in found]
    closed = {"two classes at alpha/K": baselines.bonferroni, "one class": baselines.cohen}
    return {"rsopt": np.array(ours), **{name: np.array([
        next(r for r in itertools.count(1) if bound(row, label, functional=margin(r), alpha=ALPHA).lower <= 0.0) - 1
        for row, label in zip(votes, labels, strict=True)]) for name, bound in closed.items()}}


def bits(images: torch.Tensor) -> torch.Tensor:
    """Dark pixels as ones, about a third of all."""
    return (images > 0.5).float()


def trained(epochs: int = 60) -> nn.Module:
    """A small network, trained under the flips that it will see; a few seconds."""
    torch.manual_seed(0)
    data = digits_data(train=True)
    inputs, labels = bits(data.images), data.labels
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for epoch in range(epochs):
        order = torch.randperm(len(labels))
        noisy = NOISE.noisy(inputs, Source.of(epoch))
        for part in order.split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(noisy[part]), labels[part]).backward()
            optimizer.step()
    return network.eval()


def draw(path: Path, found: dict[str, dict[str, np.ndarray]], n: int) -> None:
    figure = Figure(figsize=(12.0, 3.8), layout="constrained")
    for axes, (kind, methods) in zip(figure.subplots(1, len(found), sharey=True), found.items(), strict=True):
        for method, radii in methods.items():
            steps = np.arange(0, max(int(values.max()) for values in methods.values()) + 2)
            axes.plot(steps[1:], [(radii >= r).mean() for r in steps[1:]], "o-", markersize=4, color=COLOURS[method],
                      label=method)
        axes.set(xlabel=f"{kind} of bits", title=kind, ylim=(0.0, 1.02))
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.axes[0].set_ylabel("share certified as the label")
    figure.axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(f"digits as 64 bits under flips, {NOISE.setting}, n {n:,}, alpha {ALPHA:g}", fontsize=11)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
