"""The margin after changes of bits for the arithmetic "double": its level curves, and the order of the outcomes by it.

Level curves come from whole numbers (`rsopt.checks.flip_curve`) and are rounded outwards once. The statistic is

    T(x1, x2) = 1 - max over the changes of [H(u(n - x1)) + H(u(x2))],

with u(x) the upper Clopper–Pearson limit at alpha/2 (the lower limit of x1 is what u(n - x1) leaves of 1), or
u(x) = x/n. Any order of the outcomes will do, and this one is what the code below computes: u is seen to rise, and
rounding in the polygons is far less than the tolerance for ties, so that no outcome that is tied with the observation
is left out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsopt.certificate import FlippedBits
from rsopt.checks.flip_curve import Corners, FlipCurve, rounded_up
from rsopt.checks.quantiles import quantiles
from rsopt.errors import CertificateError

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

#: How far below T(x_obs) an outcome still counts as tied, times 1 + |T|: half of what the proof took.
TIE = 5e-12
#: Corners of H closer than this are one: a double could not tell the slope between them.
_CLOSEST = 1e-290
_EPS = float(np.finfo(float).eps)


class FlipLevels:
    """What `rsopt.checks.links.CheckedLink` is for a link: segment, nodes and factors of a level curve.

    Args:
        flips: the noise and the changes.
    """

    def __init__(self, flips: FlippedBits) -> None:
        self.curve = FlipCurve(flips)

    @property
    def largest(self) -> float:
        """The largest value of g."""
        return 1.0

    def segment(self, level: float, third_cell: bool, least_q1: float) -> tuple[float, float] | None:
        """As in `CheckedLink`; `least_q1` is 0."""
        ends = self.curve.ends(level)
        return None if ends is None else (ends[0] if third_cell else ends[1], ends[2])

    def nodes(self, level: float, cuts: Array) -> tuple[Array, Array, Array, Array]:
        """As in `CheckedLink`."""
        high = np.array([max(rounded_up(self.curve.largest_q1(level, q2)), 0.0) for q2 in cuts.tolist()])
        ends = self.curve.ends(level)
        # Before the end q1 is below 1 - q2, and after it no larger.
        high = np.minimum(high, 1.0 - (0.0 if ends is None else ends[1]) + _EPS)
        low = np.maximum(high - 4.0 * _EPS, 0.0)
        rest = 1.0 - cuts
        return low, high, np.maximum(rest - high - 2.0 * _EPS, 0.0), np.maximum(rest - low + 2.0 * _EPS, 0.0)

    def factors(self, cuts: Array, q1_low: Array, q1_high: Array, q3_low: Array, q3_high: Array) -> Array:
        """Infinite: with corners a level curve has no convex pieces."""
        return np.full((cuts.size - 1, 3), np.inf)

    def value_at_most(self, q1: float, q2: float) -> float:
        """An upper bound on g(q1, q2) for these doubles."""
        return float(self.curve.value_at_most(min(q1, 1.0), min(q2, 1.0))) + 2.0 * _EPS


class FlipOrder:
    """The order of the outcomes; as `rsopt.checks.stairs.Order` for a link.

    Args:
        statistic, n, alpha: as in the certificate; "clopper-pearson" or "plugin".
        curve: the exact corners.

    Raises:
        CertificateError: double precision cannot tell its values.
    """

    def __init__(self, statistic: str, n: int, alpha: float, curve: FlipCurve) -> None:
        self.n = n
        x = np.arange(n + 1.0)
        self._limit = x / n
        if statistic == "clopper-pearson":
            self._limit = np.ones(n + 1)
            self._limit[:-1] = quantiles(x[:-1] + 1.0, n - x[:-1], alpha / 2.0, below=False)
        # Written so that a NaN fails.
        if not np.all(self._limit[1:] >= self._limit[:-1]):
            raise CertificateError("The tail set cannot be rebuilt: the statistic's parts do not grow with the counts.")
        self._polygons = [_told_apart(corners) for corners in curve.exact]

    def _values(self, x1: Whole, x2: Whole) -> Array:
        own, other = self._limit[self.n - x1], self._limit[x2]
        most = np.full(own.shape, -np.inf)
        for at, values in self._polygons:
            most = np.maximum(most, np.interp(own, at, values) + np.interp(other, at, values))
        return 1.0 - most

    def value(self, x1: int, x2: int) -> float:
        """T(x1, x2).

        Raises:
            CertificateError: it is no number.
        """
        value = float(self._values(np.array([x1]), np.array([x2]))[0])
        if not np.isfinite(value):
            raise CertificateError(f"The statistic has no value at x1 = {x1}, x2 = {x2}: no tail set belongs to it.")
        return value

    def steepness(self, x1: int, x2: int, link: object) -> float:
        """0: an error of the shares changes T by less than the tolerance that there is anyway."""
        return 0.0

    def threshold(self, x1: int, x2: int) -> float:
        """What T must reach in W: its value at the observation, less the tolerance for ties."""
        observed = self.value(x1, x2)
        return observed - TIE * (1.0 + abs(observed))

    def columns(self, threshold: float, first: int, last: int) -> Whole:
        """t(x1) for x1 = first … last, shape (last - first + 1,); -1 for an empty column. By bisection in each."""
        x1 = np.arange(first, last + 1)
        low, high = np.full(x1.size, -1), self.n - x1 + 1
        while np.any(open_ := high - low > 1):
            middle = np.where(open_, (low + high) // 2, 0)
            inside = self._values(x1, middle) >= threshold
            low, high = np.where(open_ & inside, middle, low), np.where(open_ & ~inside, middle, high)
        # A column ends at n - x1, and counts as reaching as far as those before it, which are longer.
        return np.asarray(np.maximum.accumulate(low), dtype=np.int64)


def _told_apart(corners: Corners) -> tuple[Array, Array]:
    """The corners as doubles; of some at one place the last."""
    at, values = [0.0], [corners.values[0] / corners.whole]
    for p, value in zip(corners.at[1:], corners.values[1:], strict=True):
        if p / corners.whole - at[-1] > _CLOSEST:
            at.append(p / corners.whole)
            values.append(value / corners.whole)
        else:
            values[-1] = value / corners.whole
    return np.array(at), np.array(values)
