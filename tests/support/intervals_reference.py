"""Plain references for the interval tests: all sequences of a law, what betting owes, a hedge that can be
broken.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import betainc, ndtr, ndtri


@dataclass(frozen=True)
class Law:
    """A discrete law: outcomes (k,) or (k, 2), with their probabilities (k,)."""

    outcomes: tuple
    probabilities: tuple

    @property
    def mean(self) -> np.ndarray:
        return np.array(self.probabilities) @ np.array(self.outcomes, dtype=float)

    def sequences(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """All sequences of n outcomes, (k**n, n[, 2]), in lexicographic order, and their probabilities."""
        index = np.array(list(itertools.product(range(len(self.outcomes)), repeat=n)))
        values = np.array(self.outcomes, dtype=float)[index]
        return values, np.array(self.probabilities)[index].prod(axis=1)


def check_supermartingale(paths: np.ndarray, law: Law, tolerance: float = 1e-11) -> None:
    """Assert that capital starts at 1, never looks ahead, stays above zero, and never grows on average.

    `paths` (k**n, n + 1) holds one path for each sequence of `Law.sequences`, in that order.
    """
    k, n = len(law.outcomes), paths.shape[1] - 1
    assert np.isfinite(paths).all()
    assert (paths >= 0.0).all(), "capital below zero"
    assert (paths[:, 0] <= 1.0 + tolerance).all(), "capital starts above 1"
    for t in range(n + 1):
        grouped = paths[:, t].reshape(k**t, -1)
        spread = np.ptp(grouped, axis=1)
        assert (spread <= tolerance * (1.0 + grouped[:, 0])).all(), f"capital after {t} rows looks ahead"
    for t in range(n):
        now = paths[:, t].reshape(k**t, -1)[:, 0]
        after = paths[:, t + 1].reshape(k**t, k, -1)[:, :, 0] @ np.array(law.probabilities)
        worst = float((after - now * (1.0 + tolerance)).max())
        assert worst <= tolerance, f"capital grows by {worst} on average at row {t + 1}"


def check_decreasing(capital: np.ndarray, tolerance: float = 1e-9) -> None:
    """Assert that first-stage capital (sequences, nulls) does not increase along the nulls.

    A row of 0 against the largest stake leaves 1e-5 of the capital, so its relative rounding is about 1e-11.
    """
    assert (np.diff(capital, axis=1) <= tolerance * capital[:, :-1]).all(), "first-stage capital increases in the null"


def check_coverage(bounds: np.ndarray, probabilities: np.ndarray, truth: float, alpha: float) -> None:
    """Assert that the exact probability of a bound above the truth is at most alpha."""
    error = float(probabilities[bounds > truth].sum())
    assert error <= alpha, f"the bound errs with probability {error}, more than {alpha}"


@dataclass(frozen=True)
class RowByRowHedge:
    """The digital hedge on rows in [0, 1], one row a block; correct unless a switch is set."""

    n: int
    first_stage: int
    alpha: float
    cap_in_first_stage: bool = False
    look_ahead: bool = False

    def paths(self, x: np.ndarray, nulls: np.ndarray) -> np.ndarray:
        """Capital against each null before the first and after each row, (nulls, rows + 1)."""
        return np.array([self._path(x, float(m)) for m in nulls])

    def _path(self, x: np.ndarray, m: float) -> list[float]:
        path = [1.0]
        for t in range(x.size):
            bet = self._bet(x[:t], m, path[-1])
            if self.look_ahead and x[t] < m:
                bet = 0.0
            path.append(path[-1] * (1.0 + bet * (x[t] - m)))
        return path

    def _bet(self, past: np.ndarray, m: float, capital: float) -> float:
        t = past.size
        first = t < self.first_stage
        mean = float(past.mean()) if t else 0.5
        squares = float(((past - mean) ** 2).sum())
        cubes = float(((past - mean) ** 3).sum())
        variance = (1.0 + squares) / (4.0 + t)
        third = (cubes - 4.0 * mean * variance) / (t + 4.0)
        if not first and (few := self._few_lows_bet(past, m, capital)) is not None:
            return few
        most = math.inf if first else 8.0 * math.sqrt(-2.0 * math.log(self.alpha) / (variance * (self.n - t)))
        if not first or self.cap_in_first_stage:
            variance = min(variance, m * (1.0 - m))
        skewness = third / variance**1.5
        root = math.hypot(1.0, skewness / 2.0)
        up = math.sqrt(variance) * (root + skewness / 2.0)
        down = math.sqrt(variance) * (root - skewness / 2.0)
        floor = (0.5 + t * mean) / (1.0 + t) if first else m
        if skewness < 0.0 and down > floor:
            down, up = floor, variance / floor
        if skewness >= 0.0 and up > 1.0 - floor:
            down, up = variance / (1.0 - floor), 1.0 - floor
        price = self.alpha * (1.0 if first else capital) / (1.02 + 1.0 / self.n)
        left = self.n if first else self.n - t
        d = float(ndtri(price)) * math.sqrt(variance * left)
        after = math.sqrt(variance * max(left - 1.0, 0.5))
        bet = float(ndtr((d + up) / after) - ndtr((d - down) / after)) / ((up + down) * price)
        return min(max(bet, 0.0), most, 0.9 / m)

    def _few_lows_bet(self, past: np.ndarray, m: float, capital: float) -> float | None:
        """The stake of the binomial option, None where too many low rows are expected for it.

        Its price before the row is the mean of its prices after a high and after a low one, whose distance is the bet.
        """
        high, low = 1.0, 0.0
        if past.size:
            seen = np.append(past, 0.0)
            mean, spread = seen.mean(), max(seen.std(), 1e-6)
            skewness = ((seen - mean) ** 3).mean() / spread**3
            root = math.hypot(1.0, skewness / 2.0)
            up, down = spread * (root + skewness / 2.0), spread * (root - skewness / 2.0)
            if skewness < 0.0 and down > mean:
                down, up = mean, spread**2 / mean
            if skewness >= 0.0 and up > 1.0 - mean:
                down, up = spread**2 / (1.0 - mean), 1.0 - mean
            high, low = mean + up, mean - down
        q = (high - m) / (high - low)
        if not (0.0 < q < 0.5 and m > low and self.n * q < 100.0):
            return None
        left, price = self.n - past.size, self.alpha * capital / 1.0005
        if price >= 1.0:
            return 0.0

        def worth(k: float, rows: int) -> float:
            return 0.0 if k <= -1.0 else 1.0 if k >= rows else float(betainc(rows - k, k + 1.0, 1.0 - q))

        k = brentq(lambda k: worth(k, left) - price, -1.0, left, xtol=1e-13, rtol=1e-14)
        bet = (worth(k, left - 1) - worth(k - 1.0, left - 1)) / ((high - low) * price)
        return min(max(bet, 0.0), 0.99999 / m)


def scanned(rejected: Callable[[float], bool], nulls: np.ndarray, nothing: float) -> float:
    """The null before the first one not rejected."""
    last = nothing
    for null in nulls.tolist():
        if not rejected(null):
            break
        last = null
    return last


def bisected(rejected: Callable[[float], bool], nulls: np.ndarray, nothing: float) -> float:
    """The broken report: bisection for the last rejected null, as if rejection were monotone."""
    low, high = -1, nulls.size
    while high - low > 1:
        middle = (low + high) // 2
        if rejected(float(nulls[middle])):
            low = middle
        else:
            high = middle
    return float(nulls[low]) if low >= 0 else nothing
