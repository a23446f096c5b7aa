"""The checker's own account of the links: values, level curves with error bounds, and the factors of convex pieces."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]

_EPS = float(np.finfo(float).eps)
_PI = np.longdouble("3.14159265358979323846264338327950288")


class CheckedLink:
    """f of g(q) = f(q1) - f(q2), vectorised over NumPy arrays; `order` is None but for Taylor polynomials."""

    def __init__(self, functional: str, order: int | None) -> None:
        self.functional = functional
        self.order = order

    @cached_property
    def derivatives_at_half(self) -> Array:
        """Coefficients a_k of f_M(1/2 + y) = sum over odd k <= M of a_k y^k, shape (M + 1,).

        With u = 2y and c = sqrt(pi/2), z = ndtri satisfies dz/du = c w, where w = exp(z²/2) satisfies dw/du = c z w².
        The power series follow term by term; all terms are positive, so that nothing cancels.
        """
        assert self.order is not None
        c = np.sqrt(_PI / 2)
        z, w, squared = (np.zeros(self.order + 1, dtype=np.longdouble) for _ in range(3))
        w[0] = 1
        for k in range(self.order):
            z[k + 1] = c * w[k] / (k + 1)
            squared[k] = w[: k + 1] @ w[k::-1]
            w[k + 1] = c * (z[: k + 1] @ squared[k::-1]) / (k + 1)
        # The proven functional has its coefficients rounded down by 1e-12, which keeps it below the probit.
        return np.asarray(np.ldexp(z, np.arange(self.order + 1)), dtype=float) * (1.0 - 1e-12)

    def f(self, q: npt.ArrayLike) -> Array:
        """f(q), elementwise."""
        values = np.asarray(q, dtype=float)
        if self.functional == "margin":
            return values - 0.5
        if self.functional == "probit":
            return np.asarray(special.ndtri(values))
        return np.asarray(np.polynomial.polynomial.polyval(values - 0.5, self.derivatives_at_half), dtype=float)

    def slope(self, q: npt.ArrayLike) -> Array:
        """f'(q), elementwise."""
        values = np.asarray(q, dtype=float)
        if self.functional == "margin":
            return np.ones_like(values)
        if self.functional == "probit":
            with np.errstate(over="ignore"):
                steep: Array = math.sqrt(2.0 * math.pi) * np.exp(0.5 * special.ndtri(values) ** 2)
                return steep
        poly = np.polynomial.polynomial
        return np.asarray(poly.polyval(values - 0.5, poly.polyder(self.derivatives_at_half)))

    def bend(self, q: npt.ArrayLike) -> Array:
        """f''(q), elementwise."""
        values = np.asarray(q, dtype=float)
        if self.functional == "margin":
            return np.zeros_like(values)
        if self.functional == "probit":
            return np.asarray(special.ndtri(values) * self.slope(values) ** 2)
        poly = np.polynomial.polynomial
        return np.asarray(poly.polyval(values - 0.5, poly.polyder(self.derivatives_at_half, 2)))

    def inverse(self, y: npt.ArrayLike) -> Array:
        """f^{-1}(y), elementwise, clamped to [0, 1]."""
        values = np.asarray(y, dtype=float)
        if self.functional == "margin":
            return np.asarray(np.clip(values + 0.5, 0.0, 1.0))
        if self.functional == "probit":
            return np.asarray(special.ndtr(values))
        low, high = np.zeros_like(values), np.ones_like(values)
        for _ in range(60):
            middle = 0.5 * (low + high)
            below = self.f(middle) < values
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(0.5 * (low + high), dtype=float)

    def value(self, q1: float, q2: float) -> float:
        """g(q1, q2)."""
        if self.functional == "margin":
            return float(q1 - q2)
        return float(self.f(q1) - self.f(q2))

    def segment(self, level: float, third_cell: bool, least_q1: float) -> tuple[float, float] | None:
        """(smallest, largest) q2 of the level curve in the domain; None if it is empty.

        The ends are rounded inwards by 1e-13, because a proof that starts an ulp later than this arithmetic would is
        still a proof: the tail moves by less than the slack over such a distance. With two classes the curve is a
        point, given by an interval around it.
        """
        top = float(self.inverse(-0.5 * level)) if self.functional != "margin" else 0.5 * (1.0 - level)
        low = 0.0
        if level < 0.0 and self.functional != "probit":
            low = float(self.inverse(self.f(0.0) - level))
        if least_q1 > 0.0:
            low = max(low, float(self.inverse(self.f(least_q1) - level)))
        if not third_cell:
            error = 8.0 * _EPS * (1.0 + level * level)
            return top * (1.0 - error), min(top * (1.0 + error), 1.0)
        if low > top * (1.0 + 1e-12):
            return None
        return min(low * (1.0 + 1e-13), top), top * (1.0 - 1e-13)

    def nodes(self, level: float, cuts: Array) -> tuple[Array, Array, Array, Array]:
        """(q1 low, q1 high, q3 low, q3 high) on the curve at the cuts, each of shape (k + 1,), with rounding bounds."""
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            if self.functional == "margin":
                q1 = np.clip(cuts + level, 0.0, 1.0)
                error = np.full(cuts.shape, 4.0 * _EPS)
            else:
                q1 = self.inverse(level + self.f(cuts))
                if self.functional == "probit":
                    z = np.minimum(np.abs(special.ndtri(cuts)), 40.0) + abs(level)
                    error = 8.0 * _EPS * np.minimum(q1, 1.0 - q1) * (1.0 + z) ** 2 + 2.0 * _EPS * q1
                else:
                    error = np.full(cuts.shape, 64.0 * _EPS)
        q1 = np.where(cuts <= 0.0, float(self.inverse(level + float(self.f(0.0)))), q1)
        high = np.minimum(q1 + error, 1.0 - cuts)
        low = np.maximum(q1 - error, 0.0)
        return low, high, np.maximum(1.0 - cuts - high - 2 * _EPS, 0.0), np.maximum(1.0 - cuts - low + 2 * _EPS, 0.0)

    def factors(self, cuts: Array, q1_low: Array, q1_high: Array, q3_low: Array, q3_high: Array) -> Array:
        """(r1, r2, r3) of each piece taken as convex, shape (k, 3); infinite where an end lies on a face."""
        a, b = slice(None, -1), slice(1, None)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            steps = np.log(np.stack([q1_high[b] / q1_low[a], cuts[b] / cuts[a], q3_high[a] / q3_low[b]], axis=1))
            up, down = self._chord_gaps(cuts[a], cuts[b], q1_low[a], q1_high[b])
            r = np.exp(steps ** 2 / 8.0)
            r[:, 0] *= 1.0 + up / q1_low[a]
            r[:, 2] *= 1.0 + down / q3_low[b]
        return np.where(np.isfinite(r), r, np.inf)

    def _chord_gaps(self, a2: Array, b2: Array, a1: Array, b1: Array) -> tuple[Array, Array]:
        """How far the curve rises above and falls below its chord on each piece, both of shape (k,)."""
        if self.functional == "margin":
            return np.zeros_like(a2), np.zeros_like(a2)

        def slopes(low: Array, high: Array) -> tuple[Array, Array]:
            ends = np.stack([self.slope(low), self.slope(high)])
            least = np.where((low <= 0.5) & (high >= 0.5), float(self.slope(0.5)), ends.min(axis=0))
            return least, ends.max(axis=0)

        s1_low, s1_high = slopes(a1, b1)
        s2_low, s2_high = slopes(a2, b2)
        flat, steep = (s2_low / s1_high) ** 2, (s2_high / s1_low) ** 2
        bend_a1, bend_b1 = self.bend(a1), self.bend(b1)
        most = self.bend(b2) - bend_a1 * np.where(bend_a1 < 0.0, steep, flat)
        least = self.bend(a2) - bend_b1 * np.where(bend_b1 > 0.0, steep, flat)
        scale = (b2 - a2) ** 2 / (8.0 * s1_low) * (1.0 + 1e-9)
        return np.maximum(-least, 0.0) * scale, np.maximum(most, 0.0) * scale

