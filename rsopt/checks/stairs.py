"""The checker's own stairs: the tail set rebuilt from the definition of the statistic."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from rsopt.checks.links import CheckedLink

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

_TABLE = 1000
# Half of the tolerance for near-ties that the proof used: the sets here are contained in those it proved.
_TIE = 5e-12


def rebuilt_stairs(n: int, x1: int, x2: int, alpha: float, statistic: str, link: CheckedLink
                   ) -> tuple[float, Whole]:
    """T(x1, x2) of the named statistic, and s(x2) for the non-empty rows of {x : T(x) >= T(x1, x2)}, shape (rows,)."""
    upper: Callable[[Array, Array, Array], Array] | None = None
    if statistic == "studentized":
        raw, upper = _studentized(n, alpha, link)
    elif statistic == "plugin":
        raw = _plug_in(n, link)
    else:
        raw = _clopper_pearson(n, alpha, link)
    observed = float(raw(np.array([float(x1)]), np.array([float(x2)]))[0])
    if n <= _TABLE:
        return observed, _from_table(n, x1, x2, raw)
    if observed == -math.inf:
        return observed, np.zeros(n + 1, dtype=np.int64)
    threshold = observed if math.isinf(observed) else observed - _TIE * (1.0 + abs(observed))
    rows = np.arange(n + 1)
    low, high = np.full(n + 1, -1), n - rows + 1
    while np.any(active := high - low > 1):
        index = np.flatnonzero(active)
        middle = (low[index] + high[index]) // 2
        inside = raw(middle.astype(float), index.astype(float)) >= threshold
        high[index] = np.where(inside, middle, high[index])
        low[index] = np.where(inside, low[index], middle)
    if upper is not None:
        high = _lower_where_missed(n, high, raw, upper, threshold)
    stairs = np.minimum.accumulate(np.where(high > n - rows, n + 1, high)[::-1])[::-1]
    return observed, stairs[stairs <= n - rows].astype(np.int64)


def _from_table(n: int, x1: int, x2: int, raw: Callable[[Array, Array], Array]) -> Whole:
    a, b = np.meshgrid(np.arange(n + 1.0), np.arange(n + 1.0), indexing="ij")
    possible = a + b <= n
    table = np.full((n + 1, n + 1), -np.inf)
    table[possible] = raw(a[possible], b[possible])
    # The hull: the best outcome with no more votes for the class and no fewer for the rival.
    hull = np.maximum.accumulate(np.maximum.accumulate(table, axis=0)[:, ::-1], axis=1)[:, ::-1]
    observed = hull[x1, x2]
    threshold = observed if math.isinf(observed) else observed - _TIE * (1.0 + abs(observed))
    inside = (hull >= threshold) & possible
    first = np.where(inside.any(axis=0), inside.argmax(axis=0), n + 1)
    return first[first <= n - np.arange(n + 1)].astype(np.int64)


def _lower_where_missed(n: int, first: Whole, raw: Callable[[Array, Array], Array],
                        upper: Callable[[Array, Array, Array], Array], threshold: float) -> Whole:
    """Exclude, by interval bounds, every outcome below the stairs that bisection found; lower them where one is inside.

    Bisection finds a crossing of the threshold in each row. Where T is not monotone there might be another below it, so
    each row's [0, first - 1] is halved until T is bounded below the threshold or single outcomes are left.
    """
    result = first.copy()
    row = np.flatnonzero(first > 0)
    low, high = np.zeros(row.size, dtype=np.int64), first[row] - 1
    while row.size:
        open_ = upper(low.astype(float), high.astype(float), row.astype(float)) >= threshold
        row, low, high = row[open_], low[open_], high[open_]
        single = low == high
        hit = single & (raw(low.astype(float), row.astype(float)) >= threshold)
        np.minimum.at(result, row[hit], low[hit])
        row, low, high = row[~single], low[~single], high[~single]
        middle = (low + high) // 2
        row, low, high = np.tile(row, 2), np.concatenate([low, middle + 1]), np.concatenate([middle, high])
    return result


def _studentized(n: int, alpha: float, link: CheckedLink
                 ) -> tuple[Callable[[Array, Array], Array], Callable[[Array, Array, Array], Array]]:
    z = float(special.ndtri(1.0 - alpha))
    c = z * z / 4.0
    total = n + 3.0 * c

    def raw(x1: Array, x2: Array) -> Array:
        p1, p2 = (x1 + c) / total, (x2 + c) / total
        a, b = link.slope(p1), link.slope(p2)
        variance = a * a * p1 * (1 - p1) + b * b * p2 * (1 - p2) + 2 * a * b * p1 * p2
        return link.f(p1) - link.f(p2) - z * np.sqrt(variance / total)

    def upper(low: Array, high: Array, x2: Array) -> Array:
        """An upper bound on T over x1 in [low, high]."""
        p_low, p_high, p2 = (low + c) / total, (high + c) / total, (x2 + c) / total
        ends = np.minimum(link.slope(p_low), link.slope(p_high))
        a = np.where((p_low <= 0.5) & (p_high >= 0.5), float(link.slope(0.5)), ends)
        b = link.slope(p2)
        own = np.minimum(p_low * (1 - p_low), p_high * (1 - p_high))
        variance = a * a * own + b * b * p2 * (1 - p2) + 2 * a * b * p_low * p2
        bound: Array = link.f(p_high) - link.f(p2) - z * np.sqrt(variance / total)
        return bound

    return raw, upper


def _plug_in(n: int, link: CheckedLink) -> Callable[[Array, Array], Array]:
    def raw(x1: Array, x2: Array) -> Array:
        if link.functional == "margin":
            return (x1 - x2) / n
        with np.errstate(invalid="ignore"):
            values = link.f(x1 / n) - link.f(x2 / n)
        if link.functional == "probit":
            values = np.where(x1 == 0, -np.inf, np.where(x2 == 0, np.inf, values))
        return values

    return raw


def _clopper_pearson(n: int, alpha: float, link: CheckedLink) -> Callable[[Array, Array], Array]:
    x = np.arange(n + 1.0)
    lower = np.zeros(n + 1)
    lower[1:] = stats.beta.ppf(alpha / 2.0, x[1:], n - x[1:] + 1)
    upper = np.ones(n + 1)
    upper[:-1] = stats.beta.isf(alpha / 2.0, x[:-1] + 1, n - x[:-1])

    def raw(x1: Array, x2: Array) -> Array:
        f1, f2 = link.f(lower[x1.astype(int)]), link.f(upper[x2.astype(int)])
        with np.errstate(invalid="ignore"):
            return np.where(np.isneginf(f1), -np.inf, f1 - f2)

    return raw
