"""Bounds that are larger than ours on near ties: the melded limit, the inductive order, and what was tried beside them.

``make bench_rivals`` prints, at alpha = 0.001 on the margin: how often and by how much the conjectured melded limit
lies above our bound, and below it, on the synthetic votes of tests/support/votes.py and on near ties; and at n = 50,
summed over all outcomes, the mean bound of our default, of `rsopt.Inductive`, of the melded limit, of the order by
estimated limits (estimation, then maximisation: Lloyd & Moldovan 2008) and of a Berger–Boos restriction of the null
distributions. The last two are maxima over a grid of nulls, to be compared, not proven. A few minutes in all; ``make
bench_rivals ARGUMENTS=200`` prints the last part at n = 200, without the inductive order.
"""

from __future__ import annotations

import math
import sys

import numpy as np
import numpy.typing as npt
from scipy import special
from votes import voted

import rsopt
from rsopt import Counts, baselines
from rsopt.statistics import clopper_pearson_lower, clopper_pearson_upper

Array = npt.NDArray[np.float64]

ALPHA = 1e-3
SIZES = (100, 1_000, 10_000)
NEAR_TIES = {"p = (.5, .35)": (0.5, 0.35), "p = (.3, .15)": (0.3, 0.15), "p = (.2, .02)": (0.2, 0.02),
             "p = (.6, .05)": (0.6, 0.05)}
LAWS = {**NEAR_TIES, "p = (.7, .2)": (0.7, 0.2), "p = (.8, .12)": (0.8, 0.12), "p = (.9, .06)": (0.9, 0.06),
        "p = (.98, .01)": (0.98, 0.01)}
SMALL, NULLS, STEP = 50, 120, 0.004
SPENT = 0.1
"""Share of alpha that the Berger–Boos restriction spends on its confidence set."""


def print_differences(name: str, rows: list[Counts]) -> None:
    """One line: the melded limit against ours where either is positive."""
    larger, smaller, only, lost, count = [], [], 0, 0, 0
    for counts in rows:
        limit = baselines.melded(counts, alpha=ALPHA).lower
        own = rsopt.lower_bound(counts, functional="margin", alpha=ALPHA)
        if max(limit, own.lower) <= 0.0:
            continue
        count += 1
        only += limit > 0.0 >= own.lower
        lost += own.lower > 0.0 >= limit
        width = counts.x1 / counts.n - counts.x2 / counts.n - own.lower
        # Above what the exact bound can be, and below what is proven: between them neither is the larger.
        if limit > own.lower_at_most:
            larger.append((limit - own.lower) / width)
        elif limit < own.lower:
            smaller.append((own.lower - limit) / width)
    told = []
    for word, found in (("larger", larger), ("smaller", smaller)):
        much = f" (median {np.median(found):.1%} of the width, most {max(found):.1%})" if found else ""
        told.append(f"melded {word} on {len(found):,}{much}")
    print(f"{name}: {count:,} inputs; {'; '.join(told)}; only it certifies {only:,}, only ours {lost:,}", flush=True)


class Outcomes:
    """All votes of n samples, and their chances at the nulls of each level of the margin."""

    def __init__(self, n: int) -> None:
        x1, x2 = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
        possible = x1 + x2 <= n
        self.n = n
        self.x = np.stack([x1[possible], x2[possible], n - x1[possible] - x2[possible]])
        self.levels = np.arange(-0.6, 0.999, STEP)
        self._ways = special.gammaln(n + 1.0) - special.gammaln(self.x + 1.0).sum(axis=0)

    def nulls(self, level: float) -> Array:
        """Distributions along the level curve, shape (NULLS, 3)."""
        least = max(-level, 0.0)
        q2 = least + (0.5 * (1.0 - level) - least) * np.sin(0.5 * np.pi * np.linspace(0.0, 1.0, NULLS)) ** 2
        return np.stack([q2 + level, q2, np.maximum(1.0 - 2.0 * q2 - level, 0.0)], axis=1)

    def chances(self, q: Array) -> Array:
        """Probabilities, shape (outcomes, nulls)."""
        found: Array = np.exp(self._ways[:, None] + sum(special.xlogy(self.x[j][:, None], q[:, j]) for j in range(3)))
        return found

    def ordered(self, raw: Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(outcomes by the monotone hull of a statistic, best first; for each place the last one of its ties)."""
        table = np.full((self.n + 1, self.n + 1), -np.inf)
        table[self.x[0], self.x[1]] = raw
        hull = np.maximum.accumulate(np.maximum.accumulate(table, axis=0)[:, ::-1], axis=1)[:, ::-1]
        value = hull[self.x[0], self.x[1]]
        order = np.argsort(-value, kind="stable")
        return order, np.searchsorted(-value[order], -value[order] + 1e-9, side="right") - 1

    def crossings(self, tails: list[Array], alpha: float) -> Array:
        """For each place the last level at which its tail is at most alpha, between levels by the logarithm."""
        table = np.log(np.maximum(np.array(tails), 1e-300))
        found = np.full(self.x.shape[1], self.levels[0])
        for k, column in enumerate(table.T):
            below = np.flatnonzero(column <= math.log(alpha))
            if below.size:
                j = int(below[-1])
                part = 0.0 if j + 1 == column.size else (math.log(alpha) - column[j]) / (column[j + 1] - column[j])
                found[k] = self.levels[j] + part * STEP
        return found

    def exact(self, raw: Array) -> Array:
        """The exact bound on a statistic at every outcome."""
        order, last = self.ordered(raw)
        tails = [np.cumsum(self.chances(self.nulls(level))[order], axis=0).max(axis=1)[last] for level in self.levels]
        return self._back(order, self.crossings(tails, ALPHA))

    def estimated(self, raw: Array) -> Array:
        """The limit with the null in place that fits each outcome best: a statistic, and no bound."""
        order, last = self.ordered(raw)
        tails = []
        for level in self.levels:
            q = self.nulls(level)
            fit = sum(special.xlogy(self.x[j][order][:, None], q[:, j]) for j in range(3)).argmax(axis=1)
            tails.append(np.cumsum(self.chances(q)[order], axis=0)[last, fit])
        return self._back(order, self.crossings(tails, ALPHA))

    def berger_boos(self, raw: Array) -> Array:
        """The exact bound at error alpha - gamma over nulls whose q1 + q2 is in its interval at error gamma."""
        order, last = self.ordered(raw)
        pair, gamma = (self.x[0] + self.x[1])[order], SPENT * ALPHA
        low = clopper_pearson_lower(pair, self.n, gamma / 2.0)
        high = clopper_pearson_upper(pair, self.n, gamma / 2.0)
        tails = []
        for level in self.levels:
            q = self.nulls(level)
            share = q[:, 0] + q[:, 1]
            near = (share >= low[:, None]) & (share <= high[:, None])
            tails.append(np.where(near, np.cumsum(self.chances(q)[order], axis=0)[last], 0.0).max(axis=1))
        # Where no null of a level is near, that level alone is rejected; a bound needs all levels below it rejected.
        return self._back(order, self.crossings(list(np.maximum.accumulate(tails, axis=0)), ALPHA - gamma))

    def _back(self, order: npt.NDArray[np.int64], values: Array) -> Array:
        found = np.empty_like(values)
        found[order] = values
        return found


def print_orders(n: int) -> None:
    """Mean positive bounds at n, exactly by law, and at how many outcomes each is larger than the default."""
    space = Outcomes(n)
    rows = [Counts((int(a), int(b), int(c)), 0, 1) for a, b, c in space.x.T]
    margin = rsopt.Margin()
    studentized = np.array([rsopt.Studentized().value(counts, margin, ALPHA) for counts in rows])
    bounds = {"default": space.exact(studentized)}
    if n <= SMALL:
        inductive = np.array([rsopt.Inductive().value(counts, margin, ALPHA) for counts in rows])
        bounds["inductive"] = space.exact(np.maximum(inductive, -1e9))
    bounds |= {
        "melded": np.array([baselines.melded(counts, alpha=ALPHA).lower for counts in rows]),
        "estimated": space.exact(space.estimated(studentized)), "Berger-Boos": space.berger_boos(studentized)}
    print(f"n = {n}, margin, alpha = {ALPHA:g}: mean of the bound, 0 where it is not positive")
    print(f"{'':18s}" + "".join(f"{name:>13s}" for name in bounds))
    for name, (p_a, p_j) in LAWS.items():
        chances = space.chances(np.array([[p_a, p_j, 1.0 - p_a - p_j]]))[:, 0]
        print(f"{name:18s}" + "".join(f"{chances @ np.maximum(bound, 0.0):13.5f}" for bound in bounds.values()))
    own = bounds.pop("default")
    for name, bound in bounds.items():
        gap = (bound - own)[np.maximum(bound, own) > 0.0]
        print(f"{name}: of {gap.size:,} outcomes larger than the default at {(gap > 1e-4).sum():,}, by at most "
              f"{gap.max():.4f}; smaller at {(gap < -1e-4).sum():,}, by at most {-gap.min():.4f}", flush=True)


def main() -> None:
    if sizes := [int(text) for text in sys.argv[1:]]:
        for n in sizes:
            print_orders(n)
        return
    inputs = voted()
    for n in SIZES:
        print_differences(f"synthetic votes, n = {n:,}", [Counts(tuple(votes.tolist()), int(label))
                                                          for label, votes in zip(inputs.labels, inputs.votes(n),
                                                                                  strict=True)])
    for name, (p_a, p_j) in NEAR_TIES.items():
        for n in SIZES:
            drawn = np.random.default_rng([1, n]).multinomial(n, (p_a, p_j, 1.0 - p_a - p_j), size=100)
            print_differences(f"{name}, n = {n:,}", [Counts(tuple(votes.tolist()), 0, 1) for votes in drawn])
    print_orders(SMALL)


if __name__ == "__main__":
    main()
