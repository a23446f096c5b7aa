"""The choice of slopes once more, from the formulas: the checker's side, arrays in NumPy and SciPy."""

from __future__ import annotations

import math

import numpy as np

from rsopt.checks.replay_few import mean_promised
from rsopt.checks.tangents import Tangent


def moments_of_x(sums: np.ndarray, rows: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, variance and third central moment of x = (u - b v + b)/(1 + b).

    Args:
        sums: (..., 9), the nine sums over the rows; the other arguments broadcast with (...).
        rows: number of rows; without any the moments are 1/2, 0, 0.
        slope: b.
    """
    u, v, uu, uv, vv, uuu, uuv, uvv, vvv = np.moveaxis(sums / np.maximum(rows, 1)[..., None], -1, 0)
    first = u - slope * v
    second = uu - 2 * slope * uv + slope**2 * vv
    third = uuu - 3 * slope * uuv + 3 * slope**2 * uvv - slope**3 * vvv
    width = 1.0 + slope
    return (np.where(rows == 0, 0.5, (first + slope) / width), np.maximum(0.0, second - first**2) / width**2,
            (third - 3 * first * second + 2 * first**3) / width**3)


def slope_values(tangent: Tangent, log_slope: np.ndarray, sums: np.ndarray, rows: np.ndarray, n: int,
                 z: float) -> np.ndarray:
    """What slopes promise: the implied levels of their predicted bounds, or those bounds themselves if not positive.

    The arrays broadcast as in `moments_of_x`.
    """
    slope = np.exp(log_slope)
    theta = mean_promised(*moments_of_x(sums, rows, slope), rows, n, z) * (1 + slope) - slope
    return np.where(theta > 0.0, tangent.level(slope, theta), theta)


def slope_choices(tangent: Tangent, sums: np.ndarray, rows: np.ndarray, n: int,
                  z: float) -> tuple[np.ndarray, np.ndarray]:
    """The rule's log b and its value: steps of 1/2 on [0, 8], then of 1/10 and 1/50 around the best.

    Args:
        tangent: of the functional.
        sums: (choices, 9), over the rows known at each choice.
        rows: (choices,), their numbers, at least 1.
        n: rows of the whole run.
        z: standard errors to allow for.
    """
    choice, best = np.zeros(rows.size), np.full(rows.size, -math.inf)
    for steps in (0.5 * np.arange(17), 0.1 * np.arange(-4, 5), 0.02 * np.arange(-4, 5)):
        around = choice[:, None] + steps
        # The middle one of a finer lattice is the best so far, known already.
        new = (around >= 0.0) & (around <= 8.0) & ((steps != 0.0) | np.isneginf(best)[:, None])
        tried = slope_values(tangent, np.where(new, around, 0.0), sums[:, None, :], rows[:, None], n, z)
        values = np.where(new, tried, -math.inf)
        first = values.argmax(axis=1)
        found = values[np.arange(rows.size), first]
        choice = np.where(found > best, around[np.arange(rows.size), first], choice)
        best = np.maximum(found, best)
    return choice, best
