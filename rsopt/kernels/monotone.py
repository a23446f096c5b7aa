"""Where the studentized statistic is provably monotone: a subdivision proof with interval bounds.

T = f(p1) - f(p2) - z sqrt(V/N) should grow with x1 and fall with x2, and does except near the corner where x2 is
almost n (docs/theory/rounding.md). Stairs found by bisection are exact above the largest value that T takes on boxes
for which this cannot be proven; `doubtful_level` bounds that value.
"""

from __future__ import annotations

import math

import numpy as np

from rsopt.compiled import compiled
from rsopt.kernels.links import IDENTITY, Link, link_curvature, link_slope, link_value
from rsopt.kernels.statistics import pseudo_count

_FINEST = 1.0 / 512.0


@compiled
def _slope_range(f: Link, a: float, b: float) -> tuple[float, float]:
    """Least and largest f' on [a, b]: f' is symmetric about 1/2 with its minimum there."""
    at_a = link_slope(f, a)
    at_b = link_slope(f, b)
    low = link_slope(f, 0.5) if a <= 0.5 <= b else min(at_a, at_b)
    return low, max(at_a, at_b)


@compiled
def _bernoulli_range(a: float, b: float) -> tuple[float, float]:
    """Least and largest p(1 - p) on [a, b]."""
    at_a = a * (1.0 - a)
    at_b = b * (1.0 - b)
    high = 0.25 if a <= 0.5 <= b else max(at_a, at_b)
    return min(at_a, at_b), high


@compiled
def _product_high(a: float, b: float, c: float, d: float) -> float:
    """Largest product of a number in [a, b] and one in [c, d]."""
    return max(max(a * c, a * d), max(b * c, b * d))


@compiled
def _own_derivative_high(f: Link, a: float, b: float, other_low: float,
                         other_high: float, p_low: float, p_high: float, sign: float) -> float:
    """Largest sign · (dV/dp)/f'(p) for p in [a, b], the other cell having slope and share in the given ranges.

    dV/dp / f' = 2 f'' p(1-p) + f'(1 - 2p) + 2 (f''/f') g p r + 2 g r, with g and r the other cell's slope and share.
    """
    slope_low, slope_high = _slope_range(f, a, b)
    bend_low = link_curvature(f, a)
    bend_high = link_curvature(f, b)
    var_low, var_high = _bernoulli_range(a, b)
    quotient_low = bend_low / (slope_low if bend_low < 0.0 else slope_high)
    quotient_high = bend_high / (slope_high if bend_high < 0.0 else slope_low)
    cross_low = other_low * p_low
    cross_high = other_high * p_high
    if sign < 0.0:
        bend_low, bend_high = -bend_high, -bend_low
        quotient_low, quotient_high = -quotient_high, -quotient_low
    total = 2.0 * _product_high(bend_low, bend_high, var_low, var_high)
    tilt_low, tilt_high = 1.0 - 2.0 * b, 1.0 - 2.0 * a
    if sign < 0.0:
        tilt_low, tilt_high = -tilt_high, -tilt_low
    total += _product_high(tilt_low, tilt_high, slope_low, slope_high)
    total += 2.0 * _product_high(quotient_low, quotient_high, cross_low * a, cross_high * b)
    return total + 2.0 * (cross_high if sign > 0.0 else -cross_low)


@compiled
def doubtful_level(n: int, f: Link, z: float) -> float:
    """A bound on T over all cells around which T was not proven monotone in x1 and x2; -inf if there are none.

    Args:
        n: number of draws.
        f: the link f.
        z: ndtri(1 - alpha).
    """
    c = pseudo_count(f, z)
    total = n + 3.0 * c
    floor = c / total
    worst = -np.inf
    # Boxes of (p1, p2), subdivided where they are widest in log-odds; an explicit stack holds them.
    stack = np.empty((4096, 4))
    _put(stack, 0, floor, 1.0 - 2.0 * floor, floor, 1.0 - 2.0 * floor)
    size = 1
    while size > 0:
        size -= 1
        a1, b1, a2, b2 = stack[size, 0], stack[size, 1], stack[size, 2], stack[size, 3]
        if a1 + a2 > 1.0 - floor + 1e-12:
            continue
        b1 = min(b1, 1.0 - floor - a2 + 1e-12)
        b2 = min(b2, 1.0 - floor - a1 + 1e-12)
        s1_low, s1_high = _slope_range(f, a1, b1)
        s2_low, s2_high = _slope_range(f, a2, b2)
        variance = (s1_low * s1_low * _bernoulli_range(a1, b1)[0] + s2_low * s2_low * _bernoulli_range(a2, b2)[0]
                    + 2.0 * s1_low * s2_low * a1 * a2)
        if f.kind == IDENTITY:
            d_low, d_high = a1 - b2, b1 - a2
            d2 = max(d_low * d_low, d_high * d_high)
            variance = max(variance, a1 + a2 - d2)
        room = 2.0 * math.sqrt(total * variance) / z * (1.0 - 1e-9)
        up = _own_derivative_high(f, a1, b1, s2_low, s2_high, a2, b2, 1.0)
        down = _own_derivative_high(f, a2, b2, s1_low, s1_high, a1, b1, -1.0)
        if up <= room and down <= room:
            continue
        # One cell on each side, so that a step into the box counts as doubtful too.
        high = (link_value(f, min(b1 + 1.0 / total, 1.0 - floor))
                - link_value(f, max(a2 - 1.0 / total, floor)))
        if high <= worst:
            continue
        width1 = math.log(b1 / a1) + math.log((1.0 - a1) / (1.0 - b1))
        width2 = math.log(b2 / a2) + math.log((1.0 - a2) / (1.0 - b2))
        if max(width1, width2) <= _FINEST or size + 2 > stack.shape[0]:
            worst = high
            continue
        if width1 >= width2:
            middle = _middle(a1, b1)
            _put(stack, size, a1, middle, a2, b2)
            _put(stack, size + 1, middle, b1, a2, b2)
        else:
            middle = _middle(a2, b2)
            _put(stack, size, a1, b1, a2, middle)
            _put(stack, size + 1, a1, b1, middle, b2)
        size += 2
    return worst


@compiled
def _put(stack: np.ndarray, at: int, a1: float, b1: float, a2: float, b2: float) -> None:
    """A box on the stack, number by number: whole rows would be compiled for half as long as all the rest."""
    stack[at, 0], stack[at, 1], stack[at, 2], stack[at, 3] = a1, b1, a2, b2


@compiled
def _middle(a: float, b: float) -> float:
    """The point of [a, b] that halves it in log-odds."""
    odds = math.sqrt(a / (1.0 - a) * (b / (1.0 - b)))
    return odds / (1.0 + odds)
