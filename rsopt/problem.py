"""The problems, stated once: the lower bound (equation 8) and its worst case at a level (equations 7, 9, 10, 11)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rsopt.counts import Counts, checked_alpha
from rsopt.domain import Domain, Edge, Simplex
from rsopt.errors import RefusedError
from rsopt.functionals import Functional, LinkFunctional, Margin, ProbitMargin, TaylorProbitMargin
from rsopt.solver import Budget, Result, Solver
from rsopt.solving.curve import LevelCurve
from rsopt.solving.forms import BlackBox, Form, TermList
from rsopt.solving.meter import Meter
from rsopt.solving.search import Search
from rsopt.staircase import TailSet
from rsopt.statistics import Statistic

if TYPE_CHECKING:
    from pyomo.core import ConcreteModel

    from rsopt.bound import Bound

Array = npt.NDArray[np.float64]

MOST_TERMS = 2_000_000

_EQUATIONS: dict[type[LinkFunctional], tuple[str, str]] = {
    Margin: ("9", "q1 - q2"), ProbitMargin: ("10", "ndtri(q1) - ndtri(q2)"),
    TaylorProbitMargin: ("11", "f_M(q1) - f_M(q2)")}


@dataclass(frozen=True)
class LowerBoundProblem:
    """Equation 8: the largest level that the observation rejects, LCB = sup { L : Pi(L) <= alpha }.

    Pi(L) = sup { P_q(X in W) : q in the domain, g(q) <= L } with W = {x : T(x) >= T(x_obs)} (equation 7, with
    the observed value in W: without it Pi is no confidence bound).

    Attributes:
        counts: the observation and the certified class.
        functional: g.
        statistic: T.
        alpha: probability that the statement "g(p) >= LCB" is false.
        domain: where q may lie; by default the edge q3 = 0 for two classes and the simplex otherwise.

    Raises:
        InvalidInputError: alpha out of range for the statistic.
    """

    counts: Counts
    functional: Functional
    statistic: Statistic
    alpha: float
    domain: Domain | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", checked_alpha(self.alpha, self.statistic.largest_alpha))
        if self.domain is None:
            object.__setattr__(self, "domain", Edge() if self.counts.two_classes else Simplex())

    @cached_property
    def tail_set(self) -> TailSet:
        """W, the outcomes that are at least as much evidence as the observation."""
        return self.statistic.tail_set(self.counts, self.functional, self.alpha)

    def worst_case(self, level: float) -> WorstCaseProblem:
        """The inner problem at `level`: the q with g(q) <= level under which the observation is least
        surprising.

        Raises:
            InvalidInputError: a level that no q of the domain has.
        """
        assert self.domain is not None  # filled in at construction
        return WorstCaseProblem(self.tail_set, self.functional, self.domain, float(level), self.alpha)

    def solve(self, solver: str | Solver = "scipy", budget: Budget = Budget(), throw: bool = True) -> Bound:
        """The proven lower bound (see `rsopt.lower_bound`); any solver may propose, rsopt proves."""
        from rsopt.inversion import solve_lower_bound

        return solve_lower_bound(self, solver=solver, budget=budget, throw=throw)

    def __str__(self) -> str:
        counts, size = self.counts, self.tail_set.size()
        assert self.domain is not None
        return "\n".join([
            f"Lower confidence bound (equation 8) for class {counts.top} against its runner-up {counts.runner_up}",
            f"  find        LCB = sup {{ L : Pi(L) <= {self.alpha:g} }}",
            f"  with        Pi(L) = sup {{ P_q(X in W) : {_lhs(self.functional)} <= L, q in the {self.domain.name} }}",
            f"  functional  {_named(self.functional)}",
            f"  statistic   {self.statistic.name}: W = {{ x : T(x) >= T(x_obs) }} has {size:,} outcomes",
            f"  observed    x1 = {counts.x1:,}, x2 = {counts.x2:,}, other = {counts.n - counts.x1 - counts.x2:,}, "
            f"n = {counts.n:,}, {len(counts.votes)} classes"])


@dataclass(frozen=True)
class WorstCaseProblem:
    """Equation 7 at a level L, with g the margin (9), the probit margin (10) or its Taylor polynomial (11).

    Maximise P_q(X in W) over the q of the domain with g(q) <= level. The supremum lies on the curve g(q) =
    level.

    Attributes:
        tail_set: W.
        functional: g.
        domain: where q may lie.
        level: L.
        alpha: the probability that the supremum is compared with.

    Raises:
        InvalidInputError: a level that no q of the domain has.
    """

    tail_set: TailSet
    functional: Functional
    domain: Domain
    level: float
    alpha: float

    def __post_init__(self) -> None:
        self.curve  # noqa: B018 - builds the curve, which checks the level

    @cached_property
    def curve(self) -> LevelCurve:
        """The level curve inside the domain."""
        return LevelCurve(self.tail_set, self.functional, self.domain, self.level)

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
        if not isinstance(self.functional, LinkFunctional):
            return (f"The functional {self.functional.name!r} is known by its values only, so the problem is offered "
                    "as a BlackBox and not as a " + kind.__name__ + ".")
        if kind is TermList and self.tail_set.size() > MOST_TERMS:
            return (f"The list would hold {self.tail_set.size():,} monomials (n = {self.tail_set.n:,}); at most "
                    f"{MOST_TERMS:,} are listed. Take the SmoothOracle, or stream them with "
                    "rsopt.solving.terms.monomials.")
        return None

    def solve(self, solver: str | Solver = "scipy", budget: Budget = Budget(), *,
              stop_at: float | None = None, start: Array | None = None, rng: np.random.Generator | None = None,
              throw: bool = True) -> Result:
        """Let a solver propose the worst case, and report what rsopt computes about its proposal.

        Args:
            solver: a name (see `rsopt.solver_names`) or an instance.
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
            InvalidInputError: a `start` that is no distribution.
        """
        return Search(self, solver, budget, stop_at, start, rng or np.random.default_rng(0), throw).run()

    def to_terms(self) -> dict[str, Any]:
        """Every monomial, the level constraint and the domain as JSON-ready values (see `rsopt.solving.exports.terms`).

        Raises:
            RefusedError: a functional known by its values only, or too many monomials; the text says how many.
        """
        from rsopt.solving.exports import terms

        return terms(self)

    def to_pyomo(self) -> ConcreteModel:
        """The problem as a Pyomo ConcreteModel, to be printed, changed, or solved with Pyomo's solvers.

        Raises:
            MissingDependencyError: Pyomo is not installed.
            RefusedError: a functional without an algebraic form, or too many monomials.
        """
        from rsopt.solving.exports import pyomo_model

        return pyomo_model(self)

    def polish(self, q: Array) -> tuple[Array, float]:
        """One bounded minimisation along the curve around q by rsopt's own kernel.

        Args:
            q: shape (3,).

        Returns:
            (the better point, shape (3,); its tail probability).
        """
        from rsopt.solving.polish import polished

        return polished(self.curve, q)

    def __str__(self) -> str:
        equation = next((number for kind, (number, _) in _EQUATIONS.items() if isinstance(self.functional, kind)), "7")
        least = self.domain.least_q1
        return "\n".join([
            f"Worst case (equation {equation}) at level L = {self.level:.10g}",
            f"  maximise    P_q(X in W),  X ~ Multinomial(n = {self.tail_set.n:,}, q)",
            f"              a posynomial of degree {self.tail_set.n:,} with {self.tail_set.size():,} monomials",
            "  over        q1, q2 >= 0, " + ("q3 >= 0" if self.domain.third_cell else "q3 = 0")
            + (f", q1 >= {least:g}" if least > 0.0 else ""),
            f"  subject to  {_lhs(self.functional)} <= {self.level:.10g}",
            "              q1 + q2 + q3 = 1",
            f"  compare     the supremum with alpha = {self.alpha:g}"])


def _lhs(functional: Functional) -> str:
    return next((text for kind, (_, text) in _EQUATIONS.items() if isinstance(functional, kind)), "g(q1, q2)")


def _named(functional: Functional) -> str:
    return repr(functional) if isinstance(functional, LinkFunctional) else functional.name
