"""One search for the worst case: hand the solver a form, guard it, and look at what it proposes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rsopt.errors import InvalidInputError, RefusedError, RsoptError, SolverFailedError
from rsopt.prover import HEADROOM, ProofStatus, prove_level
from rsopt.registry import get_solver, solver_names
from rsopt.solver import Budget, Claim, Proposal, Result, Solver, Stop
from rsopt.solving.curve import compile_kernels
from rsopt.solving.forms import Form
from rsopt.solving.guard import guarded
from rsopt.solving.meter import Meter, SearchEnded
from rsopt.solving.posed import Posed

Array = npt.NDArray[np.float64]

# A point counts as GLOBAL if no point can be better by more than this share.
GLOBAL_GAP = 1e-3

# Most tail evaluations for repeating a solver's proof.
MOST_PROOF = 200_000


@dataclass
class Search:
    """One call of `WorstCaseProblem.solve`; see there for the fields."""

    problem: Posed
    solver: Solver
    budget: Budget
    stop_at: float | None
    start: Array | None
    rng: np.random.Generator
    throw: bool

    def run(self) -> Result:
        """Search and report."""
        solver = self.solver
        compile_kernels()
        began = time.perf_counter()
        meter = Meter(self.problem.curve, self.budget, self.stop_at)
        form = chosen_form(self.problem, solver, meter)
        start = None if self.start is None else checked_point(self.start, "start")
        stop = self._decided_at_once(meter, start)
        if stop is not None:
            return self._report(solver, meter, began, 0.0, None, stop, "", "")
        forms_built = time.perf_counter() - began
        outcome = guarded(lambda: solver.propose(form, self.problem.family.domain, self.budget, stop_at=self.stop_at,
                                                 start=start, rng=self.rng), meter.deadline)
        meter.close()
        proposal, stop, message = None, Stop.FAILED, ""
        if isinstance(outcome.error, SearchEnded):
            stop = outcome.error.stop
        elif outcome.timed_out and meter.best_s is not None:
            stop, message = Stop.TIME, "the solver did not come back in time and was given up"
        elif outcome.timed_out:
            message = f"{solver!r} did not come back in {self.budget.seconds:g} s and had evaluated nothing."
        elif outcome.error is not None:
            message = f"{solver!r} raised {type(outcome.error).__name__}: {outcome.error}"
        else:
            proposal, message = _checked_proposal(outcome.value, solver)
            stop = Stop.FAILED if proposal is None else proposal.stop
        if stop is Stop.FAILED and self.throw:
            raise SolverFailedError(f"The solver failed: {message or Stop.FAILED.value} Try another solver."
                                    ) from outcome.error
        return self._report(solver, meter, began, forms_built, proposal, stop, message, type(form).__name__)

    def _decided_at_once(self, meter: Meter, start: Array | None) -> Stop | None:
        """Whether the start alone decides the level, or the curve is one point."""
        try:
            if self.problem.curve.one_point:
                meter.log_tails([0.0])
                return Stop.ONE_POINT
            if start is not None:
                meter.witness(start)
        except SearchEnded as ended:
            return ended.stop
        return None

    def _report(self, solver: Solver, meter: Meter, began: float, build: float, proposal: Proposal | None, stop: Stop,
                message: str, form: str) -> Result:
        curve = self.problem.curve
        s = meter.best_s
        claim = Claim.NOTHING if s is None or stop is Stop.FAILED else Claim.FEASIBLE
        if stop is Stop.ONE_POINT:
            claim = Claim.LOCAL
        violation, evaluations = 0.0, meter.evaluations
        proven = 1.0
        if proposal is not None:
            at = curve.coordinate(proposal.point)
            evaluations += 1
            log_tail = float(curve.log_tails([at])[0])
            if log_tail > meter.best:
                meter.improved(log_tail)
            if s is None or log_tail >= meter.best:
                s = at
            violation = violation_of(self.problem, proposal.point)
            build += proposal.build_seconds
        point = curve.points([0.5 * curve.extent if s is None else s])[0]
        attained = math.exp(min(float(self.problem.family.tail_set.log_probability(point)), 0.0))
        if proposal is not None:
            claim, proven, message = _allowed_claim(self.problem, solver, proposal, attained)
        seconds = time.perf_counter() - began
        return Result(point, attained, max(proven, attained), violation, stop, claim, evaluations, build,
                      max(seconds - build, 0.0), repr(solver), message, form,
                      None if proposal is None else np.array(proposal.point, dtype=float),
                      None if proposal is None else proposal.log_tail, math.exp(min(meter.at_start, 0.0)),
                      tuple(meter.progress))


def chosen_form(problem: Posed, solver: Solver, meter: Meter) -> Form:
    """The first form that the solver accepts and the problem offers.

    Raises:
        RefusedError: there is none; the text says why and which solvers can take the problem.
    """
    found = _form_or_reasons(problem, solver, meter)
    if not isinstance(found, list):
        return found
    able = []
    for name in solver_names():
        try:
            other = get_solver(name)
            if not isinstance(_form_or_reasons(problem, other, meter), list):
                able.append(name)
        except RsoptError:
            continue
    raise RefusedError(f"{solver!r} cannot take this problem. {' '.join(found)} "
                       f"These solvers can: {', '.join(able) or 'none'}.")


def _form_or_reasons(problem: Posed, solver: Solver, meter: Meter) -> Form | list[str]:
    reasons = []
    for kind in solver.accepts:
        reason = problem.lacks(kind)
        if reason is None:
            form = problem.form(kind, meter)
            reason = solver.refuses(form, problem.family.domain)
            if reason is None:
                return form
        reasons.append(reason)
    return reasons


def checked_point(q: npt.ArrayLike, what: str) -> Array:
    """q as three finite numbers, at least 0 and not all 0, divided by their sum.

    Raises:
        InvalidInputError: anything else.
    """
    try:
        point = np.asarray(q, dtype=float)
    except (TypeError, ValueError):
        raise InvalidInputError(f"{what} must be three numbers (q1, q2, q3); found {q!r}.") from None
    if point.shape != (3,) or not np.all(np.isfinite(point)):
        raise InvalidInputError(f"{what} must be three finite numbers (q1, q2, q3); found {q!r}.")
    clipped = np.maximum(point, 0.0)
    if clipped.sum() <= 0.0:
        raise InvalidInputError(f"{what} must have a positive entry; found {q!r}.")
    return np.asarray(clipped / clipped.sum())


def violation_of(problem: Posed, q: Array) -> float:
    """Largest violation by q, as returned: negative entries, |sum - 1|, least_q1, q3 = 0, and g(q) - L."""
    point = np.asarray(q, dtype=float)
    inside = np.clip(point, 0.0, 1.0)
    excess = float(problem.family.functional.value(inside[0], inside[1])) - problem.level
    parts = [0.0, float(-point.min()), abs(float(point.sum()) - 1.0), problem.family.domain.least_q1 - float(point[0]),
             excess if not math.isnan(excess) else math.inf]
    if not problem.family.domain.third_cell:
        parts.append(abs(float(point[2])))
    return max(parts)


def _checked_proposal(value: object, solver: Solver) -> tuple[Proposal | None, str]:
    """The proposal with a usable point, or None and what is wrong with it."""
    if not isinstance(value, Proposal):
        return None, f"{solver!r} returned {value!r}, which is no Proposal."
    try:
        checked_point(value.point, f"the point of {solver!r}")
    except InvalidInputError as error:
        return None, str(error)
    return value, value.message


def _allowed_claim(problem: Posed, solver: Solver, proposal: Proposal, attained: float
                   ) -> tuple[Claim, float, str]:
    """The claim that stands, the proven tail, and the message with what was taken back."""
    claim, message, proven = min(proposal.claim, solver.proves), proposal.message, 1.0
    if claim < proposal.claim:
        message += f" (claimed {proposal.claim.name}; this solver can prove {solver.proves.name} at most)"
    if proposal.tail_at_most is not None and 0.0 < proposal.tail_at_most < 1.0:
        claimed = replace(problem.family, alpha=proposal.tail_at_most * math.exp(HEADROOM))
        proof = prove_level(claimed, problem.level, MOST_PROOF)
        if proof.status is ProofStatus.PROVED:
            proven = proposal.tail_at_most
    if claim == Claim.GLOBAL and proven > attained * (1.0 + GLOBAL_GAP):
        claim = Claim.LOCAL
        message += " (claimed GLOBAL without a proof that rsopt could repeat: counted as LOCAL)"
    return claim, proven, message.strip()
