"""The wealth of the best test when few rows are low: a binomial option, and the bet that hedges it.

Rows that take two values, `high` and `low`, under a null of mean m are low with probability q = (high - m)/(high -
low). The best test of the null at level alpha rejects while at most k of n rows are low, F(k; n, q) = alpha, and its
wealth F(k - lows so far; rows left, q)/alpha can be had by betting: two outcomes, one stake (Cox, Ross & Rubinstein
1979). On such rows the bound is then that of Clopper & Pearson; the normal limit, which the digital hedge otherwise
uses, is far from it while n q is small, and most of all when no row is low.

F is continued to real k by the incomplete beta function, F(k; r, q) = I_{1-q}(r - k, k + 1), which keeps the identity
that the hedge needs, F(k; r, q) = (1 - q) F(k; r - 1, q) + q F(k - 1; r - 1, q). So the state of the hedge is the k
that the capital is worth, whatever the rows were, and rows between `low` and `high` move it in proportion. Nothing
here is needed for validity: any bet fixed beforehand is a fair one.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rsopt.intervals.two_points import two_points

#: Below this many low rows expected in the whole run, the option is the binomial one.
FEW = 100.0
#: Rows of 0 that are added to the moments: the worst outcome is never excluded by not having been seen.
UNSEEN = 1.0
#: The option pays so many times 1/alpha, to reach it in spite of rounding.
FEW_OVERSHOOT = 1.0005
#: Error of the price, relative to it and to its distance from 1, that a number of lows is found to.
TOLERANCE = 1e-8


@njit(cache=True)
def support(mean: float, variance: float, third: float, rows: float) -> tuple[float, float]:
    """High and low of the law on two points of [0, 1] with these moments of `rows` rows and UNSEEN rows of 0.

    Points outside [0, 1] are cut to it, keeping mean and variance.
    """
    if rows == 0.0:
        return 1.0, 0.0
    share = rows / (rows + UNSEEN)
    second = (variance + mean * mean) * share
    cube = (third + 3.0 * mean * variance + mean * mean * mean) * share
    mean = max(mean * share, 1e-6)
    variance = max(second - mean * mean, 1e-12)
    central = cube - 3.0 * mean * second + 2.0 * mean * mean * mean
    up, down = two_points(variance, central, mean)
    return min(mean + up, 1.0), max(mean - down, 0.0)


@njit(cache=True)
def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method."""
    c = 1.0
    d = 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    h = d
    for i in range(1, 1000):
        e = i * (b - i) * x / ((a + 2 * i - 1.0) * (a + 2 * i))
        d = 1.0 / (1.0 + e * d)
        c = 1.0 + e / c
        h *= c * d
        e = -(a + i) * (a + b + i) * x / ((a + 2 * i) * (a + 2 * i + 1.0))
        d = 1.0 / (1.0 + e * d)
        c = 1.0 + e / c
        h *= c * d
        if abs(c * d - 1.0) < 1e-12:
            break
    return h


@njit(cache=True)
def lows_at_most(k: float, r: float, q: float) -> float:
    """F(k; r, q) for real k: 0 for k <= -1, 1 for k >= r; 0 < q < 1."""
    a, b = r - k, k + 1.0
    if b <= 0.0:
        return 0.0
    if a <= 0.0:
        return 1.0
    x = 1.0 - q
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log1p(-q) + b * math.log(q))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(a, b, x) / a
    return 1.0 - front * _fraction(b, a, q) / b


@njit(cache=True)
def _log_probability(k: float, r: float, q: float) -> float:
    """log P(Bin(r, q) = k), continued to real k in (-1, r + 1)."""
    return float(math.lgamma(r + 1.0) - math.lgamma(k + 1.0) - math.lgamma(r - k + 1.0) + k * math.log(q)
                 + (r - k) * math.log1p(-q))


@njit(cache=True)
def _error(k: float, r: float, q: float, target: float) -> float:
    return math.log(max(lows_at_most(k, r, q), 1e-300)) - target


@njit(cache=True)
def lows_worth(price: float, r: float, q: float, start: float) -> float:
    """The k in (-1, r) with F(k; r, q) = price, to TOLERANCE: secants on log F from a guess, else bisection."""
    target = math.log(price)
    # Near 1 the price says little of k: what counts is how far it is from 1.
    close = max(TOLERANCE * (1.0 - price), 1e-14)
    low, high = -1.0 + 1e-9, r - 1e-9
    before = min(max(start, low), high)
    error_before = _error(before, r, q, target)
    if abs(error_before) < close:
        return before
    # F(k) - F(k - 1) = P(k) stands for the derivative.
    slope = math.exp(min(_log_probability(before, r, q) - error_before - target, 5.0))
    k = min(max(before - min(max(error_before / max(slope, 1e-3), -2.0), 2.0), low), high)
    for _ in range(12):
        error = _error(k, r, q, target)
        if abs(error) < close:
            return k
        if error == error_before:
            break
        step = error * (k - before) / (error - error_before)
        before, error_before = k, error
        k = min(max(k - min(max(step, -5.0), 5.0), low), high)
        if k == before:
            break
    for _ in range(60):
        k = 0.5 * (low + high)
        if _error(k, r, q, target) < 0.0:
            low = k
        else:
            high = k
        if high - low < 1e-11:
            break
    return k


@njit(cache=True)
def few_downs_bet(k: float, price: float, r: float, up: float, down: float) -> float:
    """The stake that moves the capital along the binomial option worth `price` with k lows to spare, r rows to go.

    It is (F(k; r - 1, q) - F(k - 1; r - 1, q))/((up + down) price), and the difference is the binomial probability.
    """
    q = up / (up + down)
    return math.exp(_log_probability(k, r - 1.0, q)) / ((up + down) * price)


@njit(cache=True)
def lows_allowed(k: float, n: float, z: float) -> float:
    """Upper confidence limit on the share of low rows, k of n being low, at z standard errors: Paulson's formula.

    The F quantile behind the limit of Clopper & Pearson in closed form (Paulson 1942); within 3% at k = 0.
    """
    if k >= n:
        return 1.0
    a, b = 1.0 / (9.0 * (k + 1.0)), 1.0 / (9.0 * max(n - k, 0.5))
    rest = (1.0 - b) * (1.0 - b) - b * z * z
    if rest <= 0.0:
        return 1.0
    inner = max((1.0 - a) * (1.0 - a) * b + (1.0 - b) * (1.0 - b) * a - a * b * z * z, 0.0)
    ratio = (((1.0 - a) * (1.0 - b) + z * math.sqrt(inner)) / rest) ** 3
    return 1.0 / (1.0 + (n - k) / ((k + 1.0) * ratio))


@njit(cache=True)
def predicted_mean(mean: float, variance: float, third: float, rows: float, n: float, z: float) -> float:
    """The lower limit on the mean that n rows with these moments would give."""
    high, low = support(mean, variance, third, rows)
    if high <= low:
        return low
    lows = min(n * (high - mean * rows / (rows + UNSEEN)) / (high - low), n)
    return high - (high - low) * lows_allowed(lows, n, z)


@njit(cache=True)
def share_rejected(k: float, n: float, price: float) -> float:
    """The q with F(k; n, q) = price, by bisection, from above: F at the result is at most `price`."""
    low, high = 0.0, 1.0
    for _ in range(45):
        q = 0.5 * (low + high)
        if lows_at_most(k, n, q) > price:
            low = q
        else:
            high = q
        if high - low <= 1e-9 * high:
            break
    return high


@njit(cache=True)
def shares_rejected(k: np.ndarray, n: float, price: float) -> np.ndarray:
    """`share_rejected` of every k."""
    shares = np.empty(k.size)
    for i in range(k.size):
        shares[i] = share_rejected(k[i], n, price)
    return shares
