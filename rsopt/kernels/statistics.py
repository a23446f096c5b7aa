"""Compiled statistics T(x) and the stairs of their tail sets, filled row by row when a row is first needed.

A *stairs* array of length n + 1 holds s(x2) + 1, with 0 for a row that nobody has asked for yet.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from rsopt.compiled import compiled
from rsopt.kernels.links import IDENTITY, LAPLACE, LOGIT, PROBIT, Link, endless, link_slope, link_value
from rsopt.kernels.normal import density, ndtri

PLUG_IN, STUDENTIZED, TABULATED = 0, 1, 2


class Rule(NamedTuple):
    """How a missing row is computed: W = {x : T(x) >= threshold}, T the statistic of the link for n draws."""

    n: int
    statistic: int
    f: Link
    z: float
    threshold: float


@compiled
def pseudo_count(f: Link, z: float) -> float:
    """c, added to each of the three cells by the studentized statistic: z²/4, and z²/4 · 9/8 for links of logs.

    For those dT/dq2 is nearly 0 at x2 = 0 where c = z²/4; with a little more T is provably monotone.
    """
    c = 0.25 * z * z
    return 1.125 * c if f.kind == LAPLACE or f.kind == LOGIT else c


@compiled
def raw_statistic(n: int, statistic: int, f: Link, z: float, x1: int,
                  x2: int) -> float:
    """T_raw(x1, x2): the statistic before its monotone hull is taken (docs/theory/bound.md)."""
    if statistic == PLUG_IN:
        if endless(f) and x1 == 0:
            return -np.inf
        if endless(f) and x2 == 0:
            return np.inf
        return link_value(f, x1 / n) - link_value(f, x2 / n)
    c = pseudo_count(f, z)
    total = n + 3.0 * c
    p1 = (x1 + c) / total
    p2 = (x2 + c) / total
    if f.kind == IDENTITY:
        d = p1 - p2
        return d - z * math.sqrt((p1 + p2 - d * d) / total)
    if f.kind == PROBIT:
        f1 = ndtri(p1)
        f2 = ndtri(p2)
        a = 1.0 / density(f1)
        b = 1.0 / density(f2)
    elif f.kind == LAPLACE or f.kind == LOGIT:
        f1, a = link_value(f, p1), link_slope(f, p1)
        f2, b = link_value(f, p2), link_slope(f, p2)
    else:
        f1, a = _polynomial(f.coefficients, p1)
        f2, b = _polynomial(f.coefficients, p2)
    variance = a * a * p1 * (1.0 - p1) + b * b * p2 * (1.0 - p2) + 2.0 * a * b * p1 * p2
    return f1 - f2 - z * math.sqrt(variance / total)


@compiled
def raw_statistics(n: int, statistic: int, f: Link, z: float, x1: np.ndarray,
                   x2: np.ndarray) -> np.ndarray:
    """T_raw at many outcomes, float arrays of shape (b,) -> (b,)."""
    result = np.empty(x1.size)
    for i in range(x1.size):
        result[i] = raw_statistic(n, statistic, f, z, int(x1[i]), int(x2[i]))
    return result


@compiled
def _polynomial(coefficients: np.ndarray, q: float) -> tuple[float, float]:
    u = 2.0 * q - 1.0
    value = 0.0
    slope = 0.0
    for k in range(coefficients.size - 1, -1, -1):
        value = value * u * u + coefficients[k]
        slope = slope * u * u + (2 * k + 1) * coefficients[k]
    return value * u, 2.0 * slope


@compiled
def _inside(rule: Rule, x1: int, x2: int) -> bool:
    n, statistic, f, z, threshold = rule
    return raw_statistic(n, statistic, f, z, x1, x2) >= threshold


@compiled
def stair(stairs: np.ndarray, rule: Rule, x2: int) -> int:
    """s(x2), the least x1 with (x1, x2) in W; n - x2 + 1 or more where the row is empty."""
    known = stairs[x2]
    if known > 0:
        return known - 1
    n = rule.n
    low = -1  # outside, or below the row
    high = n - x2 + 1  # inside, or past the row
    if x2 < n and stairs[x2 + 1] > 0:
        # The row above bounds this one; go down from it by about as much as the last step went.
        above = stairs[x2 + 1] - 1
        step = 1
        if x2 + 2 <= n and stairs[x2 + 2] > 0:
            step = max(min(stairs[x2 + 2] - stairs[x2 + 1], n), 1)
        if above < n - x2:  # the row above is not empty, so its stair is inside, and so is this cell
            high = above
            probe = high - step
            while probe >= 0 and _inside(rule, probe, x2):
                high = probe
                step *= 2
                probe = high - step
            low = max(probe, -1)
    while high - low > 1:
        middle = (low + high) // 2
        if _inside(rule, middle, x2):
            high = middle
        else:
            low = middle
    stairs[x2] = high + 1
    return high


@compiled
def last_row(stairs: np.ndarray, rule: Rule) -> int:
    """The largest x2 whose row is not empty; -1 if the set is empty."""
    n = rule.n
    low = -1
    high = n + 1
    while high - low > 1:
        middle = (low + high) // 2
        if stair(stairs, rule, middle) <= n - middle:
            low = middle
        else:
            high = middle
    return low
