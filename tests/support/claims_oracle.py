"""What a certificate at small n may claim, decided by enumeration of the sample space, without rsopt's code."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from enumeration import outcomes, probabilities, taylor_exact
from scipy import optimize, special, stats

Array = npt.NDArray[np.float64]

#: The laws whose quantile functions are links of logs.
LAWS = {"laplace": stats.laplace, "logit": stats.logistic}

#: Values of the statistic closer than this are called neither inside nor outside.
DOUBT = 1e-8


def link(functional: str, order: int | None, q: npt.ArrayLike) -> Array:
    """f(q) of g(q) = f(q1) - f(q2)."""
    values = np.asarray(q, dtype=float)
    if functional == "margin":
        return values
    if functional == "probit":
        return np.asarray(special.ndtri(values))
    if functional in LAWS:
        return np.asarray(LAWS[functional].ppf(values))
    assert order is not None
    return np.asarray(np.polynomial.polynomial.polyval(values - 0.5, np.array(taylor_exact(order)) * (1.0 - 1e-12)))


def slope(functional: str, order: int | None, q: npt.ArrayLike) -> Array:
    """f'(q)."""
    values = np.asarray(q, dtype=float)
    if functional == "margin":
        return np.ones_like(values)
    if functional == "probit":
        return np.asarray(1.0 / stats.norm.pdf(special.ndtri(values)))
    if functional in LAWS:
        return np.asarray(1.0 / LAWS[functional].pdf(LAWS[functional].ppf(values)))
    assert order is not None
    return np.asarray(np.polynomial.polynomial.polyval(
        values - 0.5, np.polynomial.polynomial.polyder(np.array(taylor_exact(order)))))


@lru_cache(maxsize=4096)
def statistic_table(statistic: str, functional: str, order: int | None, n: int, alpha: float) -> Array:
    """T at every outcome of `outcomes(n)`, before the hull."""
    x1, x2 = outcomes(n)[:, 0].astype(float), outcomes(n)[:, 1].astype(float)
    if statistic == "studentized":
        z = float(special.ndtri(1.0 - alpha))
        c = z * z / 4.0 * (1.125 if functional in LAWS else 1.0)
        total = n + 3.0 * c
        p1, p2 = (x1 + c) / total, (x2 + c) / total
        a, b = slope(functional, order, p1), slope(functional, order, p2)
        variance = a**2 * p1 * (1 - p1) + b**2 * p2 * (1 - p2) + 2 * a * b * p1 * p2
        return np.asarray(link(functional, order, p1) - link(functional, order, p2) - z * np.sqrt(variance / total))
    if statistic == "plugin":
        low, high = x1 / n, x2 / n
    else:
        low = np.where(x1 > 0, stats.beta.ppf(alpha / 2.0, np.maximum(x1, 1.0), n - x1 + 1.0), 0.0)
        high = np.where(x2 < n, stats.beta.isf(alpha / 2.0, x2 + 1.0, np.maximum(n - x2, 1.0)), 1.0)
    f1, f2 = link(functional, order, low), link(functional, order, high)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.isneginf(f1), -np.inf, f1 - f2))


def tail_set(content: dict[str, Any], *, doubtful: bool) -> npt.NDArray[np.bool_]:
    """Which outcomes lie in W, those in doubt inside or outside; the observation lies in it in any case."""
    n, x1, x2 = content["n"], content["x1"], content["x2"]
    x = outcomes(n)
    table = statistic_table(content["statistic"], content["functional"], content["order"], n, content["alpha"])
    observed = max(table[(x[:, 0] <= x1) & (x[:, 1] >= x2)])
    if math.isinf(observed):
        inside = table >= observed
    else:
        room = DOUBT * (1.0 + abs(observed))
        inside = table >= (observed - room if doubtful else observed + room)
    inside = inside | ((x[:, 0] == x1) & (x[:, 1] == x2))
    hull = [bool(np.any(inside & (x[:, 0] <= a) & (x[:, 1] >= b))) for a, b, _ in x]
    return np.array(hull)


def curve(content: dict[str, Any], points: int) -> Array:
    """Points of the nulls' level curve, shape (k, 3), dense at its ends; empty if no null has the level."""
    functional, order, level = content["functional"], content["order"], content["lower"]

    def own(q2: Array) -> Array:
        if functional == "margin":
            return np.asarray(q2 + level)
        if functional == "probit":
            return np.asarray(special.ndtr(level + special.ndtri(q2)))
        if functional in LAWS:
            return np.asarray(LAWS[functional].cdf(level + LAWS[functional].ppf(q2)))
        goal = level + link(functional, order, q2)
        ends = link(functional, order, 0.0), link(functional, order, 1.0)
        return np.array([math.nan if not ends[0] <= y <= ends[1] else optimize.brentq(
            lambda q, y=y: float(link(functional, order, q)) - y, 0.0, 1.0, xtol=1e-16) for y in goal])

    steps = np.linspace(0.0, 1.0, points)
    dense = np.concatenate([10.0 ** np.linspace(-12, -2, points // 4), 1.0 - 10.0 ** np.linspace(-12, -2, points // 4)])
    q2 = np.unique(np.concatenate([steps, dense]))
    q1 = own(q2)
    q = np.stack([q1, q2, 1.0 - q1 - q2], axis=1)
    # What lies next to the end of the curve, where q3 = 0, is taken at the end.
    q = q[np.all(np.isfinite(q), axis=1) & (q[:, 0] >= 0.0) & (q[:, 2] >= 0.0) & (q[:, 0] >= content["least_q1"])]
    return q if content["third_cell"] else q[:0]


def end_of_curve(content: dict[str, Any]) -> Array:
    """The null of the level with q3 = 0, shape (1, 3), or none."""
    functional, order, level = content["functional"], content["order"], content["lower"]

    def gap(q1: float) -> float:
        return float(link(functional, order, q1) - link(functional, order, 1.0 - q1)) - level

    if functional == "probit":
        q1 = float(special.ndtr(0.5 * level))
        return np.array([[q1, float(special.ndtr(-0.5 * level)), 0.0]])
    if functional in LAWS:
        law = LAWS[functional]
        return np.array([[float(law.cdf(0.5 * level)), float(law.cdf(-0.5 * level)), 0.0]])
    if not gap(0.0) <= 0.0 <= gap(1.0):
        return np.zeros((0, 3))
    q1 = optimize.brentq(gap, 0.0, 1.0, xtol=1e-16)
    return np.array([[q1, 1.0 - q1, 0.0]]) if q1 >= content["least_q1"] else np.zeros((0, 3))


def largest_tail(content: dict[str, Any], points: int = 400) -> float:
    """The largest P_q(W) found over the nulls at the certificate's level, doubtful outcomes left out."""
    q = np.concatenate([curve(content, points), end_of_curve(content)])
    if q.size == 0:
        return 0.0
    inside = tail_set(content, doubtful=False)
    return float((probabilities(q, outcomes(content["n"])) * inside).sum(axis=1).max())


def witnessed(content: dict[str, Any]) -> bool:
    """Whether the witness shows that no level above lower_at_most is the exact bound, doubtful outcomes counted in."""
    q1, q2, q3 = content["witness"]
    level = float(link(content["functional"], content["order"], q1) - link(content["functional"], content["order"], q2))
    q = np.array([[q1, q2, q3]]) / math.fsum((q1, q2, q3))
    tail = float((probabilities(q, outcomes(content["n"])) * tail_set(content, doubtful=True)).sum())
    return (level <= content["lower_at_most"] + 1e-9 * (1.0 + abs(level)) and tail >= content["alpha"] * (1.0 - 1e-9)
            and q1 >= content["least_q1"] - 1e-11 and (content["third_cell"] or q3 <= 1e-11))


def passes_test(content: dict[str, Any]) -> bool:
    """Whether the votes reject p_A <= 1/2 at alpha."""
    return bool(stats.binom.sf(content["x1"] - 1, content["n"], 0.5) < content["alpha"] * (1.0 + 1e-9))
