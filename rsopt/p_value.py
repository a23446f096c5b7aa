"""The exact p-value of a level: what the observation says against "g(p) <= L"."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from rsopt.family import TestFamily
from rsopt.prover import ProofStatus, prove_level
from rsopt.worst_case import WorstCaseProblem

# Tail evaluations that one proof may take.
_MOST_EVALUATIONS = 200_000
# Where the first proof is tried, above what the solver found, and by how much the distance grows until one holds.
_FIRST_GAP, _GROWTH = 1e-4, 6.0
_SMALLEST = 1e-300


@dataclass(frozen=True)
class PValue:
    """Pi(L) = sup { P_q(X in W) : g(q) <= L }: the p-value of "g(p) <= L" on the statistic that W belongs to.

    Attributes:
        level: L.
        at_most: proven: no q with g(q) <= L gives W a larger probability. This is the p-value to use.
        at_least: attained by such a q, to rounding.
    """

    level: float
    at_most: float
    at_least: float


def proven_p_value(family: TestFamily, level: float) -> PValue:
    """The p-value of a level: a solver finds the worst case, and rsopt proves how much worse it can be at most.

    Args:
        family: the tests that an observation gives; its alpha plays no part but in the statistic.
        level: L.

    Raises:
        InvalidInputError: a level that no q has.
    """
    if level >= family.top:
        return PValue(level, 1.0, 1.0)
    found = WorstCaseProblem(family, level).solve(throw=False).tail_attained
    gap = _FIRST_GAP
    # The alpha of the tests first, where it is near: what a bound proves the p-value is not to miss by the gap.
    if found <= family.alpha <= found * (1.0 + gap) and _proven(family, level, family.alpha):
        return PValue(level, family.alpha, found)
    while (tried := max(found, _SMALLEST) * (1.0 + gap)) < 1.0:
        if _proven(family, level, tried):
            return PValue(level, math.nextafter(tried, 1.0), found)
        gap *= _GROWTH
    return PValue(level, 1.0, found)


def _proven(family: TestFamily, level: float, alpha: float) -> bool:
    return prove_level(replace(family, alpha=alpha), level, _MOST_EVALUATIONS).status is ProofStatus.PROVED
