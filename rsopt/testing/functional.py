"""What every functional must do, checked for one of your own.

Use it in its tests:

    from rsopt.testing import check_functional

    def test_my_functional_conforms():
        check_functional(MyFunctional())
"""

from __future__ import annotations

import numpy as np

from rsopt.errors import InvalidInputError, RsoptError
from rsopt.functional import Functional
from rsopt.functionals import FunctionalLike, as_functional
from rsopt.obligations import check_monotone
from rsopt.statistics import ClopperPearson, Studentized
from rsopt.testing.coverage import largest_error
from rsopt.testing.rules import demand

_VOTES, _ALPHA = 6, 0.1


def check_functional(functional: FunctionalLike) -> None:
    """Check what can be checked of a functional; raises at the first breach.

    1. It has a name and a range, is a number on the simplex, rises in q1 and falls in q2 on a fine grid, and its values
       have the shape of the points.
    2. Where it has a gradient, this fits the differences of its values.
    3. Where it says a radius, that is 0 for abstentions and rises with the bound.
    4. Bounds on it lie above the truth no more often than alpha: all votes of n = 6 are enumerated.

    That it is monotone between the points, and that a radius is a theorem, no check can tell.

    Args:
        functional: an instance, a class or a name.

    Raises:
        AssertionError: a breach; the text says which rule and what was found.
    """
    try:
        chosen = as_functional(functional)
        check_monotone(chosen)
    except RsoptError as error:
        raise AssertionError(f"{functional!r} is no functional that a bound can rest on: {error}") from error
    _demand(isinstance(getattr(chosen, "name", None), str) and bool(chosen.name), chosen, "has a name", repr(chosen))
    _check_values(chosen)
    differentiable = _check_gradient(chosen)
    _check_radius(chosen)
    statistic = Studentized() if differentiable else ClopperPearson()
    often, p = largest_error(chosen, statistic, _VOTES, _ALPHA)
    _demand(often <= _ALPHA, chosen, f"errs with at most alpha = {_ALPHA:g}",
            f"bounds on {_VOTES} votes exceed the truth with probability {often:.4g} at p = {p.tolist()}")


def _check_values(functional: Functional) -> None:
    q1, q2 = np.full((2, 3), 0.6), np.full((2, 3), 0.2)
    found = np.asarray(functional.value(q1, q2))
    _demand(found.shape == (2, 3), functional, "gives an array of the points' shape", f"{found.shape} for (2, 3)")
    single = float(np.asarray(functional.value(np.array(0.6), np.array(0.2))))
    _demand(bool(np.all(found == single)), functional, "gives each point its value, whatever stands beside it",
            f"{found.ravel()[0]!r} and {single!r}")


def _check_gradient(functional: Functional) -> bool:
    """Whether it has one."""
    q1, q2, step = np.array([0.55, 0.7, 0.4]), np.array([0.2, 0.1, 0.35]), 1e-6
    try:
        first, second = functional.gradient(q1, q2)
    except InvalidInputError:
        return False
    by_q1 = (functional.value(q1 + step, q2) - functional.value(q1 - step, q2)) / (2.0 * step)
    by_q2 = (functional.value(q1, q2 + step) - functional.value(q1, q2 - step)) / (2.0 * step)
    for name, stated, seen in (("dg/dq1", first, by_q1), ("dg/dq2", second, by_q2)):
        _demand(bool(np.allclose(stated, seen, rtol=1e-3, atol=1e-6)), functional, f"has the gradient {name}",
                f"{np.asarray(stated).tolist()} is stated, and its values give {seen.tolist()}")
    return True


def _check_radius(functional: Functional) -> None:
    try:
        radii = [functional.radius(lower, 1.0) for lower in (-1.0, 0.0, 0.1, 0.3, 0.6, 0.9)]
    except InvalidInputError:
        return  # it says none, which Bound.radius tells whoever asks
    _demand(radii[0] == radii[1] == 0.0, functional, "has radius 0 for abstentions", f"{radii[:2]}")
    _demand(radii == sorted(radii), functional, "has radii that rise with the bound", f"{radii}")


def _demand(holds: bool, functional: Functional, rule: str, found: str) -> None:
    demand(holds, functional, "functional", rule, found)
