"""The worst case at a level (equations 7, 9, 10, 11), stated once and offered in the forms that solvers take."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rsopt.domain import Domain
from rsopt.errors import RefusedError
from rsopt.family import TestFamily
from rsopt.functional import Functional
from rsopt.registry import as_solver
from rsopt.search import Search
from rsopt.solver import Budget, Result, SolverLike
from rsopt.solving import exports
from rsopt.solving.curve import LevelCurve, level_curve
from rsopt.solving.forms import BlackBox, Form, TermList
from rsopt.solving.meter import Meter
from rsopt.solving.polish import polished
from rsopt.solving.result import checked_budget
from rsopt.staircase import TailSet

if TYPE_CHECKING:
    import gpkit
    from cvxpy import Problem
    from pyomo.core import ConcreteModel

Array = npt.NDArray[np.float64]

MOST_TERMS = 2_000_000


@dataclass(frozen=True)
class WorstCaseProblem:
    """Equation 7 at a level L, with g the margin (9), the probit margin (10) or its Taylor polynomial (11).

    Maximise P_q(X in W) over the q of the domain with g(q) <= level. The supremum lies on the curve g(q) =
    level.

    Attributes:
        family: tail set W, functional g, domain, and the alpha that the supremum is compared with.
        level: L.

    Raises:
        InvalidInputError: a level that no q of the domain has.
    """

    family: TestFamily
    level: float

    def __post_init__(self) -> None:
        self.curve  # noqa: B018 - builds the curve, which checks the level

    @cached_property
    def curve(self) -> LevelCurve:
        """The level curve inside the domain."""
        return level_curve(self.family, self.level)

    @property
    def tail_set(self) -> TailSet:
        """W."""
        return self.family.tail_set

    @property
    def functional(self) -> Functional:
        """g."""
        return self.family.functional

    @property
    def domain(self) -> Domain:
        """Where q may lie."""
        return self.family.domain

    @property
    def alpha(self) -> float:
        """The probability that the supremum is compared with."""
        return self.family.alpha

    def form(self, kind: type[Form], meter: Meter | None = None) -> Form:
        """The problem as a `TermList`, `SmoothOracle` or `BlackBox`.

        Args:
            kind: the type of the form.
            meter: counts and limits the evaluations; by default unlimited.

        Raises:
            RefusedError: the problem has no such form (see `lacks`).
        """
        reason = self.lacks(kind)
        if reason is not None:
            raise RefusedError(reason)
        meter = meter or Meter(self.curve, Budget(math.inf), None)
        if kind is TermList:
            return TermList(self.curve, meter, 1e-6 * self.alpha)
        return kind(self.curve, meter)

    def lacks(self, kind: type[Form]) -> str | None:
        """Why the problem does not offer this form, or None if it does."""
        if kind is BlackBox:
            return None
        if not self.functional.smooth:
            return (f"The functional {self.functional.name!r} is known by its values only, so the problem is offered "
                    "as a BlackBox and not as a " + kind.__name__ + ".")
        if kind is TermList and self.tail_set.size() > MOST_TERMS:
            return (f"The list would hold {self.tail_set.size():,} monomials (n = {self.tail_set.n:,}); at most "
                    f"{MOST_TERMS:,} are listed. Take the SmoothOracle, or stream them with "
                    "rsopt.solving.terms.monomials.")
        return None

    def solve(self, solver: SolverLike = "scipy", budget: Budget = Budget(), *,
              stop_at: float | None = None, start: Array | None = None, rng: np.random.Generator | None = None,
              throw: bool = True) -> Result:
        """Let a solver propose the worst case, and report what rsopt computes about its proposal.

        Args:
            solver: a name (see `rsopt.solver_names`), a class or an instance.
            budget: limits of this search.
            stop_at: stop as soon as a feasible q has P_q(W) >= stop_at (Lemma 1).
            start: a point near the expected optimum, shape (3,), tried beside the solver's own starts.
            rng: source of randomness; seeded with 0 by default.
            throw: whether a failing solver raises; otherwise the failure is a Result with Stop.FAILED, claim
                NOTHING and the best point that was evaluated.

        Raises:
            UnknownNameError, MissingDependencyError: the solver cannot be had.
            RefusedError: the solver cannot take this problem; the text says why and which solvers can.
            SolverFailedError: it raised, or returned no answer (only with `throw`).
            InvalidInputError: a solver or budget that is none, or a `start` that is no distribution.
        """
        return Search(self, as_solver(solver), checked_budget(budget), stop_at, start, rng or np.random.default_rng(0),
                      throw).run()

    def to_terms(self) -> dict[str, Any]:
        """Every monomial, the level constraint and the domain as JSON-ready values (see `rsopt.solving.exports.terms`).

        Raises:
            RefusedError: a functional known by its values only, or too many monomials; the text says how many.
        """
        return exports.terms(self)

    def to_pyomo(self) -> ConcreteModel:
        """The problem as a Pyomo ConcreteModel, to be printed, changed, or solved with Pyomo's solvers.

        Raises:
            MissingDependencyError: Pyomo is not installed.
            RefusedError: a functional without an algebraic form, or too many monomials.
        """
        return exports.pyomo_model(self)

    def to_nl(self, path: str | os.PathLike[str], start: Sequence[float] | None = None) -> None:
        """Write the Pyomo model as an AMPL .nl file, which most solvers for nonlinear programs read.

        Args:
            path: the file.
            start: q that the variables start from, shape (3,); the middle of the level curve by default.

        Raises:
            MissingDependencyError, RefusedError: as in `to_pyomo`.
            InvalidInputError: a `start` that is no distribution.
            StorageError: the file cannot be written.
        """
        exports.write_nl(self, path, start)

    def to_gpkit(self, start: Sequence[float] | None = None) -> gpkit.Model:
        """The problem as a signomial program of GPkit (see `rsopt.solving.exports.gpkit_model`).

        Args:
            start: q in whose units the variables are, shape (3,); the middle of the level curve by default.

        Raises:
            MissingDependencyError: GPkit is not installed.
            RefusedError: a functional known by its values only, or too many monomials.
            InvalidInputError: a `start` that is no distribution.
        """
        return exports.gpkit_model(self, start)

    def to_cvxpy(self) -> Problem:
        """The problem as a cvxpy.Problem in y = log q (see `rsopt.solving.exports.cvxpy_problem`).

        Raises:
            MissingDependencyError: CVXPY is not installed.
            RefusedError: a functional whose level constraint is no signomial, or too many monomials.
        """
        return exports.cvxpy_problem(self)

    def polish(self, q: Array) -> tuple[Array, float]:
        """One bounded minimisation along the curve around q by rsopt's own kernel.

        Args:
            q: shape (3,).

        Returns:
            (the better point, shape (3,); its tail probability).
        """
        return polished(self.curve, q)

    def __str__(self) -> str:
        least = self.domain.least_q1
        return "\n".join([
            f"Worst case (equation {self.functional.equation}) at level L = {self.level:.10g}",
            f"  maximise    P_q(X in W),  X ~ Multinomial(n = {self.tail_set.n:,}, q)",
            f"              a posynomial of degree {self.tail_set.n:,} with {self.tail_set.size():,} monomials",
            "  over        q1, q2 >= 0, " + ("q3 >= 0" if self.domain.third_cell else "q3 = 0")
            + (f", q1 >= {least:g}" if least > 0.0 else ""),
            f"  subject to  {self.functional.formula} <= {self.level:.10g}",
            "              q1 + q2 + q3 = 1",
            f"  compare     the supremum with alpha = {self.alpha:g}"])
