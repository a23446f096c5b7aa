"""The law on two points that has given moments, which a bet hedges as the next row."""

from __future__ import annotations

import math

from rsopt.compiled import raising


@raising
def two_points(variance: float, third: float, floor: float) -> tuple[float, float]:
    """Up- and down-step of the two-point law with these moments.

    Steps of more than the row's range, `floor` down or 1 - `floor` up, are cut, keeping the variance: far
    from the data the null's small variance would otherwise turn the data's skewness into steps that no row
    can make.
    """
    s = math.sqrt(variance)
    half = 0.5 * third / (variance * s)
    root = math.sqrt(1.0 + half * half)
    if half >= 0.0:
        up = min(s * (root + half), 1.0 - floor)
        down = variance / up
    else:
        down = min(s * (root - half), floor)
        up = variance / down
    return up, down
