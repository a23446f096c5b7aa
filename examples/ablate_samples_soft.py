"""Certified radius of soft scores and of hard labels on the digits against the number of samples.

    python examples/ablate_samples_soft.py [--inputs 15] [--output FOLDER]

The temperature is fixed beforehand (see ablate_temperature.py). Prints a table, draws samples.png, and checks that
every curve grows with n and that the probit margin's radius R2 is the larger of the two soft ones.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from rsopt import lower_bound, lower_bound_scores
from rsopt.smoothing import SmoothedClassifier, Softmax, Stream
from rsopt.smoothing.digits import digits_data, digits_model

SIGMA, ALPHA, SEED, TEMPERATURE, N0 = 0.25, 1e-3, 0, 0.5, 100
INPUTS = 15
SIZES = (100, 300, 1000, 3000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data, softmax = digits_data(), Softmax(TEMPERATURE)
    classifier = SmoothedClassifier(digits_model(), SIGMA, 10, progress=False)

    def rows(index: int, n: int, stream: Stream) -> np.ndarray:
        blocks = classifier.scores(data.images[index], n, SEED, simplex=softmax, index=index, stream=stream)
        return np.concatenate([block.rows for block in blocks])

    radii = {"hard, R2": np.zeros(len(SIZES)), "soft, R2": np.zeros(len(SIZES)), "soft, R1": np.zeros(len(SIZES))}
    for index in range(options.inputs):
        label = int(data.labels[index])
        selection, scores = rows(index, N0, Stream.SELECTION), rows(index, SIZES[-1], Stream.ESTIMATION)
        if int(selection.mean(axis=0).argmax()) != label:
            continue
        for k, n in enumerate(SIZES):
            part = scores[:n]
            votes = np.bincount(part.argmax(axis=1), minlength=10)
            hard = lower_bound(votes, top=label, alpha=ALPHA)
            probit, margin = (lower_bound_scores(part, top=label, functional=functional, alpha=ALPHA,
                                                 selection=selection) for functional in ("probit", "margin"))
            radii["hard, R2"][k] += max(0.0, hard.radius(sigma=SIGMA))
            radii["soft, R2"][k] += probit.radius(sigma=SIGMA)
            radii["soft, R1"][k] += max(0.0, margin.radius(sigma=SIGMA))
    print(f"digits, {options.inputs} inputs, T {TEMPERATURE:g}, alpha {ALPHA:g}: mean certified radius")
    print(f"{'n':10s}" + "".join(f"{n:>9,d}" for n in SIZES))
    for name, found in radii.items():
        found /= options.inputs
        print(f"{name:10s}" + "".join(f"{radius:9.4f}" for radius in found))

    folder = options.output or Path(tempfile.mkdtemp(prefix="rsopt-"))
    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(6.5, 4.0), layout="constrained")
    axes = figure.subplots()
    for (name, found), colour in zip(radii.items(), ("#0b5cad", "#1b8a5a", "#7fc29b"), strict=True):
        axes.plot(SIZES, found, "o-", color=colour, label=name)
    axes.set(xscale="log", xlabel="samples n", ylabel="mean certified radius", ylim=(0.0, None),
             title=f"digits, sigma {SIGMA:g}, T {TEMPERATURE:g}, alpha {ALPHA:g}")
    axes.legend(frameon=False)
    figure.savefig(folder / "samples.png", dpi=130)
    print(f"wrote {folder / 'samples.png'}")

    if options.inputs < INPUTS:
        return  # the rest is true of so many inputs, not of any few
    for found in radii.values():
        assert (np.diff(found) > 0.0).all()
    assert (radii["soft, R2"] > radii["soft, R1"]).all()
    assert radii["soft, R2"][-1] > 0.9 * radii["hard, R2"][-1]


if __name__ == "__main__":
    main()
