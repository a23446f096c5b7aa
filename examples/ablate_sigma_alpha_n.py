"""Noise, confidence and samples: the certified radius on the digits against sigma, alpha and n.

    python examples/ablate_sigma_alpha_n.py [--inputs 40] [--output FOLDER]

More noise allows larger radii and costs accuracy; a smaller alpha or fewer samples lower the bound, which costs radius
at every sigma. One network is trained with each sigma; the votes of smaller n are the first of those of larger n, and
the certified class is the known label, so a wrong prediction counts as radius 0. Prints two tables, draws
sigma_alpha_n.png and checks the directions of all trade-offs. About a minute on one core.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import rsopt
from rsopt.smoothing import DigitsRecipe, SmoothedClassifier, digits_data, digits_model

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIGMAS = (0.12, 0.25, 0.5, 1.0)
ALPHAS = (0.05, 1e-2, 1e-3, 1e-4, 1e-5)
INPUTS = 40
SIZES = (100, 300, 1000, 3000, 10_000)
SIGMA, ALPHA, SEED = 0.25, 1e-3, 0
COLOURS = ("#0b5cad", "#d1662b", "#1b8a5a", "#a03c9c")
SHADES = ("#9bc4e8", "#4f93cf", "#0b5cad", "#06305c", "#000000")


def votes(sigma: float, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """(votes (inputs, sizes, 10), labels (inputs,)) of the network trained with `sigma`, under that noise."""
    data = digits_data()
    classifier = SmoothedClassifier(digits_model(DigitsRecipe(sigma=sigma)), sigma, 10, chunk=SIZES[0], progress=False)
    found = np.zeros((inputs, len(SIZES), 10), dtype=np.int64)
    with classifier.sampler(SEED) as sampler:
        for index in range(inputs):
            chunks = [block.counts for block in sampler.iter_counts(data.images[index], index, SIZES[-1])]
            found[index] = np.cumsum(chunks, axis=0)[[n // SIZES[0] - 1 for n in SIZES]]
    return found, data.labels[:inputs].numpy()


def radii(counts: np.ndarray, labels: np.ndarray, sigma: float, alpha: float) -> np.ndarray:
    """Certified radius R2, (inputs, sizes)."""
    return np.array([[rsopt.lower_bound(row, top=int(label), alpha=alpha).radius(sigma=sigma) for row in rows]
                     for rows, label in zip(counts, labels, strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    output = options.output or Path(tempfile.mkdtemp(prefix="rsopt-"))
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    drawn = {sigma: votes(sigma, options.inputs) for sigma in SIGMAS}
    by_sigma = {sigma: radii(*drawn[sigma], sigma, ALPHA) for sigma in SIGMAS}
    by_alpha = {alpha: radii(*drawn[SIGMA], SIGMA, alpha) for alpha in ALPHAS}

    print(f"digits, {options.inputs} inputs, probit margin (R2)")
    print(f"\nmean certified radius at alpha = {ALPHA:g}; in brackets the share of inputs certified at all")
    print(f"{'sigma':>8s}" + "".join(f"{f'n = {n:,}':>16s}" for n in SIZES))
    for sigma, found in by_sigma.items():
        print(f"{sigma:8g}" + "".join(f"{f'{r:.4f} ({share:.0%})':>16s}" for r, share in
                                      zip(found.mean(axis=0), (found > 0.0).mean(axis=0), strict=True)))
    print(f"\nmean certified radius at sigma = {SIGMA:g}")
    print(f"{'alpha':>8s}" + "".join(f"{f'n = {n:,}':>16s}" for n in SIZES))
    for alpha, found in by_alpha.items():
        print(f"{alpha:8g}" + "".join(f"{r:16.4f}" for r in found.mean(axis=0)))
    more = samples_for(by_alpha[ALPHAS[0]][:, 2].mean(), by_alpha[ALPHAS[-1]].mean(axis=0))
    print(f"\nThe radius of n = {SIZES[2]:,} at alpha = {ALPHAS[0]:g} takes about n = {more:,.0f} at alpha = "
          f"{ALPHAS[-1]:g}.")
    draw(output / "sigma_alpha_n.png", by_sigma, by_alpha, options.inputs)
    print(f"{output}/sigma_alpha_n.png")

    for larger, smaller in itertools.pairwise(by_alpha.values()):
        assert (larger >= smaller).all()  # more confidence, smaller radius: for every single input
    if options.inputs < INPUTS:
        return  # the rest is true of so many inputs, not of any few
    for found in [*by_sigma.values(), *by_alpha.values()]:
        assert (np.diff(found.mean(axis=0)) > 0.0).all()  # more samples, larger radius
    share = [(found[:, -1] > 0.0).mean() for found in by_sigma.values()]
    largest = [found[:, -1].max() for found in by_sigma.values()]
    assert share[0] > share[-1]  # more noise, fewer inputs certified …
    assert largest[0] < largest[1] < largest[2]  # … but the surest of them at larger radii
    assert SIZES[2] < more < SIZES[-1]


def samples_for(radius: float, means: np.ndarray) -> float:
    """The n at which the mean radius reaches `radius`, interpolated in log n."""
    return float(np.exp(np.interp(radius, means, np.log(SIZES))))


def draw(path: Path, by_sigma: dict[float, np.ndarray], by_alpha: dict[float, np.ndarray], inputs: int) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.5, 4.4), layout="constrained")
    accuracy, samples, confidence = figure.subplots(1, 3)
    for (sigma, found), colour in zip(by_sigma.items(), COLOURS, strict=True):
        reached = np.sort(found[found[:, -1] > 0.0, -1])
        # The share of inputs with at least this radius, down to 0 beyond the largest.
        accuracy.step([0.0, *reached, max(reached, default=0.0)], [*np.arange(len(reached), -1, -1) / inputs, 0.0],
                      where="post", color=colour, label=f"sigma {sigma:g}")
        samples.plot(SIZES, found.mean(axis=0), "o-", markersize=4, color=colour)
        label_end(samples, SIZES[-1], found[:, -1].mean(), f"sigma {sigma:g}", colour)
    accuracy.legend(frameon=False)
    accuracy.set(xlabel="certified radius r", ylabel="share of inputs certified at r", xlim=(0.0, None),
                 ylim=(0.0, 1.02),
                 title=f"Noise: a few large radii, or many small ones\nn = {SIZES[-1]:,}, alpha = {ALPHA:g}")
    samples.set(xscale="log", xlabel="samples n", ylabel="mean certified radius", ylim=(0.0, None),
                xlim=(80, 60_000), title=f"Samples: what more of them still buy\nalpha = {ALPHA:g}")
    for k, n in enumerate(SIZES):
        means = [found[:, k].mean() for found in by_alpha.values()]
        confidence.plot(ALPHAS, means, "o-", markersize=4, color=SHADES[k])
        label_end(confidence, ALPHAS[-1], means[-1], f"n = {n:,}", SHADES[k])
    confidence.set(xscale="log", xlabel="alpha (probability of a false statement)", ylabel="mean certified radius",
                   ylim=(0.0, None), xlim=(0.08, 7e-7), title=f"Confidence: cheap where n is large\nsigma = {SIGMA:g}")
    for panel in (accuracy, samples, confidence):
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def label_end(panel: Axes, x: float, y: float, text: str, colour: str) -> None:
    panel.annotate(text, (x, y), xytext=(7, 0), textcoords="offset points", va="center", color=colour)


if __name__ == "__main__":
    main()
