"""Compiled link functions f behind the functionals g(q) = f(q1) - f(q2), and their level curves.

A link is increasing, odd about 1/2 (f(1 - q) = -f(q)), its derivative is symmetric about 1/2 with its
minimum there, and its second derivative is nondecreasing. Every bound in the certificate that needs more
than monotonicity rests on these properties. They hold for the identity (f' = 1), for the probit
(f' = 1/phi(z), f'' = z/phi(z)²), for odd polynomials in q - 1/2 with positive coefficients, for the logit
(f' = 1/(q(1 - q))) and for the quantile function of the Laplace law (f' = 1/min(q, 1 - q), whose second derivative
jumps upwards at 1/2, from -4 to 4; there it is taken as 4, and one point of a curve bends no chord).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from rsopt.compiled import compiled
from rsopt.kernels.normal import density, ndtr, ndtri

IDENTITY, PROBIT, POLYNOMIAL, LAPLACE, LOGIT = 0, 1, 2, 3, 4
VALUE, SLOPE, CURVATURE, INVERSE = 0, 1, 2, 3

EPS = 2.220446049250313e-16


class Link(NamedTuple):
    """A link for compiled code.

    `coefficients` is empty unless the link is a polynomial, and holds those of (2q - 1)^1, (2q - 1)^3, … otherwise.
    """

    kind: int
    coefficients: np.ndarray


@compiled
def endless(f: Link) -> bool:
    """Whether f(0) = -inf, so that every level curve goes on for ever, towards q1 = q2 = 0."""
    return f.kind == PROBIT or f.kind == LAPLACE or f.kind == LOGIT


@compiled
def link_value(f: Link, q: float) -> float:
    """f(q)."""
    if f.kind == IDENTITY:
        return q - 0.5
    if f.kind == PROBIT:
        return ndtri(q)
    if f.kind == LAPLACE:
        return _log(2.0 * q) if q <= 0.5 else -_log(2.0 * (1.0 - q))
    if f.kind == LOGIT:
        # A quotient that is exactly 1 at 1/2; q and 1 - q are exact where the other one rounds.
        return _log(q / (1.0 - q)) if q < 1.0 else np.inf
    u = 2.0 * q - 1.0
    total = 0.0
    for k in range(f.coefficients.size - 1, -1, -1):
        total = total * u * u + f.coefficients[k]
    return total * u


@compiled
def link_slope(f: Link, q: float) -> float:
    """f'(q)."""
    if f.kind == IDENTITY:
        return 1.0
    if f.kind == PROBIT:
        d = density(ndtri(q)) if 0.0 < q < 1.0 else 0.0
        return 1.0 / d if d > 0.0 else np.inf
    if f.kind == LAPLACE or f.kind == LOGIT:
        side = min(q, 1.0 - q) if f.kind == LAPLACE else q * (1.0 - q)
        return 1.0 / side if side > 0.0 else np.inf
    u = 2.0 * q - 1.0
    total = 0.0
    for k in range(f.coefficients.size - 1, -1, -1):
        total = total * u * u + (2 * k + 1) * f.coefficients[k]
    return 2.0 * total


@compiled
def link_curvature(f: Link, q: float) -> float:
    """f''(q)."""
    if f.kind == IDENTITY:
        return 0.0
    if f.kind == PROBIT:
        z = ndtri(q)
        d = density(z) if 0.0 < q < 1.0 else 0.0
        if d * d > 0.0:
            return z / (d * d)
        return np.inf if q > 0.5 else -np.inf
    if f.kind == LAPLACE:
        side = min(q, 1.0 - q)
        size = 1.0 / (side * side) if side > 0.0 else np.inf
        return size if q >= 0.5 else -size
    if f.kind == LOGIT:
        side = q * (1.0 - q)
        return (2.0 * q - 1.0) / side / side if side > 0.0 else (np.inf if q > 0.5 else -np.inf)
    u = 2.0 * q - 1.0
    total = 0.0
    for k in range(f.coefficients.size - 1, 0, -1):
        total = total * u * u + (2 * k + 1) * (2 * k) * f.coefficients[k]
    return 4.0 * total * u


@compiled
def link_inverse(f: Link, y: float) -> float:
    """The q in [0, 1] with f(q) = y; y is clamped to [f(0), f(1)]."""
    if f.kind == IDENTITY:
        return min(max(y + 0.5, 0.0), 1.0)
    if f.kind == PROBIT:
        return ndtr(y)
    if f.kind == LAPLACE:
        return 0.5 * math.exp(y) if y <= 0.0 else 1.0 - 0.5 * math.exp(-y)
    if f.kind == LOGIT:
        return math.exp(y) / (1.0 + math.exp(y)) if y <= 0.0 else 1.0 / (1.0 + math.exp(-y))
    top = 0.0
    for k in range(f.coefficients.size):
        top += f.coefficients[k]
    if abs(y) >= top:
        return 1.0 if y > 0.0 else 0.0
    # f is convex for u > 0, so Newton's method from the right end converges monotonically.
    u = 1.0
    for _ in range(200):
        value = 0.0
        slope = 0.0
        for k in range(f.coefficients.size - 1, -1, -1):
            value = value * u * u + f.coefficients[k]
            slope = slope * u * u + (2 * k + 1) * f.coefficients[k]
        step = (value * u - abs(y)) / slope
        u -= step
        if step <= EPS * u:
            break
    u = min(max(u, 0.0), 1.0)
    return 0.5 * (1.0 + u) if y >= 0.0 else 0.5 * (1.0 - u)


@compiled
def _log(x: float) -> float:
    return math.log(x) if x > 0.0 else -np.inf


@compiled
def elementwise(what: int, f: Link, values: np.ndarray) -> np.ndarray:
    """f, f', f'' or the inverse of f, by `what`, at every entry of a float array of shape (b,)."""
    result = np.empty(values.size)
    for i in range(values.size):
        if what == VALUE:
            result[i] = link_value(f, values[i])
        elif what == SLOPE:
            result[i] = link_slope(f, values[i])
        elif what == CURVATURE:
            result[i] = link_curvature(f, values[i])
        else:
            result[i] = link_inverse(f, values[i])
    return result


@compiled
def curve_start(f: Link, level: float) -> float:
    """Smallest q2 on the curve f(q1) - f(q2) = level, rounded down (q1 >= 0 there; 0 for level >= 0)."""
    if level >= 0.0 or endless(f):
        return 0.0
    bottom = link_value(f, 0.0)
    return max(0.0, link_inverse(f, bottom - level) - 4.0 * EPS)


@compiled
def curve_end(f: Link, level: float) -> float:
    """Largest q2 on the curve, where q3 = 0: f(q2) = -level/2 by oddness; rounded up."""
    q2 = level_to_end(f, level)
    return min(1.0, q2 + 8.0 * EPS * q2 * (1.0 + level * level))


@compiled
def level_to_end(f: Link, level: float) -> float:
    """The q2 with q3 = 0 on the curve, to rounding."""
    if f.kind == IDENTITY:
        return 0.5 * (1.0 - level)
    return link_inverse(f, -0.5 * level)


@compiled
def curve_q1(f: Link, level: float, q2: float) -> float:
    """h(q2): the q1 with f(q1) - f(q2) = level, clamped to [0, 1]."""
    if f.kind == IDENTITY:
        return min(max(q2 + level, 0.0), 1.0)
    if q2 == 0.0 and endless(f):
        return 0.0
    return link_inverse(f, level + link_value(f, q2))


@compiled
def curve_q1_error(f: Link, q1: float, q2: float, level: float) -> float:
    """A bound on the rounding error of `curve_q1`, absolute.

    The probit is computed to a few units in the last place; dq1 = phi(z1) dz1 and phi(z) <= (1 + |z|) min(q, 1-q)
    turn that into the quadratic factor. Logs carry a relative error of a few units, so y = f(q2) + L is off by that
    much of |f(q2)| + |L|, and q1 by 1/f'(q1) <= min(q1, 1 - q1) of it. The other links have bounded condition numbers.
    """
    if f.kind == PROBIT:
        z = abs(ndtri(q2)) if 0.0 < q2 < 1.0 else 40.0
        z = min(z, 40.0) + abs(level)
        return 8.0 * EPS * min(q1, 1.0 - q1) * (1.0 + z) * (1.0 + z) + 2.0 * EPS * q1
    if f.kind == LAPLACE or f.kind == LOGIT:
        size = min(-math.log(min(q2, 1.0 - q2)), 800.0) if 0.0 < q2 < 1.0 else 800.0
        return 8.0 * EPS * min(q1, 1.0 - q1) * (2.0 + size + abs(level)) + 4.0 * EPS * q1
    return 32.0 * EPS


@compiled
def rest(q1: float, q2: float) -> float:
    """q3 = 1 - q1 - q2, correctly rounded up to one ulp by compensated subtraction; never negative."""
    s = q1 + q2
    b = s - q1
    e = (q1 - (s - b)) + (q2 - b)
    return max((1.0 - s) - e, 0.0)
