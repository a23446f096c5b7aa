"""The bound on the Taylor margin against its order M = 1 … 101, beside the exact probit margin.

    python examples/ablate_taylor_order.py [--output FOLDER]

Every Taylor coefficient of the probit about 1/2 is positive, so the bound on the Taylor margin may be used for the
probit margin wherever it is positive. How much that gives away depends on how far the probabilities are from 1/2.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path

import rsopt

ALPHA = 1e-3
ORDERS = (1, 3, 5, 7, 9, 11, 15, 21, 31, 41, 51, 61, 81, 101)
INPUTS = {"close call": (6000, 3000, 1000), "clear": (8500, 1000, 500), "certain": (9990, 6, 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=None)
    output = parser.parse_args().output or Path(tempfile.mkdtemp())
    output.mkdir(parents=True, exist_ok=True)
    exact = {name: rsopt.lower_bound(votes, top=0, alpha=ALPHA).lower for name, votes in INPUTS.items()}
    taylor = {name: [rsopt.lower_bound(votes, top=0, functional="taylor-probit", order=order, alpha=ALPHA).lower
                     for order in ORDERS] for name, votes in INPUTS.items()}
    print(f"lower bounds at alpha = {ALPHA:g}, n = 10,000")
    print(f"{'M':>6s}" + "".join(f"{name:>14s}" for name in INPUTS))
    for k, order in enumerate(ORDERS):
        print(f"{order:6d}" + "".join(f"{taylor[name][k]:14.4f}" for name in INPUTS))
    print("probit" + "".join(f"{exact[name]:14.4f}" for name in INPUTS))
    draw(output / "taylor_order.png", taylor, exact)
    print(f"{output}/taylor_order.png")
    for name in INPUTS:
        # The bounds use different tail sets, so they need not be ordered exactly: 1% of the exact bound is allowed.
        assert all(later >= earlier - 0.01 * exact[name]
                   for earlier, later in itertools.pairwise(taylor[name])), name
        assert max(taylor[name]) <= 1.01 * exact[name], name
    assert taylor["close call"][ORDERS.index(15)] > 0.99 * exact["close call"]
    assert taylor["certain"][-1] < 0.95 * exact["certain"]


def draw(path: Path, taylor: dict[str, list[float]], exact: dict[str, float]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.8), layout="constrained")
    panel = figure.subplots()
    for (name, bounds), colour in zip(taylor.items(), ("#d1662b", "#0b5cad", "#1b8a5a"), strict=True):
        panel.plot(ORDERS, bounds, marker="o", markersize=4, color=colour)
        panel.axhline(exact[name], color=colour, linestyle="--", linewidth=1)
        votes = " / ".join(f"{count:,}" for count in INPUTS[name])
        panel.annotate(f"{name}: votes {votes}", (1.0, exact[name]), xytext=(0, 5), textcoords="offset points",
                       color=colour)
    panel.set_xscale("log")
    ticks = [order for order in ORDERS if order in (1, 3, 5, 7, 11, 15, 21, 31, 51, 101)]
    panel.set_xticks(ticks, [str(order) for order in ticks])
    panel.set_xticks([], minor=True)
    panel.set_xlabel("order M of the Taylor polynomial")
    panel.set_ylabel("proven lower bound on the probit margin")
    panel.set_title(f"Taylor margin (marks) and exact probit margin (dashed): n = 10,000, alpha = {ALPHA:g}",
                    fontsize=11)
    panel.set_ylim(0.0, 1.08 * max(exact.values()))
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
