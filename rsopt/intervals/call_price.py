"""The tangent function c_b(L) of the probit margin (proposition P2): an option price; its inverse is a volatility.

For b >= 1 and any u in [0, 1], v in [0, 1] with ndtri(u) - ndtri(v) <= L,

    u - b v  <=  c_b(L) = sup over v of [ndtr(L + ndtri(v)) - b v],

because ndtr is increasing. So E[X_A - b X_j] >= theta proves M2 >= c_b^{-1}(theta) whenever theta > c_b(0) =
0: the straight line touches the level curve of the probit margin. Setting the derivative in v to zero gives
the closed form below, which is the price of a call with spot 1, strike b and volatility L, and vega = phi(d1)
> 0 shows that c_b increases. Only nulls L >= 0 are ever asked: the closed form is wrong for L < 0.
"""

from __future__ import annotations

import math

import numpy as np

from rsopt.compiled import raising
from rsopt.kernels.normal import density, ndtr, ndtri

#: The least vega that grids of nulls are scaled by.
LEAST_VEGA = 1e-3


@raising
def call_price(b: float, level: float) -> float:
    """c_b(level) for b >= 1; 0 at level <= 0. A difference of two terms of at most 1, each right to a few ulp."""
    if level <= 0.0:
        return 0.0
    d1 = 0.5 * level - math.log(b) / level
    return max(0.0, ndtr(d1) - b * ndtr(d1 - level))


@raising
def implied_level(b: float, theta: float) -> float:
    """The L with c_b(L) = theta, to about 1e-12; 0 for theta <= 0 and +inf for theta >= 1. b >= 1.

    Newton's method from the inflection point sqrt(2 ln b) converges monotonically (Manaster & Koehler 1982).
    """
    if theta <= 0.0:
        return 0.0
    if theta >= 1.0:
        return np.inf
    if b == 1.0:
        return 2.0 * ndtri(0.5 * (1.0 + theta))
    log_b = math.log(b)
    level = math.sqrt(2.0 * log_b)
    for _ in range(80):
        d1 = 0.5 * level - log_b / level
        vega = density(d1)
        if vega < 1e-300:
            break
        step = (ndtr(d1) - b * ndtr(d1 - level) - theta) / vega
        level = max(level - step, 1e-12)
        if abs(step) <= 1e-12 * (1.0 + level):
            break
    return level


@raising
def price_growth(b: float, level: float) -> float:
    """dc_b/dL = phi(d1) at a level > 0, at least `LEAST_VEGA`; it places nulls only."""
    d1 = 0.5 * level - math.log(b) / level
    return max(math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi), LEAST_VEGA)
