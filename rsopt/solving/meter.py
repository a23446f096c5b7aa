"""The meter that every form reads through: it counts evaluations, keeps the best point and ends the search."""

from __future__ import annotations

import math
import time

import numpy as np
import numpy.typing as npt

from rsopt.solving.curve import LevelCurve
from rsopt.solving.result import Budget, Improvement, Stop

Array = npt.NDArray[np.float64]


class SearchEnded(Exception):
    """Raised inside a solver when the search is decided or the budget is spent; a solver need not catch it."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.value)
        self.stop = stop


class Meter:
    """Counts and limits the tail evaluations of one search and remembers its best point on the curve.

    Args:
        curve: the level curve that is searched.
        budget: the limits; the clock starts now.
        stop_at: tail probability at which the search is decided (Lemma 1); None for never.
    """

    def __init__(self, curve: LevelCurve, budget: Budget, stop_at: float | None) -> None:
        self.curve = curve
        self.evaluations = 0
        self.best = -math.inf
        self.best_s: float | None = None
        self.at_start = math.nan
        self.progress: list[Improvement] = []
        self.started = time.perf_counter()
        self.deadline = self.started + budget.seconds
        self._most = budget.evaluations
        self._target = math.inf if stop_at is None else math.log(stop_at) if stop_at > 0.0 else -math.inf
        self._closed = False

    def log_tails(self, s: npt.ArrayLike) -> Array:
        """log P_q(W) at points s of the curve, (b,) -> (b,).

        Raises:
            SearchEnded: the target is reached or the budget is spent; the points are remembered all the same.
        """
        wanted = np.atleast_1d(np.asarray(s, dtype=float))
        allowed = wanted[: max(self._most - self.evaluations, 0)]
        self.spend(0)
        values = self.curve.log_tails(allowed)
        self.evaluations += allowed.size
        if self._closed:
            raise SearchEnded(Stop.TIME)
        if values.size:
            top = int(values.argmax())
            if values[top] > self.best:
                self.best, self.best_s = float(values[top]), float(allowed[top])
                self.improved(self.best)
        if self.best >= self._target:
            raise SearchEnded(Stop.REACHED)
        if allowed.size < wanted.size:
            raise SearchEnded(Stop.EVALUATIONS)
        return values

    def witness(self, q: npt.ArrayLike) -> float:
        """log P_q(W) at the point of the curve with the q2 of q, (3,) -> float: what q is worth as a
        proposal.

        Raises:
            SearchEnded: as in `log_tails`.
        """
        return float(self.log_tails(self.curve.coordinate(q))[0])

    def improved(self, log_tail: float) -> None:
        """Note when a point with this tail was known, the best so far."""
        tail = math.exp(min(log_tail, 0.0))
        self.progress.append(Improvement(time.perf_counter() - self.started, self.evaluations, tail))

    def spend(self, evaluations: int) -> None:
        """Count evaluations off the curve.

        Raises:
            SearchEnded: the budget is spent.
        """
        self.evaluations += evaluations
        if self._closed or time.perf_counter() > self.deadline:
            raise SearchEnded(Stop.TIME)
        if self.evaluations >= self._most:
            raise SearchEnded(Stop.EVALUATIONS)

    def close(self) -> None:
        """End the search for good: a thread that was given up can no longer change what was found."""
        self._closed = True
