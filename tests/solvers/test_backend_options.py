"""Fields and options of backends by name, in Python and in a text, and the backends' own words apart from ours."""

from __future__ import annotations

import json

import pytest
from command_line import refused, run
from rsopt.solvers.cvxpy_ import Cvxpy
from rsopt.solvers.ipopt_ import Ipopt
from rsopt.solvers.pyomo_ import Pyomo
from rsopt.solvers.scipy_ import SciPy

import rsopt
from rsopt.errors import InvalidInputError, SolverFailedError, UnknownNameError
from rsopt.registry import as_solver

VOTES = [40, 3, 2]
WORDS = {"ipopt": "This is Ipopt version", "pyomo": "This is Ipopt version", "gpkit": "GP Solve 1",
         "cvxpy": "CVXPY", "cvxpy-nlp": "CVXPY"}


def test_fields_in_a_text() -> None:
    assert as_solver("ipopt:tolerance=1e-10:starts=2") == Ipopt(tolerance=1e-10, starts=2)
    assert as_solver("ipopt:options.mu_strategy=adaptive:options.max_soc=2:options.kappa_d=1e-4") == Ipopt(
        options={"mu_strategy": "adaptive", "max_soc": 2, "kappa_d": 1e-4})
    assert as_solver("cvxpy:verbose=true:options.max_iter=30") == Cvxpy(verbose=True, options={"max_iter": 30})
    assert as_solver("pyomo:executable=none:most_terms=10") == Pyomo(most_terms=10)
    assert as_solver("scipy:method=slsqp") == SciPy(method="slsqp")
    assert rsopt.Question(0.25, solver="ipopt:starts=1").solver == "ipopt:starts=1"
    # Options are part of what a result says of its solver, in one order however they were given.
    assert repr(Ipopt(options={"b": 1, "a": "x"})) == (
        "Ipopt(starts=3, iterations=200, tolerance=1e-09, options=(('a', 'x'), ('b', 1)))")


@pytest.mark.parametrize(("text", "said"), [
    ("ipopt:tolerance=small", "The field 'tolerance' of the solver 'ipopt' must be a number; found 'small'."),
    ("ipopt:starts=2.5", "The field 'starts' of the solver 'ipopt' must be a whole number; found '2.5'."),
    ("ipopt:verbose=1", "The field 'verbose' of the solver 'ipopt' must be true or false; found '1'."),
    ("ipopt:options=x", "The field 'options' of the solver 'ipopt' cannot be said in a text."),
    ("ipopt:mu_strategy=x", "The solver 'ipopt' has no field 'mu_strategy'; it has starts, iterations, tolerance, "
                            "options, verbose."),
    ("scipy:options.disp=1", "The solver 'scipy' has no field 'options'; it has method, grid, zoom, basins, "
                             "tolerance."),
    ("ipopt:starts", "'starts' is no field of the solver 'ipopt'. Write ipopt:field=value, or ipopt:options.NAME=value "
                     "for an option of the backend."),
    ("ipopt:", "'' is no field of the solver 'ipopt'. Write ipopt:field=value, or ipopt:options.NAME=value for an "
               "option of the backend."),
])
def test_fields_that_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(InvalidInputError) as told:
        as_solver(text)
    assert str(told.value) == said
    assert refused("bound", *VOTES, "--solver", text) == said


def test_solvers_and_options_that_are_none() -> None:
    with pytest.raises(UnknownNameError):
        as_solver("ipopd:starts=2")
    with pytest.raises(InvalidInputError, match="Options of a backend are a mapping from its names; found 5"):
        Ipopt(options=5)
    with pytest.raises(InvalidInputError, match=r"numbers or texts by name; found 'a': \[1\]"):
        Cvxpy(options={"a": [1]})
    with pytest.raises(SolverFailedError, match="No such IPOPT option"):
        rsopt.lower_bound(VOTES, 0, solver="ipopt:options.nonsense=1")


def test_an_option_reaches_its_backend() -> None:
    for solver in ("ipopt:options.max_iter=0", "pyomo:options.max_iter=0"):
        problem = rsopt.LowerBoundProblem(rsopt.Counts(tuple(VOTES), 0), rsopt.Margin(), rsopt.Studentized(), 1e-3)
        assert "Maximum_Iterations" in problem.worst_case(0.4).solve(solver).message
    loose, usual = (rsopt.lower_bound(VOTES, 0, solver=f"cvxpy{text}") for text in (":options.max_iter=1", ""))
    assert loose.proven
    assert "max_iter" in str(loose.solver)
    assert loose.lower <= usual.lower_at_most


@pytest.mark.parametrize("name", list(WORDS))
def test_a_backend_speaks_on_stderr(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    quiet = rsopt.lower_bound(VOTES, 0, solver=name)
    assert capfd.readouterr() == ("", "")
    loud = rsopt.lower_bound(VOTES, 0, solver=f"{name}:verbose=true")
    said = capfd.readouterr()
    assert said.out == ""
    assert WORDS[name] in said.err
    assert (loud.lower, loud.solver) == (quiet.lower, quiet.solver)
    print("after")
    assert capfd.readouterr().out == "after\n"


def test_the_commands() -> None:
    found = json.loads(run("bound", *VOTES, "--solver", "ipopt:tolerance=1e-10", "--json").stdout)
    assert found["solver"] == "ipopt:tolerance=1e-10"
    assert "tolerance=1e-10" in found["solver_fields"]
