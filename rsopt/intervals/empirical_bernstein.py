"""The empirical Bernstein lower confidence bound."""

from __future__ import annotations

import math

from rsopt.intervals.values import from_unit, unit_values


def empirical_bernstein(rows: object, *, alpha: float, lo: float, hi: float, weights: object = None) -> float:
    """mean - sqrt(2 V ln(2/alpha)/n) - 7 (hi - lo) ln(2/alpha)/(3 (n - 1)), V with 1/(n - 1).

    Maurer & Pontil (2009), Theorem 4, which is one-sided; for fixed n. One row proves nothing beyond ``lo``.
    Arguments, result and errors as in `rsopt.intervals.hoeffding.hoeffding`.
    """
    x = unit_values(rows, alpha=alpha, lo=lo, hi=hi, weights=weights)
    if x.size == 1:
        return float(lo)
    log_term = math.log(2.0 / alpha)
    width = math.sqrt(2.0 * float(x.var(ddof=1)) * log_term / x.size) + 7.0 * log_term / (3.0 * (x.size - 1))
    return from_unit(float(x.mean()) - width, lo, hi)
