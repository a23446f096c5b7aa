"""The betting rules once more, in plain NumPy and SciPy: the checker's side, sharing no code with the bounds.

Written for clarity, from the formulas. Whatever belongs to a null and a rival is an array over both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betainccinv, ndtr, ndtri

from rsopt.checks.replay_few import FEW, log_probability, lows_worth
from rsopt.checks.tangents import Tangent

#: The largest share of the capital that a row may cost, but for bets along the binomial option.
NORMAL_STAKE = 0.9
#: … and the largest such bet, in bets of fast betting.
FASTEST = 8.0


def block_sizes(n: int, first_stage: int, prior: int) -> list[int]:
    """Sizes of all blocks of a run; `prior` rows are known before it."""
    sizes: list[int] = []
    used = 0
    while used < n:
        size = max(1, min((n - used) // 60, (used + prior) // 10))
        if used < first_stage < used + size:
            size = first_stage - used
        sizes.append(size)
        used += size
    return sizes


@dataclass(frozen=True)
class Grid:
    """Where the nulls lie: the expected bound and its standard error, the slope, the two values that stand for the law
    of x, and the rows of the low value that are expected, give or take a doubt."""

    centre: float
    scale: float
    slope: float
    high: float
    low: float
    lows: float
    doubt: float


def grid_of_nulls(grid: Grid, tangent: Tangent | None, n: int, alpha: float) -> np.ndarray:
    """The nulls: 801 sinh-spaced ones within 30 scales of the centre, or, where few rows are low, the bounds that
    numbers of lows give and 12 above them; cut to the range, and 16 more below them. Without a tangent, means of x.
    """
    low, high = (0.0, math.inf) if tangent is not None else (1e-6, 1.0 - 1e-9)
    if grid.lows < FEW:
        nulls = _nulls_by_lows(grid, tangent, n, alpha)
    else:
        nulls = grid.centre + grid.scale * 4.0 * np.sinh(math.asinh(7.5) * np.linspace(-1.0, 1.0, 801))
    inner = nulls[(nulls > low) & (nulls < high)]
    first = inner[0] if inner.size else (high if tangent is None else 1.0)
    return np.concatenate([low + (first - low) * np.arange(16) / 16, inner])


def _nulls_by_lows(grid: Grid, tangent: Tangent | None, n: int, alpha: float) -> np.ndarray:
    lows, k = [], 0.0
    while k < min(grid.lows + 30.0 * grid.doubt, n - 1.0):
        lows.append(k)
        step = max(2.0 / n, 0.03 * math.sqrt(k + 1.0)) * (1.0 + abs(k - grid.lows) / grid.doubt)
        k = min(k + step, math.floor(k) + 1.0)
    numbers = np.array(lows or [0.0])
    # The share q at which so many lows are just too few: F(k; n, q) = price.
    shares = betainccinv(numbers + 1.0, n - numbers, alpha / (1.0005 * 1.0001))
    means = (grid.high - (grid.high - grid.low) * shares)[::-1]
    more = means[-1] + (1.0 - shares[0] - means[-1]) * np.arange(1, 13) / 12
    means = np.concatenate([means, more]) if more[0] - means[-1] > 1e-9 else means
    if tangent is None:
        return np.asarray(means)
    theta = means * (1.0 + grid.slope) - grid.slope
    return np.where(theta > 0.0, tangent.level(np.array(grid.slope), theta), -1.0)


def fast_bet(variance: np.ndarray, rows: int, n: int, log_level: float, means: np.ndarray) -> np.ndarray:
    """Fast betting's bets after `rows` rows of this variance."""
    guess = (0.25 + rows * variance) / (1.0 + rows)
    return np.minimum(np.sqrt(2.0 * log_level / (n * guess)), NORMAL_STAKE / means)


@dataclass(frozen=True)
class Past:
    """What digital bets are computed from, besides the capital: one entry a rival, or one a rival and null.

    Attributes:
        mean: of x over the known rows.
        variance, third: guesses of the second and third central moments from these rows and four more.
        high, low: the two values that stand for the law of x.
    """

    mean: np.ndarray
    variance: np.ndarray
    third: np.ndarray
    high: np.ndarray
    low: np.ndarray

    @classmethod
    def of(cls, moments: tuple[np.ndarray, np.ndarray, np.ndarray], known: np.ndarray, high: np.ndarray,
           low: np.ndarray) -> Past:
        """The past of `known` rows with these moments."""
        mean, variance, third = moments
        guess = (1.0 + known * variance) / (4.0 + known)
        return cls(mean, guess, (known * third - 4.0 * mean * guess) / (known + 4.0), high, low)


def first_bet(past: Past, known: int, n: int, log_level: float) -> np.ndarray:
    """The digital hedge's bets in the first stage, one a rival: they depend on the null through their stake alone."""
    floor = (0.5 + known * past.mean) / (1.0 + known)
    return _hedge(past.variance, past.third, floor, float(n), np.full(floor.shape, -log_level), 1.02 + 1.0 / n)


def digital_bet(past: Past, left: int, n: int, log_level: float, capital: np.ndarray, means: np.ndarray,
                offset: np.ndarray) -> np.ndarray:
    """The digital hedge's bets with `left` rows of n to come, one for each null and rival.

    `capital` is its log; `offset` holds what `lows_worth` told of each null at the last block, 0 at first, and takes
    what it tells now.
    """
    bet, log_price = np.empty(means.size), capital - log_level
    rise, width = past.high - means, past.high - past.low
    few = (rise > 0.0) & (2.0 * rise < width) & (n * rise < FEW * width)
    whole = few.all()
    if few.any():
        # A slice costs less than as many indices.
        here = slice(None) if whole else few
        share, price = rise[here] / width[here], np.exp(log_price[here]) / 1.0005
        k, offset[here] = lows_worth(price, left, share, offset[here])
        bet[here] = np.exp(log_probability(k, left - 1.0, share)) / (width[here] * price)
    if not whole:
        many = ~few
        mean = means[many]
        spread = np.minimum(past.variance[many], mean * (1.0 - mean))
        hedge = _hedge(spread, past.third[many], mean, float(left), log_price[many], 1.02 + 1.0 / n)
        most = FASTEST * np.sqrt(2.0 * log_level / (past.variance[many] * left))
        bet[many] = np.minimum(hedge, np.minimum(most, NORMAL_STAKE / mean))
    return bet


def _hedge(spread: np.ndarray, skewed: np.ndarray, floor: np.ndarray, left: float, log_price: np.ndarray,
           payoff: float) -> np.ndarray:
    """The bets that hedge the normal option over the two-point step with these moments."""
    skewness = skewed / spread**1.5
    # The roots of s² - skewness s - 1, the smaller one from their product where the difference would cancel.
    larger = np.sqrt(spread) * (np.sqrt(1.0 + skewness**2 / 4.0) + np.abs(skewness) / 2.0)
    # No row steps further than its range: `floor` down, 1 - `floor` up.
    larger = np.minimum(larger, np.where(skewness >= 0.0, 1.0 - floor, floor))
    up = np.where(skewness >= 0.0, larger, spread / larger)
    down = spread / up
    price = np.exp(log_price) / payoff
    d = ndtri(price) * np.sqrt(spread * left)
    later = np.sqrt(spread * max(left - 1.0, 0.5))
    bet = (ndtr((d + up) / later) - ndtr((d - down) / later)) / ((up + down) * price)
    return np.asarray(np.maximum(bet, 0.0))


def folded_growth(folded: np.ndarray, bets: np.ndarray, means: np.ndarray) -> np.ndarray:
    """A lower bound on the growth of log capital over folded rows.

    Args:
        folded: (8, …): their number, mean and smallest, and the sums of (x - mean)^2 … (x - mean)^6.
        bets, means: of shape (…).
    """
    rows, centre, lowest, p2, p3, p4, p5, p6 = folded
    shift = 1.0 + bets * (centre - means)
    w = bets / shift
    q = np.maximum(w * (centre - lowest), 0.0)
    # -u⁶ (1/6 - u/7 + …) is least at the smallest u = -q: at most 1/6 + q/7 + q²/8 + q³/(9 (1 - q)) in size.
    last = 1 / 6 + q / 7 + q**2 / 8 + q**3 / (9 * (1 - q))
    square, cube = w * w, w * w * w
    return np.asarray(rows * np.log(shift) - square * p2 / 2 + cube * p3 / 3 - square * square * p4 / 4
                      + square * cube * p5 / 5 - cube * cube * p6 * last)
