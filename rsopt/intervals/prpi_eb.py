"""Predictable plug-in empirical Bernstein bounds: a confidence sequence and an interval for fixed n.

Waudby-Smith & Ramdas (2024), Theorem 2, one-sided: log(1/alpha) where the two-sided form has log(2/alpha).
With mu_t = (1/2 + sum X_i)/(t + 1), s²_t = (1/4 + sum (X_i - mu_i)²)/(t + 1), v_i = 4 (X_i - mu_{i-1})² and
psi_E(l) = (-log(1 - l) - l)/4,

    mean >= [sum l_i X_i - log(1/alpha) - sum v_i psi_E(l_i)] / sum l_i at all times, with probability 1 -
    alpha,

for any predictable l_i in [0, 1): here min(sqrt(2 log(1/alpha)/(s²_{i-1} i log(1 + i))), 1/2) for the
sequence, and n in place of i log(1 + i) for the interval.
"""

from __future__ import annotations

import math

import numpy as np

from rsopt.compiled import raising
from rsopt.intervals.values import from_unit, unit_values

#: Cap on l, called c by Waudby-Smith & Ramdas (2024).
CAP = 0.5


@raising
def _bounds(x: np.ndarray, log_level: float, horizon: int) -> tuple[float, float]:
    """The bound after the last row, and the largest bound after any row; horizon 0 asks for the sequence's l.
    """
    total_l, total_lx, total_v = 0.0, 0.0, 0.0
    total, squares = 0.5, 0.25
    mean = 0.5
    last, best = -np.inf, -np.inf
    for i in range(x.size):
        t = i + 1
        variance = squares / t
        steps = float(horizon) if horizon > 0 else t * math.log(1.0 + t)
        bet = min(math.sqrt(2.0 * log_level / (variance * steps)), CAP)
        error = x[i] - mean
        total_l += bet
        total_lx += bet * x[i]
        total_v += error * error * (-math.log1p(-bet) - bet)
        total += x[i]
        mean = total / (t + 1)
        squares += (x[i] - mean) ** 2
        last = (total_lx - log_level - total_v) / total_l
        best = max(best, last)
    return last, best


def prpi_eb_sequence(rows: object, *, alpha: float, lo: float, hi: float, weights: object = None) -> float:
    """The confidence sequence with running intersection: the largest bound after any row. Time-uniform.

    Arguments, result and errors as in `rsopt.intervals.hoeffding.hoeffding`; rows in the order they were
    drawn.
    """
    x = unit_values(rows, alpha=alpha, lo=lo, hi=hi, weights=weights)
    return from_unit(_bounds(x, -math.log(alpha), 0)[1], lo, hi)


def prpi_eb(rows: object, *, alpha: float, lo: float, hi: float, weights: object = None) -> float:
    """The interval for fixed n, after the last row.

    Arguments, result and errors as in `rsopt.intervals.hoeffding.hoeffding`; rows in the order they were
    drawn.
    """
    x = unit_values(rows, alpha=alpha, lo=lo, hi=hi, weights=weights)
    return from_unit(_bounds(x, -math.log(alpha), x.size)[0], lo, hi)
