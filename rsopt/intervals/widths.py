"""Widths of three intervals as functions of n, variance and level, for values in [0, 1].

The formulas by which intervals are compared before any data are seen: half-widths, one-sided, natural
    logarithms.
"""

from __future__ import annotations

import math

from rsopt.errors import InvalidInputError
from rsopt.intervals.values import check_alpha


def width_bernstein(n: int, variance: float, alpha: float) -> float:
    """w^TB: Bernstein's inequality with the true variance, sqrt(2 v ln(1/alpha)/n) + ln(1/alpha)/(3n).

    Args:
        n: rows, at least 1.
        variance: of one value, in [0, 1/4].
        alpha: probability that the statement is false, in (0, 1/2).

    Raises:
        InvalidInputError: an argument outside its range.
    """
    _check(n, variance, alpha, 1)
    log_term = math.log(1.0 / alpha)
    return math.sqrt(2.0 * variance * log_term / n) + log_term / (3.0 * n)


def width_empirical_bernstein(n: int, variance: float, alpha: float) -> float:
    """w^EB: Maurer & Pontil (2009), Theorem 4, sqrt(2 v ln(2/alpha)/n) + 7 ln(2/alpha)/(3 (n - 1)).

    Arguments and errors as in `width_bernstein`, but n >= 2; `variance` stands for the sample variance.
    """
    _check(n, variance, alpha, 2)
    log_term = math.log(2.0 / alpha)
    return math.sqrt(2.0 * variance * log_term / n) + 7.0 * log_term / (3.0 * (n - 1))


def width_prpi_eb(n: int, variance: float, alpha: float) -> float:
    """w^PrPI-EB: the fixed-n interval of Waudby-Smith & Ramdas (2024) with the variance known from the start.

    (ln(1/alpha) + 4 n v psi_E(l))/(n l) with psi_E(l) = (-log(1 - l) - l)/4 and
    l = min(sqrt(2 ln(1/alpha)/(n v)), 1/2); the leading term is sqrt(2 v ln(1/alpha)/n), as in w^TB.
    Arguments and errors as in `width_bernstein`.
    """
    _check(n, variance, alpha, 1)
    log_term = math.log(1.0 / alpha)
    bet = 0.5 if 8.0 * log_term >= n * variance else math.sqrt(2.0 * log_term / (n * variance))
    return (log_term + n * variance * (-math.log1p(-bet) - bet)) / (n * bet)


def _check(n: int, variance: float, alpha: float, least: int) -> None:
    check_alpha(alpha)
    if n < least:
        raise InvalidInputError(f"This width needs n >= {least}; got {n!r}.")
    if not 0.0 <= variance <= 0.25:
        raise InvalidInputError(f"The variance of values in [0, 1] lies in [0, 1/4]; got {variance!r}.")
