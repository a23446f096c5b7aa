"""The wall: checkers reach nothing that could have made what they check, neither by their files nor when they run."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import rsopt
from rsopt.transcript import Transcript

PACKAGE = Path(rsopt.__file__).parent
#: What computes: common ground of checker and prover may not.
NUMERICAL = ("numpy", "scipy", "numba", "flint", "torch")
#: Says where compiled code is kept, and computes nothing itself.
KEEPER = "rsopt.compiled"


def modules() -> dict[str, Path]:
    """Every module of the package by its name."""
    names = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


MODULES = modules()


@cache
def imports(name: str) -> frozenset[str]:
    """All that a module's file imports, at the top, inside of functions or for types alone."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            source = node.module or ""
            # A name may be a module of the package or something in it.
            found |= {f"{source}.{alias.name}" if f"{source}.{alias.name}" in MODULES else source
                      for alias in node.names}
    return frozenset(found)


def reached(start: set[str]) -> set[str]:
    """The modules of the package that these reach. What `rsopt/__init__.py` offers is loaded when it is asked for."""
    seen: set[str] = set()
    waiting = set(start)
    while waiting:
        name = waiting.pop()
        seen.add(name)
        waiting |= {other for other in imports(name) if other in MODULES and other != "rsopt"} - seen
    return seen


CHECKERS = {name for name in MODULES if name == "rsopt.checks" or name.startswith("rsopt.checks.")}


def test_checkers_share_with_the_prover_only_what_computes_nothing() -> None:
    common = reached(CHECKERS) - CHECKERS
    assert {"rsopt.certificate", "rsopt.transcript", "rsopt.errors"} <= common
    for name in common - {KEEPER}:
        computing = [other for other in imports(name) if other.split(".")[0] in NUMERICAL]
        assert not computing, f"{name} is on both sides of the wall and imports {computing}"


def test_nothing_that_makes_proofs_is_reached() -> None:
    """Whatever computes and is not a checker is beyond the wall, whichever name it has."""
    beyond = {name for name in set(MODULES) - CHECKERS
              if any(other.split(".")[0] in NUMERICAL for other in imports(name))} - {KEEPER}
    assert {"rsopt.prover", "rsopt.kernels.mesh", "rsopt.intervals.capital", "rsopt.statistics"} <= beyond
    assert not reached(CHECKERS) & beyond
    # And the other way round: what is proven does not depend on the checkers.
    makers = {"rsopt.bound", "rsopt.inversion", "rsopt.scores.stream", "rsopt.scores.lower_bound_scores"}
    assert not reached(makers) & CHECKERS


def test_the_wall_would_be_seen_to_fall() -> None:
    """A module that reaches the kernels by one detour is found out."""
    assert "rsopt.kernels.mesh" in reached({"rsopt.problem"})
    assert "rsopt.intervals.betting" in reached({"rsopt.scores.evidence"})


@pytest.fixture(scope="module")
def proofs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("proofs")
    bound = rsopt.lower_bound([90, 6, 4], top=0)
    bound.certificate.save(folder / "certificate.json")
    rows = np.random.default_rng(0).dirichlet([6.0, 3.0, 1.0], 300)
    rsopt.lower_bound_scores(rows, top=0).transcript.save(folder / "transcript.json")
    return [folder / "certificate.json", folder / "transcript.json"]


def test_nothing_else_is_loaded_when_checkers_run(proofs: list[Path]) -> None:
    script = ("import json, sys\nfrom pathlib import Path\nfrom rsopt.checks.proof import check_text\n"
              "for path, arithmetic in ((1, 'double'), (1, 'arb'), (2, 'double')):\n"
              "    check_text(Path(sys.argv[path]).read_text(), arithmetic)\n"
              "print(json.dumps([name for name in sys.modules if name.split('.')[0] == 'rsopt']))")
    done = subprocess.run([sys.executable, "-c", script, *map(str, proofs)], check=True, capture_output=True, text=True)
    loaded = set(json.loads(done.stdout)) - {"rsopt"}
    assert loaded >= CHECKERS
    assert loaded <= reached(CHECKERS)


def test_data_of_proofs_is_read_without_the_prover(proofs: list[Path]) -> None:
    assert rsopt.Certificate.load(proofs[0]).n == 100
    assert Transcript.load(proofs[1]).n == 300
