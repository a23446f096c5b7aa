"""The betting rules once more, in plain NumPy and SciPy: the checker's side, sharing no code with the bounds.

Written for clarity, from the formulas. A block is known by its statistics; nulls are handled as vectors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, ndtr, ndtri, xlogy

from rsopt.soft.replay_few import FEW, lows_at_most, lows_worth, mean_promised, two_values

#: Added to every tangent price, which SciPy gives to a few ulp.
PRICE_ROUNDING = 1e-14


@dataclass(frozen=True)
class Block:
    """One block of one rival.

    Attributes:
        rows: number of rows.
        slope: b; 0 for the margin.
        sums: the nine sums of u^i v^k, i + k <= 3, in the order u, v, u², uv, v², u³, u²v, uv², v³.
        folded, centre, lowest, powers: rows folded, their mean and smallest, sums of (x - centre)^2 … (x -
        centre)^6.
        kept: the other rows' x.
    """

    rows: int
    slope: float
    sums: np.ndarray
    folded: int
    centre: float
    lowest: float
    powers: np.ndarray
    kept: np.ndarray


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


def tangent_price(slope: float, levels: np.ndarray) -> np.ndarray:
    """c_b(L) = sup over v of ndtr(L + ndtri(v)) - b v at levels L >= 0, for b >= 1."""
    safe = np.where(levels > 0.0, levels, 1.0)
    d = safe / 2.0 - math.log(slope) / safe
    price = ndtr(d) - slope * ndtr(d - safe)
    return np.where(levels > 0.0, np.maximum(price, 0.0), 0.0)


def mean_under_null(nulls: np.ndarray, slope: float) -> np.ndarray:
    """Largest mean of x that the null allows, rounded up; a margin's null is that mean itself."""
    if slope == 0.0:
        return nulls
    return (tangent_price(slope, nulls) + PRICE_ROUNDING + slope) / (1.0 + slope)


def moments_of_x(sums: np.ndarray, rows: int, slope: float) -> tuple[float, float, float]:
    """Mean, variance and third central moment of x = (u - b v + b)/(1 + b)."""
    if rows == 0:
        return 0.5, 0.0, 0.0
    u, v, uu, uv, vv, uuu, uuv, uvv, vvv = (sums / rows).tolist()
    first = u - slope * v
    second = uu - 2 * slope * uv + slope**2 * vv
    third = uuu - 3 * slope * uuv + 3 * slope**2 * uvv - slope**3 * vvv
    width = 1.0 + slope
    return ((first + slope) / width, max(0.0, second - first**2) / width**2,
            (third - 3 * first * second + 2 * first**3) / width**3)


def implied_level(slope: float, price: float) -> float:
    """The L with c_b(L) = price, by bisection; +inf for a price of 1 or more."""
    if price >= 1.0:
        return math.inf
    low, high = 0.0, 1.0
    while high < 1e3 and float(tangent_price(slope, np.array([high]))[0]) < price:
        high *= 2.0
    for _ in range(6):
        grid = np.linspace(low, high, 513)
        above = int(np.searchsorted(tangent_price(slope, grid), price))
        low, high = float(grid[max(above - 1, 0)]), float(grid[min(above, 512)])
    return 0.5 * (low + high)


def slope_value(log_slope: float, sums: np.ndarray, rows: int, n: int, z: float) -> float:
    """What a slope promises: the implied level of its predicted bound, or that bound itself if not positive.
    """
    slope = math.exp(log_slope)
    theta = mean_promised(moments_of_x(sums, rows, slope), rows, n, z) * (1 + slope) - slope
    return implied_level(slope, theta) if theta > 0.0 else theta


def slope_choice(sums: np.ndarray, rows: int, n: int, z: float) -> tuple[float, float]:
    """The rule's log b and its value: steps of 1/2 on [0, 8], then of 1/10 and 1/50 around the best."""
    candidates = [0.5 * k for k in range(17)]
    best, choice = -math.inf, 0.0
    for step in (0.0, 0.1, 0.02):
        if step:
            candidates = [
                choice + step * k for k in range(-4, 5) if k != 0 and 0.0 <= choice + step * k <= 8.0
            ]
        for log_slope in candidates:
            value = slope_value(log_slope, sums, rows, n, z)
            if value > best:
                best, choice = value, log_slope
    return choice, best


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


def grid_of_nulls(grid: Grid, sloped: bool, n: int, alpha: float) -> np.ndarray:
    """The nulls: 801 sinh-spaced ones within 30 scales of the centre, or, where few rows are low, the bounds that
    numbers of lows give and 12 above them; cut to the range, and 16 more below them.
    """
    low, high = (0.0, math.inf) if sloped else (1e-6, 1.0 - 1e-9)
    if grid.lows < FEW:
        nulls = _nulls_by_lows(grid, sloped, n, alpha)
    else:
        spread = grid.scale * 4.0 * np.sinh(math.asinh(7.5) * np.linspace(-1.0, 1.0, 801))
        nulls = (grid.centre + spread).tolist()
    inner = [null for null in nulls if low < null < high]
    first = inner[0] if inner else (1.0 if sloped else high)
    return np.array([low + (first - low) * k / 16 for k in range(16)] + inner)


def _nulls_by_lows(grid: Grid, sloped: bool, n: int, alpha: float) -> list[float]:
    lows, k = [], 0.0
    while k < min(grid.lows + 30.0 * grid.doubt, n - 1.0):
        lows.append(k)
        step = max(2.0 / n, 0.03 * math.sqrt(k + 1.0)) * (1.0 + abs(k - grid.lows) / grid.doubt)
        k = min(k + step, math.floor(k) + 1.0)
    numbers = np.array(lows or [0.0])
    # The share q at which so many lows are just too few: F(k; n, q) = price, from above.
    price = alpha / (1.0005 * 1.0001)
    small, large = np.zeros(numbers.size), np.ones(numbers.size)
    for _ in range(45):
        middle = 0.5 * (small + large)
        above = lows_at_most(numbers, n, middle) > price
        small, large = np.where(above, middle, small), np.where(above, large, middle)
    means = (grid.high - (grid.high - grid.low) * large)[::-1]
    more = means[-1] + (1.0 - large[0] - means[-1]) * np.arange(1, 13) / 12
    means = np.concatenate([means, more[more > means[-1]]])
    if not sloped:
        return [float(mean) for mean in means]
    b = grid.slope
    return [implied_level(b, theta) if theta > 0.0 else -1.0 for theta in (means * (1.0 + b) - b).tolist()]


def fast_bet(variance: float, rows: int, n: int, log_level: float, means: np.ndarray) -> np.ndarray:
    """Fast betting's bet after `rows` rows of this variance."""
    guess = (0.25 + rows * variance) / (1.0 + rows)
    return np.minimum(math.sqrt(2.0 * log_level / (n * guess)), 0.9 / means)


def digital_bet(moments: tuple[float, float, float], known: int, used: int, n: int, first_stage: int, log_level: float,
                means: np.ndarray, log_capital: np.ndarray, spare: np.ndarray) -> np.ndarray:
    """The digital hedge's bets after `used` rows, `known` with the selection sample, with these moments; one a null.

    `spare` holds a first guess of the lows that each capital is worth, and takes the numbers found.
    """
    mean, variance, third = moments
    guess = (1.0 + known * variance) / (4.0 + known)
    skewed = (known * third - 4.0 * mean * guess) / (known + 4.0)
    if used < first_stage:
        spread = np.full(means.shape, guess)
        floor = np.full(means.shape, (0.5 + known * mean) / (1.0 + known))
        capital, left = np.zeros(means.shape), float(n)
    else:
        spread, floor = np.minimum(guess, means * (1.0 - means)), means
        capital, left = log_capital, float(n - used)
    skewness = skewed / spread**1.5
    # The roots of s² - skewness s - 1, the smaller one from their product where the difference would cancel.
    larger = np.sqrt(spread) * (np.sqrt(1.0 + skewness**2 / 4.0) + np.abs(skewness) / 2.0)
    # No row steps further than its range: `floor` down, 1 - `floor` up.
    larger = np.minimum(larger, np.where(skewness >= 0.0, 1.0 - floor, floor))
    up = np.where(skewness >= 0.0, larger, spread / larger)
    down = spread / up
    price = np.exp(capital - log_level) / (1.02 + 1.0 / n)
    d = ndtri(price) * np.sqrt(spread * left)
    later = np.sqrt(spread * max(left - 1.0, 0.5))
    bet = (ndtr((d + up) / later) - ndtr((d - down) / later)) / ((up + down) * price)
    if used >= first_stage:
        high, low = two_values(moments, known)
        rise, fall = high - means, means - low
        few = (rise > 0.0) & (rise < fall) & (n * rise < FEW * (rise + fall))
        if few.any():
            share = rise[few] / (rise + fall)[few]
            price = np.exp(log_capital[few] - log_level) / 1.0005
            k = spare[few] = lows_worth(price, left, share, spare[few])
            log_p = (gammaln(left) - gammaln(k + 1.0) - gammaln(left - k) + xlogy(k, share)
                     + (left - 1.0 - k) * np.log1p(-share))
            bet[few] = np.exp(log_p) / ((rise + fall)[few] * price)
    return np.asarray(np.minimum(np.maximum(bet, 0.0), 0.99999 / means))


def growth(block: Block, bets: np.ndarray, means: np.ndarray) -> np.ndarray:
    """A lower bound on the growth of log capital over a block, one a null."""
    total = np.log1p(bets[:, None] * (block.kept[None, :] - means[:, None])).sum(axis=1)
    if block.folded:
        shift = 1.0 + bets * (block.centre - means)
        w = bets / shift
        q = np.maximum(w * (block.centre - block.lowest), 0.0)
        # -u⁶ (1/6 - u/7 + …) is least at the smallest u = -q: at most 1/6 + q/7 + q²/8 + q³/(9 (1 - q)) in
        # size.
        last = 1 / 6 + q / 7 + q**2 / 8 + q**3 / (9 * (1 - q))
        p2, p3, p4, p5, p6 = block.powers.tolist()
        total = total + block.folded * np.log(
            shift) - w**2 * p2 / 2 + w**3 * p3 / 3 - w**4 * p4 / 4 + w**5 * p5 / 5
        total = total - w**6 * p6 * last
    return np.asarray(total)
