"""The checker's own account of the links in double precision: values, level curves and factors, rounded outwards.

g(q) = f(q1) - f(q2) with f the identity, the Taylor polynomial of the probit about 1/2, or the quantile function of the
normal, Laplace or logistic law. All are odd about 1/2 with f' least there and f'' nondecreasing. Rounding is bounded in
docs/theory/rounding-checker.md.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]

_EPS = float(np.finfo(float).eps)
_PI = np.longdouble("3.14159265358979323846264338327950288")
_ROOT_2PI = math.sqrt(2.0 * math.pi)

#: Links with f(0) = -inf, and those of them that are made of logs.
ENDLESS, LOGS = ("probit", "laplace", "logit"), ("laplace", "logit")


def pseudo_count(functional: str, z: Any) -> Any:
    """What the studentized statistic adds to each cell: z²/4, and z²/4 · 9/8 for links of logs."""
    c = z * z / 4
    return c * 9 / 8 if functional in LOGS else c


def completed(q: tuple[float, float, float]) -> tuple[float, float, float]:
    """q with its largest entry replaced by what the others leave of 1: rounding there would weigh most."""
    q1, q2, q3 = q
    if q1 >= max(q2, q3):
        return 1.0 - (q2 + q3), q2, q3
    return (q1, 1.0 - (q1 + q3), q3) if q2 >= q3 else (q1, q2, 1.0 - (q1 + q2))


class CheckedLink:
    """f of g(q) = f(q1) - f(q2), vectorised over NumPy arrays; `order` is None but for Taylor polynomials."""

    def __init__(self, functional: str, order: int | None) -> None:
        self.functional = functional
        self.order = order

    @cached_property
    def coefficients(self) -> Array:
        """Coefficients of f_M in odd powers u, u³, … of u = 2q - 1, shape ((M + 1)/2,).

        With c = sqrt(pi/2), z = ndtri satisfies dz/du = c w, where w = exp(z²/2) satisfies dw/du = c z w². The power
        series follow term by term; all terms are positive, so that nothing cancels.
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
        return np.asarray(z[1::2], dtype=float) * (1.0 - 1e-12)

    def f(self, q: npt.ArrayLike) -> Array:
        """f(q), elementwise."""
        values = np.asarray(q, dtype=float)
        if self.functional == "margin":
            return values - 0.5
        if self.functional == "probit":
            return np.asarray(special.ndtri(values))
        if self.functional == "logit":
            return np.asarray(special.logit(values))
        if self.functional == "laplace":
            with np.errstate(divide="ignore"):
                size = np.log(2.0 * np.minimum(values, 1.0 - values))
            return np.asarray(np.where(values <= 0.5, size, -size))
        return self._odd(2.0 * values - 1.0)

    def slope(self, q: npt.ArrayLike) -> Array:
        """f'(q), elementwise."""
        values = np.asarray(q, dtype=float)
        if self.functional == "margin":
            return np.ones_like(values)
        if self.functional == "probit":
            return self.slope_at(special.ndtri(values))
        if self.functional in LOGS:
            with np.errstate(divide="ignore"):
                return np.asarray(1.0 / self._side(values))
        powers = 2.0 * np.arange(self.coefficients.size) + 1.0
        return np.asarray(np.polynomial.polynomial.polyval((2.0 * values - 1.0) ** 2, 2.0 * powers * self.coefficients))

    def bend(self, q: npt.ArrayLike) -> Array:
        """f''(q), elementwise."""
        values = np.asarray(q, dtype=float)
        if self.functional == "margin":
            return np.zeros_like(values)
        if self.functional == "probit":
            z = special.ndtri(values)
            return np.asarray(z * self.slope_at(z) ** 2)
        if self.functional in LOGS:
            # f'' of the Laplace link jumps at 1/2; one point bends no chord.
            turn = np.where(values >= 0.5, 1.0, -1.0) if self.functional == "laplace" else 2.0 * values - 1.0
            with np.errstate(divide="ignore", over="ignore"):
                return np.asarray(turn / self._side(values) / self._side(values))
        powers = 2.0 * np.arange(self.coefficients.size) + 1.0
        inner = (4.0 * powers * (powers - 1.0) * self.coefficients)[1:]
        u = 2.0 * values - 1.0
        return np.asarray(u * np.polynomial.polynomial.polyval(u * u, inner)) if inner.size else np.zeros_like(values)

    def _side(self, q: Array) -> Array:
        """1/f' of a link of logs."""
        return np.minimum(q, 1.0 - q) if self.functional == "laplace" else q * (1.0 - q)

    @staticmethod
    def slope_at(z: Array) -> Array:
        """f' of the probit where f = z."""
        with np.errstate(over="ignore"):
            return np.asarray(_ROOT_2PI * np.exp(0.5 * z * z))

    def inverse(self, y: npt.ArrayLike) -> Array:
        """f^{-1}(y), elementwise, clamped to [0, 1]."""
        values = np.asarray(y, dtype=float)
        if self.functional == "margin":
            return np.asarray(np.clip(values + 0.5, 0.0, 1.0))
        if self.functional == "probit":
            return np.asarray(special.ndtr(values))
        if self.functional == "logit":
            return np.asarray(special.expit(values))
        if self.functional == "laplace":
            tail = 0.5 * np.exp(-np.abs(values))
            return np.asarray(np.where(values <= 0.0, tail, 1.0 - tail))
        u = np.ones_like(values)
        goal = np.minimum(np.abs(values), float(self._odd(np.array(1.0))))
        # f is convex for u > 0, so that Newton's method comes down to the root from the right end.
        for _ in range(60):
            step = (self._odd(u) - goal) / (0.5 * self.slope(0.5 + 0.5 * u))
            u = u - step
            if np.all(np.abs(step) <= 2.0 * _EPS * u):
                break
        return np.asarray(0.5 + 0.5 * np.copysign(np.clip(u, 0.0, 1.0), values))

    def _odd(self, u: Array) -> Array:
        return np.asarray(u * np.polynomial.polynomial.polyval(u * u, self.coefficients))

    @property
    def largest(self) -> float:
        """The largest value of g; infinite for endless links."""
        return math.inf if self.functional in ENDLESS else 2.0 * float(self.f(1.0))

    def value_at_most(self, q1: float, q2: float) -> float:
        """An upper bound on g(q1, q2) for these doubles."""
        own, other = float(self.f(q1)), float(self.f(q2))
        if not own > -math.inf:
            return -math.inf
        error = 32.0 * _EPS * (1.0 + abs(own) + abs(other))
        if self.functional == "taylor-probit":
            error += 8.0 * _EPS * float(abs(q1 - 0.5) * self.slope(q1) + abs(q2 - 0.5) * self.slope(q2))
        return own - other + error

    def largest_q1(self, level: float) -> float:
        """The largest q1 on the level curve, where q3 = 0, rounded up: relatively close even where it is tiny."""
        if self.functional == "margin":
            return 0.5 * (1.0 + level) + 2.0 * _EPS
        error = 32.0 * _EPS * (1.0 + level * level)
        q1 = float(self.inverse(0.5 * level))
        return q1 * (1.0 + error) if self.functional in ENDLESS else q1 + error

    def segment(self, level: float, third_cell: bool, least_q1: float) -> tuple[float, float] | None:
        """(smallest, largest) q2 of the level curve in the domain, rounded outwards; None if all of it lies above.

        With two classes the curve is a point, given by an interval around it.
        """
        top = float(self.inverse(-0.5 * level)) if self.functional != "margin" else 0.5 * (1.0 - level)
        error = 32.0 * _EPS * (1.0 + level * level) * (top if self.functional in ENDLESS else 1.0)
        end = min(top + error, 1.0)
        if not third_cell:
            return max(top - error, 0.0), end
        low = 0.0
        if level < 0.0 and self.functional not in ENDLESS:
            low = -level if self.functional == "margin" else float(self.inverse(self.f(0.0) - level))
        if least_q1 > 0.0:
            low = max(low, float(self.inverse(self.f(least_q1) - level)))
        start = max(low - 64.0 * _EPS * (1.0 + abs(level)), 0.0)
        return (start, end) if start <= end else None

    def nodes(self, level: float, cuts: Array) -> tuple[Array, Array, Array, Array]:
        """(q1 low, q1 high, q3 low, q3 high) on the curve at the cuts, each of shape (k + 1,), with rounding bounds."""
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            if self.functional == "margin":
                q1 = np.clip(cuts + level, 0.0, 1.0)
                error = np.full(cuts.shape, 4.0 * _EPS)
            elif self.functional == "probit":
                f2 = self.f(cuts)
                q1 = np.where(cuts > 0.0, self.inverse(level + f2), 0.0)
                z = np.minimum(np.abs(f2), 40.0) + abs(level)
                error = 8.0 * _EPS * np.minimum(q1, 1.0 - q1) * (1.0 + z) ** 2 + 2.0 * _EPS * q1
            elif self.functional in LOGS:
                f2 = self.f(cuts)
                q1 = np.where(cuts > 0.0, self.inverse(level + f2), 0.0)
                size = np.minimum(np.abs(f2), 800.0) + abs(level)
                error = 8.0 * _EPS * np.minimum(q1, 1.0 - q1) * (2.0 + size) + 4.0 * _EPS * q1
            else:
                q1 = self.inverse(level + self.f(cuts))
                moved = np.abs(cuts - 0.5) * self.slope(cuts) + abs(level)
                error = _EPS * (4.0 + 8.0 * moved / self.slope(np.clip(q1, 0.0, 1.0)))
        # The last cut is rounded beyond the end of the curve, where 1 - q2 would be too small.
        high = np.minimum(q1 + error, self.largest_q1(level))
        low = np.maximum(q1 - error, 0.0)
        return low, high, np.maximum(1.0 - cuts - high - 2 * _EPS, 0.0), np.maximum(1.0 - cuts - low + 2 * _EPS, 0.0)

    def factors(self, cuts: Array, q1_low: Array, q1_high: Array, q3_low: Array, q3_high: Array) -> Array:
        """(r1, r2, r3) of each piece taken as convex, shape (k, 3); infinite where an end lies on a face."""
        a, b = slice(None, -1), slice(1, None)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            steps = np.log(np.stack([q1_high[b] / q1_low[a], cuts[b] / cuts[a], q3_high[a] / q3_low[b]], axis=1))
            up, down = self._chord_gaps(cuts[a], cuts[b], q1_low[a], q1_high[b])
            r = np.exp(steps ** 2 / 8.0) * (1.0 + 32.0 * _EPS * (1.0 + steps ** 2))
            r[:, 0] *= 1.0 + up / q1_low[a]
            r[:, 2] *= 1.0 + down / q3_low[b]
        return np.where(np.isfinite(r) & (r >= 1.0), r, np.inf)

    def _chord_gaps(self, a2: Array, b2: Array, a1: Array, b1: Array) -> tuple[Array, Array]:
        """How far the curve rises above and falls below its chord on each piece, both of shape (k,).

        h'' = (f''(q2) - f''(q1) h'²)/f'(q1) on the curve q1 = h(q2), and a gap is at most Δ² max|h''|/8.
        """
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
        first, own = self.bend(b2), bend_a1 * np.where(bend_a1 < 0.0, steep, flat)
        most = first - own + 1e-11 * (np.abs(first) + np.abs(own))
        first, own = self.bend(a2), bend_b1 * np.where(bend_b1 > 0.0, steep, flat)
        least = first - own - 1e-11 * (np.abs(first) + np.abs(own))
        scale = (b2 - a2) ** 2 / (8.0 * s1_low) * (1.0 + 1e-9)
        return np.maximum(-least, 0.0) * scale, np.maximum(most, 0.0) * scale
