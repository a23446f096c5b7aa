"""What solvers take to solve a problem: quartiles of seconds and evaluations, and of the gap after so many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rsopt.testing.comparison_rows import TARGETS, ComparisonRow

Array = npt.NDArray[np.float64]
Quartiles = tuple[float, float, float]


@dataclass(frozen=True)
class Profile:
    """One solver and one target over all its solves: problems times seeds.

    Attributes:
        solver: its name with its fields.
        target: the gap at which a problem counts as solved.
        solves: all solves; those that the solver refuses or fails on are among them.
        solved: those that knew a point within the target.
        seconds, evaluations: lower quartile, median and upper quartile over all solves of what it took to know one;
            infinite where too few did.
    """

    solver: str
    target: float
    solves: int
    solved: int
    seconds: Quartiles
    evaluations: Quartiles

    def to_dict(self) -> dict[str, Any]:
        """The profile as JSON values: a quartile that is not reached is null."""
        plain = {name: [value if math.isfinite(value) else None for value in getattr(self, name)]
                 for name in ("seconds", "evaluations")}
        return asdict(self) | plain


def profiles(rows: Sequence[ComparisonRow]) -> list[Profile]:
    """The profiles of all solvers, in order of first appearance, the coarse target first."""
    found = []
    for solver in dict.fromkeys(row.solver for row in rows):
        mine = [row for row in rows if row.solver == solver]
        for target in TARGETS:
            seconds, evaluations = needed(mine, target)
            found.append(Profile(solver, target, len(mine), int(np.isfinite(seconds).sum()), _quartiles(seconds),
                                 _quartiles(evaluations)))
    return found


def needed(rows: Sequence[ComparisonRow], target: float) -> tuple[Array, Array]:
    """Seconds and evaluations until each row knew a point within the target, (b,) and (b,); infinite where none did."""
    both = np.array([row.first_within(target) for row in rows]).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def gap_quartiles(rows: Sequence[ComparisonRow], at: Array, *, by_evaluations: bool = False) -> Array:
    """Quartiles over the rows of the gap that each has come to, (b,) -> (3, b); 1 before a first point.

    Args:
        rows: at least one.
        at: seconds, or evaluations, ascending, shape (b,).
        by_evaluations: whether they are evaluations.
    """
    gaps = np.ones((len(rows), at.size))
    for line, row in zip(gaps, rows, strict=True):
        trail = np.array(row.trail, dtype=float).reshape(-1, 3)
        # The gap at a moment is that of the last better point until then.
        index = np.searchsorted(trail[:, 1 if by_evaluations else 0], at, side="right")
        line[:] = np.concatenate([[1.0], trail[:, 2]])[index]
    return np.asarray(np.quantile(gaps, (0.25, 0.5, 0.75), axis=0, method="inverted_cdf"))


def _quartiles(values: Array) -> Quartiles:
    # Values that occur, so that no mean with infinity is taken.
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), method="inverted_cdf").tolist()
    return low, middle, high
