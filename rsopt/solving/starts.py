"""Surveying the level curve: a walk along all of it, then a closer look around its highest points.

Local maxima lie near q3 = 0, in the middle and in the corner q1, q2 = O(1/n), and with larger n the steps of the
staircase put ripples of about one part in a thousand on top, dozens of them. A local solver started in one maximum
misses the others, and a smaller supremum errs in the unsafe direction until the proof catches it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rsopt.solving.curve import LevelCurve
from rsopt.solving.meter import Meter

Array = npt.NDArray[np.float64]

# Up to this n a walk alone finds the highest basin (all of 260 random problems), and what is left is the solver's work.
# Beyond, local solvers end on a lower ripple in about 1% of the problems, by up to 3% of the tail.
SMOOTH = 200

# A local maximum of the walk is looked at closer where its parabola's top, raised by this much, reaches the best point:
# log P_q(W) is smooth up to ripples a tenth of this size.
WITHIN = 0.01


def survey(curve: LevelCurve, meter: Meter, start: Array | None, walk: int, closer: int, basins: int
           ) -> tuple[Array, Array]:
    """Points of the curve with their values.

    Args:
        curve: the level curve.
        meter: counts the evaluations.
        start: the caller's own start, shape (3,), evaluated too; or None.
        walk: points of the first walk, geometric at both ends.
        closer: points of the closer look around each basin, which is taken where n is above `SMOOTH`.
        basins: how many local maxima of the walk get a closer look, the highest first.

    Returns:
        (s increasing, log P_q(W) there), each of shape (b,).

    Raises:
        SearchEnded: the survey itself decided the search.
    """
    s = curve.grid(walk)
    if start is not None:
        s = np.unique(np.append(s, curve.coordinate(start)))
    values = meter.log_tails(s)
    if curve.tail_set.n <= SMOOTH or not closer:
        return s, values
    fresh = np.concatenate([np.linspace(*bracket(s, peak), closer + 2)[1:-1] for peak in promising(values)[:basins]])
    s, order = np.unique(np.concatenate([s, fresh]), return_index=True)
    return s, np.concatenate([values, meter.log_tails(fresh)])[order]


def peaks(values: Array) -> npt.NDArray[np.intp]:
    """Indices of the local maxima of values along the curve, shape (b,), the highest first; at least one."""
    padded = np.concatenate([[-np.inf], values, [-np.inf]])
    found = np.flatnonzero((values >= padded[:-2]) & (values > padded[2:]))
    if found.size == 0:
        found = np.array([values.argmax()])
    return found[np.argsort(-values[found], kind="stable")]


def promising(values: Array) -> npt.NDArray[np.intp]:
    """Those of the `peaks` that may hide the global maximum, the highest first; at least one."""
    found = peaks(values)
    best = float(values[found[0]])
    return np.array([peak for peak in found if _top(values, int(peak)) + WITHIN >= best], dtype=np.intp)


def _top(values: Array, peak: int) -> float:
    """How high log P_q(W) may rise near a peak of the walk: twice as far above it as the parabola of three points."""
    at = min(max(peak, 1), values.size - 2)
    left, middle, right = (float(value) for value in values[at - 1: at + 2])
    highest = float(values[peak])
    bend = 2.0 * middle - left - right
    # No parabola says anything beside a log 0, or where three points lie on no hill.
    if not 0.0 < bend < math.inf:
        return math.inf
    rise = middle + 0.125 * (right - left) ** 2 / bend - highest
    return highest + 2.0 * max(rise, 0.0)


def bracket(s: Array, index: int) -> tuple[float, float]:
    """The neighbours of s[index], itself at the ends."""
    return float(s[max(index - 1, 0)]), float(s[min(index + 1, s.size - 1)])


def starting_points(curve: LevelCurve, meter: Meter, start: Array | None, most: int) -> list[Array]:
    """Up to `most` starting points for a local solver, each of shape (3,), the one with the largest tail first.

    Raises:
        SearchEnded: the survey itself decided the search.
    """
    s, values = survey(curve, meter, start, 48, 64, 3)
    meter.at_start = meter.best
    return list(curve.points(s[peaks(values)[:most]]))
