"""Exact binomial limits: of a probability from counts, and of how many statements are false; all rounded outwards."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from rsopt.checks.quantiles import quantiles

Array = npt.NDArray[np.float64]

_SLACK = 1e-9
"""Relative error of SciPy's binomial tails, with room: they are right to about 1e-13."""
_WIDER = 1e-8
"""A quantile solves its equation to 1e-9, hence is right to about twice that, relatively, for errors up to 1/2."""


def lower_limits(successes: npt.ArrayLike, draws: npt.ArrayLike, error: float) -> Array:
    """Clopper and Pearson's lower limits (equation 4), each above the probability with probability at most `error`.

    Args:
        successes, draws: whole numbers of one shape, draws at least 1.
        error: above 0 and at most 1/2.
    """
    x, n = np.broadcast_arrays(np.asarray(successes, dtype=float), np.asarray(draws, dtype=float))
    limits = np.zeros(x.shape)
    some = x > 0
    limits[some] = quantiles(x[some], n[some] - x[some] + 1.0, error, below=True) * (1.0 - _WIDER)
    return limits


def upper_limits(successes: npt.ArrayLike, draws: npt.ArrayLike, error: float) -> Array:
    """Clopper and Pearson's upper limits (equation 5); as `lower_limits`, of which they are the mirror image."""
    x, n = np.asarray(successes, dtype=float), np.asarray(draws, dtype=float)
    limits: Array = np.minimum(np.nextafter(1.0 - lower_limits(n - x, n, error), 2.0), 1.0)
    return limits


def most_false(statements: int, alpha: float, error: float) -> int:
    """The least k such that more than k of independent statements are false with probability at most `error`.

    Args:
        statements: how many, at least 1.
        alpha: probability at most which each is false, from 0 to below 1.
        error: above 0.
    """
    low, high = -1, statements
    while high - low > 1:
        middle = (low + high) // 2
        more = float(special.betainc(middle + 1.0, float(statements - middle), alpha))
        low, high = (low, middle) if more * (1.0 + _SLACK) <= error else (middle, high)
    return high
