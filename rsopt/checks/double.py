"""The arithmetic "double": everything in double precision, with derived bounds on its rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from rsopt.certificate import Certificate
from rsopt.checks.columns import tail
from rsopt.checks.flips import FlipLevels, FlipOrder
from rsopt.checks.links import CheckedLink, completed
from rsopt.checks.stairs import Order

Array = npt.NDArray[np.float64]
Point = tuple[float, float, float]

#: Share of alpha that a tail may leave out on either side; it is added. The proof left 2e-6 of headroom for it.
_LEFT_OUT = 2e-7
#: … and share that the lower bound at a witness may miss, whose tail exceeds alpha by 1e-10.
_LEFT_OPEN = 1e-13
#: Points whose coordinates add up to more than this to the power 1/n are too far out for any proof.
_LARGEST_FACTOR = 250.0
_EPS = float(np.finfo(float).eps)


class _Levels(Protocol):
    """What is asked of a functional: `CheckedLink` or `FlipLevels`."""

    @property
    def largest(self) -> float: ...

    def segment(self, level: float, third_cell: bool, least_q1: float) -> tuple[float, float] | None: ...

    def nodes(self, level: float, cuts: Array) -> tuple[Array, Array, Array, Array]: ...

    def factors(self, cuts: Array, q1_low: Array, q1_high: Array, q3_low: Array, q3_high: Array) -> Array: ...

    def value_at_most(self, q1: float, q2: float) -> float: ...


class _Order(Protocol):
    """What is asked of an order of the outcomes: `Order` or `FlipOrder`."""

    def value(self, x1: int, x2: int) -> float: ...

    def steepness(self, x1: int, x2: int, link: Any) -> float: ...

    def threshold(self, x1: int, x2: int) -> float: ...

    def columns(self, threshold: float, first: int, last: int) -> npt.NDArray[np.int64]: ...


class Double:
    """The statement of a certificate in double precision. Used by `rsopt.checks.certificate`, which says what for."""

    name: ClassVar[str] = "double"

    def __init__(self, certificate: Certificate) -> None:
        c = self._c = certificate
        self._link, self._order = _account(c)
        self._threshold = math.nan
        self._first = 0
        self._stairs = np.zeros(0, dtype=np.int64)

    def observed(self) -> tuple[float, float]:
        """T at the counts, and what rounding of the shares in it may change it by."""
        c = self._c
        return self._order.value(c.x1, c.x2), 8.0 * _EPS * self._order.steepness(c.x1, c.x2, self._link)

    def passes_test(self, share: float) -> bool:
        """Whether P(Bin(n, share) >= x1) is below alpha."""
        c = self._c
        first = max(c.x1 - 1, 0)
        inside = np.where(np.arange(first, c.n + 1) >= c.x1, 0, -1)
        return bool(tail(share, 0.0, 1.0 - share, c.n, first, inside, math.log(c.alpha) - 20.0)[1] < c.alpha)

    def largest_value(self) -> float:
        """The largest value of g, rounded up."""
        return self._link.largest * (1.0 + 4.0 * _EPS)

    def curve(self) -> tuple[float, float] | None:
        """(smallest, largest) q2 on the level curve, rounded outwards; None if all of the domain lies above it."""
        return self._link.segment(self._c.lower, self._c.third_cell, self._c.least_q1)

    def cut(self, cuts: Sequence[float]) -> None:
        """Fix the cuts of the level curve that `corner` and `node` speak of."""
        self._cuts = np.array(cuts)
        self._nodes = self._link.nodes(self._c.lower, self._cuts)
        self._factors = self._link.factors(self._cuts, *self._nodes)

    def corner(self, piece: int) -> Point:
        """The corner of a piece: q1 from its end and q2 from its start."""
        q1, q2 = float(self._nodes[1][piece + 1]), float(self._cuts[piece])
        return q1, q2, max(1.0 - q1 - q2 + 2.0 * _EPS, 0.0)

    def node(self, node: int, pieces: Sequence[int]) -> Point | None:
        """The node with the factors of its convex pieces; None where one of them reaches a face."""
        r = self._factors[list(pieces)].max(axis=0)
        if not np.all(np.isfinite(r)):
            return None
        q1, q2, q3 = self._nodes[1][node] * r[0], self._cuts[node] * r[1], self._nodes[3][node] * r[2]
        return float(q1), float(q2), float(q3)

    def prepare(self, points: Sequence[Point]) -> None:
        """Rebuild the columns of W that tails at these points need, and the one of the observation.

        Raises:
            CertificateError: the tail set cannot be rebuilt.
        """
        c = self._c
        self._threshold = self._order.threshold(c.x1, c.x2)
        q = np.array([*points, (c.x1, c.x2, c.n - c.x1 - c.x2)], dtype=float)
        total = q.sum(axis=1)
        mean, rest = c.n * q[:, 0] / total, (q[:, 1] + q[:, 2]) / total
        # By Bernstein's inequality the columns further out hold less than what may be left out.
        factor = c.n * np.log(np.maximum(total, 1.0))
        factor[-1] = 0.0
        spread = np.sqrt(2.0 * (np.minimum(factor, _LARGEST_FACTOR) - math.log(_LEFT_OPEN * c.alpha)))
        half = spread * np.sqrt(mean * rest) + spread**2
        low, high = np.nanmin(mean - half), np.nanmax(mean + half)
        self._first, last = int(max(low - 1.0, 0.0)), int(min(high + 2.0, c.n))
        self._stairs = self._order.columns(self._threshold, self._first, last)

    def contains(self, x1: int, x2: int) -> bool:
        """Whether an outcome lies in W; after `prepare`."""
        column = x1 - self._first
        return 0 <= column < self._stairs.size and 0 <= x2 <= int(self._stairs[column])

    def upper(self, point: Point) -> float:
        """An upper bound on log F_W(point), F_W being the posynomial that is P(W) on the simplex; after `prepare`."""
        c = self._c
        factor = c.n * max(math.log(math.fsum(point)), 0.0) if all(map(math.isfinite, point)) else math.inf
        factor += 8.0 * c.n * _EPS
        if not factor <= _LARGEST_FACTOR:
            return math.inf
        high = tail(*point, c.n, self._first, self._stairs, math.log(_LEFT_OUT * c.alpha) - factor)[1]
        return math.log(high) + factor + 4.0 * _EPS * (1.0 + abs(math.log(high))) if high > 0.0 else -math.inf

    def witness_point(self, q: Point) -> Point:
        """q, its largest entry standing for what the others leave of 1."""
        return completed(q)

    def witness(self, q: Point) -> tuple[float, float, float]:
        """(an upper bound on g at q, a lower and an upper bound on log P_q(W)); after `prepare`."""
        low, high = tail(*completed(q), self._c.n, self._first, self._stairs, math.log(_LEFT_OPEN * self._c.alpha))
        return (self._link.value_at_most(q[0], q[1]), math.log(low) if low > 0.0 else -math.inf,
                math.log(high) if high > 0.0 else -math.inf)


def _account(c: Certificate) -> tuple[_Levels, _Order]:
    """The functional and the order of the outcomes that a certificate names."""
    if c.flips is not None:
        levels = FlipLevels(c.flips)
        return levels, FlipOrder(c.statistic, c.n, c.alpha, levels.curve)
    link = CheckedLink(c.functional, c.order)
    return link, Order.of(c.statistic, c.n, c.alpha, link)
