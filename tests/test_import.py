"""Importing rsopt is light, and the library's names are what they say."""

from __future__ import annotations

import subprocess
import sys

import rsopt

HEAVY = ("torch", "botorch", "pyomo", "cvxpy", "gpkit", "casadi", "matplotlib", "ray", "numba", "scipy")


def loaded_after(code: str) -> set[str]:
    """Which of the heavy packages a fresh interpreter has loaded after `code`."""
    probe = f"{code}\nimport sys\nprint(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    return set(subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True).stdout.split())


def test_import_loads_nothing_heavy() -> None:
    assert loaded_after("import rsopt") == set()


def test_a_bound_loads_no_backend_but_its_own() -> None:
    assert loaded_after("import rsopt; rsopt.lower_bound([9, 1], top=0)") == {"numba", "scipy"}


def test_every_public_name_exists() -> None:
    for name in rsopt.__all__:
        assert getattr(rsopt, name) is not None
    assert set(rsopt.__all__) <= set(dir(rsopt))


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(rsopt, "no_such_name")


def test_solvers_is_not_a_top_level_package() -> None:
    run = subprocess.run([sys.executable, "-c", "import solvers"], check=False, capture_output=True, text=True,
                         cwd=rsopt.__path__[0] + "/..")
    assert run.returncode != 0
    assert "The folder solvers/ is the package rsopt.solvers" in run.stderr
