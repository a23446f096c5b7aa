"""The grid of nulls that a digital hedge is scanned over, placed from the first stage alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rsopt.intervals.record import PairRecord
from rsopt.intervals.slope import best_slope, moments

#: Nulls of the grid: sinh-spaced, INNER sets how far the even spacing reaches and REACH the whole, in
#: standard errors.
HALF_SIZE, INNER, REACH = 400, 4.0, 30.0
#: Further nulls, evenly spaced, from the smallest one up to the grid.
TAIL = 16


@dataclass(frozen=True)
class Prediction:
    """Where the bound is expected after the first stage, and its standard error, in units of the null."""

    centre: float
    scale: float
    slope: float


def predict(record: PairRecord) -> Prediction:
    """Normal-theory guess of the bound from the first stage; a heuristic, it costs width and never validity.
    """
    plan = record.plan
    sums, t = record.first_stage_sums(), plan.first_stage
    slope, centre = 0.0, 0.0
    if plan.sloped:
        slope, centre = best_slope(sums, t, plan.n, plan.z, plan.log_level) if t > 0 else (1.0, 0.0)
        centre = max(centre, 0.0)
    mean, variance, _ = moments(sums, t, slope)
    error = math.sqrt((1.0 + t * variance) / (4.0 + t) / plan.n)
    if not plan.sloped:
        return Prediction(mean - plan.z * error, error, slope)
    level = max(centre, 0.05)
    d1 = 0.5 * level - math.log(slope) / level
    vega = math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
    return Prediction(centre, (1.0 + slope) * error / max(vega, 1e-3), slope)


def null_grid(prediction: Prediction, sloped: bool) -> np.ndarray:
    """Increasing nulls around the prediction: levels L >= 0 when `sloped`, means in (0, 1) otherwise."""
    steps = np.arange(-HALF_SIZE, HALF_SIZE + 1) / HALF_SIZE
    grid = prediction.centre + prediction.scale * INNER * np.sinh(math.asinh(REACH / INNER) * steps)
    low, high = (0.0, np.inf) if sloped else (1e-6, 1.0 - 1e-9)
    grid = grid[(grid > low) & (grid < high)]
    first = grid[0] if grid.size else (1.0 if sloped else high)
    tail = low + (first - low) * np.arange(TAIL) / TAIL
    return np.concatenate([tail, grid])
