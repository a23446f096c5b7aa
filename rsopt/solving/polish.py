"""Polishing a point: one bounded minimisation along the level curve by rsopt's own kernel."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import optimize

from rsopt.solving.curve import LevelCurve
from rsopt.staircase import ACCURATE

Array = npt.NDArray[np.float64]


def polished(curve: LevelCurve, q: npt.ArrayLike) -> tuple[Array, float]:
    """The best point near q on the curve and its tail probability; never worse than q itself.

    Args:
        curve: the level curve.
        q: shape (3,).

    Returns:
        (point (3,), P_q(W) there).
    """
    s = curve.coordinate(q)
    if curve.one_point:
        return curve.points([s])[0], math.exp(float(curve.log_tails([s], ACCURATE)[0]))
    t = curve.to_unit(s)
    found = optimize.minimize_scalar(lambda v: -float(curve.log_tails(curve.from_unit([v]), ACCURATE)[0]),
                                     method="bounded", bounds=(max(t - 0.05, 0.0), min(t + 0.05, 1.0)),
                                     options={"xatol": 1e-9})
    candidates = np.array([s, float(curve.from_unit(found.x))])
    values = curve.log_tails(candidates, ACCURATE)
    best = int(values.argmax())
    return curve.points(candidates[best: best + 1])[0], math.exp(min(float(values[best]), 0.0))
