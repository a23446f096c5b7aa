"""The anytime-valid e-process beside looks that share out their error, on the same votes in the same order.

``make bench_e_process`` draws the synthetic votes of 250 inputs (tests/support/votes.py; sigma = 0.25, alpha = 0.001,
probit, label certified) one after the other and prints, for each radius and the inputs that reach it at a fixed n =
100,000, the samples until it is proven: by geometric looks at levels that add up to alpha, by the e-process at the same
looks, by the e-process after every 2% of new samples, and the same with its mixture centred on 100 selection votes.
``pytest --benchmark-only tests/benchmarks/bench_e_process.py`` times single calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from votes import Order, voted

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
PROBIT = ProbitMargin()
NEVER = 10**9


@dataclass(frozen=True)
class Input:
    """An input's label, the votes that its class could be chosen on, and those that are bounded."""

    label: int
    selection: tuple[int, ...]
    order: Order


def drawn() -> list[Input]:
    """The inputs and their votes."""
    inputs = voted()
    return [Input(int(label), tuple(selection.tolist()), Order(votes, seed)) for seed, (label, selection, votes) in
            enumerate(zip(inputs.labels, inputs.votes(SELECTION), inputs.votes(MOST), strict=True))]


def first_proven(plan: Iterable[PlannedLook], order: Order, proven: Callable[[Counts, float], bool], top: int) -> int:
    """The n of the first look that proves the level; `NEVER` if none does."""
    for look in plan:
        if proven(Counts(tuple(order.first(look.n).tolist()), top), look.alpha):
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


def until_proven(radius: float, inputs: list[Input]) -> dict[str, list[int]]:
    """Samples by method, one entry for each input that reaches the radius with all of its votes."""
    policy = TargetRadii((radius,), Question(SIGMA), Looks(MOST, ALPHA))
    (level,) = policy.levels
    statistic = Studentized()

    def exact(counts: Counts, alpha: float) -> bool:
        return level_reached(counts, level, Question(SIGMA, PROBIT, statistic=statistic, alpha=alpha))

    found: dict[str, list[int]] = {}
    for case in inputs:
        if not exact(Counts(tuple(case.order.first(MOST).tolist()), case.label), ALPHA):
            continue
        plain, centred = anytime(level, ()), anytime(level, case.selection)
        at_alpha = [PlannedLook(look.n, ALPHA) for look in policy.plan]
        for name, plan, proven in (("looks, equal spending", policy.plan, exact),
                                   ("e-process, same looks", at_alpha, plain),
                                   ("e-process, every 2%", often(), plain),
                                   ("e-process, every 2%, centred", often(), centred)):
            found.setdefault(name, []).append(first_proven(plan, case.order, proven, case.label))
    return found


def main() -> None:
    """Prints all figures."""
    inputs = drawn()
    for radius in RADII:
        start = time.process_time()
        found = until_proven(radius, inputs)
        reference = np.minimum(found["looks, equal spending"], MOST)
        print(f"radius {radius:g}: {reference.size} inputs reach it with {MOST:,} votes "
              f"({time.process_time() - start:.0f} s)")
        for name, samples in found.items():
            spent = np.minimum(samples, MOST)
            print(f"  {name:<30} mean {spent.mean():8,.0f}  median {np.median(spent):7,.0f}  "
                  f"never {sum(n == NEVER for n in samples):3d}  fewer than looks: {np.mean(spent < reference):.0%}, "
                  f"more: {np.mean(spent > reference):.0%}", flush=True)


@pytest.mark.parametrize("votes", [[950, 30, 20], [95_000, 3_000, 2_000]], ids=["1000", "100000"])
def test_one_anytime_bound(benchmark: Any, votes: list[int]) -> None:
    benchmark(e_process_bound, votes, 0)


if __name__ == "__main__":
    main()
