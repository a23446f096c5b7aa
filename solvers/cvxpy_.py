"""CVXPY: condensation steps as disciplined convex programs, solved by Clarabel."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rsopt.domain import Domain
from rsopt.errors import RefusedError
from rsopt.solver import Budget, Claim, Proposal
from rsopt.solving.forms import LEAST_LOG, Form, SmoothOracle, TermList
from rsopt.solving.starts import starting_points
from rsopt.solving.words import Options, as_options, on_stderr

from .condensation import Condensed, condense, level_gap

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cvxpy:
    """Convex–concave procedure in y = log(q / iterate): log F is convex in y, so its tangent is maximised.

    Attributes:
        starts: how many basins are tried.
        iterations: most pairs of condensations a start.
        tolerance: of log P_q(W) between condensations.
        options: options of Clarabel, by its names; a mapping, or pairs.
        verbose: CVXPY's and Clarabel's own words, on stderr.
    """

    starts: int = 2
    iterations: int = 40
    tolerance: float = 1e-8
    options: Options = ()
    verbose: bool = field(default=False, repr=False)
    accepts: ClassVar[tuple[type[SmoothOracle]]] = (SmoothOracle,)
    proves: ClassVar[Claim] = Claim.LOCAL

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", as_options(self.options))

    def refuses(self, form: Form, domain: Domain) -> str | None:
        """None: it takes every smooth problem."""
        return None

    def propose(self, form: SmoothOracle, domain: Domain, budget: Budget, *, stop_at: float | None,
                start: Array | None, rng: np.random.Generator) -> Proposal:
        """Condense from each start; the program is compiled once and re-solved with new parameters."""
        program = _Program(level_gap(form.curve), self)
        with on_stderr(self.verbose):
            runs = [condense(form, point, program.step, self.iterations, self.tolerance)
                    for point in starting_points(form.curve, form.meter, start, self.starts)]
        best = max(runs, key=lambda run: run.log_tail)
        return Proposal(best.point, best.stop, Claim.LOCAL, best.log_tail,
                        message=f"{sum(run.steps for run in runs)} convex programs, starts: {len(runs)}")


def whole_problem(form: TermList) -> Any:
    """The worst case in y = log q with all monomials, nothing condensed; see `rsopt.solving.exports`.

    Raises:
        RefusedError: the level constraint is no signomial.
    """
    import cvxpy

    level = form.level_constraint
    if level is None:
        raise RefusedError(f"The level constraint of {form.curve.functional.name!r} is no signomial, and CVXPY has no "
                           "function to write it with. to_pyomo() and to_nl() write it.")
    y = cvxpy.Variable(len(level.variables), name="log_q")
    tail = cvxpy.log_sum_exp(form.exponents.astype(float) @ y[:3] + form.log_coefficients)
    limits = [cvxpy.log_sum_exp(y[:3]) <= 0.0, y >= LEAST_LOG]
    for signomial in level.constraints:
        positive = signomial.coefficients > 0.0
        sides = [cvxpy.log_sum_exp(signomial.exponents[side].astype(float) @ y
                                   + np.log(np.abs(signomial.coefficients[side]))) for side in (positive, ~positive)]
        limits.append(sides[0] <= sides[1])
    return cvxpy.Problem(cvxpy.Maximize(tail), limits)


class _Program:
    """The convex subproblem; its numbers are parameters, so that CVXPY compiles it once."""

    def __init__(self, gap: float | None, solver: Cvxpy) -> None:
        import cvxpy

        self.options = {**dict(solver.options), "verbose": solver.verbose}
        self.y = cvxpy.Variable(3)
        self.share = cvxpy.Parameter(3)
        self.log_iterate = cvxpy.Parameter(3)
        self.log_radius = cvxpy.Parameter()
        self.tangent = cvxpy.Parameter(2)
        at = self.y + self.log_iterate
        if gap is None:
            level = self.y[0] <= self.tangent[0] + self.tangent[1] * self.y[1]
        elif gap == 0.0:
            level = at[0] <= at[1]
        else:
            level = cvxpy.log_sum_exp(cvxpy.hstack([at[0], math.log(gap)])) <= at[1]
        self.problem = cvxpy.Problem(cvxpy.Maximize(self.share @ self.y), [
            cvxpy.log_sum_exp(at) <= 0.0, level, cvxpy.abs(self.y) <= self.log_radius])

    def step(self, condensed: Condensed) -> Array:
        """Solve one condensation; returns v = e^y, shape (3,)."""
        import cvxpy

        self.share.value = condensed.share
        self.log_iterate.value = np.log(condensed.iterate)
        self.log_radius.value = math.log(condensed.radius)
        self.tangent.value = np.array([math.log(condensed.bend) if condensed.gap is None else 0.0, condensed.power])
        try:
            with warnings.catch_warnings():
                # Inaccurate near convergence is expected, and whatever the step is worth is computed by
                # rsopt.
                warnings.filterwarnings("ignore", message="Solution may be inaccurate", category=UserWarning)
                self.problem.solve(solver=cvxpy.CLARABEL, **self.options)
        except cvxpy.SolverError:
            return np.ones(3)
        return np.ones(3) if self.y.value is None else np.exp(np.asarray(self.y.value))
