"""How far from the best possible: the mean certified radius beside the largest that any valid bound could have.

    python examples/power_envelope.py [--n 100] [--alpha 0.001] [--levels 100] [--spacing 0.25] [--output FOLDER]

A lower confidence bound on the probit margin g certifies a level L with some probability under the true probabilities
p. "The bound exceeds L" is a test of {g <= L} at error alpha, so that probability is at most the power of the best such
test, a linear program over all outcomes. Its integral over L bounds the mean certified radius of every valid bound,
randomised ones too. docs/how-far.md has the theorem and its proof.

Everything errs upward: finitely many nulls restrict the test less than all of them, the program is bounded by its dual
whatever the solver returns, and the integral is a sum of left values. So the true share of a bound is at least the one
printed. Prints the shares of the proven bound and of two closed forms for eight true p, draws power_envelope.png, and
checks that no bound passes the envelope at any level.

A second, lower envelope holds for rules that do not randomise: they never certify a level at an outcome that one of its
nulls gives a probability above alpha.

At n = 100 it takes about a minute on one core, with a proven bound for each of the 2,292 outcomes that carry all but a
millionth of the probability under some p.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from scipy.optimize import linprog
from scipy.special import gammaln, ndtr, ndtri, xlogy

import rsopt

Array = npt.NDArray[np.float64]

# (p_A, p_j): the certified class and the one rival; the rest of the votes go elsewhere.
INPUTS = {"nearly unanimous": (0.999, 0.0008), "easy": (0.97, 0.02), "easy, weak rival": (0.9, 0.03),
          "clear": (0.85, 0.1), "middle": (0.75, 0.15), "middle, weak rival": (0.6, 0.1), "close": (0.6, 0.3),
          "near tie": (0.5, 0.35)}
DRAWN = "middle"
METHODS: dict[str, Callable[..., rsopt.Bound]] = {
    "rsopt": rsopt.lower_bound, "Clopper–Pearson": rsopt.baselines.two_way_clopper_pearson,
    "Cohen 2019": rsopt.baselines.cohen}
COLOURS = {"rsopt": "#0b5cad", "Clopper–Pearson": "#d1662b", "Cohen 2019": "#6f6f6f"}
STYLES = {"rsopt": "-", "Clopper–Pearson": "--", "Cohen 2019": "-."}

LEFT_OUT = 1e-6  # probability of the outcomes that are not looked at; the envelope counts them as certified
STEPS = 10  # levels a linear program: between two programs their mixtures of nulls are moved along
ROUNDING = 1e-9  # added to every power: far above what double precision loses in sums of probabilities


@dataclass(frozen=True)
class Shown:
    """One input: at each level the envelopes and each method's probability to certify it; mean radii of the methods."""

    levels: Array
    most: Array
    most_fixed: Array  # of rules that do not randomise
    power: dict[str, Array]
    means: dict[str, float]

    @property
    def largest_mean(self) -> float:
        """The integral of the envelope over the radii, rounded up."""
        return 0.5 * float(np.diff(self.levels) @ self.most[:-1])

    @property
    def largest_fixed_mean(self) -> float:
        """The same for rules that do not randomise."""
        return 0.5 * float(np.diff(self.levels) @ self.most_fixed[:-1])


def outcomes(n: int) -> npt.NDArray[np.int64]:
    """All (x1, x2, x3) with x1 + x2 + x3 = n, shape (3, (n + 1)(n + 2)/2)."""
    x1, x2 = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    possible = x1 + x2 <= n
    return np.stack([x1[possible], x2[possible], n - x1[possible] - x2[possible]])


def probabilities(x: npt.NDArray[np.int64], q: Array) -> Array:
    """P_q(X = x) for outcomes of shape (3, k) and distributions of shape (m, 3); shape (m, k)."""
    chances: Array = np.exp(log_ways(x) + xlogy(x[None], q[:, :, None]).sum(axis=1))
    return chances


def log_ways(x: npt.NDArray[np.int64]) -> Array:
    """log n!/(x1! x2! x3!) of each outcome, shape (k,)."""
    ways: Array = gammaln(x[:, 0].sum() + 1.0) - gammaln(x + 1.0).sum(axis=0)
    return ways


def on_curve(level: float, q2: Array) -> Array:
    """The distributions with ndtri(q1) - ndtri(q2) = level; shape (m, 3)."""
    q1 = ndtr(level + ndtri(q2))
    return np.stack([q1, q2, np.maximum(1.0 - q1 - q2, 0.0)], axis=1)


def curve_grid(level: float, n: int, spacing: float) -> Array:
    """q2 along the level curve, so close that no cell's count moves by more than `spacing` standard deviations."""
    end = ndtr(-0.5 * level)
    q2: Array = np.union1d(np.geomspace(1e-12, end, 3000), end * np.linspace(0.0, 1.0, 3001)[1:])
    # The arcsine of the root of a share has standard deviation 1/(2 sqrt n), wherever the share is.
    moved = np.abs(np.diff(2.0 * np.sqrt(n) * np.arcsin(np.sqrt(on_curve(level, q2))), axis=0)).max(axis=1)
    way = np.concatenate([[0.0], np.cumsum(moved)])
    places = np.unique([*np.searchsorted(way, np.arange(0.0, way[-1], spacing)), q2.size - 1])
    grid: Array = q2[places]
    return grid


def least_favourable(x: npt.NDArray[np.int64], chances: Array, level: float, alpha: float, spacing: float
                     ) -> tuple[Array, Array]:
    """The mixture of nulls on the level curve that allows the least power: their q2 and their weights, which add to 1.

    Maximise sum_x P_p(x) phi(x) over 0 <= phi <= 1 subject to sum_x P_q(x) phi(x) <= alpha for every null q. The
    weights are the dual values. Nothing relies on their being optimal: see `power_at_most`.
    """
    q2 = curve_grid(level, int(x[:, 0].sum()), spacing)
    nulls = probabilities(x, on_curve(level, q2))
    found = linprog(-chances, A_ub=nulls / alpha, b_ub=np.ones(q2.size), bounds=(0.0, 1.0), method="highs")
    weights = np.maximum(-found.ineqlin.marginals, 0.0) if found.success else np.zeros(q2.size)
    if not weights.any():  # no null restricts the test, or the program failed
        weights = np.ones(q2.size)
    used = weights > 0.0
    return q2[used], weights[used] / weights.sum()


def power_at_most(chances: Array, null: Array, alpha: float) -> float:
    """No test phi with sum_x P_null(x) phi(x) <= alpha has a larger power, where the null is any mixture of nulls.

    For every c >= 0, sum P_p phi = sum (P_p - c P_null) phi + c sum P_null phi <= sum (P_p - c P_null)^+ + c alpha. The
    c taken is the critical likelihood ratio, the best by the lemma of Neyman and Pearson; any other would do.
    """
    ratio = chances / np.maximum(null, 1e-300)
    order = np.argsort(-ratio)
    place = int(np.searchsorted(np.cumsum(null[order]), alpha))
    critical = ratio[order[place]] if place < order.size else 0.0
    return float(np.maximum(chances - critical * null, 0.0).sum() + critical * alpha)


def too_likely_from(x: npt.NDArray[np.int64], highest: float, alpha: float) -> Array:
    """For each outcome a level with a null that gives the outcome alone more than alpha, or infinity; shape (k,).

    The level is found by bisection up to `highest`, over nulls at fixed shares of the curve. It has its null, so it can
    only be too high.
    """
    shares = np.sin(0.5 * np.pi * np.linspace(0.0, 1.0, 201)[1:]) ** 2
    ways = log_ways(x)

    def too_likely(level: Array) -> npt.NDArray[np.bool_]:
        q2 = shares[:, None] * ndtr(-0.5 * level)
        q1 = ndtr(level + ndtri(q2))
        logs = xlogy(x[0], q1) + xlogy(x[1], q2) + xlogy(x[2], np.maximum(1.0 - q1 - q2, 0.0))
        likely: npt.NDArray[np.bool_] = ways + logs.max(axis=0) > np.log(alpha) + ROUNDING
        return likely

    low, high = np.zeros(x.shape[1]), np.full(x.shape[1], highest)
    found = np.where(too_likely(high), high, np.inf)
    for _ in range(24):
        middle = 0.5 * (low + high)
        likely = too_likely(middle)
        found = np.where(likely, middle, found)
        low, high = np.where(likely, low, middle), np.where(likely, middle, high)
    return found


def envelope(x: npt.NDArray[np.int64], chances: Array, until: Array, levels: Array, alpha: float, spacing: float
             ) -> Array:
    """At each level the largest probability of any valid bound to certify it, rounded up; shape of `levels`.

    Args:
        x: the outcomes that are looked at, shape (3, k).
        chances: P_p of each, shape (k,); what is missing to 1 counts as certified.
        until: from this level on an outcome is never certified, shape (k,); infinite for rules that may randomise.
        levels: ascending; every `STEPS`-th gets a linear program.
        alpha: error of the bounds.
        spacing: of the nulls, in standard deviations of the counts.
    """
    mixtures = [least_favourable(x, np.where(until > level, chances, 0.0), level, alpha, spacing)
                for level in levels[::STEPS]]
    most = np.ones(levels.size)
    for k, level in enumerate(levels):
        able = np.where(until > level, chances, 0.0)
        for q2, weights in mixtures[k // STEPS: k // STEPS + 2]:
            null = weights @ probabilities(x, on_curve(level, np.minimum(q2, ndtr(-0.5 * level))))
            most[k] = min(most[k], power_at_most(able, null, alpha))
    # A bound that certifies a level certifies every lower one.
    return np.minimum.accumulate(np.minimum(most + (1.0 - chances.sum()) + ROUNDING, 1.0))


def shown(p: Array, n: int, alpha: float, programs: int, spacing: float, lower: Callable[[str, int, int], float]
          ) -> Shown:
    """One input under the envelope; `lower` gives a method's bound at x1 and x2."""
    x = outcomes(n)
    chances = probabilities(x, p[None])[0]
    order = np.argsort(-chances)
    kept = order[: int(np.searchsorted(np.cumsum(chances[order]), 1.0 - LEFT_OUT)) + 1]
    x, chances = x[:, kept], chances[kept]
    truth = float(ndtri(p[0]) - ndtri(p[1]))
    levels = np.linspace(0.0, truth, programs * STEPS + 1)
    most, most_fixed = (envelope(x, chances, until, levels, alpha, spacing)
                        for until in (np.full(chances.size, np.inf), too_likely_from(x, truth, alpha)))
    power, means = {}, {}
    for name in METHODS:
        bounds = np.array([lower(name, x1, x2) for x1, x2 in zip(*x[:2].tolist(), strict=True)])
        certified = bounds[None, :] >= np.maximum(levels, np.nextafter(0.0, 1.0))[:, None]
        power[name] = certified @ chances + (1.0 - chances.sum())
        # A radius counts as far as it is true; outcomes that were left out count as abstentions.
        means[name] = 0.5 * float(np.clip(bounds, 0.0, truth) @ chances)
    return Shown(levels, most, np.minimum(most, most_fixed), power, means)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--alpha", type=float, default=1e-3)
    parser.add_argument("--levels", type=int, default=100, help="linear programs an input")
    parser.add_argument("--spacing", type=float, default=0.25, help="of the nulls, in standard deviations")
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    n, alpha = options.n, options.alpha
    known: dict[tuple[str, int, int], float] = {}

    def lower(name: str, x1: int, x2: int) -> float:
        if (name, x1, x2) not in known:
            counts = rsopt.Counts((x1, x2, n - x1 - x2), top=0, rival=1)
            known[name, x1, x2] = METHODS[name](counts, functional="probit", alpha=alpha).lower
        return known[name, x1, x2]

    found = {name: shown(np.array([p_a, p_j, 1.0 - p_a - p_j]), n, alpha, options.levels, options.spacing, lower)
             for name, (p_a, p_j) in INPUTS.items()}
    report(found, n, alpha, sum(name == "rsopt" for name, *_ in known))
    folder = options.output or Path(tempfile.mkdtemp(prefix="rsopt-"))
    folder.mkdir(parents=True, exist_ok=True)
    draw(folder / "power_envelope.png", found, n, alpha)
    print(f"wrote {folder / 'power_envelope.png'}")

    for name, one in found.items():
        for method, power in one.power.items():
            assert (power <= one.most_fixed).all(), f"{method} passes the envelope: {name}"
    print("no bound passes the envelope at any level")
    if n >= 20:  # fewer votes certify next to nothing by any method
        assert total_share(found, "rsopt") > total_share(found, "Clopper–Pearson")


def total_share(found: dict[str, Shown], method: str) -> float:
    """Mean radius over all inputs, as a share of the largest."""
    return sum(one.means[method] for one in found.values()) / sum(one.largest_mean for one in found.values())


def report(found: dict[str, Shown], n: int, alpha: float, bounds: int) -> None:
    table = Table(title=f"Mean certified radius, n = {n:,}, alpha = {alpha:g}: the largest possible, and shares of it",
                  title_justify="left", title_style="bold")
    table.add_column("input", no_wrap=True)
    for column in ("p_A", "p_j", "true\nradius", "largest\nmean", "rsopt", "Clopper–\nPearson", "Cohen\n2019",
                   "largest, not\nrandomised", "rsopt's\nshare of it"):
        table.add_column(column, justify="right")
    for name, one in found.items():
        table.add_row(name, *(f"{chance:g}" for chance in INPUTS[name]), f"{0.5 * one.levels[-1]:.4f}",
                      f"{one.largest_mean:.4f}", *(f"{mean / one.largest_mean:.1%}" for mean in one.means.values()),
                      f"{one.largest_fixed_mean:.4f}", f"{one.means['rsopt'] / one.largest_fixed_mean:.1%}",
                      end_section=name == list(found)[-1])
    every, own = list(found.values()), sum(one.means["rsopt"] for one in found.values())
    shares = [np.mean([one.means[method] / one.largest_mean for one in every]) for method in METHODS]
    table.add_row("mean of the shares", *[""] * 4, *(f"{share:.1%}" for share in shares), "",
                  f"{np.mean([one.means['rsopt'] / one.largest_fixed_mean for one in every]):.1%}", style="bold")
    table.add_row("share of the means", *[""] * 4, *(f"{total_share(found, method):.1%}" for method in METHODS), "",
                  f"{own / sum(one.largest_fixed_mean for one in every):.1%}", style="bold")
    console = Console(width=118)
    console.print(table)
    console.print("Radii are in units of sigma and count as far as they are true. The largest means are upper bounds, "
                  f"so true shares are at least these. Proven bounds computed: {bounds:,}.", highlight=False)


def draw(path: Path, found: dict[str, Shown], n: int, alpha: float) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 5.0), layout="constrained")
    curves, bars = figure.subplots(1, 2, width_ratios=(5, 4))
    one, radii = found[DRAWN], 0.5 * found[DRAWN].levels
    curves.fill_between(radii, one.most, 1.0, color="#ececec", linewidth=0.0)
    curves.plot(radii, one.most, color="black", linewidth=1.6,
                label=f"no valid bound lies above: mean {one.largest_mean:.4f}")
    for method, power in one.power.items():
        curves.plot(radii, power, color=COLOURS[method], linestyle=STYLES[method], linewidth=1.8,
                    label=f"{method}: mean {one.means[method]:.4f}")
    curves.set(xlim=(0.0, radii[-1]), ylim=(0.0, 1.0), ylabel="probability to certify it",
               xlabel="radius, in units of sigma, up to the true one",
               title=f"{DRAWN}: p_A = {INPUTS[DRAWN][0]:g}, p_j = {INPUTS[DRAWN][1]:g}")
    curves.legend(frameon=False, loc="upper right", fontsize=9)
    draw_shares(bars, found)
    figure.suptitle(f"How far from the best possible: n = {n:,}, alpha = {alpha:g}", x=0.01, ha="left", fontsize=12)
    figure.savefig(path, dpi=130)


def draw_shares(axes: Any, found: dict[str, Shown]) -> None:
    rows, height = np.arange(len(found)), 0.27
    for k, method in enumerate(METHODS):
        shares = [100.0 * one.means[method] / one.largest_mean for one in found.values()]
        places = rows + (k - 1) * height
        axes.barh(places, shares, height=0.9 * height, color=COLOURS[method], label=method)
        for place, share in zip(places, shares, strict=True):
            inside = share > 12.0
            axes.text(share - 0.8 if inside else share + 0.8, place, f"{share:.1f}", va="center", fontsize=7,
                      ha="right" if inside else "left", color="white" if inside else "black")
    fixed = [100.0 * one.largest_fixed_mean / one.largest_mean for one in found.values()]
    axes.vlines(fixed, rows - 0.45, rows + 0.45, color="black", linewidth=1.2, linestyle=":",
                label="largest, not randomised")
    axes.axvline(100.0, color="black", linewidth=1.6)
    axes.set_yticks(rows, list(found))
    axes.invert_yaxis()
    axes.set(xlim=(0.0, 104.0), xlabel="mean certified radius, % of the largest possible")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2, fontsize=9)


if __name__ == "__main__":
    main()
