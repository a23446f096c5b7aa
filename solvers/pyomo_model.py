"""The worst case as a Pyomo model: the declarative problem, monomial by monomial, as a Pyomo user would write it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numpy.polynomial import chebyshev

from rsopt.errors import RefusedError
from rsopt.functional import Functional
from rsopt.kernels.links import INVERSE, elementwise
from rsopt.solving.forms import LEAST_LOG, TermList

if TYPE_CHECKING:
    from pyomo.core import ConcreteModel

Array = npt.NDArray[np.float64]


def build_model(form: TermList) -> ConcreteModel:
    """minimise -log sum_k c_k q1^a_k q2^b_k q3^d_k over the level set of the functional.

    The variables are log q_i, in which the corners of the simplex are as smooth as its middle. A link
    that the language cannot write (it has no normal distribution function) uses one more variable s with
    f(q1) <= L/2 - s and f(q2) >= -L/2 - s: the inverse of f enters as its Chebyshev series on the range that matters,
    which for the probit is good to 1e-13.

    Args:
        form: the monomials and the level curve.

    Returns:
        a ConcreteModel with log_q[1..3], q[1..3] (expressions), objective `worst_case`, constraints `total`,
        `level`.

    Raises:
        RefusedError: a functional that has no algebraic form.
    """
    import pyomo.environ as pyo

    curve = form.curve
    low, high = curve.segment
    model = pyo.ConcreteModel(name=f"worst case of {curve.functional.name} at level {curve.level:.10g}")
    model.cell = pyo.RangeSet(3)
    model.log_q = pyo.Var(model.cell, bounds=(LEAST_LOG, 0.0), initialize=-1.0,
                          doc="logs of the cell probabilities: class A, rival, rest")
    model.q = pyo.Expression(model.cell, rule=lambda m, i: pyo.exp(m.log_q[i]))
    model.log_q[2].setlb(max(np.log(max(low, 1e-300)), LEAST_LOG))
    model.log_q[2].setub(np.log(high))
    if curve.domain.least_q1 > 0.0:
        model.log_q[1].setlb(np.log(curve.domain.least_q1))
    y = [model.log_q[i] for i in model.cell]
    model.tail = pyo.Expression(expr=sum(
        pyo.exp(sum((power * log_q for power, log_q in zip(powers, y, strict=True) if power), start=log_coefficient))
        for log_coefficient, powers in zip(form.log_coefficients.tolist(), form.exponents.tolist(), strict=True)))
    model.worst_case = pyo.Objective(expr=-pyo.log(model.tail), sense=pyo.minimize)
    model.total = pyo.Constraint(expr=sum(model.q[i] for i in model.cell) == 1.0)
    _add_level(model, form)
    return model


def _add_level(model: Any, form: TermList) -> None:
    """g(q) <= L in the algebra of the modelling language."""
    import pyomo.environ as pyo

    curve, functional = form.curve, form.curve.functional
    if not has_algebraic_form(functional):
        raise RefusedError(f"The functional {functional.name!r} has no algebraic form for a Pyomo model.")
    left = functional.expression((model.q[1], model.q[2], model.q[3]), pyo.log)
    if left is not None:
        model.level = pyo.Constraint(expr=left <= curve.level)
    else:
        model.s = pyo.Var(bounds=(0.0, curve.extent), initialize=0.5 * curve.extent,
                          doc="f(q1) = L/2 - s, f(q2) = -L/2 - s; q3 = 0 at s = 0")
        model.level = pyo.ConstraintList()
        for i, middle, sign in ((1, 0.5 * curve.level, 1.0), (2, -0.5 * curve.level, -1.0)):
            at_s = _inverse_of(functional, model, middle - curve.extent, middle)
            model.level.add(sign * (model.q[i] - at_s) <= 0.0)


def has_algebraic_form(functional: Functional) -> bool:
    """Whether g can be written in logs and powers, or through the inverse of its link."""
    inverted = functional.compiled is not None and functional.analytic
    return inverted or functional.expression((0.25, 0.25, 0.5), math.log) is not None


def _inverse_of(functional: Functional, model: Any, low: float, high: float) -> Any:
    """f^{-1}(high - s) for s in [0, high - low], as sum_k c_k cos(k acos x), x being s scaled into (-1, 1).

    The range is a tenth wider than needed at both ends, since acos has no derivative at -1 and 1. (Clenshaw's
    recurrence would be cheaper, but a model that holds it doubles in print at every step.)
    """
    import pyomo.environ as pyo

    half, centre = 0.6 * (high - low), 0.5 * (high + low)
    f = functional.compiled
    assert f is not None  # what has no expression has a compiled link
    degree = 80
    at_nodes: Array = elementwise(INVERSE, f, centre + half * chebyshev.chebpts1(degree + 1))
    series = np.asarray(chebyshev.chebfit(chebyshev.chebpts1(degree + 1), at_nodes, degree), dtype=float)
    series = series[: int(np.flatnonzero(np.abs(series) > 1e-16).max()) + 1]
    angle = pyo.acos((high - centre - model.s) / half)
    return float(series[0]) + sum(float(c) * pyo.cos(k * angle) for k, c in enumerate(series.tolist()) if k > 0)
