"""Certified radius on the digits for three maps of a network's outputs into the simplex.

    python examples/ablate_simplex_map.py [--inputs 20] [--n 1000] [--output FOLDER]

Softmax at a temperature fixed beforehand (see ablate_temperature.py), sparsemax, and hardmax, whose rows are the
votes. Prints a table, draws maps.png, and checks that the votes treated as scores fall behind their exact bound,
and by little.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from rsopt import lower_bound, lower_bound_scores
from rsopt.smoothing import Hardmax, SmoothedClassifier, Softmax, Sparsemax, Stream
from rsopt.smoothing.digits import digits_data, digits_model

SIGMA, ALPHA, SEED, N0 = 0.25, 1e-3, 0, 100
MAPS = {"softmax, T 0.5": Softmax(0.5), "softmax, T 1": Softmax(1.0), "sparsemax": Sparsemax(), "hardmax": Hardmax()}
INPUTS = 20
EXACT = "votes, exact bound"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = digits_data()
    classifier = SmoothedClassifier(digits_model(), SIGMA, 10, progress=False)
    radii: dict[str, list[float]] = {name: [] for name in (*MAPS, EXACT)}
    for index in range(options.inputs):
        image, label = data.images[index], int(data.labels[index])
        for name, simplex in MAPS.items():
            selection, rows = (
                np.concatenate([block.rows for block in classifier.scores(
                    image, n, SEED, simplex=simplex, index=index, stream=stream)])
                for n, stream in ((N0, Stream.SELECTION), (options.n, Stream.ESTIMATION)))
            right = int(selection.mean(axis=0).argmax()) == label
            bound = lower_bound_scores(rows, top=label, functional="probit", alpha=ALPHA, selection=selection)
            radii[name].append(bound.radius(sigma=SIGMA) if right else 0.0)
        # The last map's rows are the votes.
        exact = lower_bound(rows.sum(axis=0).astype(int), top=label, alpha=ALPHA)
        radii[EXACT].append(max(0.0, exact.radius(sigma=SIGMA)) if right else 0.0)

    means = {name: float(np.mean(found)) for name, found in radii.items()}
    print(f"digits, {options.inputs} inputs, n {options.n:,}, alpha {ALPHA:g}")
    print(f"{'map':20s}{'mean radius':>12s}{'certified':>11s}")
    for name, found in radii.items():
        print(f"{name:20s}{means[name]:12.4f}{np.mean(np.array(found) > 0.0):11.1%}")

    folder = options.output or Path(tempfile.mkdtemp(prefix="rsopt-"))
    folder.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(6.5, 4.0), layout="constrained")
    axes = figure.subplots()
    for name, found in radii.items():
        axes.step(sorted(found), 1.0 - np.arange(len(found)) / len(found), where="pre", label=name)
    axes.set(xlabel="radius", ylabel="share of inputs certified at it", ylim=(0.0, 1.02),
             title=f"digits, sigma {SIGMA:g}, n {options.n:,}, alpha {ALPHA:g}")
    axes.legend(frameon=False, loc="lower left")
    figure.savefig(folder / "maps.png", dpi=130)
    print(f"wrote {folder / 'maps.png'}")

    if options.inputs < INPUTS:
        return  # the rest is true of so many inputs, not of any few
    assert 0.9 * means[EXACT] < means["hardmax"] < 1.005 * means[EXACT]
    assert means["softmax, T 0.5"] > means["softmax, T 1"]
    assert min(means.values()) > 0.5 * max(means.values())


if __name__ == "__main__":
    main()
