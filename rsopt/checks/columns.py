"""P_q(W) in double precision with a bound on its own rounding: the checker's compiled kernel.

W = {(x1, x2) : x2 <= t(x1)} with t nondecreasing, and X ~ Multinomial(n, q) with three cells. The sum goes over the
columns x1, upwards:

    P_q(W) = sum over x1 of Binom(x1; n, q1) · P(Binom(n - x1, r) <= t(x1)),   r = q2/(q2 + q3).

From one column to the next a trial is lost and t may rise, and both only add to the inner tail:

    P(Bin(m - 1, r) <= t) = P(Bin(m, r) <= t) + r · P(Bin(m - 1, r) = t),
    P(Bin(m, r) <= t + 1) = P(Bin(m, r) <= t) + P(Bin(m, r) = t + 1).

There is no gamma function: binomial weights are products of ratios from a starting point, divided by their own sum.
So every number is a sum of products of positive factors, each right to a few units in the last place, and its relative
error is at most that of the longest product: `ROUNDING` units a step (docs/theory/rounding-checker.md).

The prover sums over rows, downwards, from weights by Stirling's series: the two share no formula.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

#: Relative error of a step, in units of 2^-53: a ratio of the weights is right to 5, and is taken into two sums.
ROUNDING = 16.0
#: What each of four sums may leave out, relative to itself.
_LEFT_OUT = 1e-13
_UNIT = 2.0**-53
#: Added to logarithms of Chernoff bounds: their terms are right to a few units, and at most n log n in size.
_GUARD = 1e-6


@njit(cache=True, error_model="numpy")
def log_at_most(k: int, n: int, p: float, pc: float) -> float:
    """An upper bound on log P(Bin(n, p) <= k), Chernoff's: -n KL(k/n, p) for k below the mean, otherwise 0."""
    if k < 0:
        return -np.inf
    if k >= n * p:
        return 0.0
    value = (n - k) * math.log(n * pc / (n - k))
    if k > 0:
        value += k * math.log(n * p / k)
    return min(value + _GUARD, 0.0)


@njit(cache=True, error_model="numpy")
def _sum_up(k: int, n: int, odds: float, scale: float) -> tuple[float, int]:
    """Weights of k + 1, k + 2, … relative to that of k, summed until the rest is negligible beside scale and sum."""
    total = 0.0
    weight = 1.0
    steps = 0
    while k < n:
        weight *= (n - k) / (k + 1.0) * odds
        total += weight
        k += 1
        steps += 1
        ratio = (n - k) / (k + 1.0) * odds
        if ratio < 1.0 and weight * ratio <= _LEFT_OUT * (scale + total) * (1.0 - ratio):
            break
    return total, steps


@njit(cache=True, error_model="numpy")
def _sum_down(k: int, n: int, odds: float, scale: float) -> tuple[float, int]:
    """Weights of k - 1, k - 2, … relative to that of k, likewise."""
    total = 0.0
    weight = 1.0
    steps = 0
    while k > 0:
        weight *= k / ((n - k + 1.0) * odds)
        total += weight
        k -= 1
        steps += 1
        ratio = k / ((n - k + 1.0) * odds)
        if ratio < 1.0 and weight * ratio <= _LEFT_OUT * (scale + total) * (1.0 - ratio):
            break
    return total, steps


@njit(cache=True, error_model="numpy")
def _weight(k: int, n: int, odds: float) -> tuple[float, int]:
    """P(Bin(n, p) = k) with p/(1 - p) = odds > 0, and the steps that it took."""
    mode = min(int((n + 1.0) * (odds / (1.0 + odds))), n)
    above, up = _sum_up(mode, n, odds, 1.0)
    below, down = _sum_down(mode, n, odds, 1.0)
    weight = 1.0
    for j in range(mode, k):
        weight *= (n - j) / (j + 1.0) * odds
    for j in range(mode, k, -1):
        weight *= j / ((n - j + 1.0) * odds)
    return weight / (1.0 + above + below), up + down + abs(k - mode)


@njit(cache=True, error_model="numpy")
def _lower_tail(t: int, m: int, r: float, rc: float, odds: float) -> tuple[float, float, int]:
    """(P(Bin(m, r) <= t), P(Bin(m, r) = t), steps) for 0 <= t; odds = r/rc."""
    if t >= m or r <= 0.0 or log_at_most(m - t - 1, m, rc, r) < math.log(_LEFT_OUT):
        return 1.0, 0.0, 0
    if rc <= 0.0:
        return 0.0, 0.0, 0
    below, down = _sum_down(t, m, odds, 1.0)
    above, up = _sum_up(t, m, odds, 1.0 + below)
    total = 1.0 + below + above
    return (1.0 + below) / total, 1.0 / total, down + up


@njit(cache=True, error_model="numpy")
def _log_before(x1: int, n: int, p: float, pc: float, r: float, rc: float, first: int, stairs: np.ndarray) -> float:
    """An upper bound on log P(X1 <= x1, X in W): the mass of those columns times the inner tail of the last one."""
    t = stairs[x1 - first]
    if t < 0:
        return -np.inf
    return log_at_most(x1, n, p, pc) + log_at_most(t, n - x1, r, rc)


@njit(cache=True, error_model="numpy")
def tail(q1: float, q2: float, q3: float, n: int, first: int, stairs: np.ndarray,
         log_negligible: float) -> tuple[float, float]:
    """(lower, upper) bounds on P_q(W), q divided by its sum.

    Args:
        q1, q2, q3: nonnegative, with a positive sum.
        n: number of draws.
        first, stairs: t(x1) for x1 = first, first + 1, …, shape (columns,), nondecreasing; -1 for an empty column.
            Columns before `first` have no larger t.
        log_negligible: log of what the columns left out on either side may hold; their bounds are added to `upper`.
    """
    rest = q2 + q3
    if not (q1 >= 0.0 and q2 >= 0.0 and q3 >= 0.0 and 0.0 < q1 + rest < np.inf):
        # A point that is no number proves nothing.
        return 0.0, np.inf
    last = first + stairs.size - 1
    p, pc = q1 / (q1 + rest), rest / (q1 + rest)
    r, rc, odds_r = 0.0, 1.0, 0.0
    if rest > 0.0:
        r, rc, odds_r = q2 / rest, q3 / rest, q2 / q3
    start = first
    left = math.exp(log_at_most(first - 1, n, p, pc))
    if p <= 0.0:
        start = 0
    elif pc <= 0.0:
        start = n
    else:
        # The first column whose bound is worth anything, by bisection: the bound grows with the column.
        low, high = first - 1, last + 1
        while high - low > 1:
            middle = (low + high) // 2
            if _log_before(middle, n, p, pc, r, rc, first, stairs) > log_negligible:
                high = middle
            else:
                low = middle
        start = high
        if low >= first:
            left = math.exp(_log_before(low, n, p, pc, r, rc, first, stairs))
    if start < first or start > last:
        # What lies beyond the columns is not known: all of it may belong to W.
        return 0.0, left + math.exp(log_at_most(n - last - 1, n, pc, p)) if start > last and pc > 0.0 else 1.0
    weight, steps = 1.0, 0
    if p > 0.0 and pc > 0.0:
        weight, steps = _weight(start, n, q1 / rest)
    t = stairs[start - first]
    if t < 0:
        # Only where a cell has no mass, and all columns but this one neither.
        return 0.0, left
    inner, edge, more = _lower_tail(t, n - start, r, rc, odds_r)
    steps += more
    total = weight * inner
    right = 0.0
    x1 = start
    if p > 0.0 and pc > 0.0:
        total, right, more = _sum_columns(weight, inner, edge, t, x1, n, q1 / rest, r, rc, odds_r, first, stairs,
                                          math.exp(log_negligible))
        steps += more
    error = (ROUNDING * steps + 64.0) * _UNIT + 8.0 * _LEFT_OUT
    return total * (1.0 - error), (total + right) * (1.0 + error) + left


@njit(cache=True, error_model="numpy")
def _sum_columns(weight: float, inner: float, edge: float, t: int, x1: int, n: int, odds: float, r: float, rc: float,
                 odds_r: float, first: int, stairs: np.ndarray, negligible: float) -> tuple[float, float, int]:
    """(sum of the columns x1, x1 + 1, …, a bound on those left out at the end, steps)."""
    total = weight * inner
    last = first + stairs.size - 1
    full = t >= n - x1 or r <= 0.0 or (edge <= 0.0 and inner >= 1.0)
    steps = 0
    while x1 < n:
        ratio = (n - x1) / (x1 + 1.0) * odds
        if x1 == last or (ratio < 1.0 and weight * ratio <= negligible * (1.0 - ratio)):
            return total, (weight * ratio / (1.0 - ratio) if ratio < 1.0 else 1.0), steps
        weight *= ratio
        m = n - x1
        x1 += 1
        steps += 1
        target = stairs[x1 - first]
        if not full and target >= m - 1:
            full = True
            inner = 1.0
        if not full and rc > 0.0:
            edge *= (m - t) / (m * rc)
            inner += r * edge
            m -= 1
            while t < target:
                edge *= (m - t) / (t + 1.0) * odds_r
                inner += edge
                t += 1
                steps += 1
        total += weight * inner
    return total, 0.0, steps


@njit(cache=True, error_model="numpy")
def tails(points: np.ndarray, n: int, first: int, stairs: np.ndarray, log_negligible: np.ndarray) -> np.ndarray:
    """`tail` at points of shape (k, 3), log_negligible of shape (k,) -> (k, 2)."""
    bounds = np.empty((points.shape[0], 2))
    for i in range(points.shape[0]):
        bounds[i, 0], bounds[i, 1] = tail(points[i, 0], points[i, 1], points[i, 2], n, first, stairs,
                                          log_negligible[i])
    return bounds
