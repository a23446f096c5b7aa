"""Binomial probabilities by Loader's saddle-point expansion, in compiled code.

The usual difference of log-gamma functions loses about n·1e-16 relative accuracy; the deviance form used here
loses about sqrt(n)·1e-16 (C. Loader, Fast and accurate computation of binomial probabilities, 2000).
"""

from __future__ import annotations

import math

import numpy as np

from rsopt.compiled import compiled

LOG_2PI = math.log(2.0 * math.pi)

# log(n!) - log(sqrt(2 pi n) (n/e)^n) for n = 0 … 15.
_STIRLING_ERROR = np.array([
    0.0, 0.08106146679532725821967026, 0.04134069595540929409382208, 0.02767792568499833914878929,
    0.02079067210376509311152277, 0.01664469118982119216319487, 0.01387612882307074799874573,
    0.01189670994589177009505572, 0.01041126526197209649747857, 0.009255462182712732917728637,
    0.008330563433362871256469318, 0.007573675487951840794972024, 0.006942840107209529865664152,
    0.006408994188004207068439631, 0.005951370112758847735624416, 0.005554733551962801371038690])


@compiled
def stirling_error(n: int) -> float:
    """Error of Stirling's formula, log(n!) - log(sqrt(2 pi n) (n/e)^n), for a whole n >= 0."""
    if n <= 15:
        return _STIRLING_ERROR[n]
    m = 1.0 / n
    m2 = m * m
    return m * (1 / 12 - m2 * (1 / 360 - m2 * (1 / 1260 - m2 * (1 / 1680 - m2 * (1 / 1188 - m2 * 691 / 360360)))))


@compiled
def deviance(x: float, mean: float) -> float:
    """x log(x/mean) + mean - x without cancellation; x > 0, mean > 0."""
    d = x - mean
    if abs(d) < 0.1 * (x + mean):
        v = d / (x + mean)
        total = d * v
        term = 2.0 * x * v
        v2 = v * v
        for j in range(1, 1000):
            term *= v2
            updated = total + term / (2 * j + 1)
            if updated == total:
                return updated
            total = updated
    return x * math.log(x / mean) + mean - x


@compiled
def log_pmf(k: int, n: int, p: float, pc: float) -> float:
    """log P(Bin(n, p) = k) with pc = 1 - p given separately, so that neither end loses accuracy."""
    if k < 0 or k > n:
        return -np.inf
    if p <= 0.0:
        return 0.0 if k == 0 else -np.inf
    if pc <= 0.0:
        return 0.0 if k == n else -np.inf
    if n == 0:
        return 0.0
    if k == 0:
        return -deviance(n, n * pc) - n * p if p < 0.1 else n * math.log(pc)
    if k == n:
        return -deviance(n, n * p) - n * pc if pc < 0.1 else n * math.log(p)
    correction = stirling_error(n) - stirling_error(k) - stirling_error(n - k)
    spread = 0.5 * (LOG_2PI + math.log(k) + math.log1p(-k / n))
    return correction - deviance(k, n * p) - deviance(n - k, n * pc) - spread


@compiled
def upper_tail(s: int, n: int, p: float, pc: float, rtol: float) -> tuple[float, float]:
    """P(Bin(n, p) >= s) as ``(logscale, value)`` with the tail equal to exp(logscale) * value.

    Sums away from the mode until the geometric bound of what is left is below `rtol` relative, and adds
    that bound, so the result is never below the tail by more than rounding.
    """
    if s <= 0:
        return 0.0, 1.0
    if s > n or p <= 0.0:
        return 0.0, 0.0
    if pc <= 0.0:
        return 0.0, 1.0
    odds = p / pc
    if s > (n + 1) * p:
        total = 1.0
        term = 1.0
        k = s
        while k < n:
            ratio = (n - k) / (k + 1.0) * odds
            term *= ratio
            total += term
            k += 1
            left = (n - k) / (k + 1.0) * odds
            if left < 1.0 and term * left <= rtol * total * (1.0 - left):
                total += term * left / (1.0 - left)
                break
        return log_pmf(s, n, p, pc), total
    total = 1.0
    term = 1.0
    k = s - 1
    while k > 0:
        term *= k / ((n - k + 1.0) * odds)
        total += term
        k -= 1
        # The upper tail is at least about 1/2 here, so dropping the far end of the lower tail is on the safe side.
        if term <= rtol * total:
            break
    return 0.0, 1.0 - total * math.exp(log_pmf(s - 1, n, p, pc))
