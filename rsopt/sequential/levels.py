"""Levels: the value of g that a radius asks for, whether it is proven, whether it is out of reach, and from what n."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rsopt.counts import Counts, checked_alpha
from rsopt.errors import InvalidInputError
from rsopt.functional import Functional
from rsopt.functionals import Margin, ProbitMargin, TaylorProbitMargin, as_functional
from rsopt.problem import LowerBoundProblem
from rsopt.prover import ProofStatus, prove_level
from rsopt.radius import checked_sigma, probit_radius, smoothed_margin_radius
from rsopt.statistics import Statistic, clopper_pearson_lower, clopper_pearson_upper

# Radius 0 asks for a bound above 0. This is the bound that is tried.
ABOVE_ZERO = 1e-9

# Tail evaluations that one proof may take; more are only needed where the level is the exact bound to three digits.
MOST_EVALUATIONS = 20_000

_SAFE = 1e-12
_REFINEMENTS = 3


@dataclass(frozen=True)
class Question:
    """What is bounded, and the noise that makes a radius of it.

    Attributes:
        sigma: standard deviation of the noise, in the units of the input.
        functional, order: as in `rsopt.lower_bound`.

    Raises:
        InvalidInputError, UnknownNameError: a value or name without meaning.
    """

    sigma: float
    functional: str = "probit"
    order: int | None = None

    def __post_init__(self) -> None:
        checked_sigma(self.sigma)
        as_functional(self.functional, self.order)

    @cached_property
    def g(self) -> Functional:
        """The functional."""
        return as_functional(self.functional, self.order)

    def level(self, radius: float) -> float:
        """The bound on g that certifies `radius`; errors as in `level_for_radius`."""
        return level_for_radius(self.g, radius, self.sigma)

    def least_samples(self, alpha: float) -> int:
        """Below this many samples nothing can be certified at error alpha, whatever the votes."""
        return least_samples(self.g, ABOVE_ZERO, alpha)


def level_for_radius(functional: Functional, radius: float, sigma: float) -> float:
    """The least bound on g whose certified radius is at least `radius` and positive.

    Args:
        functional: the margin, the probit margin or its Taylor polynomial.
        radius: l2, in the units of the input and of sigma; 0 asks for any positive bound.
        sigma: standard deviation of the noise.

    Raises:
        InvalidInputError: a radius or sigma without meaning, a functional without a radius, or a radius that no
            margin reaches.
    """
    scale = checked_sigma(sigma)
    to_radius: Callable[[float, float], float]
    if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0.0 <= radius < math.inf:
        raise InvalidInputError(f"A target radius must be a number from 0 on; found {radius!r}.")
    if isinstance(functional, Margin):
        to_radius, slope = smoothed_margin_radius, scale * math.sqrt(math.pi / 2.0)
    elif isinstance(functional, ProbitMargin | TaylorProbitMargin):
        to_radius, slope = probit_radius, 0.5 * scale
    else:
        raise InvalidInputError(f"The functional {functional.name!r} has no certified radius in rsopt; "
                                "'margin', 'probit' and 'taylor-probit' have.")
    level = max(radius / slope * (1.0 - 1e-14), ABOVE_ZERO)
    while to_radius(level, scale) < radius:
        level = math.nextafter(level, math.inf)
    if level >= functional.range[1]:
        largest = to_radius(functional.range[1], scale)
        raise InvalidInputError(f"No votes certify radius {radius:g} at sigma {scale:g} with {functional.name!r}: its "
                                f"largest radius is {largest:g}. Use a larger sigma or a smaller radius.")
    return level


def least_samples(functional: Functional, level: float, alpha: float) -> int:
    """The least n at which any votes at all reach a level at error alpha: below it everything falls short.

    The strongest evidence is (n, 0, 0). Its tail set holds nothing else, so that sup {P_q(W) : g(q) <= L} = q1(L)^n,
    with q1(L) the largest q1 at level L, where q3 = 0: the level is reached once q1(L)^n <= alpha. One-sided
    Clopper–Pearson limits, and so Cohen's bound, reach it at the same n.

    Args:
        functional: g.
        level: below the largest value of g.
        alpha: probability that the statement is false.

    Raises:
        InvalidInputError: a level that no q exceeds.
    """
    if not level < functional.range[1]:
        raise InvalidInputError(f"No q has {functional.name} above {level:g}.")
    low, high = 0.0, 1.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        below = float(functional.value(np.array(middle), np.array(1.0 - middle))) <= level
        low, high = (middle, high) if below else (low, middle)
    if low >= 1.0 - 1e-15:
        raise InvalidInputError(f"A bound of {level:g} on {functional.name!r}, which the target asks for, is beyond "
                                "double precision: no number of samples reaches it. Use a smaller target radius or a "
                                "larger sigma.")
    return max(math.ceil(math.log(checked_alpha(alpha)) / math.log(low) - 1e-9), 1)


def level_reached(counts: Counts, level: float, functional: Functional, statistic: Statistic, alpha: float) -> bool:
    """Whether LCB >= level at error alpha is proven: one proof, no search.

    Args:
        counts: the observation and the certified class.
        level: L.
        functional: g.
        statistic: T.
        alpha: probability that "g(p) >= level" is false.

    Returns:
        True only with a proof of Pi(level) <= alpha; a proof that runs out counts as no.
    """
    problem = LowerBoundProblem(counts, functional, statistic, alpha)
    assert problem.domain is not None  # filled in at construction
    proof = prove_level(problem.family, level, MOST_EVALUATIONS)
    return proof.status is ProofStatus.PROVED


def upper_limit(counts: Counts, functional: Functional, alpha: float) -> float:
    """An upper confidence limit on the margin against the strongest rival: g at exact Clopper–Pearson limits.

    With probability at least 1 - alpha, p_A is at most its limit (alpha/2) and some rival's share is at least the limit
    of `largest_share` (alpha/2): then the least margin is at most g of the two. For the probit margin it is infinite
    where x2 = 0 or x1 = n. The exact bound with the cells exchanged would also do, for a rival that was fixed in
    advance; here the rival is the one that the votes single out, and a bound that follows them must pay for all.

    Args:
        counts: the observation and the certified class.
        functional: g.
        alpha: probability that the limit is too low.
    """
    error = checked_alpha(alpha)
    share = error if counts.two_classes else error / 2.0
    high = min(float(clopper_pearson_upper(counts.x1, counts.n, share)) * (1.0 + _SAFE), 1.0)
    rivals = len(counts.votes) - 1 if counts.rival is None else 1
    low = 1.0 - high if counts.two_classes else largest_share(counts.x2, counts.n, rivals, share)
    value = float(functional.value(np.array(high), np.array(low)))
    return value + 4e-15 * abs(value) if math.isfinite(value) else value


def largest_share(votes: int, n: int, rivals: int, alpha: float) -> float:
    """A lower confidence limit on the largest of the rivals' probabilities, from the votes of the strongest rival.

    With F(t) = P(Binom(n, t) >= x) and all rivals at most t, P(any has x votes or more) is at most the sum of F(p_j).
    That is at most rivals·F(t). And where t <= (x - 1)/(n - 1), F is convex from F(0) = 0 up to t, so F(p) <= p F(t)/t,
    and since the p_j add up to at most 1, the sum is at most F(t)/t: a rival with 20% of the votes counts as one of
    five, however many classes there are. So every t with F(t) <= alpha·max(t, 1/rivals) is a limit; the iteration
    approaches the largest from below.

    Args:
        votes: x, the most votes of any rival.
        n: all votes.
        rivals: how many there are; 1 for one that was fixed in advance.
        alpha: probability that the limit is too high.
    """
    limit = max(float(clopper_pearson_lower(votes, n, alpha / rivals)) * (1.0 - _SAFE), 0.0)
    for _ in range(_REFINEMENTS if rivals > 1 else 0):
        better = float(clopper_pearson_lower(votes, n, alpha * max(limit, 1.0 / rivals))) * (1.0 - _SAFE)
        if better <= limit or better > (votes - 1) / max(n - 1, 1):
            break
        limit = better
    return limit
