"""GPkit: signomial programming by sequential geometric programs, with all monomials or with an oracle's."""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rsopt.domain import Domain
from rsopt.errors import SolverFailedError
from rsopt.signomials import Signomial
from rsopt.solver import Budget, Claim, Proposal, Stop
from rsopt.solving.curve import LevelCurve
from rsopt.solving.forms import Form, SmoothOracle, TermList
from rsopt.solving.starts import starting_points
from rsopt.solving.words import on_stderr

from .condensation import Condensed, Run, condense, interior, off_the_faces

Array = npt.NDArray[np.float64]

# Smallest v = q / start of the whole program: below, logs overflow inside cvxopt, which GPkit calls
# infeasible.
_FLOOR = 1e-3

# Largest degree of the whole program: cvxopt keeps q1 + q2 + q3 <= 1 to about 1e-8, which the power n multiplies by n.
_DEGREE = 20_000


@dataclass(frozen=True)
class GPkit:
    """Minimise t subject to t·F(q) >= 1 (all monomials of F), or condense F at each iterate (oracle monomials).

    With up to `most_terms` monomials of moderate degree the whole signomial program goes to GPkit's `localsolve`,
    which condenses it until its objective stops improving. Otherwise the local monomial of F comes from the oracle,
    and GPkit solves geometric programs in three variables.

    Attributes:
        most_terms: most monomials for the first mode.
        starts: how many basins are tried.
        iterations: most condensations a start.
        reltol: relative change of t at which `localsolve` stops; also the tolerance of log P_q(W) in the
            second mode.
        verbose: GPkit's and cvxopt's own words, on stderr.
    """

    most_terms: int = 1500
    starts: int = 1
    iterations: int = 60
    reltol: float = 1e-8
    verbose: bool = field(default=False, repr=False)
    accepts: ClassVar[tuple[type[TermList], type[SmoothOracle]]] = (TermList, SmoothOracle)
    proves: ClassVar[Claim] = Claim.LOCAL

    @property
    def verbosity(self) -> int:
        """GPkit's word for `verbose`."""
        return 2 if self.verbose else 0

    def refuses(self, form: Form, domain: Domain) -> str | None:
        """More monomials than `most_terms`, or a degree above 20,000; the oracle form is then taken instead."""
        if isinstance(form, TermList) and form.curve.tail_set.n > _DEGREE:
            return f"The monomials have degree {form.curve.tail_set.n:,}; this mode is accurate up to {_DEGREE:,}."
        if isinstance(form, TermList) and form.size > self.most_terms:
            return f"The tail has {form.size:,} monomials that matter; this mode takes {self.most_terms:,}."
        return None

    def propose(self, form: TermList | SmoothOracle, domain: Domain, budget: Budget, *, stop_at: float | None,
                start: Array | None, rng: np.random.Generator) -> Proposal:
        """Condense from each start; every iterate is tried as a witness (Lemma 1)."""
        points = starting_points(form.curve, form.meter, start, self.starts)
        built = 0.0
        with warnings.catch_warnings(), on_stderr(self.verbose):
            # "SGP not convergent: Cost rose": the tangent of the level curve is no inner approximation, so it
            # may.
            warnings.filterwarnings("ignore", message="SGP not convergent", category=UserWarning)
            if isinstance(form, SmoothOracle):
                step = partial(solve_condensed, verbosity=self.verbosity)
                runs = [condense(form, point, step, self.iterations, self.reltol) for point in points]
            else:
                with _deep_recursion():
                    whole = [_Whole(self, form, point) for point in points]
                    built = sum(program.build_seconds for program in whole)
                    runs = [program.solve() for program in whole]
        best = max(runs, key=lambda run: run.log_tail)
        words = f"{sum(run.steps for run in runs)} geometric programs, starts: {len(runs)}, " + (
            "all monomials" if isinstance(form, TermList) else "oracle monomials")
        return Proposal(best.point, best.stop, Claim.LOCAL, best.log_tail, built, words)


def whole_model(form: TermList, start: Array) -> Any:
    """The signomial program with all monomials, in v = q / start, with ``model.q``; see `rsopt.solving.exports`."""
    with _deep_recursion():
        whole = _Whole(GPkit(), form, start)
    whole.model.q = [float(scale) * v for scale, v in zip(whole.scale, whole.v, strict=True)]
    return whole.model


@contextmanager
def _deep_recursion() -> Iterator[None]:
    """GPkit walks its expressions recursively, deeper than Python's default from about 300 monomials."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 20_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def solve_condensed(condensed: Condensed, verbosity: int = 0) -> Array:
    """One condensation as a geometric program in v = q / iterate; returns v, shape (3,)."""
    import gpkit
    from gpkit.exceptions import Infeasible

    v = [gpkit.Variable(f"v{i}") for i in (1, 2, 3)]
    iterate = condensed.iterate
    cost = math.prod((variable ** (-float(power)) for variable, power in zip(v, condensed.share, strict=True)),
                     start=gpkit.Monomial(1.0))
    level = (v[0] <= condensed.bend * v[1] ** condensed.power) if condensed.gap is None else (
        float(iterate[0]) * v[0] + condensed.gap <= float(iterate[1]) * v[1])
    total = float(iterate[0]) * v[0] + float(iterate[1]) * v[1] + float(iterate[2]) * v[2]
    bounds = [[variable <= condensed.radius, variable >= 1.0 / condensed.radius] for variable in v]
    try:
        found = gpkit.Model(cost, [total <= 1.0, level, *bounds]).solve(solver="cvxopt", verbosity=verbosity)
    except Infeasible:
        # Near convergence the feasible step is smaller than cvxopt's tolerance: stay.
        return np.ones(3)
    return np.array([float(found[variable]) for variable in v])


class _Whole:
    """The signomial program with all monomials, in v = q / start so that no coefficient overflows."""

    def __init__(self, solver: GPkit, form: TermList, start: Array) -> None:
        import gpkit
        from gpkit.exceptions import UnnecessarySGP

        began = time.perf_counter()
        self.solver, self.form, self.steps = solver, form, 0
        self.scale = interior(form.curve, start)
        self.v = [gpkit.Variable(f"v{i}") for i in (1, 2, 3)]
        self.t = gpkit.Variable("t")
        with gpkit.SignomialsEnabled():
            constraints = [self.t * self._tail() >= 1.0,
                           sum(float(s) * v for s, v in zip(self.scale, self.v, strict=True)) <= 1.0,
                           *[v >= _FLOOR for v in self.v],
                           *self._level()]
            self.model = gpkit.Model(self.t, constraints)
        try:
            self.program = self.model.sp(use_pccp=False)
            compiled = self.program._gp
        except UnnecessarySGP:
            # A single monomial: the observation is the strongest there is, and the program is geometric as it
            # stands.
            self.program = None
            compiled = self.model.gp()
        self.columns = dict(compiled.varcols)
        self.build_seconds = time.perf_counter() - began

    def solve(self) -> Run:
        """GPkit's own loop of condensations. Raises SearchEnded when the search is decided."""
        from gpkit.exceptions import Infeasible

        first = dict.fromkeys(self.v, 1.0) | {self.t: math.exp(-self.form.log_sum(self.scale))}
        stop = Stop.CONVERGED
        try:
            if self.program is None:
                self.model.solve(solver=self._one_program, verbosity=self.solver.verbosity)
            else:
                self.program.localsolve(solver=self._one_program, verbosity=self.solver.verbosity, x0=first,
                                        reltol=self.solver.reltol, iteration_limit=self.solver.iterations)
        except Infeasible as error:
            if not self.steps:
                raise SolverFailedError(f"GPkit could not solve its first program: {error!r}, "
                                        f"from {error.__cause__!r}") from error
            # Later programs fail where the feasible step is below cvxopt's tolerance; the last point stands.
            stop = Stop.ITERATIONS if self.steps > self.solver.iterations else Stop.STALLED
        return Run(self.last, self.form.log_sum(self.last), self.steps, stop)

    def _one_program(self, prob: Any, meq_idxs: Any, **options: Any) -> Any:
        """Solve one geometric program by cvxopt and try its point as a witness."""
        from gpkit.solvers.cvxopt import optimize

        found = optimize(prob, meq_idxs=meq_idxs, kktsolver="ldl", **options)
        self.steps += 1
        x = np.array([found.x[self.columns[v.key]] for v in self.v])
        self.last = self.scale * np.exp(x)
        self.form.meter.witness(self.last)
        return found

    def _tail(self) -> Any:
        """F as one posynomial in v, built from its map of terms: chains of + are quadratic in their number."""
        from gpkit.nomials import Posynomial
        from gpkit.nomials.map import NomialMap
        from gpkit.util.small_classes import HashVector

        keys = [v.key for v in self.v]
        logs = self.form.log_coefficients + self.form.exponents @ np.log(self.scale)
        return Posynomial(NomialMap({
            HashVector({key: int(power) for key, power in zip(keys, row, strict=True) if power}): math.exp(log)
            for log, row in zip(logs.tolist(), self.form.exponents.tolist(), strict=True)}))

    def _level(self) -> list[Any]:
        import gpkit

        level = self.form.level_constraint
        if level is None:
            return [_Tangent(self.form.curve, self.scale, self.v)]
        scale = [*self.scale.tolist(), *([1.0] * (len(level.variables) - 3))]
        variables = [*self.v, *(gpkit.Variable(name) for name in level.variables[3:])]
        return [_inequality(constraint, scale, variables) for constraint in level.constraints]


def _inequality(constraint: Signomial, scale: list[float], variables: list[Any]) -> Any:
    """positive part <= negative part of a signomial."""
    sides: list[Any] = [0.0, 0.0]
    for coefficient, powers in zip(constraint.coefficients.tolist(), constraint.exponents.tolist(), strict=True):
        term: Any = abs(coefficient)
        for variable, size, power in zip(variables, scale, powers, strict=True):
            if power:
                term = term * (size * variable) ** power
        sides[0 if coefficient > 0.0 else 1] += term
    return sides[0] <= sides[1]


class _Tangent:
    """q1 <= h(q2) as the tangent monomial at the current point: GPkit asks for a new one at each condensation."""

    def __init__(self, curve: LevelCurve, scale: Array, v: list[Any]) -> None:
        self.curve, self.scale, self.v = curve, scale, v

    def as_gpconstr(self, x0: Any) -> Any:
        """The constraint at x0, GPkit's map of the current values (empty at first)."""
        at = float(x0[self.v[1]]) if self.v[1] in x0 else 1.0
        low, high = self.curve.segment
        q2 = off_the_faces(self.curve, min(max(at * float(self.scale[1]), low), high))
        h, slope, _ = self.curve.tangent(q2)
        power = slope * q2 / h
        bend = h / float(self.scale[0]) * (q2 / float(self.scale[1])) ** -power
        return self.v[0] <= bend * self.v[1] ** power
