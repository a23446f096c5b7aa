"""The level curve g(q) = L inside a domain: the one-parameter set on which the worst case lies (fact 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rsopt.domain import Domain, level_q1
from rsopt.errors import InvalidInputError
from rsopt.functionals import Functional, LinkFunctional
from rsopt.kernels.curve import curve_log_tails, curve_point
from rsopt.kernels.links import PROBIT
from rsopt.staircase import TailSet

Array = npt.NDArray[np.float64]

# Relative size of what a tail sum may leave out while searching; a reported value is computed afresh to full
# accuracy.
SEARCH_RTOL = 1e-12


@dataclass(frozen=True, eq=False)
class LevelCurve:
    """The points of the domain with g(q) = level, walked by s from s = 0 (where q3 = 0) to `extent`.

    For f(q1) - f(q2) the coordinate is s = -L/2 - f(q2) (see `rsopt.kernels.curve`); for other functionals it
    is the distance in q2 from the end with q3 = 0.

    Attributes:
        tail_set: W.
        functional: g.
        domain: where q may lie.
        level: L.

    Raises:
        InvalidInputError: a level that is not finite, or that no point of the domain has.
    """

    tail_set: TailSet
    functional: Functional
    domain: Domain
    level: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.level):
            raise InvalidInputError(f"The level must be a finite number; found {self.level!r}.")
        least, largest = self.functional.range
        if not least <= self.level <= largest or self.domain.segment(self.functional, self.level) is None:
            raise InvalidInputError(f"No distribution in the {self.domain.name} has {self.functional.name} = "
                                    f"{self.level!r}; its values go from {least!r} to {largest!r}.")

    @cached_property
    def segment(self) -> tuple[float, float]:
        """(smallest, largest) q2 on the curve."""
        found = self.domain.segment(self.functional, self.level)
        assert found is not None  # checked at construction
        return found

    @cached_property
    def extent(self) -> float:
        """The largest s. The probit curve never ends: it is cut where n·q1 and n·q2 are below 1e-6."""
        low, high = self.segment
        if not isinstance(self.functional, LinkFunctional):
            return high - low
        if not self.domain.third_cell:
            return 0.0
        at_low = float(self.functional.link(np.array(low)))
        if at_low == -math.inf:
            tiny = float(self.functional.link(np.array(1e-6 / self.tail_set.n)))
            return max(0.5 * abs(self.level) - tiny, 0.0)
        return max(-0.5 * self.level - at_low, 0.0)

    @property
    def one_point(self) -> bool:
        """Whether the curve is a single point (up to rounding)."""
        low, high = self.segment
        return not self.domain.third_cell or high - low <= 1e-14 * high

    def points(self, s: npt.ArrayLike) -> Array:
        """q at s; shape (b,) -> (b, 3)."""
        values = np.asarray(s, dtype=float)
        low, high = self.segment
        g = self.functional
        if isinstance(g, LinkFunctional):
            return np.array([curve_point(g.kind, g.coefficients, self.level, low, high, v) for v in values.tolist()]
                            ).reshape(-1, 3)
        q2 = np.clip(high - values, low, high)
        q1 = np.minimum(level_q1(g, self.level, q2), 1.0 - q2)
        return np.stack([q1, q2, np.maximum(1.0 - q1 - q2, 0.0)], axis=-1)

    def log_tails(self, s: npt.ArrayLike, rtol: float = SEARCH_RTOL) -> Array:
        """log P_q(W) at s; shape (b,) -> (b,)."""
        g, tails = self.functional, self.tail_set
        if isinstance(g, LinkFunctional):
            values: Array = curve_log_tails(g.kind, g.coefficients, self.level, *self.segment,
                                            np.ascontiguousarray(s, dtype=float), tails.n, tails.stairs, tails.rule,
                                            tails.top_row, rtol)
            return values
        return tails.log_probability(self.points(s), rtol)

    def coordinate(self, q: npt.ArrayLike) -> float:
        """The s of the point of the curve with the q2 of q (scaled to sum 1), shape (3,); clamped to the curve."""
        q = np.asarray(q, dtype=float)
        low, high = self.segment
        q2 = min(max(float(q[1] / q.sum()), low), high)
        if not isinstance(self.functional, LinkFunctional):
            return high - q2
        if q2 == 0.0:
            return self.extent
        s = -0.5 * self.level - float(self.functional.link(np.array(q2)))
        return min(max(s, 0.0), self.extent)

    def grid(self, size: int) -> Array:
        """About `size` values of s from 0 to `extent`, increasing: geometric towards the ends.

        The optimum often lies where a cell has probability of order 1/n. On the probit curve the far end
        needs no refinement, since s is logarithmic there already.
        """
        half = size // 2
        near = 0.5 * np.geomspace(0.05 / self.tail_set.n, 1.0, half)
        logarithmic = isinstance(self.functional, LinkFunctional) and self.functional.kind == PROBIT
        far = np.linspace(0.5, 1.0, half + 1)[1:] if logarithmic else 1.0 - np.append(near[-2::-1], 0.0)
        return self.extent * np.concatenate([[0.0], near, far])

    def from_unit(self, t: npt.ArrayLike) -> Array:
        """s from a coordinate t in [0, 1] in which both ends are stretched by a cube; same shape."""
        near, far = np.asarray(t, dtype=float) ** 3, (1.0 - np.asarray(t, dtype=float)) ** 3
        return self.extent * near / (near + far)

    def to_unit(self, s: float) -> float:
        """The inverse of `from_unit`."""
        share = s / self.extent
        near, far = float(np.cbrt(share)), float(np.cbrt(1.0 - share))
        return near / (near + far)

    def tangent(self, q2: float) -> tuple[float, float, float]:
        """(h, h', h'') of q1 = h(q2) at q2, by implicit differentiation of f(q1) - f(q2) = L.

        Raises:
            InvalidInputError: a functional without a link.
        """
        g = self.functional
        if not isinstance(g, LinkFunctional):
            raise InvalidInputError(f"The functional {g.name!r} has no link, hence no derivatives of its level curve.")
        at = np.array(q2)
        q1 = g.curve(self.level, at)
        slope1, slope2 = float(g.link_slope(q1)), float(g.link_slope(at))
        first = slope2 / slope1
        second = (float(g.link_curvature(at)) - float(g.link_curvature(q1)) * first * first) / slope1
        return float(q1), first, second

    def with_q1(self, q2: float, least: float) -> float:
        """q2, or the q2 at which q1 = `least` on the curve if that is larger: logs of q1 end at 0."""
        g = self.functional
        if not isinstance(g, LinkFunctional):
            return q2
        # f(q2) = f(q1) - L, so the inverse of h is h itself with the level negated.
        return min(max(q2, float(g.curve(-self.level, np.array(least)))), self.segment[1])
