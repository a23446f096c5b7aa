"""Worst cases of the zoo as instances for collections of nonlinear programs: model, point, and the numbers of both."""

from __future__ import annotations

import csv
import importlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

from rsopt.files import replaced, write_text
from rsopt.solving.exports import pyomo_model, write_model
from rsopt.testing.zoo import ZooProblem

# What rounding, and the series that stands for the inverse of a link, may take from an objective: the series is good to
# 1e-13 in q_i, and the slope of log F there, E[x_i | W] / q_i, stays below 1e6 in every problem that is written out.
_ROUNDING = 1e-7


@dataclass(frozen=True)
class Instance:
    """A worst case as the nonlinear program minimise -log P_q(W) in log q, and what is known about it.

    Attributes:
        name: of the problem; its files are name.nl and name.p1.sol.
        variables, constraints, nonlinear_constraints, jacobian_nonzeros, objective_nonzeros: as the .nl file states.
        terms: monomials of the objective.
        sense: "min".
        objective_curvature: "concave", since log F is a log-sum-exp of linear functions; "linear" for one monomial.
        convex: False: no segment lies in e^y1 + e^y2 + e^y3 = 1, since the left side is strictly convex.
        primal: objective at the point of name.p1.sol.
        dual: no feasible point has a smaller objective; proven by rsopt for P_q(W), which no sum of fewer monomials
            exceeds, and rounded down. A solver that lets constraints be violated may pass it by as much as that buys.
        violation: largest violation of a bound or constraint at the point.
    """

    name: str
    variables: int
    constraints: int
    nonlinear_constraints: int
    jacobian_nonzeros: int
    objective_nonzeros: int
    terms: int
    sense: str
    objective_curvature: str
    convex: bool
    primal: float
    dual: float
    violation: float

    def to_dict(self) -> dict[str, Any]:
        """The instance as JSON values."""
        return asdict(self)


def write_instance(case: ZooProblem, folder: Path) -> Instance:
    """Write name.nl, which starts in the middle of the level curve, and name.p1.sol, the best point known.

    The point file has one line for the objective, `objvar`, and one for each variable in the order of the columns of
    the .nl file: name and value.

    Raises:
        MissingDependencyError: Pyomo is not installed.
        RefusedError: a functional without an algebraic form, or too many monomials.
        StorageError: a file cannot be written.
    """
    problem = case.worst_case
    model: Any = pyomo_model(problem)
    path = folder / f"{case.name}.nl"
    columns = write_model(model, problem, path)
    q = case.bracket.point
    for i in (1, 2, 3):
        lower, upper = model.log_q[i].bounds
        model.log_q[i].value = min(max(math.log(max(float(q[i - 1]), 1e-300)), lower), upper)
    if hasattr(model, "s"):
        model.s.value = problem.curve.coordinate(q)
    value = importlib.import_module("pyomo.environ").value
    primal = float(value(model.worst_case))
    lines = [("objvar", primal), *((column.name, float(column.value)) for column in columns)]
    write_text(folder / f"{case.name}.p1.sol", "".join(f"{name} {number!r}\n" for name, number in lines), "The point")
    sizes, nonlinear, nonzeros = _header(path)
    terms = len(model.tail.expr.args) if model.tail.expr.nargs() > 1 else 1
    return Instance(case.name, sizes[0], sizes[1], nonlinear[0], nonzeros[0], nonzeros[1], terms,
                    "min", "concave" if terms > 1 else "linear", False, primal,
                    -math.log(case.bracket.at_most) - _ROUNDING, _violation(model, columns, value))


def _header(path: Path) -> tuple[list[int], list[int], list[int]]:
    """Of a .nl file: variables, constraints, …; nonlinear constraints, …; nonzeros of Jacobian and objective."""
    with path.open() as stream:
        lines = [line.partition("#")[0].split() for line in islice(stream, 8)]
    sizes, nonlinear, nonzeros = ([int(number) for number in lines[k]] for k in (1, 2, 7))
    return sizes, nonlinear, nonzeros


def _violation(model: Any, columns: Sequence[Any], value: Any) -> float:
    """The largest violation of a bound or constraint where the variables of the model stand."""
    limited = [*((column.value, *column.bounds) for column in columns),
               *((value(one.body), value(one.lower), value(one.upper))
                 for one in model.component_data_objects(model.total.ctype, active=True))]
    return max(max(0.0 if low is None else low - at, 0.0 if high is None else at - high, 0.0)
               for at, low, high in limited)


def write_index(instances: Sequence[Instance], path: Path) -> None:
    """Write the instances as CSV, one a line.

    Raises:
        StorageError: the file cannot be written.
    """
    with replaced(path, "The index") as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [entry.name for entry in fields(Instance)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(one.to_dict() for one in instances)
