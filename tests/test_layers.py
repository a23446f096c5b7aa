"""Imports run down only, of files and of folders, and the checkers reach nothing of what they check.

An import inside a function or for type checking counts like any other: what a file needs in order to be read is what it
needs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import ROOT

# From the bottom: nobody imports from a line below its own, and within a line only files that stand side by side.
LAYERS = tuple("""
errors compiled
arguments
files named plugins processes
kernels
signomials radius
functional
functionals
noise
proof_file
counts domain staircase certificate transcript
nested_certificate
statistics
inductive
checks
limits
data_set
family
prover witness
solving
solver
registry
search
worst_case
p_value
inversion
bound
obligations
problem
taylor_route
methods
bounding baselines nested step_down
bound_table two_sided
question
intervals
scores
sequential
smoothing
compat runs
solvers
testing
commands
__main__
""".strip().splitlines())


def modules() -> dict[str, Path]:
    """Every module of the package by its name below ``rsopt``; packages by the names of their ``__init__``."""
    found = {}
    for base, name in ((ROOT / "rsopt", ""), (ROOT / "solvers", "solvers.")):
        for path in sorted(base.rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            found[(name + ".".join(part for part in parts if part != "__init__")).rstrip(".")] = path
    found.pop("", None)  # rsopt/__init__.py names everything and is imported by nobody inside
    return found


MODULES = modules()


def imports(name: str) -> Iterator[str]:
    """The modules that a module names in its imports, wherever in the file they stand."""
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                base = package.split(".")[: len(package.split(".")) - node.level + 1]
                module = ".".join(["rsopt", *base, *module.split(".")]).rstrip(".")
            if module.split(".")[0] == "rsopt":
                below = module.removeprefix("rsopt").removeprefix(".")
                for alias in node.names:
                    whole = f"{below}.{alias.name}".removeprefix(".")
                    yield whole if whole in MODULES else below
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "rsopt":
                    yield alias.name.removeprefix("rsopt").removeprefix(".")


GRAPH = {name: {other for other in imports(name) if other != name} for name in MODULES}


def place(name: str) -> str:
    """The file or the folder of rsopt/ in which a module lies."""
    return name.split(".")[0]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """What is left after removing, again and again, what imports nothing or is imported by nobody: nothing."""
    left = {node: set(others) for node, others in graph.items()}
    while True:
        imported = {other for others in left.values() for other in others}
        gone = {node for node, others in left.items() if not others & left.keys() or node not in imported}
        if not gone:
            return [sorted(left)] if left else []
        left = {node: others - gone for node, others in left.items() if node not in gone}


def test_every_file_and_folder_has_its_layer() -> None:
    named = [name for line in LAYERS for name in line.split()]
    assert len(named) == len(set(named))
    assert {place(name) for name in MODULES} == set(named)


def test_nothing_imports_the_package_itself() -> None:
    assert [name for name, others in GRAPH.items() if "" in others] == []


def test_imports_run_down_only() -> None:
    rank = {name: height for height, line in enumerate(LAYERS) for name in line.split()}
    up = sorted(f"{name} imports {other}" for name, others in GRAPH.items() for other in others
                if place(other) != place(name) and rank[place(other)] >= rank[place(name)])
    assert up == []


def test_no_files_import_each_other_in_a_circle() -> None:
    # A package's __init__ offers what its files hold; the files do not need it.
    assert circles({name: {other for other in others if other in MODULES} for name, others in GRAPH.items()}) == []


def test_no_folders_import_each_other_in_a_circle() -> None:
    """Of every folder at every depth: what lies in runs/reports/ against runs/workers/, and so on."""
    for folder in {name.rpartition(".")[0] for name in MODULES}:
        prefix = f"{folder}." if folder else ""
        inside = {name.removeprefix(prefix).split(".")[0] for name in MODULES if name.startswith(prefix)}
        graph: dict[str, set[str]] = {name: set() for name in inside}
        for name, others in GRAPH.items():
            if name.startswith(prefix):
                one = name.removeprefix(prefix).split(".")[0]
                graph[one] |= {other.removeprefix(prefix).split(".")[0] for other in others
                               if other.startswith(prefix)} - {one}
        assert circles(graph) == [], folder


def reached(name: str) -> set[str]:
    """Everything that a module imports, and what that imports, and so on."""
    found, ahead = set(), [name]
    while ahead:
        for other in GRAPH.get(ahead.pop(), ()):
            if other not in found:
                found.add(other)
                ahead.append(other)
    return found


@pytest.mark.parametrize("checker", sorted(name for name in MODULES if place(name) == "checks"))
def test_a_checker_reaches_nothing_of_what_it_checks(checker: str) -> None:
    allowed = {"errors", "compiled", "files", "proof_file", "certificate", "nested_certificate",
               "transcript"}
    assert {place(other) for other in reached(checker)} <= allowed | {"checks"}
