"""The Solver protocol, with everything that goes in and out of a solver."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rsopt.domain import Domain
from rsopt.solving.forms import Form
from rsopt.solving.result import Budget, Claim, Improvement, Proposal, Result, Stop

__all__ = ["Budget", "Claim", "Improvement", "Proposal", "Result", "Solver", "SolverLike", "Stop"]

Array = npt.NDArray[np.float64]


@runtime_checkable
class Solver(Protocol):
    """A search method for the worst case. Its fields, if it is a dataclass, are its hyper-parameters."""

    @property
    def accepts(self) -> tuple[type[Any], ...]:
        """The forms it takes (`rsopt.solving.forms`), the preferred one first."""
        ...

    @property
    def proves(self) -> Claim:
        """The strongest claim it may make."""
        ...

    def refuses(self, form: Form, domain: Domain) -> str | None:
        """Why it cannot take this problem, in a sentence, or None if it can. Must not solve anything."""
        ...

    def propose(self, form: Form, domain: Domain, budget: Budget, *, stop_at: float | None, start: Array | None,
                rng: np.random.Generator) -> Proposal:
        """Search for the q on the level curve with the largest tail probability.

        Args:
            form: the problem, in one of the accepted forms.
            domain: where q may lie.
            budget: limits; rsopt enforces them too, and keeps the best point that went through the form.
            stop_at: stop as soon as a feasible point has P_q(W) >= stop_at (Lemma 1); None for never.
            start: a point near the expected optimum, shape (3,), to be tried beside the solver's own starts.
            rng: the only source of randomness.
        """
        ...


SolverLike = str | Solver | type[Solver]
"""A solver, its class, or its name."""
