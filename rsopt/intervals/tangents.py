"""The tangent function c_b(L) of each functional that is bounded on scores, and its inverse (propositions P2 and P6).

For a link f, c_b(L) is the supremum over v of f^-1(L + f(v)) - b v: what E[X_A - b X_j] can be at most while the
functional f(E X_A) - f(E X_j) is at most L. Each is nondecreasing in L, and strictly increasing where it is positive:

    margin    L                                                        for 0 <= L <= 1
    probit    the price of a call, see `rsopt.intervals.call_price`
    laplace   1 - e^h                                                  h = (ln b - L)/2, for L >= ln b, and 0 below
    logit     (1 - e^h)²/(1 - e^-L)                                    likewise

Written with e^h - 1 and e^-L - 1 they neither overflow nor cancel: exact to a few units, absolute, for slopes up to e^8
and all L from 0 on (docs/theory/rounding.md). Only nulls L >= 0 are ever asked.
"""

from __future__ import annotations

import math

import numpy as np

from rsopt.compiled import raising
from rsopt.intervals.call_price import call_price, implied_level, price_growth
from rsopt.kernels.links import IDENTITY, LAPLACE, PROBIT

#: Added to every tangent price: a price is right to a few units of 2^-53, absolute.
ROUNDING = 1e-14
#: The least growth that grids of nulls are scaled by, where a functional is steep without end.
LEAST_GROWTH = 1e-9


@raising
def tangent_price(kind: int, b: float, level: float) -> float:
    """c_b(level) of the functional whose link is `kind`, b in [1, e^8]; correct to `ROUNDING`, absolute.

    Args:
        kind: of the link, as in `rsopt.kernels.links`: IDENTITY, PROBIT, LAPLACE or LOGIT.
        b: the slope.
        level: L; 0 is returned for L <= 0, but for the margin, whose price is L.
    """
    if kind == IDENTITY:
        return level
    if kind == PROBIT:
        return call_price(b, level)
    if level <= 0.0:
        return 0.0
    gain = -math.expm1(0.5 * (math.log(b) - level))
    if gain <= 0.0:
        return 0.0
    return gain if kind == LAPLACE else gain * gain / -math.expm1(-level)


@raising
def tangent_level(kind: int, b: float, theta: float) -> float:
    """The least L >= 0 with c_b(L) >= theta, to about 1e-12; 0 for theta <= 0 and +inf for theta >= 1.

    The margin's is theta itself. Arguments as in `tangent_price`.
    """
    if kind == IDENTITY:
        return theta
    if kind == PROBIT:
        return implied_level(b, theta)
    if theta <= 0.0:
        return 0.0
    if theta >= 1.0:
        return np.inf
    if kind == LAPLACE:
        return math.log(b) - 2.0 * math.log1p(-theta)
    return 2.0 * math.log((math.sqrt(b) + math.sqrt(theta * (b - 1.0 + theta))) / (1.0 - theta))


@raising
def tangent_growth(kind: int, b: float, level: float) -> float:
    """dc_b/dL at a level > 0, at least a number that keeps grids finite. It places nulls, and nothing rests on it."""
    if kind == IDENTITY:
        return 1.0
    if kind == PROBIT:
        return price_growth(b, level)
    e, root = math.exp(-0.5 * level), math.sqrt(b)
    if root * e >= 1.0:
        return LEAST_GROWTH
    if kind == LAPLACE:
        return max(0.5 * root * e, LEAST_GROWTH)
    return max(e * (1.0 - root * e) * (root - e) / (1.0 - e * e) ** 2, LEAST_GROWTH)
