"""Soft scores against hard labels on the digits: certified accuracy at each radius, all chosen beforehand.

    python examples/soft_against_hard.py [--inputs 500] [--n 2000] [--n0 100] [--seed 0] [--output FOLDER]

All certify the class that wins the same selection votes, from the same noise. "chosen" bounds scores at the temperature
and by the method that ``rsopt certify --temperature auto`` chooses on the selection samples alone; it must stay within
half a point of hard labels at every radius. "hedge" bets on scores at the temperature that the selection samples choose
for bets. Prints the curves where they differ, and draws soft_against_hard.png.

No bound on scores in [0, 1] lies above alpha^(1/n) for E[X_A], and hard labels reach it on unanimous votes. So just
below the radius of that bound bets on soft scores trail by as many inputs as are unanimous; the last lines say how wide
that strip is. Where votes differ, soft scores gain by their smaller variance and lose by their smaller margin.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.special import ndtri

from rsopt import lower_bound, lower_bound_scores
from rsopt.runs.reports.plots import certified_accuracy
from rsopt.runs.soft_outputs import SoftOutputs, selection_rows
from rsopt.scores.temperature import METHODS, TEMPERATURES, Choice, choose_temperature
from rsopt.smoothing import SmoothedClassifier, Softmax, Stream
from rsopt.smoothing.digits import digits_data, digits_model

SIGMA, ALPHA, STEP = 0.25, 1e-3, 0.01
INPUTS, SAMPLES = 500, 2000
COLOURS = {"chosen": "#c2571a", "hedge": "#1b8a5a"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--n", type=int, default=SAMPLES)
    parser.add_argument("--n0", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = digits_data()
    classifier = SmoothedClassifier(digits_model(), SIGMA, 10, progress=False)
    images = [(index, data.images[index]) for index in range(options.inputs)]
    selection = list(selection_rows(classifier, images, n0=options.n0, seed=options.seed, temperature=TEMPERATURES[-1],
                                    stop_on_failure=True))
    choices = {name: choose_temperature(selection, n=options.n, alpha=ALPHA, methods=methods)
               for name, methods in (("chosen", METHODS), ("hedge", METHODS[1:]))}
    for name, choice in choices.items():
        print(f"{name}: {choice.method} at temperature {choice.temperature:g}; promised mean radius by "
              + ", ".join(f"T {t:g}: {0.5 * SIGMA * promise:.4f}"
                          for t, promise in zip(TEMPERATURES, choice.promised[choice.method], strict=True)))

    def rows(index: int, n: int, stream: Stream, temperature: float) -> np.ndarray:
        return np.concatenate([block.rows for block in classifier.scores(
            data.images[index], n, options.seed, simplex=Softmax(temperature), index=index, stream=stream)])

    def radius(index: int, top: int, choice: Choice) -> float:
        first, scores = (rows(index, n, stream, choice.temperature)
                         for n, stream in ((options.n0, Stream.SELECTION), (options.n, Stream.ESTIMATION)))
        return lower_bound_scores(scores, top=top, functional="probit", method=choice.method, alpha=ALPHA,
                                  selection=first,
                                  seed=SoftOutputs("softmax", seed=options.seed).draw_seed(index)).radius(sigma=SIGMA)

    hard, found = np.zeros(options.inputs), {name: np.zeros(options.inputs) for name in choices}
    for index in range(options.inputs):
        top = int(np.bincount(selection[index].argmax(axis=1)).argmax())
        if top == int(data.labels[index]):
            votes = np.bincount(rows(index, options.n, Stream.ESTIMATION, 1.0).argmax(axis=1), minlength=10)
            hard[index] = lower_bound(votes.tolist(), top=top, alpha=ALPHA).radius(sigma=SIGMA)
            for name, choice in choices.items():
                found[name][index] = radius(index, top, choice)

    ceiling = SIGMA * float(ndtri(ALPHA ** (1.0 / options.n)))
    radii = np.arange(STEP, ceiling, STEP)
    gains = {name: np.array([100.0 * ((soft >= r).mean() - (hard >= r).mean()) for r in radii])
             for name, soft in found.items()}
    print(f"digits, {options.inputs} inputs, n {options.n:,}, alpha {ALPHA:g}: mean certified radius hard "
          f"{hard.mean():.4f}, " + ", ".join(f"{name} {soft.mean():.4f}" for name, soft in found.items()))
    print(f"{'radius':>7s}{'hard %':>8s}" + "".join(f"{name:>8s}" for name in found))
    for k, r in enumerate(radii):
        if any(gain[k] for gain in gains.values()):
            print(f"{r:7.2f}{100 * (hard >= r).mean():8.1f}" + "".join(f"{gain[k]:+8.1f}" for gain in gains.values()))
    unanimous = hard > ceiling - 1e-4
    for name, soft in found.items():
        print(f"{name}: worst {gains[name].min():+.1f} points, best {gains[name].max():+.1f}, more than 0.5 below at "
              f"{int((gains[name] < -0.5).sum())} of {radii.size} radii; larger radius on {int((soft > hard).sum())} "
              f"inputs, by up to {np.max(soft - hard):.4f}, smaller on {int((soft < hard - 1e-4).sum())}, by up to "
              f"{np.max(hard - soft):.4f}; on the {int(unanimous.sum())} unanimous ones lower by "
              f"{1e3 * np.median(hard[unanimous] - soft[unanimous]):.2f}e-3 (median)")

    folder = options.output or Path(tempfile.mkdtemp(prefix="rsopt-"))
    folder.mkdir(parents=True, exist_ok=True)
    draw(folder / "soft_against_hard.png", hard, found, gains, radii, choices,
         f"digits, sigma {SIGMA:g}, n {options.n:,}, alpha {ALPHA:g}")
    print(f"wrote {folder / 'soft_against_hard.png'}")

    assert all((soft <= ceiling).all() for soft in found.values())
    if options.inputs < INPUTS or options.n < SAMPLES:
        return  # the rest is true of so many inputs, not of any few
    assert gains["chosen"].min() > -0.5
    assert found["hedge"].mean() > 0.99 * hard.mean()
    assert (found["hedge"] > hard).any()


def draw(path: Path, hard: np.ndarray, found: dict[str, np.ndarray], gains: dict[str, np.ndarray], radii: np.ndarray,
         choices: dict[str, Choice], title: str) -> None:
    figure = Figure(figsize=(10.5, 4.2), layout="constrained")
    curve, difference = figure.subplots(1, 2, width_ratios=(3, 2))
    named = {name: f"{choices[name].method}, T = {choices[name].temperature:g}" for name in found}
    for label, certified, colour, style in (
            ("hard labels", hard, "#0b5cad", "-"),
            *((named[name], soft, COLOURS[name], ":") for name, soft in found.items())):
        at, share = certified_accuracy(certified[certified > 0.0].tolist(), certified.size)
        curve.step([*at, at[-1]], [*share, 0.0], where="pre", color=colour, linestyle=style,
                   linewidth=2.6 if style == "-" else 1.6, label=f"{label}, mean {certified.mean():.4f}")
    curve.set(xlabel="certified l2 radius (R2)", ylabel="share certified and correct", xlim=(0.0, None),
              ylim=(0.0, 1.02), title=title)
    curve.legend(frameon=False, loc="lower left")
    for name, gain in gains.items():
        difference.step(radii, gain, where="mid", color=COLOURS[name], label=named[name])
    difference.axhline(-0.5, color="0.6", linestyle=":")
    difference.set(xlabel="certified l2 radius (R2)", ylabel="minus hard labels, points", title="where each leads")
    difference.legend(frameon=False, loc="lower left")
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
