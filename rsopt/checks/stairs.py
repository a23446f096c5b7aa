"""The checker's own tail sets: W = {x : T(x) >= T(x_obs)} rebuilt column by column from the definition of T.

T(x1, x2) = F(x1) - G(x2) - z sqrt(V/N), with F and G the link at the shares of the two cells (or at their
Clopper–Pearson limits) and V the delta-method variance of the studentized statistic. Its monotone hull counts: x lies
in W if some y with y1 <= x1 and y2 >= x2 reaches the threshold. A column's t(x1) is the largest x2 in W. It is found by
walking along the boundary, and then shown to miss nothing: the outcomes beyond the boundary are covered by boxes on
each of which T is below the threshold by interval bounds, or is monotone in both counts by interval bounds on its
derivatives, so that it is largest where the boundary was walked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import special

from rsopt.checks.links import CheckedLink, pseudo_count
from rsopt.checks.quantiles import quantiles
from rsopt.compiled import compiled
from rsopt.errors import CertificateError

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

#: How far below T(x_obs) an outcome still counts as tied, times 1 + |T|: hundreds of times the rounding of T, so that
#: rounding takes no outcome out of the set; and half of the proof's, whose set then holds this one.
TIE = 5e-12
#: Boxes that a cover may take; a hundred are usual.
MOST_BOXES = 20_000_000

_COVERED, _MISSED, _TOO_MANY = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Order:
    """The statistic as tables over the counts 0 … n.

    Attributes:
        n: number of draws.
        own, other: F and G, shape (n + 1,).
        slope, bend: f' and f'' at the shares, likewise; of no meaning where z = 0.
        z, pseudo: z and the count c that is added to each of the three cells (`pseudo_count`); 0 if not studentized.
        least_slope: f' at 1/2.
    """

    n: int
    own: Array
    other: Array
    slope: Array
    bend: Array
    z: float
    pseudo: float
    least_slope: float

    def __post_init__(self) -> None:
        # Written so that a NaN fails.
        if not (np.all(self.own[1:] >= self.own[:-1]) and np.all(self.other[1:] >= self.other[:-1])):
            raise CertificateError("The tail set cannot be rebuilt: the statistic's parts do not grow with the counts.")

    @classmethod
    def of(cls, statistic: str, n: int, alpha: float, link: CheckedLink) -> Order:
        """The order of the named statistic.

        Raises:
            CertificateError: double precision cannot tell its values.
        """
        x = np.arange(n + 1.0)
        if statistic == "studentized":
            z = float(special.ndtri(1.0 - alpha))
            c = pseudo_count(link.functional, z)
            shares = (x + c) / (n + 3.0 * c)
            f = link.f(shares)
            slope = link.slope_at(f) if link.functional == "probit" else link.slope(shares)
            bend = f * slope**2 if link.functional == "probit" else link.bend(shares)
            return cls(n, f, f, slope, bend, z, c, float(link.slope(0.5)))
        if statistic == "plugin":
            # Exact ties of the margin stay ties.
            f = x if link.functional == "margin" else link.f(x / n)
            scale = n if link.functional == "margin" else 1.0
            return cls(n, f / scale, f / scale, f, f, 0.0, 0.0, 1.0)
        lower, upper = np.zeros(n + 1), np.ones(n + 1)
        lower[1:] = quantiles(x[1:], n - x[1:] + 1.0, alpha / 2.0, below=True)
        upper[:-1] = quantiles(x[:-1] + 1.0, n - x[:-1], alpha / 2.0, below=False)
        return cls(n, link.f(lower), link.f(upper), lower, upper, 0.0, 0.0, 1.0)

    @cached_property
    def tables(self) -> tuple[Array, Array, Array, Array]:
        """What compiled code reads."""
        return self.own, self.other, self.slope, self.bend

    def value(self, x1: int, x2: int) -> float:
        """T(x1, x2) before the hull.

        Raises:
            CertificateError: it is no number.
        """
        value = float(_value(x1, x2, *self.tables, self.z, self.pseudo, self.n))
        if math.isnan(value):
            raise CertificateError(f"The statistic has no value at x1 = {x1}, x2 = {x2}: no tail set belongs to it.")
        return value

    def steepness(self, x1: int, x2: int, link: CheckedLink) -> float:
        """f' at both shares: how much an error of the shares changes T."""
        if self.z > 0.0:
            return float(self.slope[x1] + self.slope[x2])
        with np.errstate(over="ignore"):
            steep = float(link.slope(link.inverse(self.own[x1])) + link.slope(link.inverse(self.other[x2])))
        return steep if math.isfinite(steep) else 0.0

    def threshold(self, x1: int, x2: int) -> float:
        """What T must reach in W: the hull at the observation, less the tolerance for ties."""
        observed = self.value(x1, x2)
        if self.z > 0.0:
            observed, boxes = _largest(observed, x1, x2, self.n, *self.tables, self.z, self.pseudo, self.least_slope)
            if boxes > MOST_BOXES:
                raise _too_many()
        return observed if math.isinf(observed) else observed - TIE * (1.0 + abs(observed))

    def columns(self, threshold: float, first: int, last: int) -> Whole:
        """t(x1) for x1 = first … last, shape (last - first + 1,); -1 for an empty column.

        Raises:
            CertificateError: it cannot be shown that nothing is missed.
        """
        arguments = (*self.tables, self.z, self.pseudo)
        stairs = _walk(threshold, first, last, self.n, *arguments)
        while self.z > 0.0:
            status, x1, x2 = _missed(threshold, first, stairs, self.n, *arguments, self.least_slope)
            if status == _COVERED:
                break
            if status == _TOO_MANY:
                raise _too_many()
            _raise(stairs, first, x1, x2, threshold, self.n, *arguments)
        return stairs


def _too_many() -> CertificateError:
    return CertificateError("The tail set cannot be rebuilt: its outcomes cannot be told apart by interval bounds.")


@compiled
def _value(x1: int, x2: int, own: np.ndarray, other: np.ndarray, slope: np.ndarray, bend: np.ndarray, z: float,
           pseudo: float, n: int) -> float:
    """T(x1, x2); the least value of g where F is -inf, as g has no other there."""
    if own[x1] == -np.inf:
        return -np.inf
    value = own[x1] - other[x2]
    if z == 0.0:
        return float(value)
    total = n + 3.0 * pseudo
    p1, p2 = (x1 + pseudo) / total, (x2 + pseudo) / total
    a, b = slope[x1], slope[x2]
    variance = a * a * p1 * (1.0 - p1) + b * b * p2 * (1.0 - p2) + 2.0 * a * b * p1 * p2
    return float(value - z * math.sqrt(variance / total))


@compiled
def _walk(threshold: float, first: int, last: int, n: int, own: np.ndarray, other: np.ndarray, slope: np.ndarray,
          bend: np.ndarray, z: float, pseudo: float) -> np.ndarray:
    """The boundary from column `first` on: bisection there, then steps upwards."""
    stairs = np.empty(last - first + 1, np.int64)
    low, high = -1, n - first + 1
    while high - low > 1:
        middle = (low + high) // 2
        if _value(first, middle, own, other, slope, bend, z, pseudo, n) >= threshold:
            low = middle
        else:
            high = middle
    t = low
    for x1 in range(first, last + 1):
        while t < n - x1 and _value(x1, t + 1, own, other, slope, bend, z, pseudo, n) >= threshold:
            t += 1
        stairs[x1 - first] = t
    return stairs


@compiled
def _raise(stairs: np.ndarray, first: int, x1: int, x2: int, threshold: float, n: int, own: np.ndarray,
           other: np.ndarray, slope: np.ndarray, bend: np.ndarray, z: float, pseudo: float) -> None:
    """Takes an outcome that the walk missed, and those above it, into the hull."""
    t = x2
    for column in range(max(x1, first), first + stairs.size):
        while t < n - column and _value(column, t + 1, own, other, slope, bend, z, pseudo, n) >= threshold:
            t += 1
        if stairs[column - first] >= t:
            return
        stairs[column - first] = t


@compiled
def _slope_range(a: int, b: int, slope: np.ndarray, least: float, total: float, pseudo: float) -> tuple[float, float]:
    """Least and largest f' between the counts a and b."""
    low = min(slope[a], slope[b])
    if (a + pseudo) <= 0.5 * total <= (b + pseudo):
        low = min(low, least)
    return low, max(slope[a], slope[b])


@compiled
def _products(a: float, b: float, c: float, d: float) -> float:
    """The largest product of a number in [a, b] and one in [c, d]."""
    return max(max(a * c, a * d), max(b * c, b * d))


@compiled
def _steepest(sign: float, a: int, b: int, own_slope: tuple[float, float], cross: tuple[float, float],
              bend: np.ndarray, total: float, pseudo: float) -> float:
    """The largest sign · (dV/dp)/f'(p) with p the share of a count in [a, b].

    dV/dp = 2 f' f'' p(1 - p) + f'²(1 - 2p) + 2 f'' p k + 2 f' k, with k = f'(p') p' of the other cell in `cross`.
    """
    p_low, p_high = (a + pseudo) / total, (b + pseudo) / total
    ends = p_low * (1.0 - p_low), p_high * (1.0 - p_high)
    spread_low = min(ends[0], ends[1])
    spread_high = 0.25 if p_low <= 0.5 <= p_high else max(ends[0], ends[1])
    # f'' is nondecreasing.
    bend_low, bend_high = bend[a], bend[b]
    tilt_low, tilt_high = 1.0 - 2.0 * p_high, 1.0 - 2.0 * p_low
    shift = cross[1]
    if sign < 0.0:
        bend_low, bend_high = -bend_high, -bend_low
        tilt_low, tilt_high = -tilt_high, -tilt_low
        shift = -cross[0]
    slope_low, slope_high = own_slope
    ratio_low = bend_low / (slope_low if bend_low < 0.0 else slope_high)
    ratio_high = bend_high / (slope_high if bend_high < 0.0 else slope_low)
    return (2.0 * _products(bend_low, bend_high, spread_low, spread_high)
            + _products(tilt_low, tilt_high, slope_low, slope_high)
            + 2.0 * _products(ratio_low, ratio_high, p_low * cross[0], p_high * cross[1]) + 2.0 * shift)


@compiled
def _box(a1: int, b1: int, a2: int, b2: int, own: np.ndarray, other: np.ndarray, slope: np.ndarray, bend: np.ndarray,
         z: float, pseudo: float, least: float, n: int) -> tuple[float, bool]:
    """(an upper bound on T over the box, whether T is shown to grow with x1 and to fall with x2 all over it)."""
    total = n + 3.0 * pseudo
    slope1 = _slope_range(a1, b1, slope, least, total, pseudo)
    slope2 = _slope_range(a2, b2, slope, least, total, pseudo)
    low1, high1 = (a1 + pseudo) / total, (b1 + pseudo) / total
    low2, high2 = (a2 + pseudo) / total, (b2 + pseudo) / total
    variance = (slope1[0] * slope1[0] * min(low1 * (1.0 - low1), high1 * (1.0 - high1))
                + slope2[0] * slope2[0] * min(low2 * (1.0 - low2), high2 * (1.0 - high2))
                + 2.0 * slope1[0] * low1 * slope2[0] * low2)
    upper = own[b1] - other[a2] - z * math.sqrt(variance / total)
    room = 2.0 * math.sqrt(total * variance) / z * (1.0 - 1e-9)
    cross1 = slope1[0] * low1, slope1[1] * high1
    cross2 = slope2[0] * low2, slope2[1] * high2
    monotone = (_steepest(1.0, a1, b1, slope1, cross2, bend, total, pseudo) <= room
                and _steepest(-1.0, a2, b2, slope2, cross1, bend, total, pseudo) <= room)
    return upper, monotone


@compiled
def _split(a1: int, b1: int, a2: int, b2: int, stack: np.ndarray, size: int, pseudo: float) -> int:
    """Puts the halves of a box on the stack; they share their edge, but for boxes of two counts."""
    wide1 = math.log((b1 + pseudo) / (a1 + pseudo)) if b1 > a1 else 0.0
    wide2 = math.log((b2 + pseudo) / (a2 + pseudo)) if b2 > a2 else 0.0
    if wide1 >= wide2:
        middle = (a1 + b1) // 2 if b1 < 4 * a1 + 16 else 2 * a1 + 4
        upper = middle if b1 - a1 > 1 else b1
        stack[size] = (a1, middle, a2, b2)
        stack[size + 1] = (upper, b1, a2, b2)
    else:
        middle = (a2 + b2) // 2 if b2 < 4 * a2 + 16 else 2 * a2 + 4
        upper = middle if b2 - a2 > 1 else b2
        stack[size] = (a1, b1, a2, middle)
        stack[size + 1] = (a1, b1, upper, b2)
    return size + 2


@compiled
def _missed(threshold: float, first: int, stairs: np.ndarray, n: int, own: np.ndarray, other: np.ndarray,
            slope: np.ndarray, bend: np.ndarray, z: float, pseudo: float, least: float) -> tuple[int, int, int]:
    """Whether an outcome beyond the boundary reaches the threshold: (status, x1, x2).

    Columns before `first` are bounded by its t, so outcomes above that are beyond the boundary there.
    """
    stack = np.empty((256, 4), np.int64)
    last = first + stairs.size - 1
    stack[0] = (0, last, 0, n)
    size = 1
    for _ in range(MOST_BOXES):
        if size == 0:
            return _COVERED, 0, 0
        size -= 1
        a1, b1, a2, b2 = stack[size, 0], stack[size, 1], stack[size, 2], stack[size, 3]
        if a1 + a2 > n:
            continue
        b1, b2 = min(b1, n - a2), min(b2, n - a1)
        if b2 <= stairs[max(a1 - first, 0)]:
            continue
        if a1 == b1 and a2 == b2:
            if not _value(a1, a2, own, other, slope, bend, z, pseudo, n) < threshold:
                return _MISSED, a1, a2
            continue
        upper, monotone = _box(a1, b1, a2, b2, own, other, slope, bend, z, pseudo, least, n)
        if not (upper < threshold or monotone):
            size = _split(a1, b1, a2, b2, stack, size, pseudo)
    return _TOO_MANY, 0, 0


@compiled
def _largest(best: float, x1: int, x2: int, n: int, own: np.ndarray, other: np.ndarray, slope: np.ndarray,
             bend: np.ndarray, z: float, pseudo: float, least: float) -> tuple[float, int]:
    """The largest T over the outcomes with no more votes for the class and no fewer for the rival; boxes taken."""
    stack = np.empty((256, 4), np.int64)
    stack[0] = (0, x1, x2, n)
    size = 1
    for count in range(MOST_BOXES):
        if size == 0:
            return best, count
        size -= 1
        a1, b1, a2, b2 = stack[size, 0], stack[size, 1], stack[size, 2], stack[size, 3]
        if a1 + a2 > n:
            continue
        b1, b2 = min(b1, n - a2), min(b2, n - a1)
        if a1 == b1 and a2 == b2:
            best = max(best, _value(a1, a2, own, other, slope, bend, z, pseudo, n))
            continue
        upper, monotone = _box(a1, b1, a2, b2, own, other, slope, bend, z, pseudo, least, n)
        if upper <= best:
            continue
        if monotone:
            best = max(best, _value(b1, a2, own, other, slope, bend, z, pseudo, n))
            continue
        size = _split(a1, b1, a2, b2, stack, size, pseudo)
    return best, MOST_BOXES + 1
