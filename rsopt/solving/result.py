"""What goes into a search and what comes out of it: Budget, Proposal, Result, Stop, Claim.

A solver proposes a point; everything that is reported about the point is computed by rsopt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rsopt.arguments import as_real, as_whole
from rsopt.errors import InvalidInputError, shown

Array = npt.NDArray[np.float64]


class Stop(Enum):
    """Why a search ended; the value is a sentence with the remedy."""

    CONVERGED = "The solver met its own stopping rule."
    REACHED = "The tail reached stop_at, which decides the level (Lemma 1); nothing more was needed."
    ONE_POINT = "The level curve meets the domain in one point: there is nothing to search."
    STALLED = "No progress for a while: give another start, another seed, or another solver."
    ITERATIONS = "The solver's own iteration limit was hit: raise that field of the solver."
    EVALUATIONS = "The budget of evaluations is spent: raise Budget.evaluations."
    TIME = "The budget of seconds is spent: raise Budget.seconds."
    FAILED = "The solver raised or returned something that is no answer: see the message, try another solver."


class Claim(IntEnum):
    """What a point is said to be, in increasing order.

    GLOBAL stands only where rsopt itself has proved that no point is better by more than one part in a
    thousand.
    """

    NOTHING = 0
    FEASIBLE = 1
    LOCAL = 2
    GLOBAL = 3


@dataclass(frozen=True)
class Budget:
    """Limits shared by all solvers; a search that exceeds one is ended by rsopt and keeps its best point.

    Attributes:
        seconds: wall-clock seconds for one inner problem, model building included.
        evaluations: number of tail probabilities (a gradient counts 4, a Hessian 10).

    Raises:
        InvalidInputError: a limit that is no positive number.
    """

    seconds: float = 60.0
    evaluations: int = 1_000_000

    def __post_init__(self) -> None:
        seconds, evaluations = as_real(self.seconds), as_whole(self.evaluations)
        if seconds is None or evaluations is None or not seconds > 0.0 or not evaluations > 0:
            raise InvalidInputError(f"A budget needs positive limits; found seconds={shown(self.seconds)}, "
                                    f"evaluations={shown(self.evaluations)}.")
        object.__setattr__(self, "seconds", seconds)
        object.__setattr__(self, "evaluations", evaluations)


def checked_budget(budget: object) -> Budget:
    """`budget` itself, or an error if it is none."""
    if not isinstance(budget, Budget):
        raise InvalidInputError(f"budget must be a rsopt.Budget(seconds=…, evaluations=…); found {shown(budget)}.")
    return budget


@dataclass(frozen=True)
class Proposal:
    """What a solver hands back.

    Attributes:
        point: q = (q1, q2, q3), shape (3,), feasible only to the solver's own tolerance.
        stop: why it ended.
        claim: what it says the point is; capped by the solver's `proves`.
        log_tail: log P_q(W) by the solver's own reckoning, None if it has none. Reported, never used.
        build_seconds: seconds spent on building the solver's own model, out of the time of the call.
        message: the backend's own words.
        tail_at_most: an upper bound on sup P_q(W) that the solver says it proved; it counts after rsopt's own
            prover has proved it too. None if the solver proves nothing.
    """

    point: Array
    stop: Stop = Stop.CONVERGED
    claim: Claim = Claim.LOCAL
    log_tail: float | None = None
    build_seconds: float = 0.0
    message: str = ""
    tail_at_most: float | None = None


class Improvement(NamedTuple):
    """A moment at which a search knew a better point than before.

    Attributes:
        seconds: since it began, building of models included.
        evaluations: tail probabilities computed until then, counted by rsopt.
        tail: P_q(W) at the point, on the level curve inside the domain.
    """

    seconds: float
    evaluations: int
    tail: float


@dataclass(frozen=True)
class Result:
    """A solver's proposal after rsopt has looked at it: tail_attained <= sup P_q(W) <= tail_proven.

    Attributes:
        point: q on the level curve inside the domain, shape (3,): the projected proposal, or a better point
            that the solver evaluated on its way.
        tail_attained: P_q(W) at `point`, by rsopt's kernel.
        tail_proven: proven upper bound on sup P_q(W); 1.0 without a proof.
        violation: largest violation of a constraint by the proposal as it was returned (before projection).
        stop: why the search ended.
        claim: what `point` is.
        evaluations: tail probabilities computed, counted by rsopt.
        build_seconds: seconds spent on forms and models.
        solve_seconds: the remaining seconds.
        solver: the solver with its fields.
        message: what happened, in words.
        form: name of the form that the solver was given; empty where none was needed.
        proposal: the point as the solver returned it; None where it returned none.
        proposed_log_tail: the solver's own value; None where it has none.
        tail_at_start: the best tail among rsopt's starting points, before the solver did anything; NaN where
            it asked for none.
        progress: each moment at which a better point was known, rsopt's starting points included; tails increase.
    """

    point: Array
    tail_attained: float
    tail_proven: float
    violation: float
    stop: Stop
    claim: Claim
    evaluations: int
    build_seconds: float
    solve_seconds: float
    solver: str
    message: str
    form: str
    proposal: Array | None = None
    proposed_log_tail: float | None = None
    tail_at_start: float = math.nan
    progress: tuple[Improvement, ...] = field(default=(), repr=False)
