"""The level curve g(q) = L inside a domain: the one-parameter set on which the worst case lies (fact 3)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from rsopt.domain import Domain
from rsopt.errors import InvalidInputError
from rsopt.family import TestFamily
from rsopt.functional import Functional
from rsopt.kernels.curve import curve_log_tails, curve_point
from rsopt.kernels.links import IDENTITY, Link, link_value
from rsopt.staircase import TailSet

Array = npt.NDArray[np.float64]

# Relative size of what a tail sum may leave out while searching; a reported value is computed afresh to full
# accuracy.
SEARCH_RTOL = 1e-9


@cache
def compile_kernels() -> None:
    """Have everything compiled that a search evaluates, so that no solver's time is spent on it; once a process."""
    tails = TailSet.from_stairs([0, 2])
    link = Link(IDENTITY, np.zeros(0))
    curve_log_tails(link, 0.0, 0.0, 0.5, np.zeros(1), tails.compiled, SEARCH_RTOL)
    curve_point(link, 0.0, 0.0, 0.5, 0.0)
    tails.log_gradient([0.25, 0.25, 0.5])


def level_curve(family: TestFamily, level: float) -> LevelCurve:
    """The points of the domain with g(q) = level.

    Raises:
        InvalidInputError: a level that is not finite, or that no point of the domain has.
    """
    if not math.isfinite(level):
        raise InvalidInputError(f"The level must be a finite number; found {level!r}.")
    segment = family.segment(level)
    if not family.bottom <= level <= family.top or segment is None:
        raise InvalidInputError(f"No distribution in the {family.domain.name} has {family.functional.name} = "
                                f"{level!r}; its values go from {family.bottom!r} to {family.top!r}.")
    f = family.functional.compiled
    return PlainCurve(family, level, segment) if f is None else LinkCurve(family, level, segment, f)


@dataclass(frozen=True, eq=False)
class LevelCurve(ABC):
    """The points of the domain with g(q) = level, walked by s from s = 0 (where q3 = 0) to `extent`.

    Attributes:
        family: tail set, functional and domain.
        level: L.
        segment: (smallest, largest) q2 on the curve.
    """

    family: TestFamily
    level: float
    segment: tuple[float, float]

    @property
    def tail_set(self) -> TailSet:
        """W."""
        return self.family.tail_set

    @property
    def functional(self) -> Functional:
        """g."""
        return self.family.functional

    @property
    def domain(self) -> Domain:
        """Where q may lie."""
        return self.family.domain

    @property
    @abstractmethod
    def extent(self) -> float:
        """The largest s."""

    @property
    def one_point(self) -> bool:
        """Whether the curve is a single point (up to rounding)."""
        low, high = self.segment
        return not self.domain.third_cell or high - low <= 1e-14 * high

    @abstractmethod
    def points(self, s: npt.ArrayLike) -> Array:
        """q at s; shape (b,) -> (b, 3)."""

    @abstractmethod
    def log_tails(self, s: npt.ArrayLike, rtol: float = SEARCH_RTOL) -> Array:
        """log P_q(W) at s; shape (b,) -> (b,)."""

    def coordinate(self, q: npt.ArrayLike) -> float:
        """The s of the point of the curve with the q2 of q (scaled to sum 1), shape (3,); clamped to the curve."""
        point = np.asarray(q, dtype=float)
        low, high = self.segment
        return self._coordinate(min(max(float(point[1] / point.sum()), low), high))

    @abstractmethod
    def _coordinate(self, q2: float) -> float:
        """The s at a q2 of the segment."""

    def grid(self, size: int) -> Array:
        """About `size` values of s from 0 to `extent`, increasing: geometric towards the ends.

        The optimum often lies where a cell has probability of order 1/n. On an endless curve the far end needs no
        refinement, since s is logarithmic there already.
        """
        return self.extent * _unit_grid(size, self.tail_set.n, self.endless)

    def from_unit(self, t: npt.ArrayLike) -> Array:
        """s from a coordinate t in [0, 1] in which both ends are stretched by a cube; same shape."""
        near, far = np.asarray(t, dtype=float) ** 3, (1.0 - np.asarray(t, dtype=float)) ** 3
        return self.extent * near / (near + far)

    def to_unit(self, s: float) -> float:
        """The inverse of `from_unit`."""
        share = s / self.extent
        near, far = float(np.cbrt(share)), float(np.cbrt(1.0 - share))
        return near / (near + far)

    @property
    def endless(self) -> bool:
        """Whether s would go on for ever, towards q1 = q2 = 0, and was cut."""
        return False

    def tangent(self, q2: float) -> tuple[float, float, float]:
        """(h, h', h'') of q1 = h(q2) at q2.

        Raises:
            InvalidInputError: a functional that is known by its values only.
        """
        return self.functional.tangent(self.level, q2)

    def with_q1(self, q2: float, least: float) -> float:
        """q2, or the q2 at which q1 = `least` on the curve if that is larger: logs of q1 end at 0."""
        if not self.functional.smooth:
            return q2
        # f(q2) = f(q1) - L, so the inverse of h is h itself with the level negated.
        return min(max(q2, float(self.functional.curve(-self.level, np.array(least)))), self.segment[1])


@lru_cache(maxsize=64)
def _unit_grid(size: int, n: int, endless: bool) -> Array:
    """About `size` numbers from 0 to 1 (see `LevelCurve.grid`)."""
    half = size // 2
    near = 0.5 * np.geomspace(0.05 / n, 1.0, half)
    far = np.linspace(0.5, 1.0, half + 1)[1:] if endless else 1.0 - np.append(near[-2::-1], 0.0)
    grid: Array = np.concatenate([[0.0], near, far])
    grid.setflags(write=False)
    return grid


@dataclass(frozen=True, eq=False)
class LinkCurve(LevelCurve):
    """The curve of a compiled link f, with the coordinate s = -L/2 - f(q2) (see `rsopt.kernels.curve`)."""

    f: Link

    @cached_property
    def extent(self) -> float:
        """The largest s. An endless curve is cut where n·q1 and n·q2 are below 1e-6."""
        if not self.domain.third_cell:
            return 0.0
        at_low = link_value(self.f, self.segment[0])
        if at_low == -math.inf:
            return max(0.5 * abs(self.level) - link_value(self.f, 1e-6 / self.tail_set.n), 0.0)
        return max(-0.5 * self.level - at_low, 0.0)

    @property
    def endless(self) -> bool:
        """Whether f(0) is infinite, so that the curve never ends."""
        return self.family.bottom == -math.inf

    def points(self, s: npt.ArrayLike) -> Array:
        """q at s; shape (b,) -> (b, 3)."""
        values = np.asarray(s, dtype=float)
        return np.array([curve_point(self.f, self.level, *self.segment, v) for v in values.tolist()]).reshape(-1, 3)

    def log_tails(self, s: npt.ArrayLike, rtol: float = SEARCH_RTOL) -> Array:
        """log P_q(W) at s; shape (b,) -> (b,)."""
        values: Array = curve_log_tails(self.f, self.level, *self.segment, np.ascontiguousarray(s, dtype=float),
                                        self.tail_set.compiled, rtol)
        return values

    def _coordinate(self, q2: float) -> float:
        if q2 == 0.0:
            return self.extent
        return min(max(-0.5 * self.level - link_value(self.f, q2), 0.0), self.extent)


@dataclass(frozen=True, eq=False)
class PlainCurve(LevelCurve):
    """The curve of any functional; s is the distance in q2 from the end with q3 = 0."""

    @property
    def extent(self) -> float:
        """The largest s."""
        return self.segment[1] - self.segment[0]

    def points(self, s: npt.ArrayLike) -> Array:
        """q at s; shape (b,) -> (b, 3)."""
        low, high = self.segment
        q2 = np.clip(high - np.asarray(s, dtype=float), low, high)
        q1 = np.minimum(self.functional.curve(self.level, q2), 1.0 - q2)
        return np.stack([q1, q2, np.maximum(1.0 - q1 - q2, 0.0)], axis=-1)

    def log_tails(self, s: npt.ArrayLike, rtol: float = SEARCH_RTOL) -> Array:
        """log P_q(W) at s; shape (b,) -> (b,)."""
        return self.tail_set.log_probability(self.points(s), rtol)

    def _coordinate(self, q2: float) -> float:
        return self.segment[1] - q2
