"""Witnesses: points of the null whose tail reaches alpha, and the least level on which one can be found."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rsopt.family import TestFamily
from rsopt.kernels import mesh as mesh_kernel
from rsopt.kernels import witness as witness_kernel


@dataclass(frozen=True)
class Witness:
    """A point q with P_q(W) >= alpha: the exact bound is at most `level` = g(q) (Lemma 1)."""

    level: float
    q: tuple[float, float, float]


def descend(family: TestFamily, level: float, q2: float, *, step: float) -> tuple[Witness | None, int]:
    """The least level near (level, q2) whose tail reaches alpha.

    Args:
        family: tail set, functional, domain and alpha.
        level, q2: where to start, a point of the level curve.
        step: first step in the level.

    Returns:
        the witness, None if there is none nearby; and the number of tail evaluations.
    """
    tail_set, functional, domain = family.tail_set, family.functional, family.domain
    aim = math.log(family.alpha) + mesh_kernel.rounding_slack(tail_set.n)
    if functional.compiled is not None:
        found, q1, q2, used = witness_kernel.descend(tail_set.compiled, functional.compiled, level, q2,
                                                     domain.least_q1, not domain.third_cell, aim, step)
    else:
        found, q1, q2, used = _by_bisection(family, level, q2, aim, step)
    if not math.isfinite(found) or math.isnan(q1) or q1 + q2 > 1.0 + 1e-12:
        return None, used
    q = (q1, q2, max(1.0 - q1 - q2, 0.0) if domain.third_cell else 0.0)
    value = float(functional.value(np.array(q1), np.array(q2)))
    if not math.isfinite(value) or not float(tail_set.log_probability(q)) >= math.log(family.alpha):
        return None, used
    # g(q) as a checker with other arithmetic would round it.
    return Witness(max(found, value) + 1e-12 * (1.0 + abs(value)), q), used


def _by_bisection(family: TestFamily, level: float, q2: float, aim: float, step: float
                  ) -> tuple[float, float, float, int]:
    """The least level whose tail reaches `aim` at the same share of the level curve, for a general functional.

    A fixed q2 would not do: where the worst case has q3 = 0, no q1 at the q2 of a slightly lower level reaches `aim`.

    Returns:
        (level, q1, q2, evaluations); the level is infinite if none was found.
    """
    tail_set, bottom, top = family.tail_set, family.bottom, family.top
    segment = family.segment(level)
    if segment is None:
        return math.inf, math.nan, math.nan, 0
    share = min(max((q2 - segment[0]) / (segment[1] - segment[0]), 0.0), 1.0) if segment[1] > segment[0] else 1.0
    used = 0

    def point(at: float) -> tuple[float, float] | None:
        ends = family.segment(at)
        if ends is None:
            return None
        second = ends[0] + share * (ends[1] - ends[0])
        return min(float(family.functional.curve(at, np.array(second))), 1.0 - second), second

    def reached(at: float) -> bool:
        nonlocal used
        q = point(at)
        used += 1
        return q is not None and float(
            tail_set.log_probability((q[0], q[1], max(1.0 - q[0] - q[1], 0.0)), 1e-10)) >= aim

    low = high = level
    while not reached(high):
        if high >= top:
            return math.inf, math.nan, math.nan, used
        low, high, step = high, min(high + step, top), 2.0 * step
    while low == high or (low > bottom and reached(low)):
        high, low, step = low, max(low - step, bottom), 2.0 * step
        if low == high:
            break
    for _ in range(45):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if reached(middle) else (middle, high)
    found = point(high)
    assert found is not None
    return high, *found, used
