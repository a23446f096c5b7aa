"""The margin after changes of bits, from the definition: exact regions, and level curves in whole numbers.

A change of the input by a additions and d deletions of ones leaves all other bits alike. Let t be the ones drawn at
the a added places, less those drawn at the d deleted ones, plus d. Under the input its probabilities are the
coefficients of

    ((1 - add) + add t)^a · ((1 - remove) + remove t)^d,

and under the changed input those of the same with add and 1 - remove exchanged, and remove and 1 - add. The likelihood
ratio rises with t where add + remove < 1, falls where it is larger, and is 1 throughout where it is 1. So the largest
probability under the changed input of a set that has probability p under the input, H(p), takes the t in that order
(Neyman & Pearson 1933), and the least one is 1 - H(1 - p). The functional is

    g(q1, q2) = 1 - max over the changes of [H(1 - q1) + H(q2)].

Everything is a multiple of 2^-192: corners of H are rounded so that the polygon through them lies above H, or below it
where that is asked for, and so is every value between them (docs/theory/rounding-checker.md).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

from rsopt.certificate import FlippedBits

BITS = 192
ONE = 1 << BITS

Polygon = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Corners:
    """The corners (p, H(p)) of H, exactly: nondecreasing, from 0, or what H jumps to there, to 1.

    Attributes:
        at, values: p and H(p) in units of one `whole`th: no fraction is ever reduced, which would take longest.
        whole: their denominator.
    """

    at: tuple[int, ...]
    values: tuple[int, ...]
    whole: int

    @classmethod
    def of(cls, flips: FlippedBits, additions: int, deletions: int) -> Corners:
        """The corners for so many additions and deletions."""
        scale = math.lcm(flips.add.denominator, flips.remove.denominator)
        up, down = int(flips.add * scale), int(flips.remove * scale)
        before = _coefficients([(scale - up, up)] * additions + [(scale - down, down)] * deletions)
        after = _coefficients([(down, scale - down)] * additions + [(up, scale - up)] * deletions)
        if up + down < scale:
            before, after = before[::-1], after[::-1]
        at, values = (0, *accumulate(before)), (0, *accumulate(after))
        # What the input cannot draw costs nothing: H begins with it.
        first = bisect_right(at, 0) - 1
        return cls(at[first:], values[first:], scale ** (additions + deletions))

    def rounded(self, *, above: bool) -> Polygon:
        """The corners moved to the left and up, or to the right and down: the polygon of a rising function follows."""
        across, along = (_down, _up) if above else (_up, _down)
        return (tuple(across(p, self.whole) for p in self.at),
                tuple(along(value, self.whole) for value in self.values))


def _down(part: int, whole: int) -> int:
    return (part << BITS) // whole


def _up(part: int, whole: int) -> int:
    return -((-part << BITS) // whole)


def _coefficients(factors: list[tuple[int, int]]) -> list[int]:
    """Of the product of the factors a + b t."""
    found = [1]
    for a, b in factors:
        found = [a * low + b * high for low, high in zip([*found, 0], [0, *found], strict=True)]
    return found


class FlipCurve:
    """Level curves of the margin after changes of bits, rounded outwards.

    Args:
        flips: the noise and the changes.
    """

    def __init__(self, flips: FlippedBits) -> None:
        self.exact = [Corners.of(flips, *pair) for pair in flips.changes]
        self._above = [corners.rounded(above=True) for corners in self.exact]

    def largest_q1(self, level: float, q2: float) -> int:
        """The largest q1 with g(q1, q2) <= level in units of 2^-192, rounded up; negative where there is none."""
        wanted, at = ONE - _ceil(level), _ceil(q2)
        return max(ONE - _first(polygon, wanted - _upper(polygon, at)) for polygon in self._above)

    def ends(self, level: float) -> tuple[float, float, float] | None:
        """(smallest q2 on the curve, from below; the q2 where it ends with q3 = 0, from below and from above).

        None where every q lies above the level.
        """
        def over(q2: float) -> bool:
            return self.largest_q1(level, q2) + _floor(q2) >= ONE

        if not over(1.0):
            return None
        start = 0.0
        if self.largest_q1(level, 0.0) < 0:
            start, _ = _bracket(lambda q2: self.largest_q1(level, q2) >= 0)
        if over(0.0):
            return 0.0, 0.0, 0.0
        return start, *_bracket(over)

    def value_at_most(self, q1: float, q2: float) -> Fraction:
        """g at these numbers, from above, for 0 <= q1, q2 <= 1."""
        below = [corners.rounded(above=False) for corners in self.exact]
        return Fraction(ONE - max(_lower(polygon, ONE - _ceil(q1)) + _lower(polygon, _floor(q2)) for polygon in below),
                        ONE)


def _bracket(beyond: Callable[[float], bool]) -> tuple[float, float]:
    """Neighbouring doubles, or nearly so, at which a rising condition fails and holds; it fails at 0 and holds at 1."""
    low, high = 0.0, 1.0
    while low < (middle := 0.5 * (low + high)) < high and high - low > 2.0**-53 * high:
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return low, high


def _upper(polygon: Polygon, p: int) -> int:
    """The polygon at p >= 0, rounded up."""
    at, values = polygon
    k = bisect_right(at, p) - 1
    if k == len(at) - 1:
        return values[k]
    return values[k] - (-(p - at[k]) * (values[k + 1] - values[k]) // (at[k + 1] - at[k]))


def _lower(polygon: Polygon, p: int) -> int:
    """The polygon at p >= 0, rounded down."""
    at, values = polygon
    k = bisect_right(at, p) - 1
    if k == len(at) - 1:
        return values[k]
    return values[k] + (p - at[k]) * (values[k + 1] - values[k]) // (at[k + 1] - at[k])


def _first(polygon: Polygon, value: int) -> int:
    """The least p at which the polygon reaches a value, rounded down; more than 1 where it nowhere does."""
    at, values = polygon
    k = bisect_left(values, value)
    if k == 0:
        return 0
    if k == len(values):
        return ONE + 1
    return at[k - 1] + (value - values[k - 1]) * (at[k] - at[k - 1]) // (values[k] - values[k - 1])


def _floor(number: float | Fraction) -> int:
    return math.floor(Fraction(number) * ONE)


def _ceil(number: float | Fraction) -> int:
    return math.ceil(Fraction(number) * ONE)


def rounded_up(units: int) -> float:
    """The least double at or above so many units of 2^-192."""
    nearest = float(Fraction(units, ONE))
    return nearest if Fraction(nearest) * ONE >= units else math.nextafter(nearest, math.inf)
