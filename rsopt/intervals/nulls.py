"""The grid of nulls that a digital hedge is scanned over, placed from the first stage alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rsopt.intervals.few_downs import FEW, FEW_OVERSHOOT, UNSEEN, predicted_mean, shares_rejected, support
from rsopt.intervals.record import PairRecord
from rsopt.intervals.slope import best_slope, moments
from rsopt.intervals.tangents import tangent_growth, tangent_level
from rsopt.kernels.links import IDENTITY

#: Nulls of the grid: sinh-spaced, INNER sets how far the even spacing reaches and REACH the whole, in
#: standard errors.
HALF_SIZE, INNER, REACH = 400, 4.0, 30.0
#: Further nulls, evenly spaced, from the smallest one up to the grid.
TAIL = 16
#: Where few rows are low: lows between nulls, in standard errors, and nulls above the last of them.
LOWS_APART, TOP = 0.03, 12
#: Nulls closer together than this are one: whether rounding keeps them apart must not decide the size of the grid.
DISTINCT = 1e-9


@dataclass(frozen=True)
class Prediction:
    """Where the bound is expected after the first stage, in units of the null, and what the grid is made from.

    Attributes:
        centre, scale: the bound and its standard error.
        slope: b; 0 for a mean.
        high, low: the two values of x that stand for its law (`rsopt.intervals.few_downs.support`).
        lows: rows with the low value that are expected in the whole run.
        doubt: how many more or fewer there may well be.
    """

    centre: float
    scale: float
    slope: float
    high: float
    low: float
    lows: float
    doubt: float


def predict(record: PairRecord) -> Prediction:
    """A guess of the bound from the rows known after the first stage; it costs width and never validity."""
    plan = record.plan
    sums, t = record.first_stage_sums(), plan.prior + plan.first_stage
    slope, centre = 0.0, 0.0
    if plan.sloped:
        slope, centre = best_slope(plan.kind, sums, t, plan.n, plan.z) if t > 0 else (1.0, 0.0)
        centre = max(centre, 0.0)
    mean, variance, third = moments(sums, t, slope)
    high, low = support(mean, variance, third, t)
    # Without the row of 0 that `support` adds, which would stand for n/t rows here.
    lows = min(max(plan.n * (high - mean) / (high - low), 0.0), plan.n) if high > low else 0.0
    doubt = 4.0 + math.sqrt((lows + 1.0) * plan.n / (t + UNSEEN))
    error = math.sqrt((1.0 + t * variance) / (4.0 + t) / plan.n)
    if not plan.sloped:
        centre = predicted_mean(mean, variance, third, t, plan.n, plan.z)
        return Prediction(centre, error, slope, high, low, lows, doubt)
    growth = tangent_growth(plan.kind, slope, max(centre, 0.05))
    return Prediction(centre, (1.0 + slope) * error / growth, slope, high, low, lows, doubt)


def null_grid(prediction: Prediction, kind: int, n: int, log_level: float) -> np.ndarray:
    """Increasing nulls around the prediction: levels L >= 0 of the functional, or means in (0, 1) for IDENTITY."""
    sloped = kind != IDENTITY
    low, high = (0.0, np.inf) if sloped else (1e-6, 1.0 - 1e-9)
    if prediction.lows < FEW:
        grid = _few_lows_grid(prediction, kind, n, log_level)
    else:
        steps = np.arange(-HALF_SIZE, HALF_SIZE + 1) / HALF_SIZE
        grid = prediction.centre + prediction.scale * INNER * np.sinh(math.asinh(REACH / INNER) * steps)
    grid = grid[(grid > low) & (grid < high)]
    first = grid[0] if grid.size else (1.0 if sloped else high)
    tail = low + (first - low) * np.arange(TAIL) / TAIL
    return np.concatenate([tail, grid])


def lows_grid(lows: float, doubt: float, n: int) -> np.ndarray:
    """Numbers of low rows that a bound is asked for, increasing from 0: dense at 0 and where they are expected."""
    points, k = [], 0.0
    while k < min(lows + 30.0 * doubt, n - 1.0):
        points.append(k)
        step = max(2.0 / n, LOWS_APART * math.sqrt(k + 1.0)) * (1.0 + abs(k - lows) / doubt)
        # Votes give whole numbers of lows; theirs are the bounds most often asked for.
        k = min(k + step, math.floor(k) + 1.0)
    return np.array(points if points else [0.0])


def _few_lows_grid(prediction: Prediction, kind: int, n: int, log_level: float) -> np.ndarray:
    """The bounds that rows of two values give, for each number of low ones; above them up to constant rows of 1."""
    shares = shares_rejected(lows_grid(prediction.lows, prediction.doubt, n), n,
                             math.exp(-log_level) / (FEW_OVERSHOOT * 1.0001))
    means = prediction.high - (prediction.high - prediction.low) * shares[::-1]
    above = means[-1] + (1.0 - shares[0] - means[-1]) * np.arange(1, TOP + 1) / TOP
    if above[0] - means[-1] > DISTINCT:
        means = np.concatenate([means, above])
    if kind == IDENTITY:
        return means
    b = prediction.slope
    prices = (means * (1.0 + b) - b).tolist()
    return np.array([tangent_level(kind, b, theta) if theta > 0.0 else -1.0 for theta in prices])
