"""Whichever solver proposes, the proven bound is the same, and the one of the reference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from brackets import BRACKETS
from enumeration import width
from typer.testing import CliRunner

import rsopt
from rsopt.commands.cli import application

# How many of the 147 small reference cases each solver gets: every so-manieth, the slowest solver the fewest.
STEPS = {"branch-and-bound": 1, "ipopt": 6, "pyomo": 6, "cvxpy": 6, "cvxpy-nlp": 6, "gpkit": 14, "botorch": 72}


def test_every_solver_is_compared() -> None:
    assert {"scipy", *STEPS} == set(rsopt.solver_names())


@pytest.mark.parametrize("solver", list(STEPS))
def test_the_bound_does_not_depend_on_the_solver(solver: str) -> None:
    cases = [case for case in BRACKETS if case.n <= 60][:: STEPS[solver]]
    for case in cases:
        mine, default = case.bound(solver), case.bound()
        assert mine.proven, case
        assert mine.lower <= case.hi, case
        scale = width(default, default.lower)
        assert abs(mine.lower - default.lower) <= 0.01 * scale, case
        # The search alone led there too: without it the proof would have started elsewhere.
        assert abs(mine.searched - default.searched) <= 0.01 * scale, case


@pytest.mark.parametrize("functional", ["margin", "probit", "taylor-probit"])
@pytest.mark.parametrize("solver", ["branch-and-bound", "ipopt", "gpkit", "cvxpy", "botorch"])
def test_bounds_at_a_hundred_thousand_samples(solver: str, functional: str) -> None:
    counts = [90_000, 6_000, 4_000]
    default = rsopt.lower_bound(counts, top=0, functional=functional)
    bound = rsopt.lower_bound(counts, top=0, functional=functional, solver=solver)
    assert bound.proven
    assert abs(bound.lower - default.lower) <= 0.01 * width(default, default.lower)


@pytest.mark.parametrize("functional", ["laplace", "logit"])
@pytest.mark.parametrize("solver", ["branch-and-bound", "ipopt", "pyomo", "gpkit", "cvxpy", "cvxpy-nlp"])
def test_links_of_logs(solver: str, functional: str) -> None:
    counts = [90, 6, 4]
    if solver in ("pyomo", "cvxpy-nlp") and functional == "laplace":
        with pytest.raises(rsopt.RsoptError, match=r"'laplace' has no algebraic form|the level of 'laplace'"):
            rsopt.lower_bound(counts, top=0, functional=functional, solver=solver)
        return
    default = rsopt.lower_bound(counts, top=0, functional=functional)
    bound = rsopt.lower_bound(counts, top=0, functional=functional, solver=solver)
    assert bound.proven
    assert abs(bound.lower - default.lower) <= 0.01 * width(default, default.lower)


@pytest.mark.parametrize("solver", rsopt.solver_names())
def test_the_command_line_answers_for_each_name(solver: str) -> None:
    arguments = ["bound", "900", "60", "40", "--functional", "probit", "--solver", solver, "--json"]
    result = CliRunner().invoke(application(arguments), arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["certified"] is True
    assert found["solver"] == solver
    default = rsopt.lower_bound([900, 60, 40], top=0)
    assert abs(found["lower"] - default.lower) <= 0.01 * width(default, default.lower)


def test_compiling_is_no_time_of_the_solvers(tmp_path: Path) -> None:
    """A new interpreter with nothing compiled: its first bound, at a second for each search, takes many to compile."""
    script = ("import rsopt\n"
              "bound = rsopt.lower_bound([90, 6, 4], top=0, alpha=1e-3, budget=rsopt.Budget(seconds=1.0))\n"
              "assert bound.message == '', bound.message\nprint(bound.lower)")
    fresh = subprocess.run([sys.executable, "-c", script], env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
                           check=True, capture_output=True, text=True)
    assert float(fresh.stdout) == rsopt.lower_bound([90, 6, 4], top=0, alpha=1e-3).lower
