"""The probit bound as an optimisation problem: the smallest M2 over a confidence region of (E[X_A], E[X_j]).

Fix slopes b before the rows are seen and bound each E[X_A - b X_j] from below by theta_b, at alpha/k for k
slopes. With probability at least 1 - alpha, p = (u, v) lies in the polygon {u - b v >= theta_b for all b}, so

    minimise ndtri(u) - ndtri(v)   subject to   u - b v >= theta_b,  0 < u, v < 1

bounds M2. Its value is at least the best tangent bound max c_b^{-1}(theta_b), and equal to it for one slope:
c_b^{-1} is the solution of that problem in closed form. For L >= 0 the level sets {ndtri(u) - ndtri(v) <= L}
are convex (u <= ndtr(L + ndtri(v)) is concave in v), so along the lower edge of the polygon the objective is
quasiconvex and
its minimum is at a tangent point or a vertex: the exact solution. A solver for smooth problems needs only
`objective`, `gradient`, `matrix` and `right_side`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from rsopt.errors import InvalidInputError
from rsopt.intervals import get
from rsopt.intervals.values import check_alpha
from rsopt.scores.rows import check_rows, check_top, pooled_columns


@dataclass(frozen=True)
class ProbitRegion:
    """The polygon {u - b v >= theta_b}, which contains (E[X_A], E[X_j]) but with probability alpha.

    Attributes:
        slopes: b >= 1, increasing, (k,).
        thetas: lower bounds on E[X_A - b X_j], (k,), below 1.
        alpha: probability that the region misses the point.
    """

    slopes: tuple[float, ...]
    thetas: tuple[float, ...]
    alpha: float

    def __post_init__(self) -> None:
        if not self.slopes or len(self.slopes) != len(self.thetas):
            raise InvalidInputError(f"A region needs one bound a slope; got {len(self.slopes)} slopes and "
                                    f"{len(self.thetas)} bounds.")
        steps = np.diff([1.0, *self.slopes])
        if not (np.isfinite(self.slopes).all() and steps[0] >= 0.0 and (steps[1:] > 0.0).all()):
            raise InvalidInputError(f"slopes must be at least 1 and increasing; got {self.slopes}.")
        if not all(-slope <= theta < 1.0 for slope, theta in zip(self.slopes, self.thetas, strict=True)):
            raise InvalidInputError(
                f"thetas must lie in [-b, 1), the range of X_A - b X_j; got {self.thetas}.")

    @property
    def matrix(self) -> np.ndarray:
        """A of the constraints A (u, v) >= right_side, (k, 2)."""
        return np.array([[1.0, -slope] for slope in self.slopes])

    @property
    def right_side(self) -> np.ndarray:
        """theta, (k,)."""
        return np.array(self.thetas)

    @staticmethod
    def objective(points: np.ndarray) -> np.ndarray:
        """ndtri(u) - ndtri(v) at points (…, 2) of the open unit square, (…)."""
        return np.asarray(ndtri(points[..., 0]) - ndtri(points[..., 1]))

    @staticmethod
    def gradient(points: np.ndarray) -> np.ndarray:
        """Gradient of `objective`, (…, 2): 1/phi(ndtri u) and -1/phi(ndtri v)."""
        density = np.exp(-0.5 * ndtri(points) ** 2) / math.sqrt(2.0 * math.pi)
        return np.asarray(np.array([1.0, -1.0]) / density)

    def edge(self, v: float) -> float:
        """The smallest u of the region at v."""
        return max(theta + slope * v for slope, theta in zip(self.slopes, self.thetas, strict=True))

    def solve(self) -> tuple[float, tuple[float, float]]:
        """The exact minimum and its point, (M2, (u, v)); (-inf, (0, 0)) where no theta is positive.

        Negative minima are reported as -inf as well: nulls L < 0 are an abstention.
        """
        if max(self.thetas) <= 0.0:
            return -math.inf, (0.0, 0.0)
        candidates = [
            self._tangent_point(slope, theta)
            for slope, theta in zip(self.slopes, self.thetas, strict=True)
            if theta > 0.0
        ]
        for i, (b, theta) in enumerate(zip(self.slopes, self.thetas, strict=True)):
            candidates += [(theta - other) / (c - b)
                           for c, other in zip(self.slopes[i + 1:], self.thetas[i + 1:], strict=True)]
        best, point = math.inf, (math.nan, math.nan)
        for v in candidates:
            u = self.edge(v)
            if 0.0 < v < 1.0 and 0.0 < u < 1.0 and (value := float(ndtri(u) - ndtri(v))) < best:
                best, point = value, (u, v)
        return (best, point) if best >= 0.0 else (-math.inf, (0.0, 0.0))

    def tangent_bound(self) -> float:
        """max over b of c_b^{-1}(theta_b), rounded down: `solve` for one slope, at most it for several."""
        from rsopt.intervals.call_price import tangent_bound

        return max(
            float(tangent_bound(slope, theta)) for slope, theta in zip(self.slopes, self.thetas, strict=True))

    @staticmethod
    def _tangent_point(slope: float, theta: float) -> float:
        """The v at which the line u = theta + b v touches its level curve."""
        from rsopt.intervals.call_price import implied_level

        level = float(implied_level(slope, theta))
        return float(ndtr(-math.log(slope) / level - 0.5 * level))


def probit_region(scores: object, *, top: int, rival: int, slopes: Sequence[float], alpha: float = 1e-3,
                  method: str = "digital-hedge") -> ProbitRegion:
    """Confidence region for (E[X_top], E[X_rival]) from score rows, one interval a slope at alpha/k.

    Args:
        scores: independent rows (n, m), see `rsopt.scores.rows.check_rows`.
        top, rival: two classes, chosen without these rows.
        slopes: b >= 1, fixed without these rows (from a selection sample, say).
        alpha: probability that the region misses the point, in (0, 1/2).
        method: an interval's name, see `rsopt.intervals.names`.

    Raises:
        InvalidInputError: rows that are not scores, classes or slopes that have no meaning.
        UnknownNameError: there is no such interval.
    """
    rows = check_rows(scores)
    top, rival = check_top(top, rows.shape[1]), check_top(rival, rows.shape[1])
    if top == rival:
        raise InvalidInputError(f"A class is no rival of itself; got top = rival = {top}.")
    interval = get(method)
    level = check_alpha(alpha) / max(len(slopes), 1)
    increasing = sorted(float(slope) for slope in slopes)
    if not increasing or not 1.0 <= increasing[0] <= increasing[-1] < math.inf:
        raise InvalidInputError(f"slopes must be finite numbers of at least 1; got {slopes!r}.")
    a, y = pooled_columns(rows, top, ((rival,),))
    thetas = [interval(a - slope * y, alpha=level, lo=-slope, hi=1.0) for slope in increasing]
    return ProbitRegion(tuple(increasing), tuple(thetas), float(alpha))
