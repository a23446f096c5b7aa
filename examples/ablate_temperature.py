"""Certified radius of soft scores on the digits against the temperature of the softmax, hard labels beside it.

    python examples/ablate_temperature.py [--inputs 40] [--n 1000] [--n0 200] [--output FOLDER]

One temperature serves all inputs; it is chosen on the selection samples alone: for votes drawn from the scores, for
bets on them, and for the better of both, as ``rsopt certify --temperature auto`` does. Prints a table, draws
temperature.png, and checks that outputs as smooth as T = 2 cost radius, that each temperature chosen is near the best,
and that the mean radius of the one that is used is that of hard labels to a tenth.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from rsopt import lower_bound, lower_bound_scores
from rsopt.scores.temperature import METHODS, choose_temperature
from rsopt.smoothing import SmoothedClassifier, Softmax, Stream
from rsopt.smoothing.digits import digits_data, digits_model

SIGMA, ALPHA, SEED = 0.25, 1e-3, 0
INPUTS = 40
TEMPERATURES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
COLOURS = dict(zip(METHODS, ("#c2571a", "#1b8a5a"), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--n0", type=int, default=200)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = digits_data()
    classifier = SmoothedClassifier(digits_model(), SIGMA, 10, progress=False)

    def rows(index: int, n: int, stream: Stream, temperature: float) -> np.ndarray:
        return np.concatenate([block.rows for block in classifier.scores(
            data.images[index], n, SEED, simplex=Softmax(temperature), index=index, stream=stream)])

    samples = [rows(index, options.n0, Stream.SELECTION, TEMPERATURES[-1]) for index in range(options.inputs)]
    choices = {methods: choose_temperature(samples, n=options.n, alpha=ALPHA, temperatures=TEMPERATURES,
                                           methods=methods)
               for methods in (*((method,) for method in METHODS), METHODS)}
    used = choices[METHODS]

    radii, hard = {method: np.zeros(len(TEMPERATURES)) for method in METHODS}, 0.0
    for index, sample in enumerate(samples):
        top = int(np.bincount(sample.argmax(axis=1)).argmax())
        if top != int(data.labels[index]):
            continue
        for k, temperature in enumerate(TEMPERATURES):
            selection, scores = (rows(index, n, stream, temperature) for n, stream in (
                (options.n0, Stream.SELECTION), (options.n, Stream.ESTIMATION)))
            for method, found in radii.items():
                found[k] += lower_bound_scores(scores, top=top, functional="probit", method=method, alpha=ALPHA,
                                               selection=selection, seed=index).radius(sigma=SIGMA) / options.inputs
        votes = np.bincount(scores.argmax(axis=1), minlength=10)
        hard += max(0.0, lower_bound(votes, top=top, alpha=ALPHA).radius(sigma=SIGMA)) / options.inputs

    print(f"digits, {options.inputs} inputs, n {options.n:,}, alpha {ALPHA:g}: mean certified radius")
    print(f"{'T':>6s}" + "".join(f"{method:>16s}" for method in METHODS))
    for k, temperature in enumerate(TEMPERATURES):
        print(f"{temperature:6g}" + "".join(f"{found[k]:16.4f}" for found in radii.values()))
    print(f"{'hard':>6s}{hard:16.4f}")
    for methods, choice in choices.items():
        print(f"chosen among {', '.join(methods)}: {choice.method} at {choice.temperature:g}")

    folder = options.output or Path(tempfile.mkdtemp(prefix="rsopt-"))
    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(6.5, 4.0), layout="constrained")
    axes = figure.subplots()
    for method, found in radii.items():
        at = TEMPERATURES.index(choices[method,].temperature)
        axes.plot(TEMPERATURES, found, "o-", color=COLOURS[method], label=method)
        axes.plot(TEMPERATURES[at], found[at], "o", markersize=11, fillstyle="none", color=COLOURS[method])
    axes.axhline(hard, color="#0b5cad", label="hard labels")
    axes.set(xscale="log", xlabel="temperature (ring: chosen on selection samples)", ylabel="mean certified radius",
             title=f"digits, sigma {SIGMA:g}, n {options.n:,}, alpha {ALPHA:g}; "
                   f"used: {used.method}, T {used.temperature:g}")
    axes.set_xticks(TEMPERATURES, [f"{value:g}" for value in TEMPERATURES])
    axes.minorticks_off()
    axes.legend(frameon=False)
    figure.savefig(folder / "temperature.png", dpi=130)
    print(f"wrote {folder / 'temperature.png'}")

    if options.inputs < INPUTS:
        return  # the rest is true of so many inputs, not of any few
    for method, found in radii.items():
        assert found[-1] < 0.9 * found.max()
        assert found[TEMPERATURES.index(choices[method,].temperature)] > 0.97 * found.max()
    assert 0.9 * hard < radii[used.method][TEMPERATURES.index(used.temperature)] < 1.1 * hard


if __name__ == "__main__":
    main()
