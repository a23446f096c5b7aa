"""Exact binomial limits: of a probability from counts, and of how many statements are false; all rounded outwards."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]

_SLACK = 1e-10
"""Relative error of SciPy's binomial tails, with room: 5e-12 is the most that ball arithmetic finds up to n = 1e7."""
_STEPS = 2
_BELOW_ONE = math.nextafter(1.0, 0.0)


def lower_limits(successes: npt.ArrayLike, draws: npt.ArrayLike, error: float) -> Array:
    """Clopper and Pearson's lower limits (equation 4), each above the probability with probability at most `error`.

    Args:
        successes, draws: whole numbers of one shape, draws at least 1.
        error: above 0 and at most 1/2.
    """
    x, n = np.broadcast_arrays(np.asarray(successes, dtype=float), np.asarray(draws, dtype=float))
    limits = np.zeros(x.shape)
    some = x > 0
    if some.any():
        limits[some] = _within(x[some], n[some] - x[some] + 1.0, error)
    return limits


def _within(a: Array, b: Array, error: float) -> Array:
    """Points at or below which Beta(a, b) has at most `error`: quantiles, less what they and the tails may be off.

    SciPy's quantiles, which may miss by 1e-6, are led on by Newton's method in log p, in which log I is concave. The
    tail is then too large by `excess` at most. By -log(1 - s) >= s, a step of the share s down divides it by exp(s e)
    or more, e its elasticity d log I / d log p there, which grows as p falls, and is at least log 2 for errors up to
    1/2: that of one draw of many, p n / (exp(p n) - 1) where exp(-p n) is 1/2. However far a quantile is off, its limit
    is none too large.
    """
    found = special.betaincinv(a, b, error)
    for _ in range(_STEPS):
        mass, elasticity = _tail(a, b, found)
        found = np.minimum(found * np.exp(-np.log(mass / error) / elasticity), _BELOW_ONE)
    mass, elasticity = _tail(a, b, found)
    excess = np.maximum(mass / error - 1.0, 0.0) + _SLACK
    # Half of the elasticity, which is computed to far better than that.
    limit = np.nextafter(found * (1.0 - excess / np.maximum(0.5, 0.5 * elasticity)), 0.0)
    return np.where(limit > 0.0, limit, 0.0)


def _tail(a: Array, b: Array, p: Array) -> tuple[Array, Array]:
    """I_p(a, b), and its elasticity."""
    mass = special.betainc(a, b, p)
    return mass, np.exp(special.xlogy(a, p) + special.xlog1py(b - 1.0, -p) - special.betaln(a, b)) / mass


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
