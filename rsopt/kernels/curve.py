"""Compiled tail probabilities along a level curve g(q) = f(q1) - f(q2) = L.

The curve is walked in s = -L/2 - f(q2) >= 0. Links are odd about 1/2, so f(q1) = L/2 - s and f(q2) = -L/2 -
s, and s = 0 is the end where q3 = 0.
"""

from __future__ import annotations

import numpy as np

from rsopt.compiled import compiled
from rsopt.kernels.links import Link, curve_q1, level_to_end, link_inverse, rest
from rsopt.kernels.tail import Staircase, log_tail


@compiled
def curve_point(f: Link, level: float, low: float, high: float, s: float) -> tuple[float, float, float]:
    """q = (q1, q2, q3) at s, with q2 clamped to [low, high]."""
    q2 = level_to_end(f, level) if s <= 0.0 else link_inverse(f, -0.5 * level - s)
    q2 = min(max(q2, low), high)
    q1 = curve_q1(f, level, q2)
    return q1, q2, rest(q1, q2)


@compiled
def curve_log_tails(f: Link, level: float, low: float, high: float, s: np.ndarray, tails: Staircase,
                    rtol: float) -> np.ndarray:
    """log P_q(W) at each s, shape (b,) -> (b,)."""
    values = np.empty(s.size)
    for i in range(s.size):
        q1, q2, q3 = curve_point(f, level, low, high, s[i])
        values[i] = log_tail(q1, q2, q3, tails, rtol, -np.inf)
    return values


@compiled
def log_tail_on(f: Link, level: float, q2: float, tails: Staircase, rtol: float) -> float:
    """log P_q(W) at the point of the curve with this q2."""
    q1 = curve_q1(f, level, q2)
    return log_tail(q1, q2, rest(q1, q2), tails, rtol, -np.inf)
