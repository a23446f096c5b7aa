"""The links in ball arithmetic: values, level curves and the factors of convex pieces."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from flint import arb, fmpq

from rsopt.checks.links import ENDLESS, LOGS, CheckedLink
from rsopt.errors import CertificateError

Node = tuple[Any, Any, Any, Any]  # q1 from below and above, q3 from below and above: exact


class BallLink:
    """f of g(q) = f(q1) - f(q2) on balls; `order` is None but for Taylor polynomials."""

    def __init__(self, functional: str, order: int | None) -> None:
        self.functional = functional
        self.order = order

    @cached_property
    def coefficients(self) -> list[Any]:
        """Balls around the coefficients of f_M in u, u³, …, u = 2q - 1, as `CheckedLink.coefficients` says."""
        assert self.order is not None
        c = (arb.pi() / 2).sqrt()
        z, w, squared = ([arb(0)] * (self.order + 1) for _ in range(3))
        w[0] = arb(1)
        for k in range(self.order):
            z[k + 1] = c * w[k] / (k + 1)
            squared[k] = sum((w[i] * w[k - i] for i in range(k + 1)), arb(0))
            w[k + 1] = c * sum((z[i] * squared[k - i] for i in range(k + 1)), arb(0)) / (k + 1)
        # The proven functional has its coefficients rounded down by 1e-12, which keeps it below the probit.
        return [value * fmpq(10**12 - 1, 10**12) for value in z[1::2]]

    def f(self, q: Any) -> Any:
        """f(q); -inf or inf where an endless link has no value."""
        if self.functional == "margin":
            return q - arb(0.5)
        if self.functional == "probit":
            if q < arb(0.5):
                return -arb(2).sqrt() * (2 * q).erfcinv() if q > 0 else arb.neg_inf()
            return arb(2).sqrt() * (2 * (1 - q)).erfcinv() if q < 1 else arb.pos_inf()
        if self.functional in LOGS:
            if not q > 0:
                return arb.neg_inf()
            if not q < 1:
                return arb.pos_inf()
            if self.functional == "logit":
                return (q / (1 - q)).log()
            return self._sided(q, (2 * q).log(), -(2 * (1 - q)).log())
        return self._odd(2 * q - 1)

    @staticmethod
    def _sided(q: Any, below: Any, above: Any) -> Any:
        """What holds up to 1/2 or above; a ball around both where q may lie on either side."""
        if q <= arb(0.5):
            return below
        return above if q >= arb(0.5) else below.union(above)

    def slope(self, q: Any, f: Any | None = None) -> Any:
        """f'(q); with f = f(q) where it is known."""
        if self.functional == "margin":
            return arb(1)
        if self.functional == "probit":
            z = self.f(q) if f is None else f
            return (2 * arb.pi()).sqrt() * (z * z / 2).exp()
        if self.functional == "laplace":
            return self._sided(q, 1 / q, 1 / (1 - q))
        if self.functional == "logit":
            return 1 / (q * (1 - q))
        return self._sum(2 * q - 1, [2 * (2 * k + 1) * value for k, value in enumerate(self.coefficients)])

    def bend(self, q: Any, f: Any | None = None) -> Any:
        """f''(q); with f = f(q) where it is known."""
        if self.functional == "margin":
            return arb(0)
        if self.functional == "probit":
            z = self.f(q) if f is None else f
            return z * self.slope(q, z) ** 2
        if self.functional == "laplace":
            # The jump at 1/2 is one point, which bends no chord.
            return self._sided(q, -1 / q**2, 1 / (1 - q) ** 2)
        if self.functional == "logit":
            return (2 * q - 1) / (q * (1 - q)) ** 2
        u = 2 * q - 1
        inner = [4 * (2 * k + 1) * 2 * k * value for k, value in enumerate(self.coefficients)][1:]
        return u * self._sum(u, inner)

    def inverse(self, y: Any) -> Any:
        """f^{-1}(y), clamped to [0, 1].

        Raises:
            CertificateError: it cannot be enclosed.
        """
        if self.functional == "margin":
            return (y + arb(0.5)).max(arb(0)).min(arb(1))
        if self.functional == "probit":
            return (-y / arb(2).sqrt()).erfc() / 2
        if self.functional == "logit":
            return 1 / (1 + (-y).exp())
        if self.functional == "laplace":
            below, above = y.exp() / 2, 1 - (-y).exp() / 2
            if y <= 0:
                return below
            return above if y >= 0 else below.union(above)
        goal = abs(y)
        if goal >= self._odd(arb(1)):
            return arb(1) if y > 0 else arb(0)
        # A root in double precision, polished by Newton's method, and a sign on either side of it.
        guess = 2.0 * float(CheckedLink(self.functional, self.order).inverse(np.array(float(goal.mid())))) - 1.0
        root = arb(max(guess, 0.0))
        for _ in range(3):
            root = (root - (self._odd(root) - goal).mid() * 2 / self.slope((1 + root) / 2)).mid()
        error = arb(2) ** -90 + 4 * goal.rad()
        low, high = (root - error).max(arb(0)), (root + error).min(arb(1))
        if not (self._odd(low.lower()) <= goal.lower() and (high >= 1 or goal.upper() <= self._odd(high.upper()))):
            raise CertificateError("A point of the level curve cannot be enclosed.")
        u = low.union(high)
        if y >= 0:
            return (1 + u) / 2
        return (1 - u) / 2 if y < 0 else ((1 - high) / 2).union((1 + high) / 2)

    def _odd(self, u: Any) -> Any:
        return u * self._sum(u, self.coefficients)

    @staticmethod
    def _sum(u: Any, coefficients: list[Any]) -> Any:
        square, total = u * u, arb(0)
        for value in reversed(coefficients):
            total = total * square + value
        return total

    @property
    def largest(self) -> Any:
        """The largest value of g; infinite for endless links."""
        return arb.pos_inf() if self.functional in ENDLESS else 2 * self.f(arb(1))

    def value(self, q1: Any, q2: Any) -> Any:
        """g(q1, q2); -inf where f(q1) is."""
        own = self.f(q1)
        return own - self.f(q2) if own.is_finite() or own > 0 else arb.neg_inf()

    def ends(self, level: Any, third_cell: bool, least_q1: float) -> tuple[Any, Any]:
        """Balls around (smallest, largest) q2 of the level curve in the domain; the first is above the second, where
        all of the domain lies above the level."""
        top = self.inverse(-level / 2) if self.functional != "margin" else (1 - level) / 2
        if not third_cell:
            return top, top
        low = arb(0)
        if level < 0 and self.functional not in ENDLESS:
            low = -level if self.functional == "margin" else self.inverse(self.f(arb(0)) - level)
        if least_q1 > 0.0:
            low = low.max(self.inverse(self.f(arb(least_q1)) - level))
        return low, top

    def largest_q1(self, level: Any) -> Any:
        """A ball around the largest q1 on the level curve, where q3 = 0."""
        return (1 + level) / 2 if self.functional == "margin" else self.inverse(level / 2)

    def node(self, level: Any, q2: Any) -> Node:
        """The point of the curve at q2."""
        if self.functional == "margin":
            q1 = self.inverse(q2 + level - arb(0.5))
        else:
            q1 = self.inverse(level + self.f(q2)) if q2 > 0 or self.functional not in ENDLESS else arb(0)
        # The last cut is rounded beyond the end of the curve, where 1 - q2 would be too small.
        low, high = q1.lower().max(arb(0)), q1.upper().min(self.largest_q1(level).upper())
        return low, high, (1 - q2 - high).lower().max(arb(0)), (1 - q2 - low).upper().max(arb(0))

    def factors(self, a2: Any, b2: Any, a: Node, b: Node) -> tuple[Any, Any, Any] | None:
        """(r1, r2, r3) of the convex piece from a to b; None where an end lies on a face."""
        a1, b1, a3, b3 = a[0], b[1], a[3], b[2]
        if not (a1 > 0 and a2 > 0 and b3 > 0):
            return None
        up, down = self._chord_gaps(a2, b2, a1, b1)
        r1, r2, r3 = (((end / start).log() ** 2 / 8).exp() for start, end in ((a1, b1), (a2, b2), (b3, a3)))
        return r1 * (1 + up / a1), r2, r3 * (1 + down / b3)

    def _chord_gaps(self, a2: Any, b2: Any, a1: Any, b1: Any) -> tuple[Any, Any]:
        """How far the curve rises above and falls below its chord (see `CheckedLink`)."""
        if self.functional == "margin":
            return arb(0), arb(0)
        (s1_low, s1_high), (s2_low, s2_high) = self._slopes(a1, b1), self._slopes(a2, b2)
        flat, steep = (s2_low / s1_high) ** 2, (s2_high / s1_low) ** 2
        bend_a1, bend_b1 = self.bend(a1), self.bend(b1)
        # The larger of both choices bounds the right one, whichever sign the bend has.
        most = self.bend(b2) - (bend_a1 * steep).min(bend_a1 * flat)
        least = self.bend(a2) - (bend_b1 * steep).max(bend_b1 * flat)
        scale = (b2 - a2) ** 2 / (8 * s1_low)
        return (-least).max(arb(0)) * scale, most.max(arb(0)) * scale

    def _slopes(self, low: Any, high: Any) -> tuple[Any, Any]:
        """Least and largest f' between two points."""
        at_low, at_high = self.slope(low), self.slope(high)
        least = at_low.min(at_high)
        if not (low > arb(0.5) or high < arb(0.5)):
            least = self.slope(arb(0.5))
        return least, at_low.max(at_high)
