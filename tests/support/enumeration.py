"""The sample space in full: outcomes, their probabilities and the functionals, written without rsopt's code."""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import numpy.typing as npt
from flint import arb, ctx, fmpq, fmpq_series
from scipy import special, stats

import rsopt
from rsopt.functional import Functional

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

FUNCTIONALS: dict[str, Functional] = {
    "margin": rsopt.Margin(), "probit": rsopt.ProbitMargin(), "taylor-3": rsopt.TaylorProbitMargin(order=3),
    "taylor-15": rsopt.TaylorProbitMargin(order=15), "laplace": rsopt.LaplaceMargin(), "logit": rsopt.LogitMargin()}
# Those whose bounds give a radius under Gaussian noise.
GAUSSIAN = ("margin", "probit", "taylor-3", "taylor-15")
STATISTICS = ("studentized", "clopper-pearson", "plugin")


def outcomes(n: int, cells: int = 3) -> Whole:
    """Every count vector of n draws over `cells` cells, shape (number, cells)."""
    bars = itertools.combinations(range(n + cells - 1), cells - 1)
    rows = [np.diff([-1, *bar, n + cells - 1]) - 1 for bar in bars]
    return np.array(rows, dtype=np.int64)


def probabilities(p: Array, x: Whole) -> Array:
    """Multinomial probabilities, p of shape (b, cells) and x of shape (number, cells) -> (b, number)."""
    n = int(x[0].sum())
    coefficients = special.gammaln(n + 1.0) - special.gammaln(x + 1.0).sum(axis=1)
    return np.exp(coefficients + special.xlogy(x[None, :, :], p[:, None, :]).sum(axis=2))


@cache
def taylor_exact(order: int) -> tuple[float, ...]:
    """Coefficients of f_M in powers of q - 1/2, exact before the last rounding: the reverted series of ndtr.

    sqrt(2 pi) (ndtr(z) - 1/2) = sum (-1)^k z^(2k+1)/(2^k k! (2k+1)).
    """
    series = [fmpq(0)] * (order + 1)
    for k in range((order + 1) // 2):
        series[2 * k + 1] = fmpq((-1) ** k, 2 ** k * math.factorial(k) * (2 * k + 1))
    previous = ctx.cap, ctx.prec
    ctx.cap, ctx.prec = order + 1, 128
    try:
        reverted = fmpq_series(series, prec=order + 1).reversion()
        root = (2 * arb.pi()).sqrt()
        return tuple(float(arb(reverted[k]) * root ** k) for k in range(order + 1))
    finally:
        ctx.cap, ctx.prec = previous


def taylor_link(order: int, q: Array) -> Array:
    """f_M(q)."""
    return np.asarray(np.polynomial.polynomial.polyval(q - 0.5, taylor_exact(order)))


# Quantile functions of the standard normal, Laplace and logistic laws.
_QUANTILES = {"probit": special.ndtri, "laplace": stats.laplace.ppf, "logit": special.logit}


def functional_value(name: str, q1: Array, q2: Array) -> Array:
    """g(q1, q2) from its definition; margins of unbounded links at (0, 0) are their least limit, -inf.

    A Taylor polynomial is the one that rsopt states it bounds, with coefficients 1e-12 below the exact ones: close to
    the exact polynomial, and on the safe side of the probit.
    """
    if name == "margin":
        return q1 - q2
    if name in _QUANTILES:
        with np.errstate(invalid="ignore"):
            value = _QUANTILES[name](q1) - _QUANTILES[name](q2)
        return np.where(q1 <= 0.0, -np.inf, value)
    order = int(name.removeprefix("taylor-"))
    stated, exact = FUNCTIONALS[name].value(q1, q2), taylor_link(order, q1) - taylor_link(order, q2)
    assert np.all(np.abs(stated - exact) <= 2e-12 * (1.0 + np.abs(exact)))
    return stated


def simplex_grid(parts: int = 20) -> Array:
    """A lattice on the three-cell simplex with its boundary and corners, and points that crowd around all of those."""
    lattice = outcomes(parts) / parts
    crowded = []
    for small in (1e-9, 1e-6, 1e-4, 1e-3, 1e-2):
        for share in (0.0, small, 0.3, 0.5, 0.8, 1.0 - small):
            rest = np.array([small, (1.0 - small) * share, (1.0 - small) * (1.0 - share)])
            crowded += [rest[list(order)] for order in itertools.permutations(range(3))]
    grid = np.concatenate([lattice, np.array(crowded)])
    return grid / grid.sum(axis=1, keepdims=True)


Bounds = dict[tuple[int, int], rsopt.Bound]


@cache
def all_bounds(n: int, functional: str, statistic: str, alpha: float) -> Bounds:
    """The bound at every outcome (x1, x2, n - x1 - x2), the rival fixed in advance."""
    return {(x1, x2): rsopt.lower_bound(rsopt.Counts((x1, x2, n - x1 - x2), 0, 1), functional=FUNCTIONALS[functional],
                                        statistic=statistic, alpha=alpha)
            for x1 in range(n + 1) for x2 in range(n + 1 - x1)}


def width(bound: rsopt.Bound, value: float) -> float:
    """g at the observed shares, clamped to [1/2, n - 1/2]/n, minus `value`: what a gap is a share of."""
    n = bound.counts.n
    x1, x2 = (min(max(x, 0.5), n - 0.5) / n for x in (bound.counts.x1, bound.counts.x2))
    return abs(float(bound.functional.value(np.array(x1), np.array(x2))) - value)


