"""The arithmetic "arb": every number a ball, doubles only where they come from the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, ClassVar, ParamSpec, TypeVar

from flint import arb, ctx

from rsopt.certificate import Certificate
from rsopt.checks.arb_flips import BallFlipLevels, BallFlipOrder
from rsopt.checks.arb_links import BallLink
from rsopt.checks.arb_rows import tail_ball, upper_tail, window
from rsopt.checks.arb_stairs import BallOrder

Point = tuple[Any, Any, Any]

_BITS = 128
#: Log of the share of alpha that a window of rows may leave open.
_LOG_LEFT_OUT = math.log(1e-12)
_LARGEST_FACTOR = 250.0

A = ParamSpec("A")
R = TypeVar("R")


@contextmanager
def precision(bits: int = _BITS) -> Iterator[None]:
    """Sets Arb's precision, which is global, and puts it back."""
    previous = ctx.prec
    ctx.prec = bits
    try:
        yield
    finally:
        ctx.prec = previous


def _precise(function: Callable[A, R]) -> Callable[A, R]:
    @wraps(function)
    def precisely(*args: A.args, **kwargs: A.kwargs) -> R:
        with precision():
            return function(*args, **kwargs)
    return precisely


class Arb:
    """The statement of a certificate in ball arithmetic. Used by `rsopt.checks.certificate`, which says what for."""

    name: ClassVar[str] = "arb"

    @_precise
    def __init__(self, certificate: Certificate) -> None:
        c = self._c = certificate
        self._link: BallLink | BallFlipLevels
        self._order: BallOrder
        self._link, self._order = _account(c)
        self._level = arb(c.lower) if math.isfinite(c.lower) else arb(0)
        self._first = 0
        self._stairs: list[int] = []

    @_precise
    def observed(self) -> tuple[float, float]:
        """T at the counts, and what rounding of the shares in double precision may change it by."""
        c = self._c
        value = self._order.value(c.x1, c.x2)
        if value.is_finite():
            return float(value.mid()), 2.0**-50 * self._order.steepness(c.x1, c.x2)
        return (math.inf if value > 0 else -math.inf), 0.0

    @_precise
    def passes_test(self, share: float) -> bool:
        """Whether P(Bin(n, share) >= x1) is below alpha."""
        return bool(upper_tail(self._c.x1, self._c.n, arb(share), 1 - arb(share))[0] < arb(self._c.alpha))

    @_precise
    def largest_value(self) -> float:
        """The largest value of g, rounded up."""
        return rounded_up(self._link.largest)

    @_precise
    def curve(self) -> tuple[float, float] | None:
        """(smallest, largest) q2 on the level curve, rounded outwards; None if all of the domain lies above it."""
        low, high = self._link.ends(self._level, self._c.third_cell, self._c.least_q1)
        if low > high:
            return None
        return max(-rounded_up(-low), 0.0), min(rounded_up(high), 1.0)

    @_precise
    def cut(self, cuts: Sequence[float]) -> None:
        """Fix the cuts of the level curve that `corner` and `node` speak of."""
        self._cuts = [arb(q2) for q2 in cuts]
        self._nodes = [self._link.node(self._level, q2) for q2 in self._cuts]
        self._factors: dict[int, Point | None] = {}

    @_precise
    def corner(self, piece: int) -> Point:
        """The corner of a piece: q1 from its end and q2 from its start."""
        q1, q2 = self._nodes[piece + 1][1], self._cuts[piece]
        return q1, q2, (1 - q1 - q2).upper().max(arb(0))

    @_precise
    def node(self, node: int, pieces: Sequence[int]) -> Point | None:
        """The node with the factors of its convex pieces; None where one of them reaches a face."""
        factors = []
        for piece in pieces:
            if piece not in self._factors:
                a, b = piece, piece + 1
                self._factors[piece] = self._link.factors(self._cuts[a], self._cuts[b], self._nodes[a], self._nodes[b])
            factors.append(self._factors[piece])
        r1, r2, r3 = arb(0), arb(0), arb(0)
        for found in factors:
            if found is None:
                return None
            r1, r2, r3 = r1.max(found[0]), r2.max(found[1]), r3.max(found[2])
        _, q1, _, q3 = self._nodes[node]
        return q1 * r1, self._cuts[node] * r2, q3 * r3

    @_precise
    def prepare(self, points: Sequence[Point]) -> None:
        """Rebuild the rows of W that tails at these points need, and the one of the observation.

        Raises:
            CertificateError: the tail set cannot be rebuilt.
        """
        c = self._c
        first = last = c.x2
        for point in points:
            total = point[0] + point[1] + point[2]
            low, high = window(float((point[1] / total).mid()), c.n, self._log_negligible(self._factor(point)))
            first, last = min(first, low), max(last, high)
        self._first = first
        self._stairs = self._order.rows(self._order.threshold(c.x1, c.x2), first, last)

    def _factor(self, point: Point) -> Any:
        return self._c.n * (point[0] + point[1] + point[2]).max(arb(1)).log()

    def _log_negligible(self, factor: Any) -> float:
        return math.log(self._c.alpha) + _LOG_LEFT_OUT - min(float(factor.mid()), _LARGEST_FACTOR)

    def contains(self, x1: int, x2: int) -> bool:
        """Whether an outcome lies in W; after `prepare`."""
        row = x2 - self._first
        return 0 <= row < len(self._stairs) and self._stairs[row] <= x1 <= self._c.n - x2

    @_precise
    def upper(self, point: Point) -> float:
        """An upper bound on log F_W(point), F_W being the posynomial that is P(W) on the simplex; after `prepare`."""
        factor = self._factor(point)
        if not factor <= _LARGEST_FACTOR:
            return math.inf
        tail = tail_ball(point, self._first, self._stairs, self._c.n, self._log_negligible(factor)).upper()
        return rounded_up(tail.log() + factor) if tail > 0 else -math.inf

    @_precise
    def witness_point(self, q: tuple[float, float, float]) -> Point:
        """q, its largest entry standing for what the others leave of 1."""
        q1, q2, q3 = (arb(entry) for entry in q)
        if q[0] >= max(q[1], q[2]):
            return 1 - q2 - q3, q2, q3
        return (q1, 1 - q1 - q3, q3) if q[1] >= q[2] else (q1, q2, 1 - q1 - q2)

    @_precise
    def witness(self, q: tuple[float, float, float]) -> tuple[float, float, float]:
        """(an upper bound on g at q, a lower and an upper bound on log P_q(W)); after `prepare`."""
        point = self.witness_point(q)
        tail = tail_ball(point, self._first, self._stairs, self._c.n, self._log_negligible(arb(0)))
        low, high = tail.lower(), tail.upper()
        return (rounded_up(self._link.value(arb(q[0]), arb(q[1]))), -rounded_up(-low.log()) if low > 0 else -math.inf,
                rounded_up(high.log()) if high > 0 else -math.inf)


def _account(c: Certificate) -> tuple[BallLink, BallOrder] | tuple[BallFlipLevels, BallFlipOrder]:
    """The functional and the order of the outcomes that a certificate names."""
    if c.flips is not None:
        levels = BallFlipLevels(c.flips, c.lower)
        return levels, BallFlipOrder(c.statistic, c.n, c.alpha, levels.curve)
    link = BallLink(c.functional, c.order)
    return link, BallOrder(c.statistic, c.n, c.alpha, link)


def rounded_up(value: Any) -> float:
    """The least double known to be at or above every number of the ball; infinite if it says nothing."""
    top = value.upper()
    if not top.is_finite():
        return -math.inf if top < 0 else math.inf
    nearest = float(top)
    while not arb(nearest) >= top:
        nearest = math.nextafter(nearest, math.inf)
    return nearest
