"""Tails in ball arithmetic (Arb, through python-flint): rigorous up to the bug-freeness of Arb."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import arb, ctx

Array = npt.NDArray[np.float64]

_BITS = 160


def log_tail_arb(q: Array, stairs: npt.NDArray[np.int64], n: int, alpha: float) -> float:
    """An upper bound on log P_q(W) for the exact doubles in q, normalised by their exact sum.

    Args:
        q: shape (3,), non-negative, positive sum.
        stairs: s(x2) of the non-empty rows, shape (rows,).
        n: number of draws.
        alpha: scale of the tails that matter; rows that add less than 1e-12 of it are bounded instead of summed.
    """
    previous = ctx.prec
    ctx.prec = _BITS
    try:
        ball = tail_ball(q, stairs, n, 1e-12 * alpha)
    finally:
        ctx.prec = previous
    if not (ball.is_finite() and np.all(np.isfinite(q))):
        # A ball that says nothing proves nothing: above every alpha.
        return math.inf
    high = float(ball.upper())
    return math.log(high * (1.0 + 1e-15)) if high > 0.0 else -math.inf


def tail_ball(q: npt.ArrayLike, stairs: npt.NDArray[np.int64], n: int, negligible: float) -> Any:
    """A ball that contains P_q(W), with at most about `negligible` added for rows outside the window."""
    q1, q2, q3 = (arb(float(v)) for v in np.asarray(q))
    total = q1 + q2 + q3
    p2, v = q2 / total, (q1 + q3) / total
    last = stairs.size - 1
    if last < 0:
        return arb(0)
    if not v > 0:
        return arb(1) if last == n and stairs[n] <= 0 else arb(0)
    r, rc = q1 / (q1 + q3), q3 / (q1 + q3)
    if not p2 > 0:
        return _upper(int(stairs[0]), n, r, rc)[0]
    # Without cell 1 or cell 3 the inner tail is 0 or 1, and the recurrences below would divide by zero.
    degenerate = not (r > 0 and rc > 0)
    spread = math.sqrt(-2.0 * math.log(max(negligible, 1e-300))) + 1.0
    mean = float(n * p2.mid())
    half = spread * math.sqrt(max(mean * float(v.mid()), 0.0)) + spread * spread
    low, high = max(int(mean - half), 0), min(int(mean + half) + 1, last)
    if high < low:
        return _binomial_at_most(n, p2, v, last)
    # Row by row from the top; the inner tail and the pmf below the stair follow by exact recurrences (all positive).
    w = _pmf(high, n, p2, v)
    s = int(stairs[high])
    inner, below = _upper(s, n - high, r, rc)
    result = w * inner
    for x2 in range(high - 1, low - 1, -1):
        w = w * (x2 + 1) * v / ((n - x2) * p2)
        m = n - x2
        if degenerate:
            result = result + w * _upper(int(stairs[x2]), m, r, rc)[0]
            continue
        if s > 0:
            inner = inner + r * below
            below = below * m * rc / (m + 1 - s)
        target = int(stairs[x2])
        if s - target > 400:
            s = target
            inner, below = _upper(s, m, r, rc)
        while s > target:
            inner = inner + below
            s -= 1
            below = below * s * rc / ((m - s + 1) * r) if s > 0 else arb(0)
        result = result + w * inner
    if low > 0:
        result = result + _binomial_at_most(n, p2, v, low - 1)
    if high < last:
        result = result + _binomial_at_most(n, v, p2, n - high - 1)
    return result


def _pmf(k: int, n: int, p: Any, pc: Any) -> Any:
    if (k > 0 and not p > 0) or (k < n and not pc > 0):
        return arb(0)
    log = (arb(n + 1).lgamma() - arb(k + 1).lgamma() - arb(n - k + 1).lgamma()
           + (k * p.log() if k else arb(0)) + ((n - k) * pc.log() if n > k else arb(0)))
    return log.exp()


def _upper(s: int, m: int, r: Any, rc: Any) -> tuple[Any, Any]:
    """(P(Bin(m, r) >= s), P(Bin(m, r) = s - 1))."""
    below = _pmf(s - 1, m, r, rc) if s >= 1 else arb(0)
    if s <= 0:
        return arb(1), below
    if s > m or not r > 0:
        return arb(0), below
    if not rc > 0:
        return arb(1), below
    if s > (m + 1) * float(r.mid()):
        return _geometric_sum(s, m, r, rc), below
    return 1 - _geometric_sum(m - s + 1, m, rc, r), below


def _geometric_sum(s: int, m: int, r: Any, rc: Any) -> Any:
    """P(Bin(m, r) >= s) for s at or above the mode, summed until a geometric bound covers the rest."""
    odds = r / rc
    term = _pmf(s, m, r, rc)
    total = term
    k = s
    while k < m:
        term = term * (m - k) / (k + 1) * odds
        total = total + term
        k += 1
        ratio = odds * (m - k) / (k + 1)
        if ratio < 1:
            rest = term * ratio / (1 - ratio)
            if float(rest.upper()) <= 1e-25 * float(total.upper()) or float(rest.upper()) < 1e-290:
                return total + rest.upper() * arb(0.5, 0.5)
    return total


def _binomial_at_most(n: int, p: Any, pc: Any, k: int) -> Any:
    """A ball around [0, P(Bin(n, p) <= k)] for k below the mean: what rows outside the window can add."""
    term = _pmf(k, n, p, pc)
    ratio = k * pc / ((n - k + 1) * p) if k > 0 else arb(0)
    bound = term / (1 - ratio) if ratio < 1 else arb(1)
    return bound.upper() * arb(0.5, 0.5)
