"""How few samples adaptive looks take, on synthetic votes.

``make bench_adaptive`` draws the votes of 250 inputs (tests/support/votes.py; sigma = 0.25, alpha = 0.001, probit,
studentized, the label certified, n at most 100,000) one after the other, in seeded orders, and prints

- the policy itself, look by look: mean samples, how many times fewer than a fixed n = 100,000, and the inputs that it
  certifies more or less than the fixed run, for all radii together and for each alone;
- each single radius beside one-class union-bound sequences and beside the least fixed n whose certified accuracy comes
  within half a point (one input) of the fixed run's;
- spending functions, growths and first looks;
- the error of giving up, and giving up by a joint limit that was told the strongest rival, which no rule can know.

``pytest --benchmark-only tests/benchmarks/bench_adaptive.py`` times single decisions.

Measured, under four seeds of the order of the votes:

    radii               mean samples   times fewer            fewer inputs certified
    0, .25, .5, .75           12,329     8.1  (8.0 to 8.3)    4 or 5 of 487
    0                          1,840    54.4  (52 to 57)      1 of 199
    .25                        1,469    68.1  (64 to 71)      0 of 141
    .5                         2,731    36.6  (34 to 40)      1 or 2 of 92
    .75                        6,054    16.5  (16.2 to 16.8)  1 of 55

The inputs that are lost lie so near to a radius that 100,000 samples reach it only if the whole error is spent on them.
One-class sequences lose 1 to 14 inputs each, because they give one rival all votes that the class does not get; where
they use fewer samples it is by giving those inputs up. Equal, linear, power and Pocock spending lie within 8% of each
other, open-ended spending takes up to 11% more samples than equal, and O'Brien–Fleming's up to 27%, with the fewest
inputs lost. Growth between 1.15 and 1.6 and first looks between 10 and 50 change the samples by less than 9%.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from votes import Order, voted

import rsopt
from rsopt.counts import Counts
from rsopt.functionals import ProbitMargin
from rsopt.question import Question, level_for_radius
from rsopt.sequential.adaptive import GIVE_UP, TargetRadii, TargetState
from rsopt.sequential.levels import level_reached, upper_limit
from rsopt.sequential.looks import Looks
from rsopt.sequential.planning import Regions
from rsopt.sequential.policy import LookResult, PlannedLook
from rsopt.sequential.spending import SPENDING
from rsopt.statistics import Studentized, clopper_pearson_lower, clopper_pearson_upper

Votes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SIGMA, ALPHA, MOST = 0.25, 1e-3, 100_000
RADII = (0.0, 0.25, 0.5, 0.75)
QUESTIONS = (RADII, *((radius,) for radius in RADII))
G, T = ProbitMargin(), Studentized()


def labels_first() -> Votes:
    """All votes of every input, those for the label first, shape (250, 10)."""
    inputs = voted()
    return np.array([np.r_[votes[label], np.delete(votes, label)]
                     for label, votes in zip(inputs.labels, inputs.votes(MOST), strict=True)])


def drawn(votes: Votes, sizes: Sequence[int], seed: int) -> list[Votes]:
    """The first n votes of every input, for each n of `sizes`."""
    orders = [Order(row, seed * len(votes) + number) for number, row in enumerate(votes)]
    return [np.array([order.first(n) for order in orders]) for n in sizes]


@cache
def level(radius: float) -> float:
    return level_for_radius(G, radius, SIGMA)


@cache
def region(radius: float, alpha: float) -> Regions:
    return Regions(3, level(radius), Question(SIGMA, G, statistic=T, alpha=alpha))


def exact(x1: Votes, x2: Votes, n: int, radius: float, alpha: float) -> Mask:
    """Whether the exact bound reaches the radius."""
    return region(radius, alpha).contains(x1, x2, n)


def cohen(x1: Votes, x2: Votes, n: int, radius: float, alpha: float) -> Mask:
    low = clopper_pearson_lower(x1, n, alpha)
    return np.asarray(G.value(low, 1.0 - low) >= level(radius))


def two_way(x1: Votes, x2: Votes, n: int, radius: float, alpha: float) -> Mask:
    low, high = clopper_pearson_lower(x1, n, alpha / 2.0), clopper_pearson_upper(x2, n, alpha / 2.0)
    return np.asarray(G.value(low, high) >= level(radius))


def followed(policy: TargetRadii, path: Sequence[Votes], row: int) -> tuple[int, dict[float, TargetState]]:
    """Samples of one input and what they decide; every look tries the open targets, one proof each."""
    taken: list[LookResult] = []
    while (planned := policy.next_look(taken)) is not None:
        counts = Counts(tuple(path[len(taken)][row].tolist()), 0)
        known, best = policy.states(taken), -np.inf
        for radius, wanted in zip(policy.radii, policy.levels, strict=True):
            if known[radius] is TargetState.OPEN:
                if not level_reached(counts, wanted, Question(SIGMA, G, statistic=T, alpha=planned.alpha)):
                    break
                best = wanted
        taken.append(LookResult(planned.n, planned.alpha, best, np.inf, 0.0, counts))
    return taken[-1].n, policy.states(taken)


def print_policy(votes: Votes, seeds: Sequence[int]) -> None:
    """The policy as it is, with its defaults."""
    print(f"the policy, seeds {list(seeds)}: samples against a fixed n = {MOST:,}, certified inputs against its")
    for radii in QUESTIONS:
        policy = TargetRadii(radii, Question(SIGMA), Looks(MOST, ALPHA), GIVE_UP)
        sizes = [look.n for look in policy.plan]
        started, spent, lost = time.process_time(), [], []
        for seed in seeds:
            path = drawn(votes, sizes, seed)
            found = [followed(policy, path, row) for row in range(len(votes))]
            spent.append(np.mean([n for n, _ in found]))
            lost.append([sum(verdicts[radius] is TargetState.REACHED for _, verdicts in found)
                         - int(exact(votes[:, 0], votes[:, 1:].max(axis=1), MOST, radius, ALPHA).sum())
                         for radius in radii])
        factors = [MOST / mean for mean in spent]
        print(f"  radii {', '.join(f'{radius:g}' for radius in radii):<16} mean {np.mean(spent):8,.0f} samples: "
              f"{MOST / np.mean(spent):6.1f} times fewer ({min(factors):.1f} to {max(factors):.1f}); inputs "
              f"{[list(row) for row in lost]}; {len(sizes)} looks; {time.process_time() - started:.0f} s")


def simulated(votes: Votes, plan: Sequence[PlannedLook], radii: Sequence[float], seeds: Sequence[int],
              reached: Callable[..., Mask], ruled_out: Callable[[Votes, int, int], npt.NDArray[np.float64]]
              ) -> tuple[float, float]:
    """(mean samples, mean inputs certified, summed over the radii) of a rule, all inputs at once."""
    spent, certified = [], []
    wanted = np.array([level(radius) for radius in radii])
    for seed in seeds:
        path = drawn(votes, [look.n for look in plan], seed)
        done = np.zeros((len(votes), len(radii)), dtype=bool)
        limit, stop = np.full(len(votes), np.inf), np.zeros(len(votes), dtype=np.int64)
        for number, (look, x) in enumerate(zip(plan, path, strict=True)):
            going = stop == 0
            x1, x2 = x[:, 0], x[:, 1:].max(axis=1)
            limit[going] = np.minimum(limit, ruled_out(x, look.n, number))[going]
            for column, radius in enumerate(radii):
                open_ = going & ~done[:, column]
                done[open_, column] = reached(x1[open_], x2[open_], look.n, radius, look.alpha)
            decided = np.all(done | (limit[:, None] < wanted[None, :]), axis=1)
            stop[going & (decided | (look.n == plan[-1].n))] = look.n
        spent.append(stop.mean())
        certified.append(done.sum())
    return float(np.mean(spent)), float(np.mean(certified))


def both_sides(plan: Sequence[PlannedLook], give_up: float = GIVE_UP
               ) -> Callable[[Votes, int, int], npt.NDArray[np.float64]]:
    """The upper limits of the policy."""
    share = give_up / len(plan)
    return lambda x, n, number: np.array([upper_limit(Counts(tuple(row), 0), G, share) for row in x.tolist()])


def joint(plan: Sequence[PlannedLook], rivals: Votes) -> Callable[[Votes, int, int], npt.NDArray[np.float64]]:
    """Minus the exact bound with the classes exchanged, against a rival that was fixed beforehand, shape (inputs,).

    The studentized order says little about negative margins; Clopper and Pearson's is never behind their limits.
    """
    share = GIVE_UP / len(plan)

    def limit(row: Votes, rival: int) -> float:
        a, b = int(row[0]), int(row[rival])
        pair = Counts((b, a, int(row.sum()) - a - b), top=0, rival=1)
        return -rsopt.lower_bound(pair, functional=G, statistic="clopper-pearson", alpha=share).lower

    return lambda x, n, number: np.array([limit(row, rival) for row, rival in zip(x, rivals, strict=True)])


def print_giving_up(votes: Votes, seeds: Sequence[int]) -> None:
    """The error of giving up: times fewer samples, and inputs certified over all radii of a question."""
    print(f"giving up, {len(seeds)} seeds: times fewer than {MOST:,} (inputs certified)")
    for radii in (RADII, (0.0,), (0.75,)):
        plan = TargetRadii(radii, Question(SIGMA), Looks(MOST, ALPHA)).plan
        rules = {f"give_up {error:g}": both_sides(plan, error) for error in (0.001, 0.01, 0.05, 0.1, 0.2)}
        rules["joint limit, rival told, 0.05"] = joint(plan, 1 + votes[:, 1:].argmax(axis=1))
        print(f"  radii {', '.join(f'{radius:g}' for radius in radii)}")
        for name, ruled_out in rules.items():
            mean, certified = simulated(votes, plan, radii, seeds, exact, ruled_out)
            print(f"    {name:<30} {MOST / mean:6.2f} ({certified:.1f})", flush=True)


def one_sided(shares: Sequence[float]) -> Callable[[Votes, int, int], npt.NDArray[np.float64]]:
    """Upper limits that know the votes of the class alone."""
    def limits(x: Votes, n: int, number: int) -> npt.NDArray[np.float64]:
        high = clopper_pearson_upper(x[:, 0], n, GIVE_UP * shares[number])
        return np.asarray(G.value(high, 1.0 - high))
    return limits


def open_sequence(growth: float = 1.1) -> tuple[list[PlannedLook], list[float]]:
    """Looks at growth^k with the share 5/((k + 4)(k + 5)) of the error, and the shares."""
    sizes = sorted({min(int(np.ceil(growth**k)), MOST) for k in range(10, 200)})
    shares = [5.0 / ((k + 4.0) * (k + 5.0)) for k in range(1, len(sizes) + 1)]
    return [PlannedLook(n, ALPHA * share) for n, share in zip(sizes, shares, strict=True)], shares


def least_fixed(votes: Votes, reached: Callable[..., Mask], radius: float, aim: int, seeds: Sequence[int]) -> str:
    """The least round n at which a method certifies one input less than `aim`, on average over the seeds."""
    sizes = [int(digits * 10**power) for power in (1, 2, 3, 4) for digits in (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)]
    for n in (*sizes, MOST):
        found = [reached(x[:, 0], x[:, 1:].max(axis=1), n, radius, ALPHA).sum()
                 for x in (drawn(votes, [n], seed)[0] for seed in seeds)]
        if np.mean(found) >= aim - 1:
            return f"{n:,}"
    return f"never (at {MOST:,} {np.mean(found):.0f} of {aim} inputs)"


def print_rivals(votes: Votes, seeds: Sequence[int]) -> None:
    """Each single radius, beside other ways."""
    for radius in RADII:
        policy = TargetRadii((radius,), Question(SIGMA), Looks(MOST, ALPHA), GIVE_UP)
        aim = int(exact(votes[:, 0], votes[:, 1:].max(axis=1), MOST, radius, ALPHA).sum())
        sequence, shares = open_sequence()
        equal = [1.0 / len(policy.plan)] * len(policy.plan)
        print(f"radius {radius:g}: {aim} inputs at a fixed n = {MOST:,}; mean samples and inputs certified, "
              f"{len(seeds)} seeds")
        for name, plan, reached, ruled_out in (
                ("adaptive looks", policy.plan, exact, both_sides(policy.plan)),
                ("one class, the same looks", policy.plan, cohen, one_sided(equal)),
                ("one class, looks at 1.1^k", sequence, cohen, one_sided(shares))):
            mean, certified = simulated(votes, plan, (radius,), seeds, reached, ruled_out)
            print(f"  {name:<28} {mean:9,.0f}  ({MOST / mean:.1f} times fewer)  {certified:.1f} inputs")
        for name, method in (("rsopt", exact), ("two-way Clopper–Pearson", two_way), ("Cohen 2019", cohen)):
            print(f"  least fixed n, {name:<24} {least_fixed(votes, method, radius, aim, seeds[:3])}")


def print_choices(votes: Votes, seeds: Sequence[int]) -> None:
    """Spending functions, growths and first looks: times fewer samples, and inputs lost over all radii."""
    print(f"choices, {len(seeds)} seeds: times fewer than {MOST:,} (inputs against the fixed run's), for all radii "
          "together and for each alone")
    tried = [(name, 1.35, 20) for name in SPENDING]
    tried += [("equal", growth, 20) for growth in (1.15, 1.6, 2.0)]
    tried += [("equal", 1.35, first) for first in (10, 50, 250)]
    aims = {radius: int(exact(votes[:, 0], votes[:, 1:].max(axis=1), MOST, radius, ALPHA).sum()) for radius in RADII}
    for name, growth, first in tried:
        cells = []
        for radii in QUESTIONS:
            looks = Looks(MOST, ALPHA, first=first, growth=growth, spending=name)
            plan = TargetRadii(radii, Question(SIGMA), looks, GIVE_UP).plan
            mean, certified = simulated(votes, plan, radii, seeds, exact, both_sides(plan))
            cells.append(f"{MOST / mean:6.1f} ({certified - sum(aims[radius] for radius in radii):+.1f})")
        print(f"  {name:<14} growth {growth:<5g} first {first:<4}" + "  ".join(cells), flush=True)


def test_a_decision(benchmark: Any) -> None:
    """What a policy takes to plan the last look of an input with a thousand classes."""
    policy = TargetRadii((0.25, 0.5), Question(SIGMA), Looks(MOST, ALPHA), GIVE_UP)
    taken = [LookResult(look.n, look.alpha, 0.1, 0.1, 0.0, Counts((
        9 * look.n // 10, look.n - 9 * look.n // 10, *[0] * 998), 0)) for look in policy.plan[:-1]]
    assert benchmark(policy.next_look, taken) in (None, policy.plan[-1])


@pytest.mark.parametrize("n", [1_000, 100_000])
def test_one_target(benchmark: Any, n: int) -> None:
    """One proof that a radius of 0.25 is reached."""
    counts = Counts((90 * n // 100, 6 * n // 100, 4 * n // 100), 0)
    assert benchmark(level_reached, counts, level(0.25), G, T, 1e-4)


def main() -> None:
    votes = labels_first()
    print_policy(votes, range(4))
    print_rivals(votes, range(8))
    print_choices(votes, range(12))
    print_giving_up(votes, range(2))


if __name__ == "__main__":
    main()
