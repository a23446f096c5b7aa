"""The tail probability P_q(X in W) of a staircase set W, its gradient and Hessian: the numerical kernel.

W = {x : x1 >= s(x2)}, s nondecreasing, X ~ Multinomial(n, q) with three cells (fact 1 and fact 2):

    P_q(W) = sum over x2 of Binom(x2; n, q2) · P(Binom(n - x2, q1/(q1 + q3)) >= s(x2)).

The sum walks x2 downwards. Going from x2 to x2 - 1 the inner tail gains one trial and the stairs step down, and
both changes only *add* terms,

    P(Bin(m + 1, r) >= s) = P(Bin(m, r) >= s) + r · P(Bin(m, r) = s - 1),
    P(Bin(m, r) >= s - 1) = P(Bin(m, r) >= s) + P(Bin(m, r) = s - 1),

so nothing cancels. Whatever lies outside the window is bounded and added: the value never falls below the
tail by more than rounding.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from rsopt.compiled import compiled
from rsopt.kernels.binomial import log_pmf, upper_tail
from rsopt.kernels.statistics import Rule, fill, stair

# Numbers are brought back into [1/_BIG, _BIG] once a block. With q1/(q1 + q3) and q2 at least _TINY, or 0, one row
# multiplies a weight by less than 1e70 and an inner tail by less than 1e100, so that products stay finite.
_BIG = 1e60
_LOG_BIG = math.log(_BIG)
_TINY = 1e-60
_BLOCK = 32

# A constant written as 0 would be a type of its own, for which everything below were compiled a second time.
_NONE: Any = np.int64(0)


class Staircase(NamedTuple):
    """W for compiled code: n draws, the stairs known so far (`rsopt.kernels.statistics`), their rule, the last row."""

    n: int
    stairs: np.ndarray
    rule: Rule
    top_row: int


@compiled
def log_tail(q1: float, q2: float, q3: float, tails: Staircase, rtol: float, log_floor: float) -> float:
    """log P_q(X in W); q is normalised by its sum.

    Args:
        q1, q2, q3: cell probabilities, non-negative, sum positive.
        tails: W.
        rtol: relative size of what the window may leave out (it is added as an upper bound).
        log_floor: the window may also leave out exp(log_floor), absolutely, on each side (added likewise). Below the
            floor the value is an upper bound only, which is all that a proof needs of small tails. -inf for none.
    """
    return _log_tail(q1, q2, q3, tails.n, tails, _NONE, _NONE, rtol, log_floor)


@compiled
def log_tails(q: np.ndarray, n: int, tails: Staircase, d1: int, d2: int, rtol: float) -> np.ndarray:
    """log P_q(X + d1 e1 + d2 e2 + … in W) for n draws, at each row of q; shape (b, 3) -> (b,).

    n is less than the set's own number by the draws that are fixed.
    """
    values = np.empty(q.shape[0])
    for i in range(q.shape[0]):
        values[i] = _log_tail(q[i, 0], q[i, 1], q[i, 2], n, tails, d1, d2, rtol, -np.inf)
    return values


@compiled
def _log_tail(q1: float, q2: float, q3: float, n: int, tails: Staircase, d1: int, d2: int, rtol: float,
              log_floor: float) -> float:
    stairs, rule, top_row = tails.stairs, tails.rule, tails.top_row
    total_q = q1 + q2 + q3
    p2 = q2 / total_q
    v = (q1 + q3) / total_q
    if p2 < _TINY:
        # Moving this mass to the other cells changes nothing in double precision and keeps the recurrences finite.
        p2 = 0.0
        v = 1.0
    last = min(top_row - d2, n) if p2 > 0.0 else min(top_row - d2, 0)
    if last < 0:
        return -np.inf
    if v <= 0.0:
        return 0.0 if last >= n and stair(stairs, rule, n + d2) <= d1 else -np.inf
    r = q1 / (q1 + q3)
    rc = q3 / (q1 + q3)
    if 0.0 < r < _TINY:
        r = _TINY
    # Rows above `last` are empty; skip the rows that are too short for their stair (few, at the very top).
    while last >= 0 and stair(stairs, rule, last + d2) - d1 > n - last:
        last -= 1
    if last < 0:
        return -np.inf
    spread = 2.0 + 0.7 * math.sqrt(-2.0 * math.log(rtol))
    if log_floor > -np.inf:
        # The rows far above the mean carry a small inner tail too: start as low as the floor allows.
        for trial in range(8):
            start = 1.0 + trial
            if start >= spread:
                break
            high = _window_top(n, p2, v, start, last)
            if _above(high, last, p2, v, r, rc, n, stairs, rule, d1, d2) <= log_floor:
                spread = start
                break
    while True:
        high = _window_top(n, p2, v, spread, last)
        missing = _above(high, last, p2, v, r, rc, n, stairs, rule, d1, d2)
        value = _walk(p2, v, r, rc, n, stairs, rule, d1, d2, high, rtol, log_floor)
        if high == last or missing <= max(value + math.log(rtol), log_floor) or spread > 1e5:
            if missing == -np.inf:
                return value
            top = max(value, missing)
            return top + math.log(math.exp(value - top) + math.exp(missing - top))
        spread *= 2.0


@compiled
def _window_top(n: int, p2: float, v: float, spread: float, last: int) -> int:
    """The row `spread` standard deviations above the mean, with room for the skewness of small means."""
    mean = n * p2
    return min(last, math.ceil(mean + spread * math.sqrt(mean * v) + 0.4 * spread * spread))


@compiled
def _above(high: int, last: int, p2: float, v: float, r: float, rc: float, n: int, stairs: np.ndarray, rule: Rule,
           d1: int, d2: int) -> float:
    """log of a bound on the rows above `high`: the inner tail falls with x2, and the row weights at least
    geometrically."""
    if high >= last:
        return -np.inf
    s = max(stair(stairs, rule, high + d2) - d1, 0)
    scale, inner = upper_tail(s, n - high, r, rc, 0.1)
    if inner <= 0.0:
        return -np.inf
    ratio = (n - high) / (high + 1.0) * p2 / v
    above = ratio / (1.0 - ratio) if ratio < 1.0 else 1e300
    return log_pmf(high, n, p2, v) + math.log(above) + scale + math.log(inner)


@compiled
def _walk(p2: float, v: float, r: float, rc: float, n: int, stairs: np.ndarray, rule: Rule, d1: int, d2: int,
          high: int, rtol: float, log_floor: float) -> float:
    """log of the sum over the rows high, high - 1, …, with a bound on what is left out below."""
    fill(stairs, rule, high + d2, high + d2)
    s = max(stairs[high + d2] - 1 - d1, 0)
    scale, inner = upper_tail(s, n - high, r, rc, 0.01 * rtol)
    # Two exponents move when the numbers leave their range: of the row's weight (log_w) and its inner tail (scale).
    log_w = log_pmf(high, n, p2, v)
    # No row below can have an inner tail above that of row 0.
    fill(stairs, rule, d2, d2)
    s0 = max(stairs[d2] - 1 - d1, 0)
    scale0, inner0 = 0.0, 1.0
    if s0 > (n + 1) * r and rc > 0.0 and r > 0.0:
        scale0 = log_pmf(s0, n, r, rc)
        inner0 = 1.0 / (1.0 - (n - s0) / (s0 + 1.0) * r / rc)
    degenerate = r <= 0.0 or rc <= 0.0
    below = math.exp(log_pmf(s - 1, n - high, r, rc) - scale) if s > 0 and not degenerate else 0.0
    x2 = high
    w = 1.0
    w_step = max(v / p2, 1e-200) if p2 > 0.0 else 0.0
    # The sum is total · exp(base): it keeps its own exponent, since a row's weight and its inner tail may move by
    # thousands of orders of magnitude against each other before the largest product is reached.
    total = inner
    base = log_w + scale
    while x2 > 0:
        ratio = x2 / (n - x2 + 1.0) * w_step
        ahead = scale0 + log_w - base
        if ratio < 1.0 and total > 0.0 and ahead < 690.0:
            bound = w * ratio / (1.0 - ratio) * inner0 * math.exp(ahead)
            if bound <= rtol * total or math.log(bound) + base <= log_floor:
                total += bound
                break
        stop = max(x2 - _BLOCK, 0)
        fill(stairs, rule, stop + d2, x2 - 1 + d2)
        while below > _BIG or inner > _BIG:
            inner /= _BIG
            below /= _BIG
            scale += _LOG_BIG
        while w > _BIG:
            w /= _BIG
            log_w += _LOG_BIG
        while 0.0 < w < 1.0 / _BIG:
            w *= _BIG
            log_w -= _LOG_BIG
        while total > _BIG:
            total /= _BIG
            base += _LOG_BIG
        shift = log_w + scale - base
        if shift > 0.0 or total <= 0.0:
            total = total * math.exp(max(-shift, -745.0)) if total > 0.0 else 0.0
            base += shift
            shift = 0.0
        factor = math.exp(max(shift, -745.0))
        if degenerate:
            x2, w, total = _degenerate_rows(stairs, x2, stop, n, rc, w_step, d1, d2, w, factor, total)
            continue
        x2, s, w, inner, below, total = _rows(stairs, x2, stop, s, n, r, rc, w_step, d1, d2, w, inner, below, factor,
                                              total)
        if x2 > stop and below <= _BIG and 1.0 / _BIG <= w <= _BIG:
            # The stairs drop by more here than is worth walking: start the inner tail afresh.
            w *= x2 / (n - x2 + 1.0) * w_step
            x2 -= 1
            s = max(stairs[x2 + d2] - 1 - d1, 0)
            scale, inner = upper_tail(s, n - x2, r, rc, 0.01 * rtol)
            below = math.exp(log_pmf(s - 1, n - x2, r, rc) - scale) if s > 0 else 0.0
            shift = log_w + scale - base
            if shift > 0.0:
                total *= math.exp(max(-shift, -745.0))
                base += shift
                shift = 0.0
            total += w * inner * math.exp(max(shift, -745.0))
    if total <= 0.0:
        return -np.inf
    return math.log(total) + base


@compiled
def _rows(stairs: np.ndarray, x2: int, stop: int, s: int, n: int, r: float, rc: float, w_step: float, d1: int,
          d2: int, w: float, inner: float, below: float, factor: float, total: float
          ) -> tuple[int, int, float, float, float, float]:
    """Add the rows x2 - 1 … stop by the recurrences; early end before a long drop or when numbers leave their range.

    `inner` is P(Bin(n - x2, r) >= s) and `below` is P(Bin(n - x2, r) = s - 1), both relative to the caller's scale;
    `factor` takes w · inner to the scale of `total`.
    """
    odds = rc / r
    long_drop = 30 + int(2.0 * math.sqrt(n * r * rc))
    while x2 > stop:
        lower = max(stairs[x2 - 1 + d2] - 1 - d1, 0)
        drop = s - lower
        # `below` grows by at most (1 + growth)^drop <= exp(drop · growth) in this row.
        growth = s * odds / (n - x2 + 2.0 - s) - 1.0
        if drop > long_drop or drop * growth > 200.0 or below > _BIG or not 1.0 / _BIG <= w <= _BIG:
            break
        w *= x2 / (n - x2 + 1.0) * w_step
        x2 -= 1
        m = n - x2
        if s > 0:
            inner += r * below
            below *= m * rc / (m + 1.0 - s)
        while s > lower:
            inner += below
            s -= 1
            below *= s * odds / (m - s + 1.0)
        total += factor * w * inner
    return x2, s, w, inner, below, total


@compiled
def _degenerate_rows(stairs: np.ndarray, x2: int, stop: int, n: int, rc: float, w_step: float, d1: int, d2: int,
                     w: float, factor: float, total: float) -> tuple[int, float, float]:
    """The rows when cell 1 or cell 3 is impossible: the inner tail is 0 or 1."""
    while x2 > stop and 1.0 / _BIG <= w <= _BIG:
        w *= x2 / (n - x2 + 1.0) * w_step
        x2 -= 1
        s = max(stairs[x2 + d2] - 1 - d1, 0)
        if s == 0 or (rc <= 0.0 and s <= n - x2):
            total += factor * w
    return x2, w, total
