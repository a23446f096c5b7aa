"""Compiled statistics T(x) and the stairs of their tail sets, filled row by row when a row is first needed.

A *stairs* array of length n + 1 holds s(x2) + 1, with 0 for a row that nobody has asked for yet.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from rsopt.compiled import compiled
from rsopt.kernels.links import IDENTITY, LAPLACE, LOGIT, PROBIT, Link, endless, link_slope, link_value
from rsopt.kernels.normal import density, ndtri

PLUG_IN, STUDENTIZED, TABULATED = 0, 1, 2


class Rule(NamedTuple):
    """How a missing row is computed: W = {x : T(x) >= threshold}, T the statistic of the link for n draws."""

    n: int
    statistic: int
    f: Link
    z: float
    threshold: float


@compiled
def pseudo_count(f: Link, z: float) -> float:
    """c, added to each of the three cells by the studentized statistic: z²/4, and z²/4 · 9/8 for links of logs.

    For those dT/dq2 is nearly 0 at x2 = 0 where c = z²/4; with a little more T is provably monotone.
    """
    c = 0.25 * z * z
    return 1.125 * c if f.kind == LAPLACE or f.kind == LOGIT else c


class _Cell(NamedTuple):
    """What one cell contributes to T_raw: its share p (with pseudo-counts), f(p) and f'(p)."""

    p: float
    value: float
    slope: float


@compiled
def _cell(n: int, statistic: int, f: Link, z: float, x: int) -> _Cell:
    if statistic == PLUG_IN:
        return _Cell(x / n, -np.inf if endless(f) and x == 0 else link_value(f, x / n), 0.0)
    c = pseudo_count(f, z)
    p = (x + c) / (n + 3.0 * c)
    if f.kind == IDENTITY:
        return _Cell(p, p, 1.0)
    if f.kind == PROBIT:
        value = ndtri(p)
        return _Cell(p, value, 1.0 / density(value))
    if f.kind == LAPLACE or f.kind == LOGIT:
        return _Cell(p, link_value(f, p), link_slope(f, p))
    value, slope = _polynomial(f.coefficients, p)
    return _Cell(p, value, slope)


@compiled
def _of_cells(n: int, statistic: int, f: Link, z: float, first: _Cell, second: _Cell) -> float:
    """T_raw from its two cells: many outcomes share one of them."""
    if statistic == PLUG_IN:
        return first.value if first.value == -np.inf else first.value - second.value
    total = n + 3.0 * pseudo_count(f, z)
    p1, p2 = first.p, second.p
    if f.kind == IDENTITY:
        d = p1 - p2
        return d - z * math.sqrt((p1 + p2 - d * d) / total)
    a, b = first.slope, second.slope
    variance = a * a * p1 * (1.0 - p1) + b * b * p2 * (1.0 - p2) + 2.0 * a * b * p1 * p2
    return first.value - second.value - z * math.sqrt(variance / total)


@compiled
def raw_statistic(n: int, statistic: int, f: Link, z: float, x1: int, x2: int) -> float:
    """T_raw(x1, x2): the statistic before its monotone hull is taken (docs/theory/bound.md)."""
    return _of_cells(n, statistic, f, z, _cell(n, statistic, f, z, x1), _cell(n, statistic, f, z, x2))


@compiled
def raw_statistics(n: int, statistic: int, f: Link, z: float, x1: np.ndarray,
                   x2: np.ndarray) -> np.ndarray:
    """T_raw at many outcomes, float arrays of shape (b,) -> (b,)."""
    result = np.empty(x1.size)
    for i in range(x1.size):
        result[i] = raw_statistic(n, statistic, f, z, int(x1[i]), int(x2[i]))
    return result


@compiled
def _polynomial(coefficients: np.ndarray, q: float) -> tuple[float, float]:
    u = 2.0 * q - 1.0
    value = 0.0
    slope = 0.0
    for k in range(coefficients.size - 1, -1, -1):
        value = value * u * u + coefficients[k]
        slope = slope * u * u + (2 * k + 1) * coefficients[k]
    return value * u, 2.0 * slope


@compiled
def stair(stairs: np.ndarray, rule: Rule, x2: int) -> int:
    """s(x2), the least x1 with (x1, x2) in W; n - x2 + 1 or more where the row is empty."""
    if stairs[x2] == 0:
        fill(stairs, rule, x2, x2)
    return stairs[x2] - 1


@compiled
def fill(stairs: np.ndarray, rule: Rule, low: int, high: int) -> None:
    """Every row from `high` down to `low` that nobody has asked for yet.

    The row above bounds a row, and its last step is a good guess: look there, and from there in growing steps.
    """
    n, statistic, f, z, threshold = rule
    # Neighbouring rows ask for the same few x1: their cells are kept, each at the place of its last two bits.
    kept, cells = np.full(4, -1), np.empty((4, 3))
    for x2 in range(high, low - 1, -1):
        if stairs[x2] > 0:
            continue
        second = _cell(n, statistic, f, z, x2)
        outside = -1  # or below the row
        inside = n - x2 + 1  # or past the row
        step = 0
        probe = inside
        if x2 < n and 0 < stairs[x2 + 1] <= n - x2:  # the row above is not empty: its stair, in this row, is inside
            inside = stairs[x2 + 1] - 1
            step = 1
            drop = stairs[x2 + 2] - stairs[x2 + 1] if x2 + 2 <= n and stairs[x2 + 2] > 0 else 1
            probe = inside - max(min(drop, n), 1)
        tries = 0
        while inside - outside > 1:
            if step == 0 or not outside < probe < inside:
                probe = (outside + inside) // 2
            place = probe & 3
            if kept[place] != probe:
                kept[place] = probe
                first = _cell(n, statistic, f, z, probe)
                cells[place, 0], cells[place, 1], cells[place, 2] = first.p, first.value, first.slope
            first = _Cell(cells[place, 0], cells[place, 1], cells[place, 2])
            tries += 1
            if tries > 2:
                step *= 2
            if _of_cells(n, statistic, f, z, first, second) >= threshold:
                inside = probe
                probe -= step
            else:
                outside = probe
                probe += step
        stairs[x2] = inside + 1


@compiled
def last_row(stairs: np.ndarray, rule: Rule) -> int:
    """The largest x2 whose row is not empty; -1 if the set is empty."""
    n = rule.n
    low = -1
    high = n + 1
    while high - low > 1:
        middle = (low + high) // 2
        if stair(stairs, rule, middle) <= n - middle:
            low = middle
        else:
            high = middle
    return low
