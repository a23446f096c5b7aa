"""Running moments of pairs (X_A, X_j), and the slope b of the next block that they suggest.

The slope may be any number computed from earlier rows; a poor one costs width and never validity. With the
right one, b* = f'(p_j)/f'(p_A) with f the link, the line u - b v touches the level curve of the functional at p.
"""

from __future__ import annotations

import math

import numpy as np

from rsopt.compiled import raising
from rsopt.intervals.few_downs import predicted_mean
from rsopt.intervals.tangents import tangent_level

#: log b lies on a lattice in [0, MAX_LOG_SLOPE]: searched in steps of COARSE, then of MIDDLE and FINE around
#: the best.
MAX_LOG_SLOPE, COARSE, MIDDLE, FINE = 8.0, 0.5, 0.1, 0.02


@raising
def moments(sums: np.ndarray, t: int, b: float) -> tuple[float, float, float]:
    """Mean, variance and third central moment of x = (X_A - b X_j + b)/(1 + b) over t rows.

    `sums` holds the sums of u, v, u², uv, v², u³, u²v, uv², v³ for u = X_A and v = X_j. b = 0 gives the
    moments of X_A itself; t = 0 gives (1/2, 0, 0). Used to place bets only.
    """
    if t == 0:
        return 0.5, 0.0, 0.0
    e1 = (sums[0] - b * sums[1]) / t
    e2 = (sums[2] - 2.0 * b * sums[3] + b * b * sums[4]) / t
    e3 = (sums[5] - 3.0 * b * sums[6] + 3.0 * b * b * sums[7] - b * b * b * sums[8]) / t
    scale = 1.0 / (1.0 + b)
    variance = max(0.0, e2 - e1 * e1) * scale * scale
    third = (e3 - 3.0 * e1 * e2 + 2.0 * e1 * e1 * e1) * scale * scale * scale
    return (e1 + b) * scale, variance, third


@raising
def _value(kind: int, sums: np.ndarray, t: int, n: int, log_b: float, z: float) -> float:
    b = math.exp(log_b)
    mean, variance, third = moments(sums, t, b)
    theta = predicted_mean(mean, variance, third, t, n, z) * (1.0 + b) - b
    # Where no slope promises a positive bound, the least hopeless one is taken.
    return tangent_level(kind, b, theta) if theta > 0.0 else theta


@raising
def best_slope(kind: int, sums: np.ndarray, t: int, n: int, z: float) -> tuple[float, float]:
    """The slope b in [1, e^8] that promises the largest bound from n rows, and that bound.

    Args:
        kind: of the link, as in `rsopt.intervals.tangents.tangent_price`.
        sums: the nine sums of `moments` over t rows.
        t: rows summed, at least 1.
        n: rows of the whole run.
        z: standard errors to allow for.
    """
    centre = 0.0
    best = _value(kind, sums, t, n, 0.0, z)
    for k in range(1, round(MAX_LOG_SLOPE / COARSE) + 1):
        value = _value(kind, sums, t, n, COARSE * k, z)
        if value > best:
            best, centre = value, COARSE * k
    for step in (MIDDLE, FINE):
        around = centre
        for k in range(-4, 5):
            log_b = around + step * k
            if k == 0 or log_b < 0.0 or log_b > MAX_LOG_SLOPE:
                continue
            value = _value(kind, sums, t, n, log_b, z)
            if value > best:
                best, centre = value, log_b
    return math.exp(centre), best
