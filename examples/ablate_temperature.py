"""Certified radius of soft scores on the digits against the temperature of the softmax, hard labels beside it.

    python examples/ablate_temperature.py [--inputs 40] [--n 1000] [--n0 200] [--output FOLDER]

One temperature serves all inputs; it is chosen on the selection samples alone, as the one with the largest mean
radius if the normal limit held at n. Prints a table, draws temperature.png, and checks that outputs as smooth as
T = 2 cost radius, that the temperature chosen is near the best, and that its mean radius is that of hard labels to
a tenth.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.special import ndtri

from rsopt import lower_bound
from rsopt.smoothing import SmoothedClassifier, Softmax, Stream
from rsopt.smoothing.digits import digits_data, digits_model
from rsopt.soft.scores import lower_bound_scores

SIGMA, ALPHA, SEED = 0.25, 1e-3, 0
TEMPERATURES = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
# Softer than any of them, so that single precision keeps all scores; the others follow by a power.
SOFTEST = 20.0


def sample(classifier: SmoothedClassifier, image: torch.Tensor, n: int, index: int, stream: Stream) -> np.ndarray:
    """Scores up to a constant, (n, 10)."""
    blocks = classifier.scores(image, n, SEED, simplex=Softmax(SOFTEST), index=index, stream=stream)
    return SOFTEST * np.log(np.concatenate([block.rows for block in blocks]).astype(np.float64))


def at(temperature: float, scores: np.ndarray) -> np.ndarray:
    """softmax(scores / temperature), (n, 10)."""
    return Softmax(temperature)(torch.from_numpy(scores)).numpy()


def predicted(rows: np.ndarray, n: int) -> float:
    """The radius that the normal limit of the probit margin promises at n, from selection rows.

    Means are shrunk by one uniform row: 200 rows say nothing of a rival below 1/200.
    """
    mean = (rows.sum(axis=0) + 0.1) / (len(rows) + 1.0)
    top, rival = np.argsort(-mean)[:2]
    z = ndtri(mean[[top, rival]])
    slope = np.sqrt(2.0 * np.pi) * np.exp(0.5 * z * z)
    # A mean is known no better than one unseen row would move it.
    spread = np.hypot((slope[0] * rows[:, top] - slope[1] * rows[:, rival]).std(),
                      np.hypot(*slope) / np.sqrt(len(rows)) * 0.5)
    return max(0.0, 0.5 * SIGMA * float(z[0] - z[1] + ndtri(ALPHA) * spread / np.sqrt(n)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=40)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--n0", type=int, default=200)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = digits_data()
    classifier = SmoothedClassifier(digits_model(), SIGMA, 10, progress=False)

    promised, radii, hard = np.zeros(len(TEMPERATURES)), np.zeros(len(TEMPERATURES)), 0.0
    for index in range(options.inputs):
        image, label = data.images[index], int(data.labels[index])
        chosen_on = sample(classifier, image, options.n0, index, Stream.SELECTION)
        scores = sample(classifier, image, options.n, index, Stream.ESTIMATION)
        votes = np.bincount(scores.argmax(axis=1), minlength=10)
        if int(np.bincount(chosen_on.argmax(axis=1)).argmax()) == label:
            hard += max(0.0, lower_bound(votes, top=label, alpha=ALPHA).radius(sigma=SIGMA))
        for k, temperature in enumerate(TEMPERATURES):
            selection = at(temperature, chosen_on)
            promised[k] += predicted(selection, options.n)
            if int(selection.mean(axis=0).argmax()) == label:
                bound = lower_bound_scores(at(temperature, scores), top=label, functional="probit", alpha=ALPHA,
                                           selection=selection)
                radii[k] += bound.radius(sigma=SIGMA)
    promised, radii, hard = promised / options.inputs, radii / options.inputs, hard / options.inputs
    choice = int(promised.argmax())

    print(f"digits, {options.inputs} inputs, n {options.n:,}, alpha {ALPHA:g}: mean certified radius")
    print(f"{'T':>6s}{'promised':>10s}{'proven':>9s}")
    for k, temperature in enumerate(TEMPERATURES):
        print(f"{temperature:6g}{promised[k]:10.4f}{radii[k]:9.4f}{'  chosen' if k == choice else ''}")
    print(f"{'hard':>6s}{'':10s}{hard:9.4f}")

    folder = options.output or Path(tempfile.mkdtemp(prefix="rsopt-"))
    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(6.5, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.plot(TEMPERATURES, radii, "o-", color="#1b8a5a", label="soft, proven")
    axes.plot(TEMPERATURES, promised, "x:", color="#555555", label="promised on the selection samples")
    axes.axhline(hard, color="#0b5cad", label="hard labels, proven")
    axes.axvline(TEMPERATURES[choice], color="0.8", zorder=0)
    axes.set(xscale="log", xlabel="temperature (grey: chosen)", ylabel="mean certified radius",
             title=f"digits, sigma {SIGMA:g}, n {options.n:,}, alpha {ALPHA:g}")
    axes.set_xticks(TEMPERATURES, [f"{value:g}" for value in TEMPERATURES])
    axes.minorticks_off()
    axes.legend(frameon=False)
    figure.savefig(folder / "temperature.png", dpi=130)
    print(f"wrote {folder / 'temperature.png'}")

    assert radii[-1] < 0.9 * radii.max()
    assert radii[choice] > 0.97 * radii.max()
    assert 0.9 * hard < radii[choice] < 1.1 * hard


if __name__ == "__main__":
    main()
