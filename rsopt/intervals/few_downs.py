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

from rsopt.compiled import compiled, raising
from rsopt.intervals.two_points import two_points
from rsopt.kernels.normal import ndtri

#: Below this many low rows expected in the whole run, the option is the binomial one.
FEW = 100.0
#: Rows of 0 that are added to the moments: the worst outcome is never excluded by not having been seen.
UNSEEN = 1.0
#: The option pays so many times 1/alpha, to reach it in spite of rounding.
FEW_OVERSHOOT = 1.0005
#: Error of the price, relative to it and to its distance from 1, that a number of lows is found to.
TOLERANCE = 1e-8
#: The longest step to a number of lows, and the longest one that a slope is corrected by.
STEP, NEAR = 2.0, 0.2
#: With fewer rows to go than this, the error found counts, not the one that a model of F leaves.
LAST_ROWS = 10.0


@raising
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


@compiled
def _fraction(a: float, b: float, x: float) -> float:
    """B(a, b) I_x(a, b)/(x^a (1 - x)^b), for x below about a/(a + b): a continued fraction, by its convergents.

    It is the even part of DLMF 8.17.22, which takes half the steps, and no division but for its coefficients.
    """
    middle = a * (1.0 - x) - b * x + 1.0
    top_before, bottom_before = 1.0, 0.0
    top, bottom = a * middle / (a + 1.0), 1.0
    for m in range(1, 1000):
        inverse = 1.0 / (a + 2.0 * m - 1.0)
        part = m * (b - m) * x * inverse
        c = part * x * (a + (m - 1.0)) * (a + b + (m - 1.0)) * inverse
        d = m + part + (a + m) * (middle + m * (2.0 - x)) / (a + 2.0 * m + 1.0)
        top, top_before = d * top + c * top_before, top
        bottom, bottom_before = d * bottom + c * bottom_before, bottom
        if abs(top * bottom_before - top_before * bottom) <= 1e-12 * abs(top * bottom_before):
            break
        if abs(top) > 1e100:
            top, top_before = top * 1e-100, top_before * 1e-100
            bottom, bottom_before = bottom * 1e-100, bottom_before * 1e-100
    return bottom / top


@raising
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
        return front * _fraction(a, b, x)
    return 1.0 - front * _fraction(b, a, q)


@raising
def _log_probability(k: float, r: float, q: float) -> float:
    """log P(Bin(r, q) = k), continued to real k in (-1, r + 1)."""
    return float(math.lgamma(r + 1.0) - math.lgamma(k + 1.0) - math.lgamma(r - k + 1.0) + k * math.log(q)
                 + (r - k) * math.log1p(-q))


@raising
def lows_guess(price: float, r: float, q: float) -> float:
    """The k with F(k; r, q) = price, nearly, by the expansion of Cornish & Fisher (1938)."""
    z = ndtri(price)
    z2, variance, skew = z * z, r * q * (1.0 - q), 1.0 - 2.0 * q
    third = z * ((z2 - 3.0) * (1.0 - 6.0 * q * (1.0 - q)) / 24.0 - (2.0 * z2 - 5.0) * skew * skew / 36.0)
    return r * q - 0.5 + math.sqrt(variance) * z + skew * (z2 - 1.0) / 6.0 + third / math.sqrt(variance + 0.5)


@raising
def _rate(k: float, r: float, q: float) -> tuple[float, float, float]:
    """dF/dk and d log(dF/dk)/dk at k, nearly, and the share of the former that is in doubt.

    F(k + 1/2) - F(k - 1/2) = P(k + 1/2), and the derivative is the central difference less 1/24 of the third one plus
    3/640 of the fifth (Stirling); those are differences of P, whose neighbours are rational multiples of each other.
    """
    odds = q / (1.0 - q)
    low = min(k, r - 2.0)
    right, left = (r - low - 0.5) * odds / (low + 1.5), (k + 0.5) / ((r - k + 0.5) * odds)
    further_right, further_left = (r - low - 1.5) * odds / (low + 2.5), (k - 0.5) / ((r - k + 1.5) * odds)
    second = right - 2.0 + left
    fourth = right * further_right - 4.0 * right + 6.0 - 4.0 * left + left * further_left
    rate = math.exp(_log_probability(k + 0.5, r, q)) * max(1.0 - second / 24.0 + 3.0 * fourth / 640.0, 0.1)
    # The sixth difference is of this order, and near the ends of (-1, r) that of the cube of 1 over the distance; the
    # factor covers it at nearly all k and q.
    ends, fourth = 1.0 / (k + 1.0) + 1.0 / (r - k), abs(fourth)
    doubt = 0.005 * (abs(second * second * second) + math.sqrt(fourth) * fourth + ends * ends * ends)
    return rate, math.log(right) + 0.5 / (low + 1.5), doubt


@raising
def lows_worth(price: float, r: float, q: float, start: float) -> float:
    """The k in (-1, r) with F(k; r, q) = price, to TOLERANCE: Halley's method on log F from a guess, else bisection."""
    # Near 1 the price says little of k: what counts is how far it is from 1.
    close = max(TOLERANCE * (1.0 - price), 1e-14)
    low, high = -1.0 + 1e-9, r - 1e-9
    k = min(max(start, low), high)
    f = max(lows_at_most(k, r, q), 1e-300)
    rate, bend, doubt = _rate(k, r, q)
    least_doubt = 1.0 if r < LAST_ROWS else 0.0
    for _ in range(12):
        error = math.log(f / price)
        slope = max(rate / f, 1e-6)
        step = -error / slope
        bent = 0.5 * (bend - slope) * step
        step = min(max(step / max(1.0 + bent, 0.5), -STEP), STEP)
        before, f_before = k, f
        k = min(max(k + step, low), high)
        # Halley's error is of third order, and that of the slope is known: no need to look.
        if abs(error) * (max(doubt, least_doubt) + bent * bent) < close:
            return k
        f = max(lows_at_most(k, r, q), 1e-300)
        if abs(step) < NEAR and abs(f - f_before) > 1e-6 * (1.0 - price) * f:
            # What the step has changed F by corrects the rate, to the first order in the step.
            moved = k - before
            rate = (f - f_before) / moved * (1.0 + 0.5 * bend * moved)
            apart = abs(moved) * (1.0 + 1.0 / (k + 1.0) + 1.0 / (r - k))
            doubt = 0.1 * apart * apart + apart * min(doubt, 1.0) + 1e-8
            bend -= moved / (k + 1.5)
        else:
            rate, bend, doubt = _rate(k, r, q)
    for _ in range(60):
        k = 0.5 * (low + high)
        if lows_at_most(k, r, q) < price:
            low = k
        else:
            high = k
        if high - low < 1e-11:
            break
    return k


@raising
def few_downs_bet(k: float, price: float, r: float, up: float, down: float) -> float:
    """The stake that moves the capital along the binomial option worth `price` with k lows to spare, r rows to go.

    It is (F(k; r - 1, q) - F(k - 1; r - 1, q))/((up + down) price), and the difference is the binomial probability.
    """
    q = up / (up + down)
    return math.exp(_log_probability(k, r - 1.0, q)) / ((up + down) * price)


@raising
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


@raising
def predicted_mean(mean: float, variance: float, third: float, rows: float, n: float, z: float) -> float:
    """The lower limit on the mean that n rows with these moments would give."""
    high, low = support(mean, variance, third, rows)
    if high <= low:
        return low
    lows = min(n * (high - mean * rows / (rows + UNSEEN)) / (high - low), n)
    return high - (high - low) * lows_allowed(lows, n, z)


@raising
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


@raising
def shares_rejected(k: np.ndarray, n: float, price: float) -> np.ndarray:
    """`share_rejected` of every k."""
    shares = np.empty(k.size)
    for i in range(k.size):
        shares[i] = share_rejected(k[i], n, price)
    return shares
