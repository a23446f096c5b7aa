"""CVXPY's nonlinear mode: all monomials and the level curve as one smooth program, solved by Uno."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from importlib import util
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import special

from rsopt.domain import Domain
from rsopt.solver import Budget, Claim, Proposal, Stop
from rsopt.solving.forms import LEAST_LOG, Form, TermList
from rsopt.solving.starts import starting_points
from rsopt.solving.words import Options, as_options, on_stderr

Array = npt.NDArray[np.float64]

# Quantiles of the least cell probabilities lie below it in size.
_LARGEST_QUANTILE = 9.0


@dataclass(frozen=True)
class CvxpyNlp:
    """Maximise log F(e^y) over y = log q, with sum e^y = 1 and the level as it stands, from several starts.

    The margin, and what else is a signomial of q, is a sum of exponentials in y. The probit margin has variables z with
    e^y = normcdf(z) and z1 - z2 <= L.

    Attributes:
        most_terms: most monomials it takes.
        starts: how many basins are tried.
        options: options of Uno, by its names; a mapping, or pairs.
        verbose: CVXPY's and Uno's own words, on stderr.
    """

    most_terms: int = 40_000
    starts: int = 3
    options: Options = ()
    verbose: bool = field(default=False, repr=False)
    accepts: ClassVar[tuple[type[TermList]]] = (TermList,)
    proves: ClassVar[Claim] = Claim.LOCAL

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", as_options(self.options))

    def refuses(self, form: Form, domain: Domain) -> str | None:
        """A CVXPY without a nonlinear mode, a functional that it has no words for, or more than `most_terms`."""
        if util.find_spec("cvxpy.nlp") is None:
            return "The CVXPY that is installed has no nonlinear mode: it came with version 1.9."
        if not isinstance(form, TermList):
            return None
        if form.level_constraint is None and form.curve.functional.name != "probit":
            return (f"CVXPY has no function to write the level of {form.curve.functional.name!r} with: it is no "
                    "signomial, and no difference of normal quantiles.")
        return form.too_many(self.most_terms)

    def propose(self, form: TermList, domain: Domain, budget: Budget, *, stop_at: float | None, start: Array | None,
                rng: np.random.Generator) -> Proposal:
        """Build the program once and solve it from each start; a start at which Uno fails is left out."""
        program = _Program(form, self)
        with on_stderr(self.verbose):
            found = [program.solve(q) for q in starting_points(form.curve, form.meter, start, self.starts)]
        best, status = max(found, key=lambda run: form.meter.witness(run[0]))
        stop = Stop.ITERATIONS if "limit" in status else Stop.CONVERGED
        return Proposal(best, stop, Claim.LOCAL, form.log_sum(best),
                        message="Uno: " + ", ".join(run[1] for run in found))


class _Program:
    """The program, built once."""

    def __init__(self, form: TermList, solver: CvxpyNlp) -> None:
        import cvxpy

        self.options = {"logger": "INFO" if solver.verbose else "SILENT", **dict(solver.options)}
        self.verbose, self.least = solver.verbose, 0.01 / form.curve.tail_set.n
        level = form.level_constraint
        size = 3 if level is None else len(level.variables)
        self.low = np.full(size, LEAST_LOG)
        self.low[0] = max(LEAST_LOG, math.log(max(form.curve.domain.least_q1, 1e-300)))
        y = cvxpy.Variable(size, bounds=[self.low, np.zeros(size)], name="log_q")
        # A sum of exponentials as it stands: CVXPY would make a variable and an equation of each term of log_sum_exp.
        tail = cvxpy.log(cvxpy.sum(cvxpy.exp(form.exponents.astype(float) @ y[:3] + form.log_coefficients)))
        limits: list[Any] = [cvxpy.sum(cvxpy.exp(y[:3])) == 1.0]
        self.y, self.z = y, None
        if level is None:
            quantiles = [np.full(2, sign * _LARGEST_QUANTILE) for sign in (-1.0, 1.0)]
            self.z = cvxpy.Variable(2, bounds=quantiles, name="z")
            limits += [cvxpy.exp(y[:2]) == cvxpy.nlp.normcdf(self.z), self.z[0] - self.z[1] <= form.curve.level]
        else:
            for signomial in level.constraints:
                limits.append(cvxpy.sum(cvxpy.multiply(signomial.coefficients,
                                                       cvxpy.exp(signomial.exponents.astype(float) @ y))) <= 0.0)
        self.problem = cvxpy.Problem(cvxpy.Maximize(tail), limits)

    def solve(self, q: Array) -> tuple[Array, str]:
        """Run from q; returns (q, status), q itself where Uno fails."""
        import cvxpy

        # Beside the three cells the level of a Taylor margin has q1 - 1/2 and 1/2 - q2.
        cells = np.maximum(np.array([*q, q[0] - 0.5, 0.5 - q[1]])[:self.y.size], self.least)
        self.y.value = np.clip(np.log(cells), self.low, 0.0)
        if self.z is not None:
            self.z.value = np.clip(special.ndtri(np.exp(self.y.value[:2])), -_LARGEST_QUANTILE, _LARGEST_QUANTILE)
        try:
            with warnings.catch_warnings():
                # As of a condensation: whatever the point is worth is computed by rsopt.
                warnings.filterwarnings("ignore", message="Solution may be inaccurate", category=UserWarning)
                self.problem.solve(nlp=True, solver="UNO", verbose=self.verbose, **self.options)
        except cvxpy.SolverError as error:
            return q, f"failed ({str(error).splitlines()[0][:80]})"
        if self.y.value is None or not np.all(np.isfinite(self.y.value)):
            return q, str(self.problem.status)
        return np.exp(self.y.value[:3]), str(self.problem.status)
