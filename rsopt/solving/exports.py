"""Worst cases for other people's tools: JSON term lists, models of Pyomo, GPkit and CVXPY, AMPL's .nl."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rsopt.errors import InvalidInputError, MissingDependencyError, StorageError, shown
from rsopt.solving.forms import TermList
from rsopt.solving.posed import Posed

if TYPE_CHECKING:
    import gpkit
    from cvxpy import Problem
    from pyomo.core import ConcreteModel

FORMAT = "rsopt terms 1"


def terms(problem: Posed) -> dict[str, Any]:
    """The worst case as JSON-ready values: every monomial, the level constraint, the domain.

    The task is: maximise sum_k exp(log_coefficients[k]) q1^a q2^b q3^d with (a, b, d) = exponents[k], subject to the
    level constraint and the domain. Where the level constraint is (sig/posy)nomial it is listed in `constraints`, each
    one sum_k coefficients[k] prod_i variables[i]^exponents[k][i] <= 0.

    Args:
        problem: a worst case.

    Raises:
        RefusedError: a functional known by its values only, or more than 2,000,000 monomials; the text says how many.
    """
    form = problem.form(TermList)
    assert isinstance(form, TermList)
    family = problem.family
    signomials = form.level_constraint
    content: dict[str, Any] = {
        "format": FORMAT, "sense": "maximise", "n": family.tail_set.n, "alpha": family.alpha,
        "variables": list(signomials.variables) if signomials else ["q1", "q2", "q3"],
        "domain": {"sum": 1.0, "least": [family.domain.least_q1, 0.0, 0.0],
                   "q3_may_be_positive": family.domain.third_cell},
        "level": family.functional.described() | {"at_most": problem.level},
        "constraints": None if signomials is None else [
            {"coefficients": c.coefficients.tolist(), "exponents": c.exponents.tolist()}
            for c in signomials.constraints]}
    whole = TermList(problem.curve, form.meter)
    return content | {"log_coefficients": whole.log_coefficients.tolist(), "exponents": whole.exponents.tolist()}


def pyomo_model(problem: Posed) -> ConcreteModel:
    """The worst case as a Pyomo ConcreteModel that can be printed, changed and handed to any solver of Pyomo's.

    Monomials that stay below 1e-6 alpha, all together, are left out.

    Raises:
        MissingDependencyError: Pyomo is not installed.
        RefusedError: a functional without an algebraic form, or too many monomials.
    """
    if importlib.util.find_spec("pyomo") is None:
        raise MissingDependencyError.of("A Pyomo model", "pyomo", "pyomo")
    model: ConcreteModel = importlib.import_module("rsopt.solvers.pyomo_model").build_model(problem.form(TermList))
    return model


def gpkit_model(problem: Posed, start: Sequence[float] | None = None) -> gpkit.Model:
    """The worst case as a signomial program of GPkit: minimise t subject to t F(q) >= 1, the total and the level.

    Its variables are v = q / start, so that no coefficient overflows; ``model.q`` are q1, q2, q3 as monomials of them.
    A level constraint that is no signomial is the tangent monomial of the level curve, which GPkit asks for anew at
    each condensation. ``model.localsolve(solver="cvxopt")`` solves it; where the observation is the strongest there is,
    the program is geometric and ``model.solve`` does. GPkit walks a posynomial recursively: beyond some 300 monomials
    raise ``sys.setrecursionlimit`` first.

    Args:
        problem: a worst case.
        start: q, three positive numbers; the middle of the level curve by default.

    Raises:
        MissingDependencyError: GPkit is not installed.
        RefusedError: a functional known by its values only, or too many monomials.
    """
    if importlib.util.find_spec("gpkit") is None:
        raise MissingDependencyError.of("A GPkit model", "gpkit-core", "gpkit")
    module = importlib.import_module("rsopt.solvers.gpkit_")
    model: gpkit.Model = module.whole_model(problem.form(TermList), _start(problem, start))
    return model


def cvxpy_problem(problem: Posed) -> Problem:
    """The worst case as a problem of CVXPY in y = log q: maximise log F(e^y) subject to the total and the level.

    F, the total and both sides of the level constraint are log-sum-exps, so it is a difference of convex functions: for
    CVXPY's nonlinear mode, for DCCP, or to be changed. It is no disciplined convex program.

    Raises:
        MissingDependencyError: CVXPY is not installed.
        RefusedError: a functional whose level constraint is no signomial: what has the normal distribution in it
            is a difference of convex functions no more (the solver `cvxpy-nlp` writes it so); or too many monomials.
    """
    if importlib.util.find_spec("cvxpy") is None:
        raise MissingDependencyError.of("A CVXPY problem", "cvxpy", "cvxpy")
    found: Problem = importlib.import_module("rsopt.solvers.cvxpy_").whole_problem(problem.form(TermList))
    return found


def write_terms(problem: Posed, path: str | os.PathLike[str], known: dict[str, Any] | None = None) -> None:
    """Write `terms` as a JSON file, with what is `known` about the optimum beside it.

    Raises:
        StorageError: the file cannot be written.
        RefusedError: as in `terms`.
    """
    content = terms(problem) | ({"known": known} if known is not None else {})
    try:
        Path(path).write_text(json.dumps(content, allow_nan=False) + "\n")
    except OSError as error:
        raise StorageError(f"The terms could not be written to {path}: {error.strerror}.") from error


def write_nl(problem: Posed, path: str | os.PathLike[str], start: Sequence[float] | None = None) -> None:
    """Write the Pyomo model as an AMPL .nl file.

    Args:
        problem: a worst case.
        path: the file.
        start: q that the variables start from, three numbers; the middle of the level curve by default.

    Raises:
        MissingDependencyError, RefusedError: as in `pyomo_model`.
        InvalidInputError: a `start` that is no distribution.
        StorageError: the file cannot be written.
    """
    write_model(pyomo_model(problem), problem, path, start)


def write_model(model: Any, problem: Posed, path: str | os.PathLike[str], start: Sequence[float] | None = None
                ) -> list[Any]:
    """Write the Pyomo model of a worst case as an AMPL .nl file, as `write_nl` does; returns its columns.

    Raises:
        InvalidInputError: a `start` that is no distribution.
        StorageError: the file cannot be written.
    """
    writer = importlib.import_module("pyomo.repn.plugins.nl_writer").NLWriter()
    q = _start(problem, start)
    for i in (1, 2, 3):
        lower, upper = model.log_q[i].bounds
        model.log_q[i].value = min(max(math.log(max(float(q[i - 1]), 1e-300)), lower), upper)
    try:
        with Path(path).open("w") as stream:
            # Presolve and scaling would change the columns, which points are stated by.
            written = writer.write(model, stream, linear_presolve=False, scale_model=False)
    except OSError as error:
        raise StorageError(f"The model could not be written to {path}: {error.strerror}.") from error
    return list(written.variables)


def _start(problem: Posed, start: Sequence[float] | None) -> npt.NDArray[np.float64]:
    """The point that was given, or the middle of the level curve."""
    if start is None:
        return np.asarray(problem.curve.points([0.5 * problem.curve.extent])[0])
    q = np.asarray(start, dtype=float)
    if q.shape != (3,) or not np.all(q >= 0.0) or not np.isclose(q.sum(), 1.0):
        raise InvalidInputError(f"start must be three probabilities; found {shown(start)}.")
    return q


def writable(problem: Posed, most: int) -> str | None:
    """Why the monomials of `problem` are not written out, or None if there are at most `most` of them."""
    if not problem.family.functional.smooth:
        return problem.lacks(TermList)
    size = problem.family.tail_set.size()
    return None if size <= most else f"{size:,} monomials, more than {most:,}"

