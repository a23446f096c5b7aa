"""The rules for few low rows once more, from the formulas: the checker's side, vectors of nulls in NumPy and SciPy."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import betainc

#: Low rows expected in the whole run below which the binomial option is hedged.
FEW = 100.0


def two_values(moments: tuple[float, float, float], rows: int) -> tuple[float, float]:
    """High and low of the two-point law in [0, 1] with these moments of `rows` rows, and one more row of 0."""
    if rows == 0:
        return 1.0, 0.0
    mean, variance, third = moments
    share = rows / (rows + 1.0)
    second, cube = (variance + mean**2) * share, (third + 3 * mean * variance + mean**3) * share
    mean = max(mean * share, 1e-6)
    variance = max(second - mean**2, 1e-12)
    s = math.sqrt(variance)
    skewness = (cube - 3 * mean * second + 2 * mean**3) / (variance * s)
    larger = s * (math.sqrt(1 + skewness**2 / 4) + abs(skewness) / 2)
    if skewness >= 0.0:
        up = min(larger, 1.0 - mean)
        down = variance / up
    else:
        down = min(larger, mean)
        up = variance / down
    return min(mean + up, 1.0), max(mean - down, 0.0)


def mean_promised(moments: tuple[float, float, float], rows: int, n: int, z: float) -> float:
    """The lower limit on the mean that n rows with these moments would give, by Paulson's formula."""
    high, low = two_values(moments, rows)
    if high <= low:
        return low
    k = min(n * (high - moments[0] * rows / (rows + 1.0)) / (high - low), float(n))
    a, b = 1 / (9 * (k + 1)), 1 / (9 * max(n - k, 0.5))
    rest = (1 - b) ** 2 - b * z**2
    if rest <= 0.0:
        return low
    inner = max((1 - a) ** 2 * b + (1 - b) ** 2 * a - a * b * z**2, 0.0)
    ratio = (((1 - a) * (1 - b) + z * math.sqrt(inner)) / rest) ** 3
    return high - (high - low) / (1 + (n - k) / ((k + 1) * ratio))


def lows_at_most(k: np.ndarray, r: float, q: np.ndarray) -> np.ndarray:
    """F(k; r, q) = I_{1-q}(r - k, k + 1), the binomial distribution function continued to real k in (-1, r)."""
    inside = (k > -1.0) & (k < r)
    safe = np.where(inside, k, 0.5 * (r - 1.0))
    return np.asarray(np.where(inside, betainc(r - safe, safe + 1.0, 1.0 - q), np.where(k >= r, 1.0, 0.0)))


def lows_worth(price: np.ndarray, r: float, q: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The k in (-1, r) with F(k; r, q) = price: secants on log F from a guess, bisection where they fail."""
    low, high = np.full(price.shape, -1.0 + 1e-9), np.full(price.shape, r - 1e-9)
    target = np.log(price)
    close = np.maximum(1e-9 * (1.0 - price), 1e-14)

    def error(k: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(np.maximum(lows_at_most(k, r, q), 1e-300)) - target)

    before: np.ndarray = np.clip(start, low, high)
    f_before = error(before)
    k: np.ndarray = np.clip(before - np.clip(0.5 * f_before, -2.0, 2.0), low, high)
    for _ in range(12):
        f = error(k)
        done = np.abs(f) < close
        if done.all():
            return k
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(done, 0.0, f * (k - before) / (f - f_before))
        step = np.clip(np.nan_to_num(step, nan=0.0, posinf=0.0, neginf=0.0), -5.0, 5.0)
        before, f_before = np.where(done, before, k), np.where(done, f_before, f)
        k = np.clip(k - step, low, high)
    lost = np.abs(error(k)) >= 10.0 * close
    for _ in range(60 if lost.any() else 0):
        middle = 0.5 * (low + high)
        below = error(middle) < 0.0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(np.where(lost, 0.5 * (low + high), k))
