"""The rules for few low rows once more, from the formulas: the checker's side, arrays in NumPy and SciPy."""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, gammaln, ndtri

#: Low rows expected in the whole run below which the binomial option is hedged.
FEW = 100.0
#: Error of F(k), in units of F (1 - F), that a number of lows is found to; and the largest one before the last step.
CLOSE, NEARLY = 3e-9, 2e-3
#: Steps on the model of F before bisection takes over, the longest of them, and the longest that the model survives.
STEPS, LONGEST, SHORT = 12, 2.0, 0.2
#: With fewer rows left than this the model is not to be trusted: only the error that was found counts.
LAST_ROWS = 10.0


def two_values(mean: np.ndarray, variance: np.ndarray, third: np.ndarray,
               rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """High and low of the two-point law in [0, 1] with these moments of `rows` rows, and one more row of 0."""
    share = rows / (rows + 1.0)
    second, cube = (variance + mean**2) * share, (third + 3 * mean * variance + mean**3) * share
    mean = np.maximum(mean * share, 1e-6)
    variance = np.maximum(second - mean**2, 1e-12)
    s = np.sqrt(variance)
    skewness = (cube - 3 * mean * second + 2 * mean**3) / (variance * s)
    larger = s * (np.sqrt(1 + skewness**2 / 4) + np.abs(skewness) / 2)
    right = skewness >= 0.0
    larger = np.minimum(larger, np.where(right, 1.0 - mean, mean))
    smaller = variance / larger
    high = np.minimum(mean + np.where(right, larger, smaller), 1.0)
    low = np.maximum(mean - np.where(right, smaller, larger), 0.0)
    return np.where(rows == 0, 1.0, high), np.where(rows == 0, 0.0, low)


def mean_promised(mean: np.ndarray, variance: np.ndarray, third: np.ndarray, rows: np.ndarray, n: int,
                  z: float) -> np.ndarray:
    """The lower limit on the mean that n rows with these moments would give, by Paulson's formula."""
    high, low = two_values(mean, variance, third, rows)
    width = np.where(high > low, high - low, 1.0)
    k = np.minimum(n * (high - mean * rows / (rows + 1.0)) / width, float(n))
    a, b = 1 / (9 * (k + 1)), 1 / (9 * np.maximum(n - k, 0.5))
    rest = (1 - b) ** 2 - b * z**2
    inner = np.maximum((1 - a) ** 2 * b + (1 - b) ** 2 * a - a * b * z**2, 0.0)
    ratio = (((1 - a) * (1 - b) + z * np.sqrt(inner)) / np.where(rest > 0.0, rest, 1.0)) ** 3
    limit = high - width / (1 + (n - k) / ((k + 1) * ratio))
    return np.asarray(np.where((high > low) & (rest > 0.0), limit, low))


def lows_at_most(k: np.ndarray, r: float, q: np.ndarray) -> np.ndarray:
    """F(k; r, q) = I_{1-q}(r - k, k + 1), the binomial distribution function continued to real k in (-1, r)."""
    return np.asarray(betainc(r - k, k + 1.0, 1.0 - q))


def log_probability(k: np.ndarray, r: float, q: np.ndarray) -> np.ndarray:
    """log P(Bin(r, q) = k), continued to real k in (-1, r + 1)."""
    return np.asarray(gammaln(r + 1.0) - gammaln(k + 1.0) - gammaln(r - k + 1.0) + k * np.log(q)
                      + (r - k) * np.log1p(-q))


def _normal_guess(price: np.ndarray, r: float, q: np.ndarray) -> np.ndarray:
    """The k with F(k; r, q) = price, nearly, by Cornish and Fisher's expansion."""
    z = ndtri(price)
    square, variance, skew = z * z, r * q * (1.0 - q), 1.0 - 2.0 * q
    third = z * ((square - 3.0) * (1.0 - 6.0 * q * (1.0 - q)) / 24.0 - (2.0 * square - 5.0) * skew * skew / 36.0)
    return np.asarray(r * q - 0.5 + np.sqrt(variance) * z + skew * (square - 1.0) / 6.0
                      + third / np.sqrt(variance + 0.5))


def _growth_of_f(k: np.ndarray, r: float, q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dF/dk and d log(dF/dk)/dk, nearly, and how much of the former is in doubt.

    F(k + 1/2) - F(k - 1/2) = P(k + 1/2), and a derivative is the central difference less 1/24 of the third one plus
    3/640 of the fifth: here differences of P, whose neighbours are rational multiples of each other.
    """
    odds = q / (1.0 - q)
    inside = np.minimum(k, r - 2.0)
    up, further_up = (r - inside - 0.5) / (inside + 1.5) * odds, (r - inside - 1.5) / (inside + 2.5) * odds
    down, further_down = (k + 0.5) / ((r - k + 0.5) * odds), (k - 0.5) / ((r - k + 1.5) * odds)
    second = up - 2.0 + down
    fourth = up * further_up - 4.0 * up + 6.0 - 4.0 * down + down * further_down
    part = np.maximum(1.0 - second / 24.0 + fourth * (3.0 / 640.0), 0.1)
    # The next difference is of the order of these; the factor covers nearly all k and q.
    second, fourth, apart = np.abs(second), np.abs(fourth), 1.0 / (k + 1.0)
    doubt = 0.005 * (second * second * second + fourth * np.sqrt(fourth) + apart * apart * apart)
    return np.exp(log_probability(k + 0.5, r, q)) * part, np.log(up) + 0.5 / (inside + 1.5), doubt


def _step(rise: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """The step s with (exp(bend s) - 1)/bend = rise, cut to what the model can be trusted with."""
    bend = np.where(np.abs(bend) < 1e-9, 1e-9, bend)
    return np.asarray(np.minimum(np.maximum(np.log1p(np.maximum(bend * rise, -0.9)) / bend, -LONGEST), LONGEST))


def lows_worth(price: np.ndarray, r: float, q: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The k in (-1, r) with F(k; r, q) = price: steps on an exponential model of dF/dk, bisection where they fail.

    Args:
        price, q: in (0, 1), of one shape.
        r: rows left, at least 1.
        offset: how far k was from its normal guess for a similar price, of that shape; 0 if nothing is known.

    Returns:
        k, and its offset here.
    """
    least, most = -1.0 + 1e-9, r - 1e-9
    guess = _normal_guess(price, r, q)
    found = np.minimum(np.maximum(guess + offset, least), most)
    open_ = np.arange(price.size)
    k, goal, share, unit = found.copy(), price, q, price * (1.0 - price)
    error = goal - lows_at_most(k, r, share)
    slope, bend, doubt = _growth_of_f(k, r, share)
    least_doubt = 1.0 if r < LAST_ROWS else 0.0
    for _ in range(STEPS):
        after = np.minimum(np.maximum(k + _step(error / slope, bend), least), most)
        found[open_] = after
        size = np.abs(error)
        left = ~((size * np.maximum(doubt, least_doubt) <= CLOSE * unit) & (size <= NEARLY * unit))
        if not left.any():
            return found, found - guess
        if not left.all():
            open_, k, after, error = open_[left], k[left], after[left], error[left]
            goal, share, unit = goal[left], share[left], unit[left]
            slope, bend, doubt = slope[left], bend[left], doubt[left]
        moved, before = after - k, error
        k, error = after, goal - lows_at_most(after, r, share)
        # What the step has changed F by, compared with the model, corrects the model.
        bent = bend * moved
        expected = slope * np.where(np.abs(bent) < 1e-9, moved, np.expm1(bent) / np.where(bend == 0.0, 1.0, bend))
        told = (np.abs(before - error) > 1e-6 * unit) & (np.abs(moved) < SHORT)
        slope = slope * np.exp(bent) * np.where(told, (before - error) / np.where(told, expected, 1.0), 1.0)
        bend = bend - moved / (k + 1.5)
        # Next to -1 and r, F bends within a step that is short elsewhere.
        apart = np.abs(moved) * (1.0 + 1.0 / (k + 1.0) + 1.0 / (r - k))
        doubt = np.where(told, apart * np.minimum(doubt, 1.0) + 1e-8, doubt)
        far = np.abs(moved) >= SHORT
        if far.any():
            slope[far], bend[far], doubt[far] = _growth_of_f(k[far], r, share[far])
    low, high = np.full(open_.size, least), np.full(open_.size, most)
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = lows_at_most(middle, r, share) < goal
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    found[open_] = 0.5 * (low + high)
    return found, found - guess
