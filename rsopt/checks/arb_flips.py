"""The margin after changes of bits in ball arithmetic; what it is, `rsopt.checks.flips` says."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

from flint import arb, fmpq

from rsopt.certificate import FlippedBits
from rsopt.checks.arb_links import BallLink, Node
from rsopt.checks.arb_stairs import BallOrder
from rsopt.checks.flip_curve import ONE, Corners, FlipCurve


class BallFlipLevels:
    """What `rsopt.checks.arb_links.BallLink` is for a link: ends, nodes and factors of the level curve.

    Args:
        flips: the noise and the changes.
        level: of the curve; -inf where there is none.
    """

    largest: ClassVar[Any] = arb(1)

    def __init__(self, flips: FlippedBits, level: float) -> None:
        self.curve, self._level = FlipCurve(flips), level

    @cached_property
    def _ends(self) -> tuple[float, float, float] | None:
        return self.curve.ends(self._level)

    def ends(self, level: Any, third_cell: bool, least_q1: float) -> tuple[Any, Any]:
        """As in `BallLink`, on the level that the curve was made for; `least_q1` is 0."""
        if self._ends is None:
            return arb(1), arb(0)
        return arb(self._ends[0] if third_cell else self._ends[1]), arb(self._ends[2])

    def node(self, level: Any, q2: Any) -> Node:
        """As in `BallLink`; q2 is a double."""
        units = max(self.curve.largest_q1(self._level, float(q2)), 0)
        high = arb(fmpq(units, ONE)).upper()
        if self._ends is not None:
            # Before the end q1 is below 1 - q2, and after it no larger.
            high = high.min((1 - arb(self._ends[1])).upper())
        return high, high, (1 - q2 - high).lower().max(arb(0)), (1 - q2 - high).upper().max(arb(0))

    def factors(self, a2: Any, b2: Any, a: Node, b: Node) -> None:
        """None: with corners a level curve has no convex pieces."""

    def value(self, q1: Any, q2: Any) -> Any:
        """An upper bound on g at two doubles."""
        found = self.curve.value_at_most(min(float(q1), 1.0), min(float(q2), 1.0))
        return arb(fmpq(found.numerator, found.denominator))


class BallFlipOrder(BallOrder):
    """T over the counts, as balls.

    Args:
        statistic, n, alpha: as in the certificate; "clopper-pearson" or "plugin".
        curve: the exact corners.
    """

    tie: ClassVar[Any] = fmpq(5, 10**12)

    def __init__(self, statistic: str, n: int, alpha: float, curve: FlipCurve) -> None:
        # The limits are those of the link q - 1/2.
        super().__init__(statistic, n, alpha, BallLink("margin", None))
        self._lines = [_lines(corners) for corners in curve.exact]

    def value(self, x1: int, x2: int) -> Any:
        """T(x1, x2)."""
        half = arb(0.5)
        own, other = half - self.own(x1), half + self.other(x2)
        most = arb(0)
        for lines in self._lines:
            most = most.max(_least(lines, own) + _least(lines, other))
        return 1 - most

    def steepness(self, x1: int, x2: int) -> float:
        """0: an error of the shares changes T by less than the tolerance that there is anyway."""
        return 0.0


def _lines(corners: Corners) -> list[tuple[Any, Any]]:
    """(height at 0, slope) of the pieces of H, which is the least of them since it is concave."""
    found = []
    for (p, value), (after, more) in pairwise(zip(corners.at, corners.values, strict=True)):
        if after > p:
            slope = fmpq(more - value, after - p)
            found.append((arb(fmpq(value, corners.whole) - slope * fmpq(p, corners.whole)), arb(slope)))
    return found


def _least(lines: list[tuple[Any, Any]], p: Any) -> Any:
    least = arb(1)
    for height, slope in lines:
        least = least.min(height + slope * p)
    return least
