"""The hedged capital confidence sequence, its lower end.

Waudby-Smith & Ramdas (2024), Theorem 3: with predictable bets, capital K+ = prod (1 + l+ (X_i - m)) and
K- = prod (1 - l- (X_i - m)), the set {m : max(K+/2, K-/2) < 1/alpha} covers the mean at all times. Its lower
end is the largest m with K+/2 >= 1/alpha at some time so far (running intersection). l+ = min(l, c/m) depends
on m through the cap alone, so each factor, and with it the running maximum of K+, decreases in m: the end is
a root.
"""

from __future__ import annotations

import math

import numpy as np

from rsopt.compiled import raising
from rsopt.intervals.values import from_unit, unit_values

#: c of Waudby-Smith & Ramdas (2024): bets stay below c/m.
CAP = 0.5


@raising
def _bets(x: np.ndarray, log_level: float) -> np.ndarray:
    bets = np.empty(x.size)
    total, squares = 0.5, 0.25
    for i in range(x.size):
        t = i + 1
        bets[i] = math.sqrt(2.0 * log_level / (squares / t * t * math.log(1.0 + t)))
        total += x[i]
        squares += (x[i] - total / (t + 1)) ** 2
    return bets


@raising
def _rejects(x: np.ndarray, bets: np.ndarray, m: float, target: float) -> bool:
    """Whether the log of K+ reaches `target` at some time; looked at every 16 rows, which can only miss some.
    """
    log_capital, product = 0.0, 1.0
    for i in range(x.size):
        product *= 1.0 + min(bets[i], CAP / m) * (x[i] - m)
        if i % 16 == 15 or i == x.size - 1:
            log_capital += math.log(product)
            product = 1.0
            if log_capital >= target:
                return True
    return False


def hedged_capital(rows: object, *, alpha: float, lo: float, hi: float, weights: object = None) -> float:
    """Lower end of the hedged capital confidence sequence with running intersection. Time-uniform.

    The two-sided set at level alpha, as published, so K+ must reach 2/alpha.
    Arguments, result and errors as in `rsopt.intervals.hoeffding.hoeffding`; rows in the order they were
    drawn.
    """
    x = unit_values(rows, alpha=alpha, lo=lo, hi=hi, weights=weights)
    log_level = math.log(2.0 / alpha)
    bets = _bets(x, log_level)
    target = log_level + 1e-9 + 1e-12 * x.size
    low, high = 1e-9, 1.0
    if not _rejects(x, bets, low, target):
        return float(lo)
    while high - low > 1e-9:
        middle = 0.5 * (low + high)
        if _rejects(x, bets, middle, target):
            low = middle
        else:
            high = middle
    return from_unit(low, lo, hi)
