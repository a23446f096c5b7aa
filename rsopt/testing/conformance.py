"""The conformance suite: what every solver must do, ours and third parties', checked on problems with known suprema.

Use it in the tests of your own backend:

    from rsopt.testing import check_solver

    def test_my_solver_conforms():
        check_solver("my-solver")
"""

from __future__ import annotations

import io
import math
import os
import random
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from rsopt.arguments import as_real, checked_instance, iterated
from rsopt.errors import InvalidInputError, RefusedError, shown
from rsopt.registry import as_solver
from rsopt.solver import Budget, Claim, Result, Solver, SolverLike, Stop
from rsopt.solving.forms import BlackBox, SmoothOracle, TermList
from rsopt.testing.rules import demand
from rsopt.testing.zoo import ZooProblem, core

# What may pass between the budget's end and the return: interpreting a model, one step of a compiled library.
LATE = 60.0


@dataclass(frozen=True)
class Outcome:
    """What a solver did with one problem.

    Attributes:
        problem: name of the problem.
        refused: why the solver does not take it; empty if it does.
        gap: 1 - tail attained / largest tail known, 0 if it is at least as good; NaN if refused.
    """

    problem: str
    refused: str
    gap: float


def check_solver(solver: SolverLike, problems: Sequence[ZooProblem] | None = None, *, tolerance: float = 1e-2,
                 share: float = 0.9, seconds: float = 60.0) -> list[Outcome]:
    """Check everything that rsopt expects of a solver; returns what it did, or raises at the first breach.

    1. It says what it accepts and proves, and prints its fields.
    2. It refuses a problem before solving and with a reason, or solves it: the point lies in the domain on the level
       curve, the tail attained is what rsopt's kernel gives there and never above the proven supremum, the claim does
       not exceed what the solver proves, and the same seed gives the same answer.
    3. It stops at `stop_at` (Lemma 1), at a start that decides, and within a budget of evaluations or seconds.
    4. It keeps its manners: no output, no warnings, no change of the recursion limit or of global random states.
    5. With it, a whole bound is proven, and equals the default solver's to 1% of the width.

    Args:
        solver: name or instance.
        problems: by default `core()`.
        tolerance: largest relative gap to the supremum that counts as solved.
        share: least share of the problems taken that must be solved to `tolerance`.
        seconds: budget of one solve.

    Raises:
        AssertionError: a breach; the text says which rule, which problem, and what was found.
        InvalidInputError: an argument that has no meaning.
    """
    chosen, budget = as_solver(solver), Budget(seconds)
    for name, value in (("tolerance", tolerance), ("share", share)):
        number = as_real(value)
        if number is None or not 0.0 <= number <= 1.0:
            raise InvalidInputError(f"{name} must be a number from 0 to 1; found {shown(value)}.")
    cases = core() if problems is None else tuple(checked_instance(each, ZooProblem, "each of the problems")
                                                  for each in iterated(problems, "problems"))
    if not cases:
        raise InvalidInputError("There are no problems to check the solver on.")
    _check_protocol(chosen)
    outcomes = [_check_problem(chosen, case, budget) for case in cases]
    taken = [(case, outcome) for case, outcome in zip(cases, outcomes, strict=True) if not outcome.refused]
    _demand(bool(taken), chosen, "takes some of the problems", "; ".join(outcome.refused for outcome in outcomes))
    solved = sum(outcome.gap <= tolerance for _, outcome in taken)
    missed = [f"{outcome.problem}: {outcome.gap:.1e}" for _, outcome in taken if outcome.gap > tolerance]
    _demand(solved >= share * len(taken), chosen, "solves what it takes",
            f"{solved} of {len(taken)} problems to {tolerance:g}; gaps " + ", ".join(missed))
    case = taken[0][0]
    _check_ends(chosen, case)
    _check_bound(chosen, case)
    return outcomes


def _check_protocol(solver: Solver) -> None:
    known = (TermList, SmoothOracle, BlackBox)
    _demand(len(solver.accepts) > 0 and all(form in known for form in solver.accepts), solver,
            "accepts forms of rsopt", f"accepts = {solver.accepts!r}")
    _demand(isinstance(solver.proves, Claim), solver, "says the strongest claim it may make",
            f"proves = {solver.proves!r}")
    _demand(" object at 0x" not in repr(solver), solver, "prints its hyper-parameters", repr(solver))


def _check_problem(solver: Solver, case: ZooProblem, budget: Budget) -> Outcome:
    try:
        with _manners(solver, case):
            found = case.worst_case.solve(solver, budget, rng=np.random.default_rng(5))
    except RefusedError as refusal:
        _demand("These solvers can: " in str(refusal), solver, "refuses with a reason and who can", str(refusal))
        return Outcome(case.name, str(refusal), math.nan)
    check_result(solver, case, found)
    with _manners(solver, case):
        again = case.worst_case.solve(solver, budget, rng=np.random.default_rng(5))
    _demand(np.array_equal(found.point, again.point), solver, "gives the same answer for the same seed",
            f"{case.name}: {found.point} and {again.point}")
    return Outcome(case.name, "", max(1.0 - found.tail_attained / case.bracket.at_least, 0.0))


def check_result(solver: Solver, case: ZooProblem, found: Result) -> None:
    """The invariants of a result, recomputed.

    Raises:
        AssertionError: a breach.
    """
    problem, bracket = case.worst_case, case.bracket
    q = found.point
    _demand(q.shape == (3,) and bool(problem.domain.contains(q)), solver, "ends in the domain", f"{case.name}: {q}")
    value = float(problem.functional.value(q[0], q[1]))
    _demand(value <= problem.level + 1e-9 * (1.0 + abs(problem.level)), solver, "ends on the level curve",
            f"{case.name}: g = {value!r} at level {problem.level!r}")
    tail = float(np.exp(problem.tail_set.log_probability(q)))
    _demand(math.isclose(found.tail_attained, tail, rel_tol=1e-12), solver, "reports the tail that rsopt computes",
            f"{case.name}: {found.tail_attained!r}, recomputed {tail!r}")
    _demand(found.tail_attained <= bracket.at_most and found.tail_attained <= found.tail_proven, solver,
            "attains no more than the proven supremum", f"{case.name}: {found.tail_attained!r}, {bracket.at_most!r}")
    _demand(found.tail_proven >= bracket.at_least, solver, "proves no less than is attained",
            f"{case.name}: {found.tail_proven!r}, {bracket.at_least!r}")
    _demand(found.claim <= solver.proves, solver, "claims no more than it proves", f"{case.name}: {found.claim!r}")
    _demand(found.stop is not Stop.FAILED and found.evaluations > 0, solver, "says why it stopped",
            f"{case.name}: {found.stop!r}, {found.evaluations} evaluations")
    _demand(found.build_seconds >= 0.0 and found.solve_seconds > 0.0, solver, "is timed", f"{case.name}: {found!r}")


def _check_ends(solver: Solver, case: ZooProblem) -> None:
    bracket, problem = case.bracket, case.worst_case
    early = problem.solve(solver, Budget(60.0), stop_at=0.5 * bracket.at_least)
    _demand(early.stop is Stop.REACHED and early.tail_attained >= 0.5 * bracket.at_least, solver,
            "stops as soon as stop_at is reached", f"{early.stop!r} at {early.tail_attained!r}")
    at_once = problem.solve(solver, Budget(60.0), stop_at=0.5 * bracket.at_least, start=bracket.point)
    _demand(at_once.evaluations == 1, solver, "needs nothing more than a start that decides",
            f"{at_once.evaluations} evaluations")
    few = problem.solve(solver, Budget(60.0, evaluations=5))
    _demand(few.evaluations <= 6 and few.stop is Stop.EVALUATIONS, solver, "ends with its budget of evaluations",
            f"{few.evaluations} evaluations of 5, {few.stop!r}")
    began = time.perf_counter()
    short = problem.solve(solver, Budget(seconds=0.02), throw=False)
    late = time.perf_counter() - began
    _demand(late < LATE and short.tail_attained <= bracket.at_most, solver, "ends with its budget of seconds",
            f"{late:.1f} s of 0.02 s")


def _check_bound(solver: Solver, case: ZooProblem) -> None:
    mine, default = case.problem.solve(solver), case.problem.solve("scipy")
    counts = case.problem.counts
    x1, x2 = (min(max(x, 0.5), counts.n - 0.5) / counts.n for x in (counts.x1, counts.x2))
    width = abs(float(case.problem.functional.value(np.array(x1), np.array(x2))) - default.lower)
    _demand(mine.proven and abs(mine.lower - default.lower) <= 0.01 * width, solver,
            "leads to the same proven bound", f"{case.name}: {mine.lower!r}, default {default.lower!r}")


@contextmanager
def _manners(solver: Solver, case: ZooProblem) -> Iterator[None]:
    """Nothing is printed or warned, and nothing global is left changed."""
    limit, state = sys.getrecursionlimit(), _global_random_state()
    with _output() as printed, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    text = printed[0] if printed else ""
    _demand(not text, solver, "prints nothing", f"{case.name}: {text[:200]!r}")
    ours = [w for w in caught if not issubclass(w.category, DeprecationWarning | PendingDeprecationWarning)]
    _demand(not ours, solver, "warns of nothing", f"{case.name}: {[str(w.message)[:120] for w in ours]}")
    _demand(sys.getrecursionlimit() == limit, solver, "leaves the recursion limit alone", case.name)
    # A backend that was imported meanwhile has a state that was not there before.
    same = all(_global_random_state()[name] == before for name, before in state.items())
    _demand(same, solver, "takes randomness from its generator only", case.name)


def _global_random_state() -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - it is the global state that must not move
    states: dict[str, Any] = {"random": random.getstate(), "numpy": (kind, bytes(np.asarray(keys)), *rest)}
    if "torch" in sys.modules:
        states["torch"] = bytes(sys.modules["torch"].get_rng_state().numpy())
    return states


@contextmanager
def _output() -> Iterator[list[str]]:
    """What is written to the standard streams, by Python or by compiled code; filled in at the end."""
    found: list[str] = []
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    python = io.StringIO()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "output"
        # Python's streams may be redirected already, away from what compiled code writes to.
        with path.open("wb") as stream, redirect_stdout(python), redirect_stderr(python):
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
            try:
                yield found
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                for number, copy in zip((1, 2), kept, strict=True):
                    os.dup2(copy, number)
                    os.close(copy)
        found.append(python.getvalue() + path.read_text(errors="replace"))


def _demand(kept: bool, solver: Solver, rule: str, found: str) -> None:
    demand(kept, solver, "solver", rule, found)
