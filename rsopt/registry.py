"""Solvers by name: a table of strings for our own, entry points of the group ``rsopt.solvers`` for everyone else's."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
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
    "cvxpy-nlp": ("rsopt.solvers.cvxpy_nlp_:CvxpyNlp", "cvxpy-nlp", ("cvxpy", "unopy")),
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

    After a name fields may follow, ``ipopt:tolerance=1e-10:starts=2``, and options of the backend by its own names,
    ``ipopt:options.mu_strategy=adaptive``; what they are is in the docstring of the solver's class.

    Raises:
        UnknownNameError, MissingDependencyError, SolverFailedError: as in `get_solver`.
        InvalidInputError: something that is no solver, or fields that cannot be read.
    """
    if isinstance(solver, str):
        name, *given = solver.split(":")
        return get_solver(name, **_read(name, given)) if given else get_solver(name)
    made = instance_of(solver)
    if not isinstance(made, Solver):
        raise InvalidInputError(f"{shown(solver)} is no solver: it needs accepts, proves, refuses(form, domain) and "
                                "propose(form, domain, budget, stop_at=, start=, rng=).")
    return made


def _read(name: str, given: Sequence[str]) -> dict[str, Any]:
    """The fields in texts such as "tolerance=1e-10", each as the type that the solver's class says."""
    found = _load(name)
    types = {field.name: str(field.type) for field in fields(found)} if is_dataclass(found) else {}
    values: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        inner, dot, option = key.partition(".")
        if not equals or not inner or (dot and not option):
            raise InvalidInputError(f"{text!r} is no field of the solver {name!r}. Write {name}:field=value, or "
                                    f"{name}:options.NAME=value for an option of the backend.")
        if dot:
            values.setdefault(inner, {})[option] = _number_or_text(value)
        else:
            # A field that is not there is told by get_solver, with those that are.
            values[key] = _typed(name, key, types.get(key, "str"), value)
    return values


def _typed(name: str, key: str, kind: str, value: str) -> Any:
    if kind.endswith(" | None") and value == "none":
        return None
    kind = kind.removesuffix(" | None")
    try:
        if kind == "bool":
            return {"true": True, "false": False}[value]
        return {"int": int, "float": float, "str": str}[kind](value)
    except (KeyError, ValueError):
        expected = {"bool": "true or false", "int": "a whole number", "float": "a number"}.get(kind)
        raise InvalidInputError(f"The field {key!r} of the solver {name!r} " + (
            f"must be {expected}; found {value!r}." if expected else "cannot be said in a text.")) from None


def _number_or_text(value: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


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
