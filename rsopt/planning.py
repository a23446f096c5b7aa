"""Sample planning: from the counts of a pilot run, the number of samples that reaches a radius."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rsopt.counts import Counts, as_counts, checked_alpha
from rsopt.errors import InvalidInputError
from rsopt.functionals import Functional, as_functional
from rsopt.levels import least_samples, level_for_radius, level_reached
from rsopt.problem import LowerBoundProblem
from rsopt.staircase import TailSet
from rsopt.statistics import Statistic, as_statistic, clopper_pearson_lower, clopper_pearson_upper
from rsopt.work import CLOPPER_PEARSON, COHEN, METHODS, OWN

Array = npt.NDArray[np.float64]
Votes = npt.NDArray[np.int64]

DRAWS = 4000
MOST = 1_000_000


@dataclass(frozen=True)
class Need:
    """What one method needs.

    Attributes:
        method: "rsopt", "two-way-clopper-pearson" or "cohen".
        least: below this n the method reaches the radius for no votes at all.
        n: the planned number of samples, a round number; None where no number up to `MOST` is likely enough.
        chance: probability to reach the radius at n; where n is None, at any n however large.
    """

    method: str
    least: int
    n: int | None
    chance: float


@dataclass(frozen=True)
class Plan:
    """The samples that a radius takes, judged from a pilot run.

    Attributes:
        counts: the pilot's votes and the class that is to be certified.
        radius: the target, in the units of the input and of sigma.
        sigma: standard deviation of the noise.
        alpha: error of the bound to come.
        functional: name of the quantity that is bounded.
        probability: the chance that was asked for.
        needs: one entry a method, ours first.
    """

    counts: Counts
    radius: float
    sigma: float
    alpha: float
    functional: str
    probability: float
    needs: tuple[Need, ...]

    @property
    def n(self) -> int | None:
        """Samples for our bound."""
        return self.needs[0].n


def plan(counts: Counts | Sequence[int], radius: float, sigma: float, alpha: float = 1e-3, *, top: int | None = None,
         functional: str | Functional = "probit", statistic: str | Statistic = "studentized", order: int | None = None,
         probability: float = 0.9, seed: int = 0) -> Plan:
    """The n at which a radius is reached with probability 90%, for our bound and for the baselines.

    The pilot does not tell the class probabilities p exactly. They are given their posterior under a Dirichlet prior
    (1/2 for the class, at most 1 for all others together; classes without a vote count as one rival), and the chance
    is that of new votes under p, averaged over p, from `DRAWS` seeded draws: its standard error is half a percent at
    90%. A larger pilot leaves less doubt and so asks for fewer samples.

    Args:
        counts: votes of the pilot, shape (K,), or a `Counts`.
        radius: the target, l2, in the units of the input; 0 asks for any positive radius.
        sigma: standard deviation of the noise.
        alpha: error of the bound to come.
        top: index of the class that will be certified; required with bare votes.
        functional, statistic, order: as in `rsopt.lower_bound`.
        probability: the chance that is asked for.
        seed: seeds the draws.

    Raises:
        InvalidInputError: counts, radius, sigma, alpha or probability without meaning; a radius no margin reaches.
        UnknownNameError: an unknown functional or statistic.
    """
    pilot, g, error = as_counts(counts, top), as_functional(functional, order), checked_alpha(alpha)
    if isinstance(probability, bool) or not 0.0 < probability < 1.0:
        raise InvalidInputError(f"probability must lie strictly between 0 and 1; found {probability!r}.")
    level, t = level_for_radius(g, radius, sigma), as_statistic(statistic)
    p = posterior(pilot, DRAWS, seed)
    classes = 2 if pilot.two_classes else 3
    reaches: dict[str, Callable[[Votes, Votes, int], npt.NDArray[np.bool_]]] = {
        OWN: lambda x1, x2, n: _in_region(reached_region(n, classes, level, g, t, error), x1, x2),
        CLOPPER_PEARSON: lambda x1, x2, n: _two_way(g, x1, x2, n, error) >= level,
        COHEN: lambda x1, x2, n: _one_class(g, x1, n, error) >= level}
    rival = p[:, 1:].max(axis=1)
    true = {OWN: g.value(p[:, 0], rival), CLOPPER_PEARSON: g.value(p[:, 0], rival),
            COHEN: g.value(p[:, 0], 1.0 - p[:, 0])}
    needs = []
    for method in METHODS:
        least = least_samples(g, level, error / 2.0 if method == CLOPPER_PEARSON else error)
        ceiling = float(np.mean(true[method] >= level))

        def chance(n: int, method: str = method) -> float:
            votes = np.random.default_rng([seed, n]).multinomial(n, p)
            return float(np.mean(reaches[method](votes[:, 0], votes[:, 1:].max(axis=1), n)))

        n = _first_enough(chance, least, probability) if ceiling > probability else None
        needs.append(Need(method, least, n, ceiling if n is None else chance(n)))
    return Plan(pilot, radius, sigma, error, g.name, probability, tuple(needs))


def posterior(pilot: Counts, draws: int, seed: int) -> Array:
    """Class probabilities that the pilot leaves possible, shape (draws, 1 + rivals): the class first.

    Args:
        pilot: its votes.
        draws: how many.
        seed: seeds them.
    """
    others = [votes for index, votes in enumerate(pilot.votes) if index != pilot.top]
    weight = min(1.0, 0.5 * len(others)) / len(others)
    unseen = others.count(0)
    cells = [pilot.x1 + 0.5, *(votes + weight for votes in others if votes)]
    if unseen:
        cells.append(unseen * weight)
    return np.random.default_rng(seed).dirichlet(cells, size=draws)


@lru_cache(maxsize=512)
def reached_region(n: int, classes: int, level: float, functional: Functional, statistic: Statistic, alpha: float
                   ) -> TailSet | None:
    """The outcomes whose exact bound is proven to reach a level, but for a narrow edge; None if there are none.

    In one row of x2 the least x1 that reaches the level is found by bisection, one proof a step, to a fiftieth of its
    standard deviation. Its tail set W holds the outcomes that are at least as much evidence. Their own tail sets lie
    inside W, so the one proof covers them all.

    Args:
        n: number of draws.
        classes: 2 for two classes, 3 for more.
        level: L.
        functional, statistic, alpha: as in `rsopt.lower_bound`.
    """
    def problem(x1: int, x2: int) -> LowerBoundProblem:
        votes = (x1, n - x1) if classes == 2 else (x1, x2, n - x1 - x2)
        return LowerBoundProblem(Counts(votes, 0, rival=1), functional, statistic, alpha)

    def reached(x1: int, x2: int) -> bool:
        return level_reached(problem(x1, x2).counts, level, functional, statistic, alpha)

    # A row near the middle of the level curve, where the outcomes that just reach the level are likely to lie.
    middle = 0 if classes == 2 else int(0.25 * n * _largest_rival(functional, level))
    for row in dict.fromkeys((middle, 0)):
        low, high = -1, n - row
        if not reached(high, row):
            continue
        while high - low > max(1.0, 0.02 * math.sqrt(high * (1.0 - high / n))):
            x1 = (low + high) // 2
            low, high = (low, x1) if reached(x1, row) else (x1, high)
        return problem(high, row).tail_set
    return None


def round_numbers(least: int, most: int) -> list[int]:
    """Whole numbers with two significant digits from `least` to `most`."""
    steps = [int(digits * 10**power) for power in range(8) for digits in range(10, 100)]
    return [n for n in (*range(1, 10), *steps) if least <= n <= most]


def _first_enough(chance: Callable[[int], float], least: int, probability: float) -> int | None:
    """The first round number whose chance is large enough, by doubling and bisection."""
    numbers = round_numbers(least, MOST)
    low, high, stride = -1, 0, 1
    while high < len(numbers) and chance(numbers[high]) < probability:
        low, high, stride = high, high + stride, min(2 * stride, 16)
    if high >= len(numbers):
        if not numbers or low == len(numbers) - 1 or chance(numbers[-1]) < probability:
            return None
        high = len(numbers) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance(numbers[middle]) >= probability else (middle, high)
    return numbers[high]


def _in_region(region: TailSet | None, x1: Votes, x2: Votes) -> npt.NDArray[np.bool_]:
    if region is None:
        return np.zeros(x1.shape, dtype=np.bool_)
    rows, places = np.unique(x2, return_inverse=True)
    stairs = np.array([region.stair(row) if row <= region.top_row else region.n + 1 for row in rows.tolist()])
    inside: npt.NDArray[np.bool_] = x1 >= stairs[places]
    return inside


def _largest_rival(functional: Functional, level: float) -> float:
    """q2 at the end of the level curve, where q3 = 0."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = float(functional.value(np.array(1.0 - middle), np.array(middle))) <= level
        low, high = (low, middle) if below else (middle, high)
    return high


def _two_way(functional: Functional, x1: Votes, x2: Votes, n: int, alpha: float) -> Array:
    return functional.value(clopper_pearson_lower(x1, n, alpha / 2.0), clopper_pearson_upper(x2, n, alpha / 2.0))


def _one_class(functional: Functional, x1: Votes, n: int, alpha: float) -> Array:
    low = clopper_pearson_lower(x1, n, alpha)
    return functional.value(low, 1.0 - low)
