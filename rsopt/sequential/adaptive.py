"""Adaptive sampling: look at the counts at growing n and stop as soon as the question is decided.

**Validity.** Fix n_1 < n_2 < … < n_K and levels alpha_k with alpha_1 + … + alpha_K <= alpha (`rsopt.sequential.looks`).
Let LCB_k be the exact bound at level alpha_k on the counts of the first n_k samples; every statement made at look k,
be it a bound or a target level, is at most LCB_k. For one fixed rival with margin theta, P(LCB_k > theta) <= alpha_k,
because the first n_k samples are multinomial whether or not they will ever be drawn: imagine all n_K drawn in
advance. A stopping rule only chooses which of the LCB_k are looked at, so

    P(any reported bound > theta) <= P(LCB_k > theta for some k) <= alpha_1 + … + alpha_K <= alpha,

however the rule decides, by the lower bounds, by the upper limits or by anything else, and the best bound over the
looks may be reported. For several rivals let j* be the one with the least margin, a fixed index. The bound reported at
look k is the minimum over rivals of their bounds, which the empirical runner-up at n_k attains (fact 7), so it is at
most the bound for j* at every look, whoever the runner-up is there: no correction is needed at any time.

**Stopping.** A target radius r is *reached* at look k when LCB_k >= L(r) is proven, L(r) the level whose radius is r; a
single proof answers that, without a search. It is *hopeless* when an exact upper confidence limit on the margin lies
below L(r). The upper limits spend a budget of their own, `give_up`: they can only end sampling too early, which costs
a certificate and never makes one wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rsopt.bound import Bound, lower_bound
from rsopt.counts import Counts, checked_alpha
from rsopt.errors import InvalidInputError
from rsopt.functionals import Functional, as_functional
from rsopt.radius import checked_sigma
from rsopt.runs.policy import LookResult, PlannedLook
from rsopt.sequential.levels import least_samples, level_for_radius, level_reached, upper_limit
from rsopt.sequential.looks import Looks
from rsopt.statistics import as_statistic


@dataclass(frozen=True)
class Question:
    """What is bounded, as in `rsopt.lower_bound`, and at which noise level.

    Attributes:
        sigma: standard deviation of the noise, in the units of the input.
        functional, order, statistic: by name, as in `rsopt.lower_bound`.

    Raises:
        InvalidInputError, UnknownNameError: a value or name without meaning.
    """

    sigma: float
    functional: str = "probit"
    order: int | None = None
    statistic: str = "studentized"

    def __post_init__(self) -> None:
        checked_sigma(self.sigma)
        as_statistic(self.statistic)
        as_functional(self.functional, self.order)

    @cached_property
    def g(self) -> Functional:
        """The functional."""
        return as_functional(self.functional, self.order)

    def level(self, radius: float) -> float:
        """The bound on g that certifies `radius`."""
        return level_for_radius(self.g, radius, self.sigma)

    def reached(self, counts: Counts, level: float, alpha: float) -> bool:
        """Whether `level` is proven at error alpha, by one proof."""
        return level_reached(counts, level, self.g, as_statistic(self.statistic), alpha)

    def bound(self, counts: Counts, alpha: float) -> Bound:
        """The exact bound at error alpha, by search and proof."""
        return lower_bound(counts, functional=self.g, statistic=self.statistic, alpha=alpha)


@dataclass(frozen=True)
class TargetRadii:
    """Stop when every target radius is reached or hopeless.

    Attributes:
        radii: the targets, in the units of the input; 0 asks for a positive bound.
        question: what is bounded.
        looks: when to look, and at which error.
        give_up: probability, for a rival fixed in advance, that the upper limits call a radius hopeless that the true
            margin allows; shared equally by the looks.

    Raises:
        InvalidInputError: no radii, a radius without meaning, or one that no votes can reach within `looks.most`.
    """

    radii: tuple[float, ...]
    question: Question
    looks: Looks
    give_up: float = 0.05

    def __post_init__(self) -> None:
        checked_alpha(self.give_up)
        if not self.radii:
            raise InvalidInputError("Give at least one target radius.")
        object.__setattr__(self, "radii", tuple(sorted(set(self.radii))))
        last = self.plan[-1].alpha
        for radius, level in zip(self.radii, self.levels, strict=True):
            least = least_samples(self.question.g, level, last)
            if least > self.looks.most:
                raise InvalidInputError(
                    f"Radius {radius:g} at sigma {self.question.sigma:g} needs at least {least:,} samples, even if all "
                    f"vote for the class; at most {self.looks.most:,} are allowed. Allow more, or ask for less.")

    @property
    def alpha(self) -> float:
        """Probability that the reported bound is wrong."""
        return self.looks.alpha

    @property
    def most_samples(self) -> int:
        """The most estimation samples that an input can take."""
        return self.looks.most

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """The bounds on g that certify the radii, in their order."""
        return tuple(self.question.level(radius) for radius in self.radii)

    @cached_property
    def plan(self) -> tuple[PlannedLook, ...]:
        """All looks with their levels. Looks that are too early for even the smallest radius spend next to nothing."""
        idle = 0
        while True:
            plan = self.looks.planned(idle)
            first = plan[idle]
            if idle == len(plan) - 1 or least_samples(self.question.g, self.levels[0], first.alpha) <= first.n:
                return plan
            idle += 1

    def reached(self, taken: Sequence[LookResult]) -> tuple[float, ...]:
        """The radii that the looks have proven."""
        best = max((look.lower for look in taken), default=-math.inf)
        return tuple(radius for radius, level in zip(self.radii, self.levels, strict=True) if best >= level)

    def hopeless(self, taken: Sequence[LookResult]) -> tuple[float, ...]:
        """The radii that an upper limit rules out and no look has proven."""
        limit = _least_upper(taken, self.question.g, self.give_up / len(self.plan))
        reached = self.reached(taken)
        return tuple(radius for radius, level in zip(self.radii, self.levels, strict=True)
                     if limit < level and radius not in reached)

    def next_look(self, taken: Sequence[LookResult]) -> PlannedLook | None:
        """The next look, or None once all is decided or `looks.most` samples are drawn."""
        decided = len(self.reached(taken)) + len(self.hopeless(taken)) == len(self.radii)
        return None if decided else _after(self.plan, taken)

    def look(self, counts: Counts, planned: PlannedLook, taken: Sequence[LookResult]) -> LookResult:
        """Tries the open targets on the counts, the least first, one proof each; the bound is the last one proven."""
        lower = -math.inf
        closed = {*self.reached(taken), *self.hopeless(taken)}
        for radius, level in zip(self.radii, self.levels, strict=True):
            if radius in closed:
                continue
            if not self.question.reached(counts, level, planned.alpha):
                break
            lower = level
        radius = max((r for r, level in zip(self.radii, self.levels, strict=True) if level <= lower), default=0.0)
        return LookResult(planned.n, planned.alpha, lower, math.inf, radius, counts)

    def facts(self) -> dict[str, object]:
        """The policy's name and everything its decisions depend on."""
        return {"policy": "target-radii", **asdict(self), "looks": _looks_facts(self.looks)}


@dataclass(frozen=True)
class Precision:
    """Stop when the bound is known well enough: upper limit minus lower bound at most a share of the lower bound.

    With x2 = 0 or x1 = n the upper limit of the probit margin is infinite, so such inputs take all samples: their
    radius grows as long as one draws. An input whose upper limit is not positive is given up.

    Attributes:
        share: for example 0.05 for 5%.
        question: what is bounded.
        looks: when to look, and at which error.
        upper_alpha: probability, for a rival fixed in advance, that any of the upper limits is too low; shared equally
            by the looks.

    Raises:
        InvalidInputError: a share that is not positive, or so few samples that nothing can be certified.
    """

    share: float
    question: Question
    looks: Looks
    upper_alpha: float = 0.05

    def __post_init__(self) -> None:
        checked_alpha(self.upper_alpha)
        if isinstance(self.share, bool) or not isinstance(self.share, int | float) or not 0.0 < self.share < math.inf:
            raise InvalidInputError(f"The precision must be a positive share of the bound, for example 0.05; found "
                                    f"{self.share!r}.")
        least = least_samples(self.question.g, 0.0, self.plan[-1].alpha)
        if least > self.looks.most:
            raise InvalidInputError(f"Nothing can be certified with fewer than {least:,} samples at this alpha; at "
                                    f"most {self.looks.most:,} are allowed. Allow more.")

    @property
    def alpha(self) -> float:
        """Probability that the reported bound is wrong."""
        return self.looks.alpha

    @property
    def most_samples(self) -> int:
        """The most estimation samples that an input can take."""
        return self.looks.most

    @cached_property
    def plan(self) -> tuple[PlannedLook, ...]:
        """All looks with their levels."""
        return self.looks.planned()

    def upper(self, taken: Sequence[LookResult]) -> float:
        """The least upper limit over the looks."""
        return _least_upper(taken, self.question.g, self.upper_alpha / len(self.plan))

    def next_look(self, taken: Sequence[LookResult]) -> PlannedLook | None:
        """The next look, or None once the width is small enough, nothing can be certified, or all samples are drawn."""
        lower, upper = max((look.lower for look in taken), default=-math.inf), self.upper(taken)
        if upper <= 0.0 or (lower > 0.0 and upper - lower <= self.share * lower):
            return None
        return _after(self.plan, taken)

    def look(self, counts: Counts, planned: PlannedLook, taken: Sequence[LookResult]) -> LookResult:
        """The exact bound on the counts."""
        bound = self.question.bound(counts, planned.alpha)
        return LookResult(planned.n, planned.alpha, bound.lower, bound.lower_at_most,
                          bound.radius(sigma=self.question.sigma), counts)

    def facts(self) -> dict[str, object]:
        """The policy's name and everything its decisions depend on."""
        return {"policy": "precision", **asdict(self), "looks": _looks_facts(self.looks)}


@dataclass(frozen=True)
class AdaptiveBound:
    """What adaptive sampling found for one input.

    Attributes:
        lower: the best bound over the looks: g(p) >= lower with probability at least 1 - alpha.
        alpha: the sum of the levels of all looks that could have been taken.
        bound: the exact bound on all votes drawn, at the level of the last look, with its certificate.
        looks: the looks that were taken.
    """

    lower: float
    alpha: float
    bound: Bound
    looks: tuple[LookResult, ...]

    @property
    def n(self) -> int:
        """Samples drawn."""
        return self.looks[-1].n


def look_until_decided(draw: Callable[[int], npt.ArrayLike], policy: TargetRadii | Precision, top: int
                       ) -> list[LookResult]:
    """Draws until the policy stops.

    Args:
        draw: number of new samples -> their votes per class, shape (K,).
        policy: when to look and to stop.
        top: the certified class: a known label, or chosen on other samples.

    Returns:
        the looks, in their order.

    Raises:
        InvalidInputError: votes that do not add up to what was asked for.
    """
    taken: list[LookResult] = []
    votes: npt.NDArray[np.int64] | None = None
    while (planned := policy.next_look(taken)) is not None:
        more = planned.n - (taken[-1].n if taken else 0)
        drawn = np.asarray(draw(more))
        if drawn.sum() != more:
            raise InvalidInputError(f"{more:,} samples were asked for and {drawn.sum():,} votes came back.")
        votes = drawn if votes is None else votes + drawn
        taken.append(policy.look(Counts(tuple(votes.tolist()), top), planned, taken))
    return taken


def adaptive_bound(draw: Callable[[int], npt.ArrayLike], policy: TargetRadii | Precision, top: int) -> AdaptiveBound:
    """Draws until the policy stops, then bounds all votes drawn at the level of the last look.

    Args, Raises: as `look_until_decided`.
    """
    looks = look_until_decided(draw, policy, top)
    last = looks[-1]
    bound = policy.question.bound(last.counts, last.alpha)
    return AdaptiveBound(max(bound.lower, *(look.lower for look in looks)), policy.alpha, bound, tuple(looks))


def _least_upper(taken: Sequence[LookResult], functional: Functional, alpha: float) -> float:
    return min((upper_limit(look.counts, functional, alpha) for look in taken), default=math.inf)


def _after(plan: Sequence[PlannedLook], taken: Sequence[LookResult]) -> PlannedLook | None:
    return next((look for look in plan if not taken or look.n > taken[-1].n), None)


def _looks_facts(looks: Looks) -> dict[str, object]:
    named = looks.spending if isinstance(looks.spending, str) else repr(looks.spending)
    return {**asdict(looks), "spending": named}
