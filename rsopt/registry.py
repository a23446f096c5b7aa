"""Solvers by name: a table of strings for our own, entry points of the group ``rsopt.solvers`` for everyone else's."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields, is_dataclass
from importlib import metadata, util
from typing import Any

from rsopt.arguments import as_name, instance_of
from rsopt.errors import (
    InvalidInputError,
    MissingDependencyError,
    RsoptError,
    SolverFailedError,
    UnknownNameError,
    shown,
)
from rsopt.plugins import loaded, plugins
from rsopt.solver import Solver, SolverLike

GROUP = "rsopt.solvers"

# name: (module:class, extra that installs what it needs, packages it imports)
_BUILT_IN: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "scipy": ("rsopt.solvers.scipy_:SciPy", "", ()),
    "branch-and-bound": ("rsopt.solvers.branch_and_bound_:BranchAndBound", "", ()),
    "ipopt": ("rsopt.solvers.ipopt_:Ipopt", "ipopt", ("casadi",)),
    "pyomo": ("rsopt.solvers.pyomo_:Pyomo", "pyomo", ("pyomo", "casadi")),
    "gpkit": ("rsopt.solvers.gpkit_:GPkit", "gpkit", ("gpkit",)),
    "cvxpy": ("rsopt.solvers.cvxpy_:Cvxpy", "cvxpy", ("cvxpy", "clarabel")),
    "botorch": ("rsopt.solvers.botorch_:BoTorch", "botorch", ("botorch",)),
}

# Where the distribution on PyPI is called otherwise than the package it holds.
_DISTRIBUTIONS = {"gpkit": "gpkit-core"}


@dataclass(frozen=True)
class SolverState:
    """One line of `rsopt solvers`.

    Attributes:
        name: the name it is asked for by.
        missing: the package that is not installed, with the pip line; or why a third-party solver cannot be
            loaded; empty if the solver can be used.
        accepts: names of the forms it takes.
        proves: name of the strongest claim it may make.
        origin: "rsopt" or the entry point of a third party.
    """

    name: str
    missing: str
    accepts: tuple[str, ...]
    proves: str
    origin: str


def _entry_points() -> dict[str, metadata.EntryPoint]:
    return plugins(GROUP, frozenset(_BUILT_IN))


def solver_names() -> list[str]:
    """The names of all known solvers, installed or not, ours first."""
    return [*_BUILT_IN, *sorted(_entry_points())]


def get_solver(name: str, **fields_of_solver: Any) -> Solver:
    """The solver of that name with the given hyper-parameters.

    Args:
        name: one of `solver_names()`.
        fields_of_solver: fields of the solver's dataclass, for example ``get_solver("scipy",
            method="slsqp")``.

    Raises:
        UnknownNameError: nobody registered that name.
        MissingDependencyError: the solver is known and a package it needs is not installed.
        InvalidInputError: a field the solver does not have.
        SolverFailedError: a third-party solver that cannot be loaded.
    """
    found = _load(name)
    if not isinstance(found, type):
        if fields_of_solver:
            raise InvalidInputError(f"The solver {name!r} is no class and has no fields to set.")
        return as_solver(found)
    if fields_of_solver and is_dataclass(found):
        known = [field.name for field in fields(found)]
        for given in fields_of_solver:
            if given not in known:
                raise InvalidInputError(f"The solver {name!r} has no field {given!r}; "
                                        f"it has {', '.join(known) or 'none'}.")
    return as_solver(found(**fields_of_solver))


def as_solver(solver: SolverLike) -> Solver:
    """A solver from its name or its class, or the instance itself.

    Raises:
        UnknownNameError, MissingDependencyError, SolverFailedError: as in `get_solver`.
        InvalidInputError: something that is no solver.
    """
    if isinstance(solver, str):
        return get_solver(solver)
    made = instance_of(solver)
    if not isinstance(made, Solver):
        raise InvalidInputError(f"{shown(solver)} is no solver: it needs accepts, proves, refuses(form, domain) and "
                                "propose(form, domain, budget, stop_at=, start=, rng=).")
    return made


def solver_states() -> list[SolverState]:
    """The state of every known solver; a broken one hurts only its own line."""
    return [_state(name) for name in solver_names()]


def _state(name: str) -> SolverState:
    origin = "rsopt" if name in _BUILT_IN else _entry_points()[name].value
    try:
        solver = get_solver(name)
    except MissingDependencyError as error:
        missing = str(error)
        return SolverState(name, missing, *_described(_class_of(_BUILT_IN[name][0])()), origin)
    except RsoptError as error:
        return SolverState(name, str(error), (), "", origin)
    return SolverState(name, "", *_described(solver), origin)


def _described(solver: Solver) -> tuple[tuple[str, ...], str]:
    return tuple(form.__name__ for form in solver.accepts), solver.proves.name


def _load(name: str) -> Any:
    if as_name(name) in _BUILT_IN:
        target, extra, packages = _BUILT_IN[name]
        for package in packages:
            if util.find_spec(package) is None:
                raise MissingDependencyError.of(f"The solver {name!r}", _DISTRIBUTIONS.get(package, package),
                                                extra)
        return _class_of(target)
    if as_name(name) not in _entry_points():
        raise UnknownNameError.of("solver", name, solver_names())
    return loaded("solver", _entry_points()[name], SolverFailedError)


def _class_of(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
