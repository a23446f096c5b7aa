"""Designated statistics: the order in which samples count as evidence, and their tail sets."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from scipy import special

from rsopt.arguments import instance_of
from rsopt.counts import Counts, checked_alpha
from rsopt.errors import InvalidInputError, UnknownNameError, shown
from rsopt.functional import Functional
from rsopt.kernels.links import Link
from rsopt.kernels.monotone import doubtful_level
from rsopt.kernels.statistics import PLUG_IN, STUDENTIZED, Rule, raw_statistic, raw_statistics
from rsopt.staircase import TailSet, hull_stairs

Array = npt.NDArray[np.float64]

LARGEST_TABLE = 3000


@runtime_checkable
class Statistic(Protocol):
    """A designated statistic T(x). Any order of the samples gives a valid bound; a good one gives a tight bound."""

    @property
    def name(self) -> str:
        """Short name used in results and on the command line."""
        ...

    @property
    def largest_alpha(self) -> float:
        """The largest alpha at which the statistic is defined."""
        ...

    def tail_set(self, counts: Counts, functional: Functional, alpha: float) -> TailSet:
        """W = {x : T(x) >= T(x_obs)}, T being the monotone hull of the raw statistic; near-ties are inside."""
        ...

    def value(self, counts: Counts, functional: Functional, alpha: float) -> float:
        """The raw statistic at the observation; may be infinite."""
        ...


def tie_tolerance(value: float) -> float:
    """How far below T(x_obs) still counts as a tie: far above rounding, far below the spacing of T."""
    return 1e-11 * (1.0 + abs(value))


def tabulated_tail_set(raw: Callable[[Array, Array], Array], counts: Counts) -> TailSet:
    """The tail set of any statistic from its values: the general path.

    The monotone hull of T_raw from a table of all outcomes, up to n = 3000; above, a monotone statistic that bisection
    makes of it (`_bisected_tail_set`).

    Args:
        raw: T_raw(x1, x2) for arrays of one shape.
        counts: the observation.

    Raises:
        InvalidInputError: a NaN among the values.
    """
    n = counts.n
    if n > LARGEST_TABLE:
        return _bisected_tail_set(raw, counts)
    x1, x2 = np.meshgrid(np.arange(n + 1.0), np.arange(n + 1.0), indexing="ij")
    possible = x1 + x2 <= n
    table = np.full((n + 1, n + 1), -np.inf)
    table[possible] = raw(x1[possible], x2[possible])
    if np.isnan(table).any():
        where = np.argwhere(np.isnan(table))[0]
        raise InvalidInputError(f"The statistic is NaN at x1 = {where[0]}, x2 = {where[1]} (n = {n}). "
                                "A NaN would drop outcomes from the tail set and make the bound too large.")
    observed = float(table[: counts.x1 + 1, counts.x2:].max())
    if observed == -math.inf:
        return TailSet.everything(n)
    threshold = observed if observed == math.inf else observed - tie_tolerance(observed)
    return _checked(TailSet.from_stairs(hull_stairs(table, threshold)), counts)


def _bisected_tail_set(raw: Callable[[Array, Array], Array], counts: Counts) -> TailSet:
    """The tail set of the statistic that bisection makes of T_raw, without a table of all outcomes.

    In every row x2 the stair at a threshold t is where a bisection on "T_raw(x1, x2) >= t" ends. Where T_raw is
    monotone in x1 this is the exact stair. Where it is not, it is still a statistic: for t < t' both bisections take
    the same turns until one says yes and the other no, so the stairs grow with t, and the sets {x : x1 >= stair of a
    row from x2 on} are nested. A bound needs no more of its statistic.
    """
    n = counts.n

    def values(x1: npt.NDArray[np.int64], x2: npt.NDArray[np.int64]) -> Array:
        found = np.asarray(raw(x1.astype(float), x2.astype(float)), dtype=float)
        if np.isnan(found).any():
            where = int(np.isnan(found).argmax())
            raise InvalidInputError(f"The statistic is NaN at x1 = {x1[where]}, x2 = {x2[where]} (n = {n}). A NaN "
                                    "would drop outcomes from the tail set and make the bound too large.")
        return found

    # The largest t at which the observation is in the set: by some row at or above its own, a bisection that ends at or
    # before x1. Every turn to the right of x1 must have said yes; the first turn at or before x1 that says yes ends it.
    rows = np.arange(counts.x2, n + 1)
    target = np.minimum(counts.x1, n - rows)
    low, high = np.full(rows.size, -1), n - rows + 1
    ahead, best = np.full(rows.size, math.inf), np.full(rows.size, -math.inf)
    while np.any(active := high - low > 1):
        at, row = ((low + high) // 2)[active], rows[active]
        found = values(at, row)
        past = at > target[active]
        best[active] = np.where(past, best[active], np.maximum(best[active], np.minimum(ahead[active], found)))
        ahead[active] = np.where(past, np.minimum(ahead[active], found), ahead[active])
        high[active] = np.where(past, at, high[active])
        low[active] = np.where(past, low[active], at)
    observed = float(best.max())
    if observed == -math.inf:
        return TailSet.everything(n)
    threshold = observed if observed == math.inf else observed - tie_tolerance(observed)
    rows = np.arange(n + 1)
    low, high = np.full(n + 1, -1), n - rows + 1
    while np.any(active := high - low > 1):
        at = ((low + high) // 2)[active]
        inside = values(at, rows[active]) >= threshold
        high[active] = np.where(inside, at, high[active])
        low[active] = np.where(inside, low[active], at)
    stairs = np.where(high > n - rows, n + 1, high)
    return _checked(TailSet.from_stairs(np.minimum.accumulate(stairs[::-1])[::-1]), counts)


def _checked(tail_set: TailSet, counts: Counts) -> TailSet:
    if not tail_set.contains(counts.x1, counts.x2):
        raise AssertionError(f"The observation {counts.x1, counts.x2} is outside its own tail set.")
    return tail_set


@dataclass(frozen=True)
class PlugIn:
    """T = g(x/n), the choice of Moutaouakil's paper.

    With the probit margin it is +inf wherever x2 = 0 < x1, so nearly empty cells 1 and 2 reach T = +inf with
    probability near 1 and the bound collapses for every input. It is usable with `Margin` and the Taylor functional.
    """

    name: ClassVar[str] = "plugin"
    largest_alpha: ClassVar[float] = 0.5

    def tail_set(self, counts: Counts, functional: Functional, alpha: float) -> TailSet:
        """W = {x : g(x/n) >= g(x_obs/n)}."""
        checked_alpha(alpha, self.largest_alpha)
        if functional.compiled is None:
            return tabulated_tail_set(lambda x1, x2: functional.value(x1 / counts.n, x2 / counts.n), counts)
        return _compiled_tail_set(PLUG_IN, functional.compiled, 0.0, counts)

    def value(self, counts: Counts, functional: Functional, alpha: float) -> float:
        """g(x_obs/n)."""
        if functional.compiled is not None:
            return _compiled_value(PLUG_IN, functional.compiled, 0.0, counts)
        return float(functional.value(np.array(counts.x1 / counts.n), np.array(counts.x2 / counts.n)))


@dataclass(frozen=True)
class Studentized:
    """T = g(p~) - z sqrt(V/N), an approximate lower confidence limit (the default).

    z = ndtri(1 - alpha), c = z²/4, N = n + 3c, p~_i = (x_i + c)/N and V the delta-method variance of g at p~. With T
    an approximate limit the exact bound is asymptotically efficient (Kabaila & Lloyd).
    """

    name: ClassVar[str] = "studentized"
    largest_alpha: ClassVar[float] = 0.4

    def tail_set(self, counts: Counts, functional: Functional, alpha: float) -> TailSet:
        """W = {x : T(x) >= T(x_obs)} for the monotone hull of T.

        Raises:
            InvalidInputError: alpha above 0.4; or a functional without a gradient.
        """
        z = float(special.ndtri(1.0 - checked_alpha(alpha, self.largest_alpha)))
        if functional.compiled is not None:
            return _compiled_tail_set(STUDENTIZED, functional.compiled, z, counts)
        return tabulated_tail_set(lambda x1, x2: _studentized(functional, counts.n, z, x1, x2), counts)

    def value(self, counts: Counts, functional: Functional, alpha: float) -> float:
        """T_raw at the observation."""
        z = float(special.ndtri(1.0 - alpha))
        if functional.compiled is not None:
            return _compiled_value(STUDENTIZED, functional.compiled, z, counts)
        x1, x2 = np.array(float(counts.x1)), np.array(float(counts.x2))
        return float(_studentized(functional, counts.n, z, x1, x2))


def _studentized(functional: Functional, n: int, z: float, x1: Array, x2: Array) -> Array:
    """T_raw for a functional given in Python; all arrays of one shape."""
    c = z * z / 4.0
    total = n + 3.0 * c
    p1, p2 = (x1 + c) / total, (x2 + c) / total
    a, b = functional.gradient(p1, p2)
    spread = a * a * p1 * (1.0 - p1) + b * b * p2 * (1.0 - p2) - 2.0 * a * b * p1 * p2
    return functional.value(p1, p2) - z * np.sqrt(spread / total)


@lru_cache(maxsize=1024)
def _doubtful(n: int, kind: int, coefficients: tuple[float, ...], z: float) -> float:
    return float(doubtful_level(n, Link(kind, np.array(coefficients)), z))


def _compiled_value(statistic: int, f: Link, z: float, counts: Counts) -> float:
    return float(raw_statistic(counts.n, statistic, f, z, counts.x1, counts.x2))


def _compiled_tail_set(statistic: int, f: Link, z: float, counts: Counts) -> TailSet:
    n = counts.n
    observed = _compiled_value(statistic, f, z, counts)
    if math.isnan(observed):
        raise InvalidInputError(f"The statistic is NaN at x1 = {counts.x1}, x2 = {counts.x2}.")
    if observed == -math.inf:
        return TailSet.everything(n)
    threshold = observed if observed == math.inf else observed - tie_tolerance(observed)
    if statistic == STUDENTIZED and threshold <= _doubtful(n, f.kind, tuple(f.coefficients.tolist()), z):
        # Near the corner x2 = n the raw statistic is not monotone and bisection could miss outcomes. Such an
        # observation is no evidence for its class: small n is tabulated, large n gets the whole space, which is safe.
        if n > LARGEST_TABLE:
            return TailSet.everything(n)
        return tabulated_tail_set(lambda x1, x2: raw_statistics(n, statistic, f, z, x1, x2), counts)
    return _checked(TailSet.from_rule(Rule(n, statistic, f, z, threshold)), counts)


@dataclass(frozen=True)
class ClopperPearson:
    """T = g(lower limit of p1, upper limit of p2), each one-sided Clopper–Pearson at alpha/2 (equation 6).

    By Buehler's theorem the exact bound on this statistic is never below the two-way Clopper–Pearson bound itself.
    """

    name: ClassVar[str] = "clopper-pearson"
    largest_alpha: ClassVar[float] = 0.5

    def tail_set(self, counts: Counts, functional: Functional, alpha: float) -> TailSet:
        """W = {x : T(x) >= T(x_obs)}; T is monotone by construction, so its stairs are found by bisection."""
        n = counts.n
        half = checked_alpha(alpha, self.largest_alpha) / 2.0
        lower, upper = _limits(n, half)
        observed = float(functional.value(lower[counts.x1], upper[counts.x2]))
        if math.isnan(observed):
            raise InvalidInputError(f"The functional {functional.name!r} is NaN at ({lower[counts.x1]}, "
                                    f"{upper[counts.x2]}).")
        if observed == -math.inf:
            return TailSet.everything(n)
        threshold = observed - tie_tolerance(observed)
        x = np.arange(n + 1)
        low, high = np.full(n + 1, -1), n - x + 1
        while np.any(active := high - low > 1):
            middle = np.where(active, (low + high) // 2, 0)
            inside = functional.value(lower[middle], upper) >= threshold
            high = np.where(active & inside, middle, high)
            low = np.where(active & ~inside, middle, low)
        first = np.where(high > n - x, n + 1, high)
        return _checked(TailSet.from_stairs(np.minimum.accumulate(first[::-1])[::-1]), counts)

    def value(self, counts: Counts, functional: Functional, alpha: float) -> float:
        """g at the two-way limits."""
        lower = clopper_pearson_lower(counts.x1, counts.n, alpha / 2.0)
        upper = clopper_pearson_upper(counts.x2, counts.n, alpha / 2.0)
        return float(functional.value(lower, upper))


@lru_cache(maxsize=4)
def _limits(n: int, level: float) -> tuple[Array, Array]:
    """The lower and the upper limits of every count, shape (n + 1,) each: many inputs share n and alpha."""
    x = np.arange(n + 1.0)
    limits = clopper_pearson_lower(x, n, level), clopper_pearson_upper(x, n, level)
    for each in limits:
        each.setflags(write=False)
    return limits


def clopper_pearson_lower(x: npt.ArrayLike, n: int, level: float) -> Array:
    """One-sided Clopper–Pearson lower limits at error `level` for x successes in n; same shape as x; 0 at x = 0.

    Quick, and as good as SciPy's quantiles: for orders, plans and starting points. Claims take `rsopt.limits`.
    """
    successes = np.asarray(x, dtype=float)
    limit = special.betaincinv(np.maximum(successes, 1.0), n - np.minimum(successes, n) + 1.0, level)
    return np.where(successes <= 0, 0.0, np.where(successes >= n, level ** (1.0 / n), limit))


def clopper_pearson_upper(x: npt.ArrayLike, n: int, level: float) -> Array:
    """One-sided Clopper–Pearson upper limits at error `level` for x successes in n; same shape as x; 1 at x = n.

    Quick, as `clopper_pearson_lower`.
    """
    successes = np.asarray(x, dtype=float)
    limit = special.betainccinv(successes + 1.0, np.maximum(n - successes, 1.0), level)
    at_zero = -np.expm1(math.log(level) / n)
    return np.where(successes >= n, 1.0, np.where(successes <= 0, at_zero, limit))


STATISTICS: dict[str, type[PlugIn] | type[ClopperPearson] | type[Studentized]] = {
    "studentized": Studentized, "clopper-pearson": ClopperPearson, "plugin": PlugIn}


StatisticLike = str | Statistic | type[Statistic]
"""A statistic, its class, or its name."""


def as_statistic(statistic: StatisticLike) -> Statistic:
    """A statistic from its name or its class, or the instance itself.

    Raises:
        UnknownNameError: a name that nobody registered.
        InvalidInputError: something that is no statistic.
    """
    if isinstance(statistic, str):
        if statistic not in STATISTICS:
            raise UnknownNameError.of("statistic", statistic, list(STATISTICS))
        return STATISTICS[statistic]()
    made = instance_of(statistic)
    if not isinstance(made, Statistic):
        raise InvalidInputError(f"{shown(statistic)} is no statistic: it needs name, largest_alpha and tail_set(…).")
    return made
