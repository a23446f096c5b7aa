"""Many bounds at once: one for each row of votes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from rsopt.arguments import Real, Whole, checked_whole
from rsopt.bound import Bound
from rsopt.bounding import lower_bound
from rsopt.counts import Counts, VotesLike, counts_of_rows, one_rival
from rsopt.errors import InvalidInputError, shown
from rsopt.functionals import FunctionalLike, as_functional
from rsopt.noise import Noise
from rsopt.processes import mapped
from rsopt.registry import as_solver
from rsopt.solver import SolverLike
from rsopt.statistics import StatisticLike, as_statistic

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BoundTable:
    """A bound for each of m rows of votes, each wrong with probability at most its alpha, for itself.

    All of them at once are right with a smaller probability: for that see `rsopt.simultaneous`.

    Attributes:
        bounds: in the order of the rows, each as `rsopt.lower_bound` gives it; its certificate included.
    """

    bounds: tuple[Bound, ...]

    def __len__(self) -> int:
        return len(self.bounds)

    @property
    def lower(self) -> Array:
        """The bounds, shape (m,)."""
        return np.array([bound.lower for bound in self.bounds])

    @property
    def lower_at_most(self) -> Array:
        """What a witness shows to be the most that the exact bounds can be, shape (m,)."""
        return np.array([bound.lower_at_most for bound in self.bounds])

    @property
    def certified(self) -> npt.NDArray[np.bool_]:
        """Which bounds are proven, positive and against all rivals, shape (m,)."""
        return np.array([bound.certified for bound in self.bounds], dtype=bool)

    def radius(self, noise: Real | Noise | None = None, *, sigma: Real | None = None, norm: str | None = None,
               dimension: int | None = None) -> Array:
        """The certified radii, shape (m,), 0 for abstentions; arguments and errors as in `Bound.radius`."""
        for k, bound in enumerate(self.bounds):
            if not bound.for_all_rivals:
                raise InvalidInputError(f"Row {k}: {one_rival(bound.counts, 'A radius')}")
        return np.array([bound.radius(noise, sigma=sigma, norm=norm, dimension=dimension) for bound in self.bounds])

    def columns(self) -> dict[str, list[Any]]:
        """The table by its columns, as JSON-ready values; what data frames are made of."""
        votes = [bound.counts for bound in self.bounds]
        return {"row": list(range(len(votes))), "top": [each.top for each in votes],
                "runner_up": [each.runner_up for each in votes], "n": [each.n for each in votes],
                "x1": [each.x1 for each in votes], "x2": [each.x2 for each in votes],
                "lower": [bound.to_dict()["lower"] for bound in self.bounds],
                "lower_at_most": [bound.to_dict()["lower_at_most"] for bound in self.bounds],
                "certified": [bound.certified for bound in self.bounds]}


def lower_bounds(counts: Iterable[VotesLike | Counts] | npt.NDArray[np.integer], tops: Iterable[Whole] | None = None, *,
                 functional: FunctionalLike = "probit", statistic: StatisticLike = "studentized", alpha: Real = 1e-3,
                 solver: SolverLike = "scipy", order: Whole | None = None, jobs: Whole = 1,
                 advanced: Callable[[int], None] = lambda rows: None) -> BoundTable:
    """`rsopt.lower_bound` for each of many rows of votes; rows that give the same bound are proven once.

    Each bound is wrong with probability at most alpha, for itself.

    Args:
        counts: one row of votes an input, an array (m, K), or whatever NumPy makes such an array of, as it does of
            frames.
        tops: the certified class of each row, shape (m,); None where the rows are `Counts`, which know it.
        functional, statistic, alpha, solver, order: as in `rsopt.lower_bound`.
        jobs: processes to prove in. Where there are several, a script needs its ``if __name__ == "__main__":``.
        advanced: is told, after each proof, how many rows more have their bound.

    Raises:
        InvalidInputError: no rows, another number of classes than of rows, a row without meaning (the text names it,
            and nothing has been proven yet), an `advanced` that cannot be called, or as in `rsopt.lower_bound`.
        UnknownNameError, MissingDependencyError, RefusedError, SolverFailedError: as in `rsopt.lower_bound`.
    """
    observed = counts_of_rows(counts, tops)
    if not callable(advanced):
        raise InvalidInputError(f"advanced must be a function of a number of rows; found {shown(advanced)}.")
    # Names are refused here, not in another process.
    prove = partial(lower_bound, functional=as_functional(functional, order), statistic=as_statistic(statistic),
                    alpha=alpha, solver=as_solver(solver))
    first = {votes.reduced: votes for votes in reversed(observed)}
    waiting = Counter(votes.reduced for votes in observed)
    proven = {}
    for key, bound in zip(first, mapped(prove, list(first.values()), checked_whole("jobs", jobs, 1)), strict=True):
        proven[key] = bound
        advanced(waiting[key])
    return BoundTable(tuple(replace(proven[votes.reduced], counts=votes) for votes in observed))
