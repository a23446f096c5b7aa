"""CVXPY: condensation steps as disciplined convex programs, solved by Clarabel."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from rsopt.domain import Domain
from rsopt.solver import Budget, Claim, Proposal
from rsopt.solving.forms import Form, SmoothOracle
from rsopt.solving.starts import starting_points

from .condensation import Condensed, condense, level_gap

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cvxpy:
    """Convex–concave procedure in y = log(q / iterate): log F is convex in y, so its tangent is maximised.

    Attributes:
        starts: how many basins are tried.
        iterations: most pairs of condensations a start.
        tolerance: of log P_q(W) between condensations.
    """

    starts: int = 2
    iterations: int = 40
    tolerance: float = 1e-8
    accepts: ClassVar[tuple[type[SmoothOracle]]] = (SmoothOracle,)
    proves: ClassVar[Claim] = Claim.LOCAL

    def refuses(self, form: Form, domain: Domain) -> str | None:
        """None: it takes every smooth problem."""
        return None

    def propose(self, form: SmoothOracle, domain: Domain, budget: Budget, *, stop_at: float | None,
                start: Array | None, rng: np.random.Generator) -> Proposal:
        """Condense from each start; the program is compiled once and re-solved with new parameters."""
        program = _Program(level_gap(form.curve))
        runs = [condense(form, point, program.step, self.iterations, self.tolerance)
                for point in starting_points(form.curve, form.meter, start, self.starts)]
        best = max(runs, key=lambda run: run.log_tail)
        return Proposal(best.point, best.stop, Claim.LOCAL, best.log_tail,
                        message=f"{sum(run.steps for run in runs)} convex programs, starts: {len(runs)}")


class _Program:
    """The convex subproblem; its numbers are parameters, so that CVXPY compiles it once."""

    def __init__(self, gap: float | None) -> None:
        import cvxpy

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
                self.problem.solve(solver=cvxpy.CLARABEL)
        except cvxpy.SolverError:
            return np.ones(3)
        return np.ones(3) if self.y.value is None else np.exp(np.asarray(self.y.value))
