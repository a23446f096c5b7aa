"""Compiled local descent from a proposed point to a witness: the least level near it whose tail reaches alpha.

The exact bound is inf {g(q) : P_q(W) >= alpha}. Any feasible q is a witness that no larger value is the exact bound;
this descent makes the witness tight in its own basin. It proves nothing about other basins: the mesh does that.
"""

from __future__ import annotations

import math

import numpy as np

from rsopt.compiled import compiled
from rsopt.kernels.curve import log_tail_on
from rsopt.kernels.links import Link, curve_q1, curve_start, level_to_end
from rsopt.kernels.tail import Staircase

_GOLDEN = 0.3819660112501051
_RTOL = 1e-10


@compiled
def _q2_at(u: float, low: float, high: float) -> float:
    """The point of [low, high] with log-odds u, exact at both ends."""
    if u >= 0.0:
        return high - (high - low) / (1.0 + math.exp(u))
    return low + (high - low) / (1.0 + math.exp(-u))


@compiled
def _level_at(tails: Staircase, f: Link,
              level: float, u: float, least_q1: float, aim: float, scale: float) -> tuple[float, float]:
    """(level, q2) where log P reaches `aim` along the family of points with log-odds u on their curves.

    The tail grows with the level at fixed u. The root is bracketed by steps that start at `scale` and double, then
    closed in by false position with halved ends (Illinois); the returned level is on the reaching side.
    Infinite and NaN if no level within 100 of 0 reaches the aim.
    """
    high = level
    above = _tail_of(tails, f, high, u, least_q1) - aim
    low = high
    below = above
    step = scale
    while above < 0.0 and high < 100.0:
        low = high
        below = above
        high += step
        step *= 2.0
        above = _tail_of(tails, f, high, u, least_q1) - aim
    if not above >= 0.0:
        return np.inf, np.nan
    while below >= 0.0 and low > -100.0:
        high = low
        above = below
        low -= step
        step *= 2.0
        below = _tail_of(tails, f, low, u, least_q1) - aim
    kept = 0
    weight_low = below
    weight_high = above
    for _ in range(100):
        if above <= 1e-9 or high - low <= 1e-15 * (1.0 + abs(high)):
            break
        middle = 0.5 * (low + high)
        if weight_low > -np.inf:
            # Aim a little above the root, so that the last step lands on the side that reaches it.
            secant = high - (weight_high - 5e-10) * (high - low) / (weight_high - weight_low)
            if low < secant < high:
                middle = secant
        value = _tail_of(tails, f, middle, u, least_q1) - aim
        if value >= 0.0:
            high = middle
            above = value
            weight_high = value
            weight_low = 0.5 * weight_low if kept == 1 else below
            kept = 1
        else:
            low = middle
            below = value
            weight_low = value
            weight_high = 0.5 * weight_high if kept == -1 else above
            kept = -1
    start, end = _ends(f, high, least_q1)
    return high, _q2_at(u, start, end)


@compiled
def _ends(f: Link, level: float, least_q1: float) -> tuple[float, float]:
    from_rest = level_to_end(f, level)
    low = curve_start(f, level)
    if least_q1 > 0.0:
        low = max(low, _floor_q2(f, level, least_q1))
    return min(low, from_rest), from_rest


@compiled
def _floor_q2(f: Link, level: float, least_q1: float) -> float:
    # h is the inverse of itself with the level negated: f(q2) = f(q1) - level.
    return curve_q1(f, -level, least_q1)


@compiled
def _tail_of(tails: Staircase, f: Link, level: float,
             u: float, least_q1: float) -> float:
    low, high = _ends(f, level, least_q1)
    return log_tail_on(f, level, _q2_at(u, low, high), tails, _RTOL)


@compiled
def descend(tails: Staircase, f: Link, level: float,
            q2: float, least_q1: float, edge: bool, aim: float, scale: float) -> tuple[float, float, float, int]:
    """From (level, q2), the locally least level with log P >= aim; returns (level, q1, q2, evaluations).

    Args:
        level, q2: the proposed point on the curve.
        least_q1, edge: the domain: smallest q1, and whether q3 = 0 is imposed.
        aim: log alpha plus what rounding could hide.
        scale: the size of a first step in the level.
    """
    low, high = _ends(f, level, least_q1)
    limit = math.log(1e12 * tails.n)
    if edge or q2 >= high:
        u = 700.0
    elif q2 <= low:
        u = -limit
    else:
        u = min(max(math.log((q2 - low) / (high - q2)), -limit), limit)
    best, best_q2 = _level_at(tails, f, level, u, least_q1, aim, scale)
    used = 8
    if edge or best == np.inf:
        return best, curve_q1(f, best, best_q2), best_q2, used
    for _ in range(4):
        # Maximise the tail along the curve at this level, then take the level down to the aim again.
        value = _tail_of(tails, f, best, u, least_q1)
        width = 0.4
        left = _tail_of(tails, f, best, u - width, least_q1)
        right = _tail_of(tails, f, best, u + width, least_q1)
        used += 3
        direction = 1.0 if right > left else -1.0
        ahead = max(left, right)
        centre = u
        while ahead > value and width < 30.0:
            centre += direction * width
            value = ahead
            width *= 1.6
            ahead = _tail_of(tails, f, best, centre + direction * width, least_q1)
            used += 1
        a, b = centre - width, centre + width
        x = centre
        for _ in range(24):
            t = x + _GOLDEN * (b - x) if b - x > x - a else x - _GOLDEN * (x - a)
            candidate = _tail_of(tails, f, best, t, least_q1)
            used += 1
            if candidate > value:
                if t > x:
                    a = x
                else:
                    b = x
                x = t
                gained = candidate - value
                value = candidate
                if gained < 1e-7 and b - a < 0.1:
                    break
            elif t > x:
                b = t
            else:
                a = t
            if b - a < 1e-3:
                break
        if value - aim < 1e-6:
            break
        level_now, q2_now = _level_at(tails, f, best, x, least_q1, aim,
                                      0.1 * scale)
        used += 6
        if not level_now < best:
            break
        u = x
        drop = best - level_now
        best, best_q2 = level_now, q2_now
        if drop < 1e-4 * scale:
            break
    return best, curve_q1(f, best, best_q2), best_q2, used
