"""Tail sets in ball arithmetic, row by row: every outcome is told in or out with certainty, or the check fails.

The statistic, its hull and the boxes that show that nothing is missed are those of `rsopt.checks.stairs`.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, ClassVar

import numpy as np
from flint import arb, fmpq

from rsopt.checks.arb_links import BallLink
from rsopt.checks.arb_rows import upper_tail
from rsopt.checks.links import pseudo_count
from rsopt.checks.quantiles import quantiles
from rsopt.errors import CertificateError

MOST_BOXES = 2_000_000

Box = tuple[int, int, int, int]


class BallOrder:
    """T over the counts, as balls.

    Args:
        statistic, n, alpha: as in the certificate.
        link: f.
    """

    #: How far below T(x_obs) an outcome still counts as tied, times 1 + |T|.
    tie: ClassVar[Any] = fmpq(5, 10**12)

    def __init__(self, statistic: str, n: int, alpha: float, link: BallLink) -> None:
        self.n, self._alpha, self._link, self._statistic = n, alpha, link, statistic
        self._studentized = statistic == "studentized"
        # The statistic is defined with 1 - alpha in double precision: any z makes an order.
        self._z = link_z(alpha) if self._studentized else arb(0)
        self._pseudo = pseudo_count(link.functional, self._z)
        self._total = n + 3 * self._pseudo
        self._half_slope = link.slope(arb(0.5))
        self.share, self.own, self.other = cache(self._share), cache(self._own), cache(self._other)
        self.slope, self.bend = cache(self._slope), cache(self._bend)

    def _share(self, x: int) -> Any:
        return (x + self._pseudo) / self._total

    def _own(self, x1: int) -> Any:
        if self._studentized:
            return self._link.f(self.share(x1))
        if self._statistic == "plugin":
            return self._link.f(arb(x1) / self.n)
        return self._limit(x1) if x1 > 0 else self._link.f(arb(0))

    def _other(self, x2: int) -> Any:
        if self._statistic != "clopper-pearson":
            return self.own(x2)
        # The upper limit at x2 is what the lower limit at n - x2 leaves of 1, and f is odd about 1/2.
        return -self._limit(self.n - x2) if x2 < self.n else self._link.f(arb(1))

    def _slope(self, x: int) -> Any:
        return self._link.slope(self.share(x), self.own(x))

    def _bend(self, x: int) -> Any:
        return self._link.bend(self.share(x), self.own(x))

    def _limit(self, x: int) -> Any:
        """f at the Clopper–Pearson lower limit p at alpha/2 for x >= 1 successes: P(Bin(n, p) >= x) = alpha/2.

        SciPy's quantile is a guess; two tails on either side of it make a ball of it.
        """
        half = arb(self._alpha) / 2
        a, b = np.array([float(x)]), np.array([self.n - x + 1.0])
        p = float(quantiles(a, b, self._alpha / 2, below=True)[0])
        near_one = p > 0.5
        if near_one:
            p = float(quantiles(b, a, self._alpha / 2, below=False)[0])
        for exponent in (-44, -36, -28, -20):
            ends = [arb(p) * (1 + sign * arb(2) ** exponent) for sign in (-1, 1)]
            at = [upper_tail(x, self.n, 1 - end, end)[0] if near_one else upper_tail(x, self.n, end, 1 - end)[0]
                  for end in ends]
            if (at[1] < half < at[0]) if near_one else (at[0] < half < at[1]):
                values = [self._link.f(end) for end in ends]
                value = values[0].union(values[1])
                return -value if near_one else value
        raise CertificateError(f"The Clopper–Pearson limit of {x} of {self.n} cannot be enclosed.")

    def value(self, x1: int, x2: int) -> Any:
        """T(x1, x2) before the hull; a ball, or an infinite one."""
        own = self.own(x1)
        if not own.is_finite() and not own > 0:
            return arb.neg_inf()
        value = own - self.other(x2)
        if not self._studentized:
            return value
        p1, p2, a, b = self.share(x1), self.share(x2), self.slope(x1), self.slope(x2)
        variance = a * a * p1 * (1 - p1) + b * b * p2 * (1 - p2) + 2 * a * b * p1 * p2
        return value - self._z * (variance / self._total).sqrt()

    def steepness(self, x1: int, x2: int) -> float:
        """f' at both shares: how much an error of the shares changes T."""
        shares = [self._link.inverse(value) for value in (self.own(x1), self.other(x2))]
        return sum(float(self._link.slope(share)) for share in shares if share > 0 and share < 1)

    def threshold(self, x1: int, x2: int) -> Any:
        """What T must reach in W: the hull at the observation, less the tolerance for ties."""
        best = self.value(x1, x2)
        if self._studentized:
            best = self._largest(best, x1, x2)
        return best - self.tie * (1 + abs(best)) if best.is_finite() else best

    def reaches(self, x1: int, x2: int, threshold: Any) -> bool:
        """Whether T(x1, x2) is at or above the threshold.

        Raises:
            CertificateError: the balls overlap.
        """
        value = self.value(x1, x2)
        if not value.is_finite() and not threshold.is_finite():
            return bool(value > 0 or threshold < 0)
        if value >= threshold:
            return True
        if value < threshold:
            return False
        raise CertificateError(f"Whether the outcome ({x1}, {x2}) lies in the tail set cannot be decided.")

    def rows(self, threshold: Any, first: int, last: int) -> list[int]:
        """s(x2) for x2 = first … last: the least x1 in W, n + 1 for an empty row.

        Raises:
            CertificateError: an outcome cannot be told in or out.
        """
        low, high = -1, self.n - last + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.reaches(middle, last, threshold) else (middle, high)
        stairs = [0] * (last - first + 1)
        s = high
        for x2 in range(last, first - 1, -1):
            if s > self.n - x2 - 1:
                # The row above is empty, which says nothing of this one: it is longer.
                s = self.n - x2 + 1
            while s > 0 and self.reaches(s - 1, x2, threshold):
                s -= 1
            stairs[x2 - first] = s if s <= self.n - x2 else self.n + 1
        while self._studentized and (missed := self._missed(threshold, first, stairs)) is not None:
            self._lower(stairs, first, *missed, threshold)
        return stairs

    def _lower(self, stairs: list[int], first: int, x1: int, x2: int, threshold: Any) -> None:
        """Takes an outcome that the walk missed, and those below it, into the hull."""
        s = x1
        for row in range(min(x2, first + len(stairs) - 1), first - 1, -1):
            while s > 0 and self.reaches(s - 1, row, threshold):
                s -= 1
            if stairs[row - first] <= s:
                return
            stairs[row - first] = s

    def _missed(self, threshold: Any, first: int, stairs: list[int]) -> tuple[int, int] | None:
        """An outcome beyond the boundary that reaches the threshold, if there is one.

        Rows after the last one are bounded by its s, so outcomes before that are beyond the boundary there.
        """
        last = first + len(stairs) - 1
        stack: list[Box] = [(0, self.n, first, self.n)]
        for _ in range(MOST_BOXES):
            if not stack:
                return None
            a1, b1, a2, b2 = stack.pop()
            if a1 + a2 > self.n:
                continue
            b1, b2 = min(b1, self.n - a2), min(b2, self.n - a1)
            if a1 >= stairs[min(b2, last) - first]:
                continue
            if (a1, a2) == (b1, b2):
                if self.reaches(a1, a2, threshold):
                    return a1, a2
                continue
            upper, monotone = self._box(a1, b1, a2, b2)
            if not (upper < threshold or monotone):
                stack += _halves(a1, b1, a2, b2)
        raise CertificateError("The tail set cannot be rebuilt: its outcomes cannot be told apart by interval bounds.")

    def _largest(self, best: Any, x1: int, x2: int) -> Any:
        """The largest T over the outcomes with no more votes for the class and no fewer for the rival."""
        stack: list[Box] = [(0, x1, x2, self.n)]
        for _ in range(MOST_BOXES):
            if not stack:
                return best
            a1, b1, a2, b2 = stack.pop()
            if a1 + a2 > self.n:
                continue
            b1, b2 = min(b1, self.n - a2), min(b2, self.n - a1)
            if (a1, a2) == (b1, b2):
                best = best.max(self.value(a1, a2))
                continue
            upper, monotone = self._box(a1, b1, a2, b2)
            if upper < best:
                continue
            if monotone:
                # At the observation itself the corner is the best one: no wider ball is needed.
                best = best if (b1, a2) == (x1, x2) else best.max(self.value(b1, a2))
                continue
            stack += _halves(a1, b1, a2, b2)
        raise CertificateError("The statistic's hull at the counts cannot be found by interval bounds.")

    def _box(self, a1: int, b1: int, a2: int, b2: int) -> tuple[Any, bool]:
        """(an upper bound on T over the box, whether T is shown to grow with x1 and to fall with x2 all over it)."""
        slope1, slope2 = self._slope_range(a1, b1), self._slope_range(a2, b2)
        low1, high1, low2, high2 = self.share(a1), self.share(b1), self.share(a2), self.share(b2)
        variance = (slope1[0] ** 2 * _spread(low1, high1)[0] + slope2[0] ** 2 * _spread(low2, high2)[0]
                    + 2 * slope1[0] * low1 * slope2[0] * low2)
        upper = self.own(b1) - self.other(a2) - self._z * (variance / self._total).sqrt()
        room = 2 * (self._total * variance).sqrt() / self._z
        cross1, cross2 = (slope1[0] * low1, slope1[1] * high1), (slope2[0] * low2, slope2[1] * high2)
        monotone = (self._steepest(1, a1, b1, slope1, cross2) <= room
                    and self._steepest(-1, a2, b2, slope2, cross1) <= room)
        return upper, bool(monotone)

    def _slope_range(self, a: int, b: int) -> tuple[Any, Any]:
        at_a, at_b, half = self.slope(a), self.slope(b), arb(0.5)
        least = at_a.min(at_b) if self.share(a) > half or self.share(b) < half else self._half_slope
        return least, at_a.max(at_b)

    def _steepest(self, sign: int, a: int, b: int, slope: tuple[Any, Any], cross: tuple[Any, Any]) -> Any:
        """The largest sign · (dV/dp)/f'(p), as `rsopt.checks.stairs` has it."""
        p_low, p_high = self.share(a), self.share(b)
        bends, tilts = (self.bend(a), self.bend(b)), (1 - 2 * p_high, 1 - 2 * p_low)
        ratios = (_least([bends[0] / s for s in slope]), _most([bends[1] / s for s in slope]))
        shift = cross[1]
        if sign < 0:
            bends, tilts, ratios = ((-high, -low) for low, high in (bends, tilts, ratios))
            shift = -cross[0]
        return (2 * _product(bends, _spread(p_low, p_high)) + _product(tilts, slope)
                + 2 * _product(ratios, (p_low * cross[0], p_high * cross[1])) + 2 * shift)


def link_z(alpha: float) -> Any:
    """z = ndtri(1 - alpha) of the studentized statistic, with 1 - alpha rounded to double precision."""
    return arb(2).sqrt() * (2 * (1 - arb(1.0 - alpha))).erfcinv()


def _least(values: list[Any]) -> Any:
    least = values[0]
    for value in values[1:]:
        least = least.min(value)
    return least


def _most(values: list[Any]) -> Any:
    return -_least([-value for value in values])


def _product(one: tuple[Any, Any], other: tuple[Any, Any]) -> Any:
    """The largest product of a number from each range."""
    return _most([a * b for a in one for b in other])


def _spread(low: Any, high: Any) -> tuple[Any, Any]:
    """Least and largest p(1 - p) on [low, high]."""
    at_low, at_high = low * (1 - low), high * (1 - high)
    half = arb(0.5)
    return at_low.min(at_high), at_low.max(at_high) if low > half or high < half else arb(0.25)


def _halves(a1: int, b1: int, a2: int, b2: int) -> list[Box]:
    """The halves of a box; they share their edge, but for boxes of two counts."""
    if math.log((b1 + 1.0) / (a1 + 1.0)) >= math.log((b2 + 1.0) / (a2 + 1.0)):
        left, right = _cut(a1, b1)
        return [(a1, left, a2, b2), (right, b1, a2, b2)]
    left, right = _cut(a2, b2)
    return [(a1, b1, a2, left), (a1, b1, right, b2)]


def _cut(a: int, b: int) -> tuple[int, int]:
    middle = (a + b) // 2 if b < 4 * a + 16 else 2 * a + 4
    return middle, middle if b - a > 1 else b
