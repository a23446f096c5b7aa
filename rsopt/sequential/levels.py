"""Levels, values of g: whether votes prove one, and how large the true margin may be."""

from __future__ import annotations

import math

import numpy as np

from rsopt.counts import Counts, checked_alpha
from rsopt.functional import Functional
from rsopt.limits import lower_limits, upper_limits
from rsopt.problem import LowerBoundProblem
from rsopt.prover import ProofStatus, prove_level
from rsopt.question import Question

# Tail evaluations that one proof may take; more are only needed where the level is the exact bound to three digits.
MOST_EVALUATIONS = 20_000

_REFINEMENTS = 3


def level_reached(counts: Counts, level: float, question: Question) -> bool:
    """Whether LCB >= level is proven at the question's error: one proof, no search.

    Args:
        counts: the observation and the certified class.
        level: L.
        question: g, the statistic, and the probability that "g(p) >= level" is false.

    Returns:
        True only with a proof of Pi(level) <= alpha; a proof that runs out counts as no.
    """
    functional = question.functional
    problem = LowerBoundProblem(counts, functional, question.statistic, question.alpha)
    assert problem.domain is not None  # filled in at construction
    proof = prove_level(problem.family, level, MOST_EVALUATIONS)
    return proof.status is ProofStatus.PROVED


def upper_limit(counts: Counts, functional: Functional, alpha: float) -> float:
    """An upper confidence limit on the margin against the strongest rival: g at exact Clopper–Pearson limits.

    With probability at least 1 - alpha, p_A is at most its limit (alpha/2) and some rival's share is at least the limit
    of `largest_share` (alpha/2): then the least margin is at most g of the two. For the probit margin it is infinite
    where x2 = 0 or x1 = n. The exact bound with the cells exchanged would also do, for a rival that was fixed in
    advance; here the rival is the one that the votes single out, and a bound that follows them must pay for all. With a
    rival that was fixed the limit is of the margin against it, which the least margin does not exceed (theorem U2).

    Args:
        counts: the observation and the certified class.
        functional: g.
        alpha: probability that the limit is too low.
    """
    error = checked_alpha(alpha)
    share = error if counts.two_classes else error / 2.0
    high = float(upper_limits(counts.x1, counts.n, share))
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
    limit = float(lower_limits(votes, n, alpha / rivals))
    for _ in range(_REFINEMENTS if rivals > 1 else 0):
        better = float(lower_limits(votes, n, alpha * max(limit, 1.0 / rivals)))
        if better <= limit or better > (votes - 1) / max(n - 1, 1):
            break
        limit = better
    return limit
