"""The conformance suite on every solver but the slowest (see test_conformance_botorch), and on the suite itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import third_party

import rsopt
from rsopt import registry
from rsopt.plugins import plugins
from rsopt.solver import Claim
from rsopt.testing import Outcome, ZooProblem, check_solver, core, zoo

HERE = ["scipy", "branch-and-bound", "ipopt", "pyomo", "gpkit", "cvxpy", "cvxpy-nlp"]
ELSEWHERE = ["botorch"]


def test_every_registered_solver_is_tested() -> None:
    ours = [state.name for state in registry.solver_states() if state.origin == "rsopt"]
    assert sorted(ours) == sorted(HERE + ELSEWHERE)
    assert all(not state.missing for state in registry.solver_states()), "the test environment has every backend"


# Relative gap that counts as solved; measured over the whole zoo they are at least ten times better.
TOLERANCES = {"scipy": 1e-6, "branch-and-bound": 1e-6, "ipopt": 1e-6, "pyomo": 1e-6, "gpkit": 1e-2, "cvxpy": 1e-2,
              "cvxpy-nlp": 1e-6}


@pytest.mark.parametrize("name", HERE)
def test_conformance(name: str) -> None:
    outcomes = check_solver(name, tolerance=TOLERANCES[name], share=1.0)
    refused = [outcome.problem for outcome in outcomes if outcome.refused]
    # Only the models with all monomials have a size that they do not take, and no words for a link in two pieces; CVXPY
    # has none for the Taylor margin, unless q1 >= 1/2 makes a signomial of it.
    written_out = {"pyomo": ("laplace",), "cvxpy-nlp": ("laplace", "taylor-probit")}
    assert refused == [case.name for case in core() if name in written_out and (case.problem.counts.n > 1000 or (
        case.problem.functional.name in written_out[name] and "restricted" not in case.name))]


@pytest.mark.parametrize("method", ["differential-evolution", "dual-annealing", "direct", "shgo", "slsqp"])
def test_conformance_of_the_other_methods_of_scipy(method: str) -> None:
    check_solver(rsopt.get_solver("scipy", method=method), core()[:9], tolerance=1e-3)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A distribution that registers `third_party.GoldenSection` and a broken solver by entry points."""
    folder = tmp_path / "golden-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: golden\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[rsopt.solvers]\ngolden-section = third_party:GoldenSection\nbroken = no_such_module:Solver\n"
        "scipy = third_party:Lazy\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.cache_clear()
    yield "golden-section"
    monkeypatch.undo()
    plugins.cache_clear()


def test_a_third_party_solver_registers_and_conforms(installed: str) -> None:
    assert installed in rsopt.solver_names()
    outcomes = check_solver(installed, tolerance=1e-3)
    assert all(not outcome.refused for outcome in outcomes)
    bound = rsopt.lower_bound([900, 60, 40], top=0, solver=installed)
    assert bound.proven
    assert bound.solver == "GoldenSection(scan=200, steps=40)"
    assert rsopt.get_solver(installed, scan=50) == third_party.GoldenSection(scan=50)


def test_a_broken_plugin_hurts_only_itself(installed: str) -> None:
    states = {state.name: state for state in registry.solver_states()}
    assert states["broken"].missing.startswith(
        "The solver 'broken' is registered as 'no_such_module:Solver' and cannot be loaded: ModuleNotFoundError")
    assert states[installed].missing == ""
    assert states[installed].origin == "third_party:GoldenSection"
    with pytest.raises(rsopt.RsoptError, match="cannot be loaded"):
        rsopt.get_solver("broken")


def test_our_names_cannot_be_replaced(installed: str) -> None:
    assert type(rsopt.get_solver("scipy")).__name__ == "SciPy"
    assert rsopt.solver_names().count("scipy") == 1


@pytest.mark.parametrize(("solver", "rule"), [
    (third_party.Careless(), "prints nothing"),
    (third_party.Moody(), "takes randomness from its generator only"),
    (third_party.Lazy(), "solves what it takes. Found: 0 of 4 problems to 0.01"),
])
def test_the_suite_finds_what_it_looks_for(solver: third_party.GoldenSection, rule: str) -> None:
    with pytest.raises(AssertionError, match=f"breaks the rule of conformance that a solver {rule}"):
        check_solver(solver, core()[:4])


def test_the_suite_refuses_a_solver_that_takes_nothing() -> None:
    class Nothing(third_party.GoldenSection):
        def refuses(self, form: object, domain: object) -> str | None:
            return "It is Sunday."

    with pytest.raises(AssertionError, match=r"takes some of the problems.*It is Sunday"):
        check_solver(Nothing(), core()[:2])


def test_the_zoo_is_what_it_says() -> None:
    cases = zoo()
    assert {case.problem.counts.n for case in cases} == {5, 20, 50, 200, 1000, 10_000, 100_000}
    assert {case.problem.functional.name for case in cases} == {"margin", "probit", "taylor-probit", "laplace", "logit"}
    assert {case.problem.statistic.name for case in cases} == {"studentized", "clopper-pearson", "plugin"}
    assert {case.place for case in cases} == {"q3 = 0", "interior", "corner"}
    assert min(case.problem.alpha for case in cases) == 1e-5
    assert max(case.problem.alpha for case in cases) == 0.05
    assert any(case.level < 0.0 for case in cases)
    assert any(case.level > 0.0 for case in cases)
    assert len({case.name for case in cases}) == len(cases)


@pytest.mark.parametrize("case", zoo(), ids=lambda case: case.name)
def test_brackets_of_the_zoo_are_proven_and_narrow(case: ZooProblem) -> None:
    bracket = case.bracket
    found = case.worst_case.solve("branch-and-bound")
    assert found.claim is Claim.GLOBAL
    # 1e-4 where many maxima tie, elsewhere ten to a hundred times narrower.
    assert bracket.at_least <= bracket.at_most <= bracket.at_least * (1.0 + 1.001e-4)
    assert float(case.worst_case.tail_set.probability(bracket.point)) == pytest.approx(bracket.at_least, rel=1e-12)
    # Near the lower bound, where solvers have to be right.
    assert 0.3 * case.problem.alpha < bracket.at_least < 3.0 * case.problem.alpha


def test_outcomes_tell_refusals_from_gaps() -> None:
    outcomes = check_solver("pyomo", [core()[0], core()[-1]])
    assert outcomes[0] == Outcome(core()[0].name, "", outcomes[0].gap)
    assert "The list would hold" in outcomes[1].refused
    assert outcomes[1].gap != outcomes[1].gap
