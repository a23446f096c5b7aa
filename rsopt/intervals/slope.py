"""Running moments of pairs (X_A, X_j), and the slope b of the next block that they suggest.

The slope may be any number computed from earlier rows; a poor one costs width and never validity. With the right
one, b* = phi(ndtri p_A)/phi(ndtri p_j), the line u - b v touches the level curve of the probit margin at p.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rsopt.intervals.call_price import implied_level

#: Order of the nine sums kept of the pairs: X_A^i X_j^k for i + k <= 3.
POWERS = ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3))

#: log b is searched on [0, MAX_LOG_SLOPE], first by COARSE, then by MIDDLE and FINE around the best.
MAX_LOG_SLOPE, COARSE, MIDDLE, FINE = 8.0, 0.5, 0.1, 0.02


@njit(cache=True)
def moments(sums: np.ndarray, t: int, b: float) -> tuple[float, float, float]:
    """Mean, variance and third central moment of x = (X_A - b X_j + b)/(1 + b) over the t rows summed in `sums`.

    b = 0 gives those of X_A itself. (1/2, 0, 0) when t = 0. Used to place bets only.
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


@njit(cache=True)
def predicted_theta(sums: np.ndarray, t: int, n: int, b: float, z: float, log_level: float) -> float:
    """A guess of the lower bound on E[X_A - b X_j] that n rows will give: z standard errors and a range term."""
    mean, variance, _ = moments(sums, t, b)
    theta = mean * (1.0 + b) - b
    return theta - (1.0 + b) * (z * math.sqrt(variance / n) + log_level / (3.0 * n))


@njit(cache=True)
def _value(sums: np.ndarray, t: int, n: int, log_b: float, z: float, log_level: float) -> float:
    b = math.exp(log_b)
    theta = predicted_theta(sums, t, n, b, z, log_level)
    # Where no slope promises a positive bound, the least hopeless one is taken.
    return implied_level(b, theta) if theta > 0.0 else theta


@njit(cache=True)
def best_slope(sums: np.ndarray, t: int, n: int, z: float, log_level: float) -> tuple[float, float]:
    """The slope b in [1, e^8] with the largest predicted bound on the probit margin, and that bound.

    Args:
        sums: the nine sums of `POWERS` over t rows.
        t: rows summed, at least 1.
        n: rows of the whole run.
        z: standard errors to allow for.
        log_level: ln(1/alpha).
    """
    centre = 0.0
    best = -np.inf
    reach = int(round(MAX_LOG_SLOPE / COARSE))
    for k in range(reach + 1):
        value = _value(sums, t, n, COARSE * k, z, log_level)
        if value > best:
            best = value
            centre = COARSE * k
    for step, wing in ((MIDDLE, 4), (FINE, 4)):
        around = centre
        for k in range(-wing, wing + 1):
            log_b = around + step * k
            if k == 0 or log_b < 0.0 or log_b > MAX_LOG_SLOPE:
                continue
            value = _value(sums, t, n, log_b, z, log_level)
            if value > best:
                best = value
                centre = log_b
    return math.exp(centre), best
