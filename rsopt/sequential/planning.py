"""Sample planning: from the counts of a pilot run, the number of samples that reaches a radius."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rsopt.arguments import Real, Whole, as_real, checked_seed
from rsopt.counts import Counts, VotesLike, as_counts
from rsopt.errors import InvalidInputError, shown
from rsopt.functional import Functional
from rsopt.functionals import FunctionalLike
from rsopt.methods import CLOPPER_PEARSON, COHEN, METHODS, OWN
from rsopt.noise import Noise
from rsopt.noise.registry import noise_facts
from rsopt.question import ALPHA, Question, least_samples
from rsopt.sequential.levels import level_reached
from rsopt.staircase import TailSet
from rsopt.statistics import StatisticLike, clopper_pearson_lower, clopper_pearson_upper

Array = npt.NDArray[np.float64]
Votes = npt.NDArray[np.int64]

DRAWS = 10_000
MOST = 1_000_000


@dataclass(frozen=True)
class Need:
    """What one method needs.

    Attributes:
        method: "rsopt", "two-way-clopper-pearson" or "cohen".
        least: below this n the method reaches the radius for no votes at all.
        n: the planned number of samples, a round number; None where no number up to `MOST` is likely enough.
        chance: probability to reach the radius at n; where n is None, the largest that any number of samples has: the
            probability that the class probabilities allow the radius at all.
        n_at_shares: what n would be if the class probabilities were the pilot's shares exactly; None as for n.
    """

    method: str
    least: int
    n: int | None
    chance: float
    n_at_shares: int | None


@dataclass(frozen=True)
class Plan:
    """The samples that a radius takes, judged from a pilot run.

    Attributes:
        counts: the pilot's votes and the class that is to be certified.
        radius: the target, in the norm and units of the noise.
        noise: under which votes are cast.
        alpha: error of the bound to come.
        functional: name of the quantity that is bounded.
        chance: the probability to reach the radius that was asked for.
        least_to_certify: below this n every vote count abstains at this alpha, all votes for the class included.
        needs: one entry a method, ours first.
    """

    counts: Counts
    radius: float
    noise: Noise
    alpha: float
    functional: str
    chance: float
    least_to_certify: int
    needs: tuple[Need, ...]

    @property
    def n(self) -> int | None:
        """Samples for our bound."""
        return self.needs[0].n

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-ready values."""
        return {"counts": list(self.counts.votes), "top": self.counts.top, "radius": self.radius,
                **noise_facts(self.noise), "alpha": self.alpha, "functional": self.functional,
                "chance": self.chance, "least_to_certify": self.least_to_certify,
                "needs": [asdict(need) for need in self.needs], "n": self.n}


def plan(counts: Counts | VotesLike, radius: Real, noise: Noise | Real | None = None, alpha: Real = ALPHA, *,
         sigma: Real | None = None, top: Whole | None = None, functional: FunctionalLike | None = None,
         statistic: StatisticLike = "studentized", order: Whole | None = None, chance: Real = 0.9,
         seed: Whole = 0) -> Plan:
    """The n at which a radius is reached with probability 90%, for our bound and for the baselines.

    The pilot does not tell the class probabilities p exactly. They are given their posterior under a Dirichlet prior
    (1/2 for the class, at most 1 for all others together; classes without a vote count as one rival), and the chance
    is that of new votes under p, averaged over p, from `DRAWS` seeded draws: its standard error at 90% is 0.3 percent
    points. A larger pilot leaves less doubt and so asks for fewer samples, down to about `Need.n_at_shares`.

    Args:
        counts: votes of the pilot, shape (K,), or a `Counts`.
        radius: the target, in the norm and units of the noise; 0 asks for any positive radius.
        noise: under which votes are cast; a number is the standard deviation of Gaussian noise.
        sigma: Gaussian noise in another spelling.
        alpha: error of the bound to come.
        top: index of the class that will be certified; required with bare votes.
        functional, statistic, order: as in `rsopt.Question`.
        chance: the probability to reach the radius that is asked for, at most 0.99: more is beyond the draws.
        seed: seeds the draws.

    Raises:
        InvalidInputError: counts, radius, noise, alpha, chance or seed without meaning; a radius no margin reaches.
        UnknownNameError: an unknown functional or statistic.
    """
    question = Question(noise, functional, order, statistic=statistic, alpha=alpha, sigma=sigma)
    return Planner(question, radius, chance, seed).plan(as_counts(counts, top))


class Planner:
    """Plans for many pilots under one question; what does not depend on the pilot is worked out once.

    Args:
        question: what the bound to come is asked; who proposes is not used.
        radius, chance, seed: as in `plan`.

    Raises:
        InvalidInputError: as in `plan`.
    """

    def __init__(self, question: Question, radius: Real, chance: Real = 0.9, seed: Whole = 0) -> None:
        share = as_real(chance)
        if share is None or not 0.0 < share <= 0.99:
            raise InvalidInputError(f"chance must lie above 0 and be at most 0.99; found {shown(chance)}.")
        self._question, self._alpha, self._g = question, question.alpha, question.functional
        self._level = question.level(radius)
        self._radius, self._asked, self._seed = float(radius), share, checked_seed(seed)
        self._regions = {classes: Regions(classes, self._level, question) for classes in (2, 3)}

    def least(self, method: str) -> int:
        """The n below which a method reaches the radius for no votes at all."""
        return least_samples(self._g, self._level, self._alpha / 2.0 if method == CLOPPER_PEARSON else self._alpha)

    def plan(self, pilot: Counts) -> Plan:
        """The plan for one pilot."""
        doubtful, exact = posterior(pilot, DRAWS, self._seed), shares(pilot, DRAWS)
        needs = tuple(self._need(method, pilot.two_classes, doubtful, exact) for method in METHODS)
        return Plan(pilot, self._radius, self._question.noise, self._alpha, self._g.name, self._asked,
                    self._question.least_samples(), needs)

    def chance(self, method: str, n: int, p: Array, two_classes: bool) -> float:
        """The share of draws whose n votes reach the radius.

        Args:
            method: as in `Need`.
            n: samples.
            p: class probabilities, one row a draw, the certified class first.
            two_classes: whether no third class exists.
        """
        votes = np.random.default_rng([self._seed, n]).multinomial(n, p)
        return float(np.mean(self._reaches(method, votes[:, 0], votes[:, 1:].max(axis=1), n, two_classes)))

    def _need(self, method: str, two_classes: bool, doubtful: Array, exact: Array) -> Need:
        least = self.least(method)
        n, chance = self._enough(method, least, doubtful, two_classes)
        return Need(method, least, n, chance, self._enough(method, least, exact, two_classes)[0])

    def _enough(self, method: str, least: int, p: Array, two_classes: bool) -> tuple[int | None, float]:
        rival = 1.0 - p[:, 0] if method == COHEN else p[:, 1:].max(axis=1)
        ceiling = float(np.mean(self._g.value(p[:, 0], rival) >= self._level))
        if ceiling < self._asked:
            return None, ceiling
        known: dict[int, float] = {}

        def chance(n: int) -> float:
            if n not in known:
                known[n] = self.chance(method, n, p, two_classes)
            return known[n]

        n = _first_enough(chance, least, self._asked)
        return n, ceiling if n is None else chance(n)

    def _reaches(self, method: str, x1: Votes, x2: Votes, n: int, two_classes: bool) -> npt.NDArray[np.bool_]:
        if method == OWN:
            return self._regions[2 if two_classes else 3].contains(x1, x2, n)
        if method == COHEN:
            low = _at_distinct(clopper_pearson_lower, x1, n, self._alpha)
            high = 1.0 - low
        else:
            low = _at_distinct(clopper_pearson_lower, x1, n, self._alpha / 2.0)
            high = _at_distinct(clopper_pearson_upper, x2, n, self._alpha / 2.0)
        reached: npt.NDArray[np.bool_] = self._g.value(low, high) >= self._level
        return reached


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


def shares(pilot: Counts, draws: int) -> Array:
    """The pilot's own shares of votes in every row, shape (draws, 1 + rivals): the class first."""
    others = [votes for index, votes in enumerate(pilot.votes) if index != pilot.top and votes]
    row = np.array([pilot.x1, *(others or [0])]) / pilot.n
    return np.broadcast_to(row, (draws, row.size))


class Regions:
    """The outcomes whose exact bound is proven to reach a level, for any number of draws; each n is worked out once.

    Args:
        classes: 2 for two classes, 3 for more.
        level: L.
        question: what is bounded, by which statistic and at which error.
    """

    def __init__(self, classes: int, level: float, question: Question) -> None:
        self._classes, self._level, self._question = classes, level, question
        self._known: dict[int, TailSet | None] = {}

    def at(self, n: int) -> TailSet | None:
        """The region for n draws but for a narrow edge; None if it is empty.

        In one row of x2 the least x1 that reaches the level is found by bisection, one proof a step, to a fiftieth of
        its standard deviation. Its tail set W holds the outcomes that are at least as much evidence. Their own tail
        sets lie inside W, so the one proof covers them all.
        """
        if n not in self._known:
            self._known[n] = self._found(n)
        return self._known[n]

    def contains(self, x1: Votes, x2: Votes, n: int) -> npt.NDArray[np.bool_]:
        """Whether outcomes of n draws lie in the region; x1 and the result of the shape of x2."""
        region = self.at(n)
        if region is None:
            return np.zeros(x2.shape, dtype=np.bool_)
        rows, places = np.unique(x2, return_inverse=True)
        stairs = np.array([region.stair(row) if row <= region.top_row else n + 1 for row in rows.tolist()])
        inside: npt.NDArray[np.bool_] = x1 >= stairs[places]
        return inside

    def _found(self, n: int) -> TailSet | None:
        # A row near the middle of the level curve, where the outcomes that just reach the level are likely to lie.
        middle = 0 if self._classes == 2 else int(0.25 * n * _largest_rival(self._question.functional, self._level))
        for row in dict.fromkeys((middle, 0)):
            low, high = -1, n - row
            if not self._reached(high, row, n):
                continue
            while high - low > max(1.0, 0.02 * math.sqrt(high * (1.0 - high / n))):
                x1 = (low + high) // 2
                low, high = (low, x1) if self._reached(x1, row, n) else (x1, high)
            question = self._question
            return question.statistic.tail_set(self._outcome(high, row, n), question.functional, question.alpha)
        return None

    def _reached(self, x1: int, x2: int, n: int) -> bool:
        return level_reached(self._outcome(x1, x2, n), self._level, self._question)

    def _outcome(self, x1: int, x2: int, n: int) -> Counts:
        return Counts((x1, n - x1) if self._classes == 2 else (x1, x2, n - x1 - x2), top=0, rival=1)


def round_numbers(least: int, most: int) -> list[int]:
    """Whole numbers with two significant digits from `least` to `most`."""
    steps = [int(digits * 10**power) for power in range(8) for digits in range(10, 100)]
    return [n for n in (*range(1, 10), *steps) if least <= n <= most]


def _first_enough(chance: Callable[[int], float], least: int, probability: float) -> int | None:
    """The first round number whose chance is large enough, by doubling and bisection."""
    numbers = round_numbers(least, MOST)
    low, high, stride = -1, 0, 1
    while high < len(numbers) and chance(numbers[high]) < probability:
        low, high, stride = high, high + stride, 2 * stride
    if high >= len(numbers):
        if not numbers or low == len(numbers) - 1 or chance(numbers[-1]) < probability:
            return None
        high = len(numbers) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance(numbers[middle]) >= probability else (middle, high)
    return numbers[high]


def _at_distinct(limit: Callable[[Votes, int, float], Array], x: Votes, n: int, alpha: float) -> Array:
    """`limit` of every x, worked out once for equal ones."""
    distinct, places = np.unique(x, return_inverse=True)
    return limit(distinct, n, alpha)[places]


def _largest_rival(functional: Functional, level: float) -> float:
    """q2 at the end of the level curve, where q3 = 0."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = float(functional.value(np.array(1.0 - middle), np.array(middle))) <= level
        low, high = (low, middle) if below else (middle, high)
    return high
