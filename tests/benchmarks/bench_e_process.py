"""The anytime-valid e-process beside looks that share out their error, on the same votes in the same order.

``python tests/benchmarks/bench_e_process.py`` draws the votes of ../shared/data/cifar10_counts.csv without
replacement (seeded; sigma = 0.25, alpha = 0.001, probit, label certified) and prints, for each radius and the inputs
that reach it at a fixed n = 100,000, the samples until it is proven: by geometric looks at levels that add up to
alpha, by the e-process at the same looks, by the e-process after every 2% of new samples, and the same with its
mixture centred on 100 selection votes. ``pytest --benchmark-only tests/benchmarks/bench_e_process.py`` times single
calls.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsopt.counts import Counts
from rsopt.functionals import ProbitMargin
from rsopt.question import Question
from rsopt.sequential.adaptive import TargetRadii
from rsopt.sequential.e_process import DirichletMixture, e_process_bound
from rsopt.sequential.levels import level_reached
from rsopt.sequential.looks import Looks
from rsopt.sequential.policy import PlannedLook
from rsopt.statistics import Studentized

SIGMA, ALPHA, MOST, SELECTION = 0.25, 1e-3, 100_000, 100
RADII = (0.0, 0.25, 0.5, 0.75)
COUNTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "cifar10_counts.csv"
PROBIT = ProbitMargin()
NEVER = 10**9


class Votes:
    """The votes of one image in a random order, which is found out as far as it is asked for."""

    def __init__(self, votes: list[int], seed: int) -> None:
        self._votes, self._rng = np.array(votes), np.random.default_rng(seed)
        self.selection = self._drawn(self._votes, SELECTION)
        self._votes = self._votes - self.selection
        self._known = {0: np.zeros(len(votes), dtype=np.int64), int(self._votes.sum()): self._votes}

    def first(self, n: int) -> np.ndarray:
        """The counts of the first n draws."""
        n = min(n, max(self._known))
        if n not in self._known:
            before = max(known for known in self._known if known < n)
            after = min(known for known in self._known if known > n)
            between = self._known[after] - self._known[before]
            self._known[n] = self._known[before] + self._drawn(between, n - before)
        return self._known[n]

    def _drawn(self, votes: np.ndarray, n: int) -> np.ndarray:
        return self._rng.multivariate_hypergeometric(votes, n)


def first_proven(plan: Iterable[PlannedLook], votes: Votes, proven: Callable[[Counts, float], bool], top: int) -> int:
    """The n of the first look that proves the level; `NEVER` if none does."""
    for look in plan:
        if proven(Counts(tuple(votes.first(look.n).tolist()), top), look.alpha):
            return look.n
    return NEVER


def often() -> list[PlannedLook]:
    """A look after every 2% of new samples, all at alpha."""
    sizes = [20]
    while sizes[-1] < MOST:
        sizes.append(min(max(sizes[-1] + 1, int(1.02 * sizes[-1])), MOST))
    return [PlannedLook(n, ALPHA) for n in sizes]


def anytime(level: float, selection: tuple[int, ...]) -> Callable[[Counts, float], bool]:
    """Whether the e-process proves the level."""
    mixture = DirichletMixture(selection=selection)
    return lambda counts, alpha: e_process_bound(counts, functional=PROBIT, alpha=alpha, mixture=mixture).lower >= level


def until_proven(radius: float, rows: list[tuple[int, Votes]]) -> dict[str, list[int]]:
    """Samples by method, one entry for each input that reaches the radius with all of its votes."""
    policy = TargetRadii((radius,), Question(SIGMA), Looks(MOST, ALPHA))
    (level,) = policy.levels
    statistic = Studentized()

    def exact(counts: Counts, alpha: float) -> bool:
        return level_reached(counts, level, Question(SIGMA, PROBIT, statistic=statistic, alpha=alpha))

    found: dict[str, list[int]] = {}
    for label, votes in rows:
        if not exact(Counts(tuple(votes.first(MOST).tolist()), label), ALPHA):
            continue

        plain, centred = anytime(level, ()), anytime(level, tuple(votes.selection.tolist()))
        at_alpha = [PlannedLook(look.n, ALPHA) for look in policy.plan]
        for name, plan, proven in (("looks, equal spending", policy.plan, exact),
                                   ("e-process, same looks", at_alpha, plain),
                                   ("e-process, every 2%", often(), plain),
                                   ("e-process, every 2%, centred", often(), centred)):
            found.setdefault(name, []).append(first_proven(plan, votes, proven, label))
    return found


def main() -> None:
    """Prints all figures."""
    with COUNTS.open() as file:
        rows = [(int(row["label"]), Votes([int(row[f"c{k}"]) for k in range(10)], seed))
                for seed, row in enumerate(csv.DictReader(file))]
    for radius in RADII:
        start = time.process_time()
        found = until_proven(radius, rows)
        reference = np.minimum(found["looks, equal spending"], MOST)
        print(f"radius {radius:g}: {reference.size} inputs reach it with {MOST - SELECTION:,} votes "
              f"({time.process_time() - start:.0f} s)")
        for name, samples in found.items():
            spent = np.minimum(samples, MOST)
            print(f"  {name:<30} mean {spent.mean():8,.0f}  median {np.median(spent):7,.0f}  "
                  f"never {sum(n == NEVER for n in samples):3d}  fewer than looks: {np.mean(spent < reference):.0%}, "
                  f"more: {np.mean(spent > reference):.0%}")


@pytest.mark.parametrize("votes", [[950, 30, 20], [95_000, 3_000, 2_000]], ids=["1000", "100000"])
def test_one_anytime_bound(benchmark: Any, votes: list[int]) -> None:
    benchmark(e_process_bound, votes, 0)


if __name__ == "__main__":
    main()
