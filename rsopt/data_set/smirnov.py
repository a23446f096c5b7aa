"""How far an empirical distribution may lie from the true one anywhere: Smirnov's one-sided statistic, exactly."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

Array = npt.NDArray[np.float64]

_SLACK = 1e-9
"""Relative error of a computed tail, far above what it is: logarithms of terms are right to about n·offset·1e-15."""
_STEP = 2.0**-40
_PIECE = 1 << 18
_FEW = 16
_SMALL_ERRORS = np.array([0.0, *(math.lgamma(k + 1.0) - (k + 0.5) * math.log(k) + k - 0.5 * math.log(2.0 * math.pi)
                                 for k in range(1, _FEW))])


def smirnov_tail(n: int, offset: float) -> float:
    """An upper bound on P(sup_t (F_n(t) - F(t)) > offset), F_n of n independent values with distribution function F.

    The exact probability where F is continuous (Birnbaum & Tingey 1951), never below it where not (theorem D2). Every
    term of the sum is positive, so nothing cancels.

    Args:
        n: how many values, at least 1.
        offset: from 0 to 1.
    """
    if offset <= 0.0:
        return 1.0
    c = n * offset
    last = math.floor(n - c)
    total = math.exp(n * math.log1p(-offset)) if 0.0 < offset < 1.0 else 0.0
    for first in range(1, last + 1, _PIECE):
        j = np.arange(first, min(first + _PIECE, last + 1), dtype=float)
        m = n - j
        j, m = j[m > c], m[m > c]
        # log P(Bin(n, offset + j/n) = j) in Loader's form, whose large parts have been taken out.
        log_pmf = (_stirling_error(np.array([float(n)])) - _stirling_error(j) - _stirling_error(m)
                   + 0.5 * np.log(n / (2.0 * math.pi * j * m)) + j * np.log1p(c / j) + m * np.log1p(-c / m))
        total += float(np.sum(np.exp(log_pmf) * (c / (c + j))))
    return min(total * (1.0 + _SLACK), 1.0)


@lru_cache(maxsize=64)
def smirnov_offset(n: int, error: float) -> float:
    """The least offset, rounded up, that F_n - F exceeds anywhere with probability at most `error` (theorem D2).

    The same offset serves F - F_n, each side by itself.

    Args:
        n: how many values, at least 1.
        error: above 0 and at most 1/2.
    """
    found = brentq(lambda offset: smirnov_tail(n, offset) - error, 0.0, 1.0, xtol=_STEP / 4.0)
    steps = math.ceil(float(found) / _STEP)
    while smirnov_tail(n, steps * _STEP) > error:
        steps += 1
    # One step more, so that sums and differences made with it may be rounded.
    return min((steps + 1) * _STEP, 1.0)


def _stirling_error(k: Array) -> Array:
    """log(k!) - log(sqrt(2 pi k) (k/e)^k) for whole k >= 1."""
    large = np.maximum(k, _FEW)
    m = 1.0 / (large * large)
    series = (1 / 12 - m * (1 / 360 - m * (1 / 1260 - m * (1 / 1680 - m / 1188)))) / large
    return np.where(k < _FEW, _SMALL_ERRORS[np.minimum(k, _FEW - 1).astype(int)], series)
