"""`rsopt solvers` lists every solver with its state."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from rsopt import registry
from rsopt.commands.cli import application


def run(*arguments: str) -> str:
    result = CliRunner().invoke(application(arguments), list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_every_solver_is_listed_with_what_it_accepts_and_claims() -> None:
    listed = {state["name"]: state for state in json.loads(run("solvers", "--json"))}
    assert list(listed) == registry.solver_names()
    assert {"scipy", "gpkit", "pyomo", "ipopt", "botorch", "cvxpy", "branch-and-bound"} <= set(listed)
    assert [name for name, state in listed.items() if state["proves"] == "GLOBAL"] == ["branch-and-bound"]
    assert all(state["accepts"] for state in listed.values())
    assert not any(state["missing"] for state in listed.values())


def test_a_missing_package_is_named_with_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    real = registry.util.find_spec
    monkeypatch.setattr(registry.util, "find_spec", lambda name: None if name == "gpkit" else real(name))
    text = run("solvers")
    assert "gpkit-core" in text
    assert "pip install 'rsopt[gpkit]'" in text
    states = {state["name"]: state for state in json.loads(run("solvers", "--json"))}
    assert [name for name, state in states.items() if state["missing"]] == ["gpkit"]
    assert states["gpkit"]["accepts"]
