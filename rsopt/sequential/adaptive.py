"""Adaptive sampling: look at the counts at growing n and stop as soon as the question is decided.

**Validity.** Fix n_1 < n_2 < … < n_K and errors alpha_k with alpha_1 + … + alpha_K <= alpha (see
`rsopt.sequential.looks`). Let LCB_k be the exact bound at error alpha_k on the counts of the first n_k samples. For one
fixed rival with margin theta, P(LCB_k > theta) <= alpha_k, because the first n_k samples are multinomial whether or not
they will ever be drawn: imagine all n_K drawn in advance. A stopping rule only chooses which of the LCB_k are looked
at, so

    P(any reported bound > theta) <= P(LCB_k > theta for some k) <= alpha_1 + … + alpha_K <= alpha,

however the rule decides, by the lower bounds, by the upper limits or by anything else, and the best bound over the
looks may be reported. For several rivals let j* be the one with the least margin, a fixed index. The bound reported at
look k is the minimum over rivals of their bounds, which the empirical runner-up at n_k attains (fact 7), so it is at
most the bound for j* at every look, whoever the runner-up is there: no correction is needed at any time. Any other
method that is valid at a fixed n, on votes or on scores, may be looked at in the same way.

**Stopping.** A target radius r is *reached* once LCB_k >= L(r) at some look, L(r) the level whose radius is r. It is
*out of reach* once an exact upper confidence limit on the margin lies below L(r). The upper limits spend a budget of
their own, `give_up`, shared equally by the looks: with probability 1 - give_up no radius that the true margin allows is
given up. They can only end sampling too early, which costs a certificate and never makes one wrong.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from rsopt.arguments import Whole, as_real, checked_instance
from rsopt.bound import Bound
from rsopt.bounding import lower_bound
from rsopt.counts import Counts, VotesLike, checked_alpha
from rsopt.errors import InvalidInputError, shown
from rsopt.functional import Functional
from rsopt.question import ABOVE_ZERO, Question, least_samples
from rsopt.sequential.levels import upper_limit
from rsopt.sequential.looks import Looks
from rsopt.sequential.policy import LookResult, PlannedLook

GIVE_UP = 0.05
"""The error of giving up where none is said; 0.001 takes up to 11% more samples (``make bench_adaptive``)."""


class TargetState(enum.Enum):
    """What is known about a target radius."""

    REACHED = "The radius is certified."
    OUT_OF_REACH = "An upper limit on the margin rules the radius out."
    OPEN = "Neither: more samples may still certify it."


@dataclass(frozen=True)
class TargetRadii:
    """Stop when every target radius is reached or out of reach.

    Attributes:
        radii: the targets, in the units of the input; 0 asks for a positive bound.
        question: what is bounded, at the error that the looks share out (see `Question.spent_by`).
        looks: when to look, and at which error.
        give_up: probability that a radius is given up that the true margin allows.

    Raises:
        InvalidInputError: no radii, a radius without meaning, one that no votes can reach within `looks.most`, or a
            question at another error than the looks.
    """

    radii: tuple[float, ...]
    question: Question
    looks: Looks
    give_up: float = GIVE_UP

    def __post_init__(self) -> None:
        object.__setattr__(self, "give_up", checked_alpha(self.give_up))
        object.__setattr__(self, "question", _asked(self.question, self.looks))
        try:
            radii = tuple(self.radii)
        except TypeError:
            raise InvalidInputError(f"radii must be a row of target radii; found {shown(self.radii)}.") from None
        if not radii:
            raise InvalidInputError("Give at least one target radius.")
        for radius in radii:
            self.question.level(radius)
        object.__setattr__(self, "radii", tuple(sorted({float(radius) for radius in radii})))
        last = self.plan[-1].alpha
        for radius, level in zip(self.radii, self.levels, strict=True):
            least = least_samples(self.question.functional, level, last)
            if least > self.looks.most:
                raise InvalidInputError(
                    f"Radius {radius:g} at {self.question.noise.setting} needs at least {least:,} samples at alpha "
                    f"{self.alpha:g}, even if all vote for the class; at most {self.looks.most:,} are allowed. Allow "
                    "more (--n), or ask for less.")

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
        """All looks with their errors. Looks that are too early for even the smallest radius spend next to nothing."""
        return _plan(self.looks, self.question.functional, self.levels[0])

    def earliest(self, radius: float) -> int:
        """The first look at which `radius`, one of the targets, is reached if all vote for the class."""
        level = self.levels[self.radii.index(radius)]
        return next(look.n for look in self.plan
                    if least_samples(self.question.functional, level, look.alpha) <= look.n)

    def states(self, taken: Sequence[LookResult]) -> dict[float, TargetState]:
        """What the looks say about each radius."""
        best = max((look.lower for look in taken), default=-math.inf)
        limit = _least_upper(taken, self.question.functional, self.give_up / len(self.plan))
        return {radius: TargetState.REACHED if best >= level else
                TargetState.OUT_OF_REACH if limit < level else TargetState.OPEN
                for radius, level in zip(self.radii, self.levels, strict=True)}

    def next_look(self, taken: Sequence[LookResult]) -> PlannedLook | None:
        """The next look, or None once all is decided or `looks.most` samples are drawn."""
        return _after(self.plan, taken) if TargetState.OPEN in self.states(taken).values() else None

    def facts(self) -> dict[str, object]:
        """The policy's name and everything its decisions depend on."""
        return {"policy": "target-radii", "n": self.most_samples, "alpha": self.alpha, "radii": list(self.radii),
                "looks": _looks_facts(self.looks, self.plan), "give_up": self.give_up}


@dataclass(frozen=True)
class Precision:
    """Stop when the bound is known well enough: upper limit minus lower bound at most a share of the lower bound.

    With x2 = 0 or x1 = n the upper limit of the probit margin is infinite, so such inputs take all samples: their
    radius grows as long as one draws. An input whose upper limit is not positive is given up.

    Attributes:
        share: for example 0.05 for 5%.
        question: what is bounded, at the error that the looks share out (see `Question.spent_by`).
        looks: when to look, and at which error.
        upper_alpha: probability that any of the upper limits is too low; shared equally by the looks.

    Raises:
        InvalidInputError: a share that is not positive, so few samples that nothing can be certified, or a question at
            another error than the looks.
    """

    share: float
    question: Question
    looks: Looks
    upper_alpha: float = 0.05

    def __post_init__(self) -> None:
        object.__setattr__(self, "upper_alpha", checked_alpha(self.upper_alpha))
        object.__setattr__(self, "question", _asked(self.question, self.looks))
        share = as_real(self.share)
        if share is None or not 0.0 < share < math.inf:
            raise InvalidInputError(f"The precision must be a positive share of the bound, for example 0.05; found "
                                    f"{shown(self.share)}.")
        object.__setattr__(self, "share", share)
        least = self.question.least_samples(self.plan[-1].alpha)
        if least > self.looks.most:
            raise InvalidInputError(f"Nothing can be certified with fewer than {least:,} samples at alpha "
                                    f"{self.alpha:g}; at most {self.looks.most:,} are allowed. Allow more (--n).")

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
        """All looks with their errors. Looks that are too early for any radius spend next to nothing."""
        return _plan(self.looks, self.question.functional, ABOVE_ZERO)

    def upper(self, taken: Sequence[LookResult]) -> float:
        """The least upper limit over the looks."""
        return _least_upper(taken, self.question.functional, self.upper_alpha / len(self.plan))

    def next_look(self, taken: Sequence[LookResult]) -> PlannedLook | None:
        """The next look, or None once the width is small enough, nothing can be certified, or all samples are drawn."""
        lower, upper = max((look.lower for look in taken), default=-math.inf), self.upper(taken)
        if upper <= 0.0 or (lower > 0.0 and upper - lower <= self.share * lower):
            return None
        return _after(self.plan, taken)

    def facts(self) -> dict[str, object]:
        """The policy's name and everything its decisions depend on."""
        return {"policy": "precision", "n": self.most_samples, "alpha": self.alpha, "share": self.share,
                "looks": _looks_facts(self.looks, self.plan), "upper_alpha": self.upper_alpha}


@dataclass(frozen=True)
class AdaptiveBound:
    """What adaptive sampling found for one input.

    Attributes:
        bound: the best bound over the looks, with its certificate, at the error of its look.
        alpha: probability that it is wrong: the sum of the errors of all looks that could have been taken, or more.
        looks: the looks that were taken.
    """

    bound: Bound
    alpha: float
    looks: tuple[LookResult, ...]

    @property
    def lower(self) -> float:
        """g(p) >= lower with probability at least 1 - alpha."""
        return self.bound.lower

    @property
    def n(self) -> int:
        """Samples drawn."""
        return self.looks[-1].n


def adaptive_bound(draw: Callable[[int], VotesLike], policy: TargetRadii | Precision, top: Whole) -> AdaptiveBound:
    """Draws until the policy stops.

    Args:
        draw: number of new samples -> their votes per class, shape (K,).
        policy: what is asked, when to look and when to stop.
        top: the certified class: a known label, or chosen on other samples.

    Raises:
        InvalidInputError: what was drawn is no row of counts, of other classes than before, or does not add up to what
            was asked for.
        RsoptError: as raised by `rsopt.lower_bound`.
    """
    if not callable(draw):
        raise InvalidInputError(f"draw must be a function of a number of samples; found {shown(draw)}.")
    if not isinstance(policy, TargetRadii | Precision):
        raise InvalidInputError(f"policy must be TargetRadii or Precision; found {shown(policy)}.")
    question = policy.question
    taken: list[LookResult] = []
    best: Bound | None = None
    counts: Counts | None = None
    while (planned := policy.next_look(taken)) is not None:
        more = planned.n - (taken[-1].n if taken else 0)
        drawn = Counts(draw(more), top)
        if drawn.n != more:
            raise InvalidInputError(f"{more:,} samples were asked for and {drawn.n:,} votes came back.")
        counts = drawn if counts is None else _together(counts, drawn)
        bound = lower_bound(counts, functional=question.functional, statistic=question.statistic, alpha=planned.alpha,
                            solver=question.solver)
        taken.append(LookResult(planned.n, planned.alpha, bound.lower, bound.lower_at_most,
                                question.radius(bound.lower), counts))
        best = bound if best is None or bound.lower > best.lower else best
    assert best is not None, "no policy stops before its first look"
    return AdaptiveBound(best, policy.alpha, tuple(taken))


def _together(counts: Counts, drawn: Counts) -> Counts:
    if len(drawn.votes) != len(counts.votes):
        raise InvalidInputError(f"Votes of {len(drawn.votes)} classes were drawn after votes of {len(counts.votes)}.")
    return Counts([before + more for before, more in zip(counts.votes, drawn.votes, strict=True)], counts.top)


def _asked(question: Question, looks: Looks) -> Question:
    """The question at the error that the looks share out.

    Raises:
        InvalidInputError: one of the two is none, or the question is asked at another error.
    """
    alpha = checked_instance(looks, Looks, "looks").alpha
    return checked_instance(question, Question, "question").spent_by(alpha)


def _plan(looks: Looks, functional: Functional, level: float) -> tuple[PlannedLook, ...]:
    idle = 0
    while True:
        plan = looks.planned(idle)
        first = plan[idle]
        if idle == len(plan) - 1 or least_samples(functional, level, first.alpha) <= first.n:
            return plan
        idle += 1


def _least_upper(taken: Sequence[LookResult], functional: Functional, alpha: float) -> float:
    return min((upper_limit(look.counts, functional, alpha) for look in taken), default=math.inf)


def _after(plan: Sequence[PlannedLook], taken: Sequence[LookResult]) -> PlannedLook | None:
    return next((look for look in plan if not taken or look.n > taken[-1].n), None)


def _looks_facts(looks: Looks, plan: Sequence[PlannedLook]) -> dict[str, object]:
    """When the looks are and how they share out the error; a spending function of one's own is told by what it gave."""
    named = looks.spending if isinstance(looks.spending, str) else [look.alpha for look in plan]
    return {"most": looks.most, "alpha": looks.alpha, "first": looks.first, "growth": looks.growth,
            "chunk": looks.chunk, "spending": named}
