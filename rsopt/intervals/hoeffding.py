"""Hoeffding's lower confidence bound."""

from __future__ import annotations

import math

from rsopt.intervals.values import from_unit, unit_values


def hoeffding(rows: object, *, alpha: float, lo: float, hi: float, weights: object = None) -> float:
    """mean - (hi - lo) sqrt(ln(1/alpha)/(2n)): Hoeffding (1963), Theorem 2, one-sided, for fixed n.

    Args:
        rows: independent values, (n,), or rows, (n, k), combined by ``weights``, (k,).
        alpha: probability that the bound is false, in (0, 1/2).
        lo, hi: range of the values.
        weights: (k,) or None.

    Returns:
        A lower bound on the mean, never below ``lo``.

    Raises:
        InvalidInputError: see `rsopt.intervals.values.unit_values`.
    """
    x = unit_values(rows, alpha=alpha, lo=lo, hi=hi, weights=weights)
    return from_unit(float(x.mean()) - math.sqrt(-math.log(alpha) / (2.0 * x.size)), lo, hi)
