"""Worst cases in formats that other people's solvers read: JSON term lists, Pyomo models, AMPL's .nl."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsopt.errors import MissingDependencyError, StorageError
from rsopt.solving.forms import TermList
from rsopt.solving.posed import Posed

if TYPE_CHECKING:
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


def write_nl(problem: Posed, path: str | os.PathLike[str], start: list[float] | None = None) -> None:
    """Write the Pyomo model as an AMPL .nl file.

    Args:
        problem: a worst case.
        path: the file.
        start: q that the variables start from, three numbers; the middle of the level curve by default.

    Raises:
        MissingDependencyError, RefusedError: as in `pyomo_model`.
        StorageError: the file cannot be written.
    """
    model: Any = pyomo_model(problem)
    writer = importlib.import_module("pyomo.repn.plugins.nl_writer").NLWriter()
    q = problem.curve.points([0.5 * problem.curve.extent])[0] if start is None else start
    for i in (1, 2, 3):
        lower, upper = model.log_q[i].bounds
        model.log_q[i].value = min(max(math.log(max(float(q[i - 1]), 1e-300)), lower), upper)
    try:
        with Path(path).open("w") as stream:
            writer.write(model, stream)
    except OSError as error:
        raise StorageError(f"The model could not be written to {path}: {error.strerror}.") from error


def writable(problem: Posed, most: int) -> str | None:
    """Why the monomials of `problem` are not written out, or None if there are at most `most` of them."""
    if not problem.family.functional.smooth:
        return problem.lacks(TermList)
    size = problem.family.tail_set.size()
    return None if size <= most else f"{size:,} monomials, more than {most:,}"

