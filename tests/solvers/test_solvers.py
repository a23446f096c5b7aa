"""The registry, the four failures with their texts, and what is particular to each backend."""

from __future__ import annotations

import math
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from places import SUPPORT

import rsopt
from rsopt.errors import (
    InvalidInputError,
    MissingDependencyError,
    RefusedError,
    SolverFailedError,
    UnknownNameError,
)
from rsopt.registry import as_solver, solver_states
from rsopt.solver import Budget, Claim, Proposal, Stop
from rsopt.solving.forms import SmoothOracle, TermList
from rsopt.testing import core, zoo

Array = npt.NDArray[np.float64]

# (solver, package that it imports, distribution that brings it)
NEEDS = [("ipopt", "casadi", "casadi"), ("pyomo", "pyomo", "pyomo"), ("pyomo", "casadi", "casadi"),
         ("gpkit", "gpkit", "gpkit-core"), ("cvxpy", "cvxpy", "cvxpy"), ("cvxpy", "clarabel", "clarabel"),
         ("cvxpy-nlp", "cvxpy", "cvxpy"), ("cvxpy-nlp", "unopy", "unopy"),
         ("botorch", "botorch", "botorch")]


def test_names_and_fields() -> None:
    assert rsopt.solver_names()[:8] == ["scipy", "branch-and-bound", "ipopt", "pyomo", "gpkit", "cvxpy", "cvxpy-nlp",
                                        "botorch"]
    assert repr(rsopt.get_solver("scipy", grid=24)).startswith("SciPy(method='brent-grid', grid=24")
    with pytest.raises(InvalidInputError, match="The solver 'scipy' has no field 'gird'; it has method, grid, zoom"):
        rsopt.get_solver("scipy", gird=24)
    with pytest.raises(UnknownNameError, match="There is no method of the solver 'scipy' named 'brent'"):
        rsopt.get_solver("scipy", method="brent")


def test_unknown_name() -> None:
    with pytest.raises(UnknownNameError) as raised:
        rsopt.get_solver("gpkitt")
    assert str(raised.value) == (
        "There is no solver named 'gpkitt'. Did you mean 'gpkit'? Known: botorch, branch-and-bound, cvxpy, "
        "cvxpy-nlp, gpkit, ipopt, pyomo, scipy.")
    assert isinstance(raised.value, LookupError)
    with pytest.raises(UnknownNameError):
        rsopt.lower_bound([9, 1, 0], top=0, solver="gurobi")


@pytest.mark.parametrize(("name", "package", "distribution"), NEEDS)
def test_not_installed(name: str, package: str, distribution: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # what the import system sees where a package is absent
    with pytest.raises(MissingDependencyError) as raised:
        rsopt.get_solver(name)
    assert str(raised.value) == (f"The solver {name!r} needs the package {distribution!r}, which is not installed. "
                                 f"Install it with: pip install 'rsopt[{name}]'")
    assert isinstance(raised.value, ImportError)
    state = {state.name: state for state in solver_states()}[name]
    assert state.missing == str(raised.value)
    assert state.accepts
    # Everything else goes on working.
    assert rsopt.lower_bound([9, 1, 0], top=0, alpha=0.05).proven
    others = [state for state in solver_states() if state.name != name and not state.missing]
    assert len(others) >= 5  # ipopt and pyomo share casadi


def test_refused() -> None:
    problem = rsopt.LowerBoundProblem(rsopt.Counts((90_000, 6_000, 4_000), 0), rsopt.ProbitMargin(),
                                      rsopt.Studentized(), 1e-3)
    with pytest.raises(RefusedError) as raised:
        problem.worst_case(2.8).solve("pyomo")
    size = problem.tail_set.size()
    assert str(raised.value) == (
        "Pyomo(executable=None, most_terms=40000, starts=3, iterations=200, tolerance=1e-09, options=()) cannot "
        f"take this problem. The list would hold {size:,} monomials (n = 100,000); at most 2,000,000 are listed. Take "
        "the SmoothOracle, or stream them with rsopt.solving.terms.monomials. These solvers can: scipy, "
        "branch-and-bound, ipopt, gpkit, cvxpy, botorch.")


class Odds(rsopt.Functional):
    """A functional that is known by its values only: the log odds of class A against its rival."""

    name = "odds"
    range = (-50.0, 50.0)

    def value(self, q1: Array, q2: Array) -> Array:
        return np.log(np.maximum(q1, 1e-20)) - np.log(np.maximum(q2, 1e-20))


@pytest.mark.parametrize("name", rsopt.solver_names())
def test_functionals_known_by_their_values(name: str) -> None:
    problem = rsopt.LowerBoundProblem(rsopt.Counts((25, 3, 2), 0), Odds(), rsopt.PlugIn(), 0.05)
    worst = problem.worst_case(0.7)
    if name in ("scipy", "branch-and-bound", "botorch"):
        found = worst.solve(name)
        best = float(np.exp(worst.curve.log_tails(worst.curve.grid(400)).max()))
        assert found.tail_attained >= best * (1.0 - 1e-3)
    else:
        with pytest.raises(RefusedError, match=r"known by its values only.*These solvers can: scipy, branch-and-bound, "
                                               r"botorch\."):
            worst.solve(name)


def test_failed() -> None:
    @dataclass(frozen=True)
    class Broken:
        accepts: ClassVar[tuple[type[SmoothOracle]]] = (SmoothOracle,)
        proves: ClassVar[Claim] = Claim.LOCAL

        def refuses(self, form: Any, domain: Any) -> str | None:
            return None

        def propose(self, form: Any, domain: Any, budget: Any, *, stop_at: Any, start: Any, rng: Any) -> Proposal:
            raise OSError("the licence server is down")

    with pytest.raises(SolverFailedError) as raised:
        core()[0].worst_case.solve(Broken())
    assert str(raised.value).startswith("The solver failed: ")
    assert str(raised.value).endswith("Broken() raised OSError: the licence server is down Try another solver.")
    assert isinstance(raised.value.__cause__, OSError)


def test_what_is_no_solver() -> None:
    with pytest.raises(InvalidInputError, match="Counts cannot be made without arguments"):
        as_solver(rsopt.Counts)  # type: ignore[arg-type]
    for wrong in (None, 3, object()):
        with pytest.raises(InvalidInputError, match="is no solver: it needs accepts, proves, refuses"):
            as_solver(wrong)  # type: ignore[arg-type]


def test_importing_rsopt_loads_no_backend() -> None:
    heavy = ["torch", "botorch", "gpytorch", "pyomo", "casadi", "cvxpy", "clarabel", "gpkit", "matplotlib", "ray",
             "pyarrow", "typer", "rich", "sklearn", "flint"]
    code = ("import sys, rsopt\n"
            "rsopt.lower_bound([9, 1, 0], top=0, alpha=0.05)\n"
            "rsopt.solver_names(); rsopt.registry.solver_states() if hasattr(rsopt, 'registry') else None\n"
            f"print(sorted(set({heavy!r}) & set(sys.modules)))")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]", "after a bound with the default solver none of these may be loaded"


@pytest.mark.parametrize("name", rsopt.solver_names())
def test_stopping_early_saves_evaluations(name: str) -> None:
    case = core()[3]
    whole = case.worst_case.solve(name)
    early = case.worst_case.solve(name, stop_at=0.2 * case.bracket.at_least)
    assert early.stop is Stop.REACHED
    assert early.tail_attained >= 0.2 * case.bracket.at_least
    assert early.evaluations < whole.evaluations


def test_seeds_matter_only_through_the_generator() -> None:
    case = core()[3]
    points = [case.worst_case.solve("botorch", rng=np.random.default_rng(seed)).point for seed in (1, 1, 2)]
    assert np.array_equal(points[0], points[1])
    assert not np.array_equal(points[0], points[2])


def test_gpkit_takes_the_mode_of_the_form_it_is_offered() -> None:
    case = core()[3]
    whole = case.worst_case.solve("gpkit")
    assert (whole.form, whole.message.rsplit(", ", 1)[1]) == ("TermList", "all monomials")
    oracle = case.worst_case.solve(rsopt.get_solver("gpkit", most_terms=2))
    assert (oracle.form, oracle.message.rsplit(", ", 1)[1]) == ("SmoothOracle", "oracle monomials")
    assert whole.tail_attained == pytest.approx(oracle.tail_attained, rel=1e-5)
    # Few monomials, but of a degree that would magnify the tolerance of a geometric program to 1e-3.
    steep = zoo(least_n=100_000)[-1].worst_case.solve("gpkit")
    assert steep.form == "SmoothOracle"
    # A single monomial is a geometric program as it stands.
    single = rsopt.LowerBoundProblem(rsopt.Counts((8, 0, 0), 0), rsopt.Margin(), rsopt.PlugIn(), 0.05)
    assert single.tail_set.size() == 1
    assert single.worst_case(0.3).solve("gpkit").tail_attained == pytest.approx(0.65**8, rel=1e-5)


def test_gpkit_and_cvxpy_condense_from_afar() -> None:
    """From a poor start, where the survey does not help, condensation climbs to the supremum by itself."""
    from rsopt.solvers.condensation import condense
    from rsopt.solvers.cvxpy_ import Cvxpy, _Program
    from rsopt.solvers.gpkit_ import solve_condensed

    from rsopt.solving.meter import Meter

    case = next(case for case in zoo(200, 200) if case.name == "n200-180-12-probit-clopper-pearson-0.001")
    curve = case.worst_case.curve
    start = curve.points([0.3 * curve.extent])[0]
    first = float(np.exp(curve.log_tails([0.3 * curve.extent])[0]))
    assert first < 0.5 * case.bracket.at_least
    for step in (solve_condensed, _Program(None, Cvxpy()).step):
        run = condense(SmoothOracle(curve, Meter(curve, Budget(), None)), start, step, 60, 1e-8)
        assert math.exp(run.log_tail) == pytest.approx(case.bracket.at_least, rel=1e-3)
        assert run.steps >= 6


def test_ipopt_reports_its_own_words_and_uses_exact_derivatives() -> None:
    found = core()[5].worst_case.solve("ipopt")
    assert found.message.startswith("IPOPT: Solve_Succeeded")
    # With exact Hessians a run takes some ten iterations of 16 tails each; finite differences would take hundreds.
    assert found.evaluations < 2500


def test_pyomo_uses_an_executable_that_is_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No wheel holds an IPOPT executable, so a script that speaks its protocol stands in for one."""
    script = tmp_path / "ipopt"
    script.write_text(f"#!{sys.executable}\n" + (SUPPORT / "ipopt_executable.py").read_text())
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    case = core()[3]
    found = case.worst_case.solve("pyomo")
    assert found.message.startswith(f"IPOPT at {script}: optimal")
    assert found.tail_attained == pytest.approx(case.bracket.at_least, rel=1e-6)
    named = case.worst_case.solve(rsopt.get_solver("pyomo", executable=str(script)))
    assert named.message.startswith(f"IPOPT at {script}: optimal")
    monkeypatch.setenv("PATH", "")
    inside = case.worst_case.solve("pyomo")
    assert inside.message.startswith("IPOPT inside casadi: Solve_Succeeded")
    assert inside.tail_attained == pytest.approx(case.bracket.at_least, rel=1e-6)


@pytest.mark.parametrize("votes", [(45, 3, 2), (30, 15, 5)])
def test_botorch_stops_early_at_fifty_votes(votes: tuple[int, ...]) -> None:
    """It once used all of its 60 seconds there, and ended 1.9% below what the default solver leads to."""
    problem = rsopt.LowerBoundProblem(rsopt.Counts(votes, 0), "margin", "studentized", 1e-3)
    default = problem.solve()
    found = problem.worst_case(default.lower_at_most).solve("botorch")
    assert found.stop is Stop.CONVERGED
    assert found.tail_attained == pytest.approx(1e-3, rel=1e-3)
    assert problem.solve("botorch").lower == pytest.approx(default.lower, abs=1e-5)


def test_an_executable_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"No executable '/opt/ipotp' was found. Give the path of an IPOPT"):
        rsopt.get_solver("pyomo", executable="/opt/ipotp")


def test_pyomo_refuses_long_lists() -> None:
    short = rsopt.get_solver("pyomo", most_terms=5)
    with pytest.raises(RefusedError, match=r"monomials that matter; the model takes 5 \(field most_terms\)"):
        core()[3].worst_case.solve(short)


def test_branch_and_bound_proves_what_it_finds() -> None:
    for case in core():
        found = case.worst_case.solve("branch-and-bound")
        assert found.claim is Claim.GLOBAL
        assert found.tail_attained <= found.tail_proven <= found.tail_attained * (1.0 + 1e-3)


def test_two_classes_need_no_search() -> None:
    problem = rsopt.LowerBoundProblem(rsopt.Counts((40, 10), 0), rsopt.ProbitMargin(), rsopt.Studentized(), 0.01)
    for name in rsopt.solver_names():
        found = problem.worst_case(0.5).solve(name)
        assert found.stop is Stop.ONE_POINT
        assert found.evaluations == 1
        assert found.point[2] == pytest.approx(0.0, abs=1e-15)


@dataclass(frozen=True)
class Uncalled:
    """Takes lists of monomials of any length, and must not be asked for anything."""

    accepts: ClassVar[tuple[type[TermList]]] = (TermList,)
    proves: ClassVar[Claim] = Claim.LOCAL

    def refuses(self, form: Any, domain: Any) -> str | None:
        return None

    def propose(self, form: Any, domain: Any, budget: Any, *, stop_at: Any, start: Any, rng: Any) -> Proposal:
        raise AssertionError("the start had decided")


def test_a_start_that_decides_needs_no_solver_and_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing out the monomials is the dear part of the form."""
    case = core()[3]
    monkeypatch.setattr("rsopt.solving.forms.monomials", None)
    found = case.worst_case.solve(Uncalled(), stop_at=0.5 * case.bracket.at_least, start=case.bracket.point)
    assert found.stop is Stop.REACHED
    assert found.evaluations == 1
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        case.worst_case.solve("pyomo")
