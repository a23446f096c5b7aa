"""P_q(W) in ball arithmetic (Arb, through python-flint), row by row: rigorous up to the bug-freeness of Arb.

    P_q(W) = sum over x2 of Binom(x2; n, q2) · P(Binom(n - x2, r) >= s(x2)),   r = q1/(q1 + q3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from flint import arb


def window(q2: float, n: int, log_negligible: float) -> tuple[int, int]:
    """Rows outside of which less than the negligible can be, by Bernstein's inequality: (first, last)."""
    spread = math.sqrt(max(-2.0 * log_negligible, 0.0)) + 1.0
    mean = n * min(max(q2, 0.0), 1.0)
    half = spread * math.sqrt(mean * max(1.0 - q2, 0.0)) + spread * spread
    return max(int(mean - half), 0), min(int(mean + half) + 1, n)


def tail_ball(q: tuple[Any, Any, Any], first: int, stairs: Sequence[int], n: int, log_negligible: float) -> Any:
    """A ball that contains P_q(W), for q divided by its sum.

    Args:
        q: balls, nonnegative, with a positive sum.
        first, stairs: s(x2) of the rows x2 = first, first + 1, …, nondecreasing; n + 1 for an empty row. What rows
            before and after them hold is left open, between nothing and all of their mass.
        n: number of draws.
        log_negligible: log of what a window of rows may leave out; it is left open too.
    """
    q1, q2, q3 = q
    rest = q1 + q3
    total = rest + q2
    if not (q1 >= 0 and q2 >= 0 and q3 >= 0 and total > 0):
        # A point whose signs are not certain proves nothing.
        return arb(0.5, 0.5)
    p2, v = q2 / total, rest / total
    last = first + len(stairs) - 1
    if not v > 0:
        return arb(1 if stairs[n - first] <= 0 else 0) if first <= n <= last else arb(0.5, 0.5)
    r, rc = q1 / rest, q3 / rest
    if not p2 > 0:
        return upper_tail(stairs[0], n, r, rc)[0] if first == 0 else arb(0.5, 0.5)
    low, high = window(float(p2.mid()), n, log_negligible)
    low, high = max(low, first), min(high, last)
    if high < low:
        return arb(0.5, 0.5)
    result = _sum_rows(p2, v, r, rc, n, first, stairs, low, high)
    if low > 0:
        result = result + _at_most(n, p2, v, low - 1)
    if high < n:
        result = result + _at_most(n, v, p2, n - high - 1)
    return result


def _sum_rows(p2: Any, v: Any, r: Any, rc: Any, n: int, first: int, stairs: Sequence[int], low: int, high: int) -> Any:
    """The rows from `high` down to `low`; the inner tail and the pmf below the stair follow by exact recurrences."""
    # Without cell 1 or cell 3 the inner tail is 0 or 1, and the recurrences would divide by zero.
    degenerate = not (r > 0 and rc > 0)
    w = pmf(high, n, p2, v)
    s = stairs[high - first]
    inner, below = upper_tail(s, n - high, r, rc)
    result = w * inner
    for x2 in range(high - 1, low - 1, -1):
        w = w * (x2 + 1) * v / ((n - x2) * p2)
        m = n - x2
        target = stairs[x2 - first]
        if degenerate or s - target > 400 or s > m:
            s = target
            inner, below = upper_tail(s, m, r, rc)
            result = result + w * inner
            continue
        if s > 0:
            inner = inner + r * below
            below = below * m * rc / (m + 1 - s)
        while s > target:
            inner = inner + below
            s -= 1
            below = below * s * rc / ((m - s + 1) * r) if s > 0 else arb(0)
        result = result + w * inner
    return result


def pmf(k: int, n: int, p: Any, pc: Any) -> Any:
    """P(Bin(n, p) = k), pc = 1 - p."""
    if not 0 <= k <= n or (k > 0 and not p > 0) or (k < n and not pc > 0):
        return arb(0)
    log = (arb(n + 1).lgamma() - arb(k + 1).lgamma() - arb(n - k + 1).lgamma()
           + (k * p.log() if k else arb(0)) + ((n - k) * pc.log() if n > k else arb(0)))
    return log.exp()


def upper_tail(s: int, m: int, r: Any, rc: Any) -> tuple[Any, Any]:
    """(P(Bin(m, r) >= s), P(Bin(m, r) = s - 1))."""
    below = pmf(s - 1, m, r, rc) if s >= 1 else arb(0)
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
    term = pmf(s, m, r, rc)
    total = term
    k = s
    while k < m:
        term = term * (m - k) / (k + 1) * odds
        total = total + term
        k += 1
        ratio = odds * (m - k) / (k + 1)
        if ratio < 1:
            rest = term * ratio / (1 - ratio)
            if rest < total * arb(2) ** -100 or rest < arb(10) ** -400:
                return total + rest.upper() * arb(0.5, 0.5)
    return total


def _at_most(n: int, p: Any, pc: Any, k: int) -> Any:
    """A ball around [0, P(Bin(n, p) <= k)]: what rows outside the window can add."""
    term = pmf(k, n, p, pc)
    ratio = k * pc / ((n - k + 1) * p) if k > 0 else arb(0)
    bound = term / (1 - ratio) if ratio < 1 else arb(1)
    return bound.upper() * arb(0.5, 0.5)
