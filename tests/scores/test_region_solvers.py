"""The probit margin over a confidence region, searched by every solver that can take it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtri

from rsopt.errors import RefusedError, SolverFailedError, UnknownNameError
from rsopt.registry import get_solver
from rsopt.scores.probit_region import ProbitRegion
from rsopt.scores.region_solvers import edge_pieces, solve_region
from rsopt.solver import Budget

REGIONS = {
    "margin's slope": ProbitRegion((1.0,), (0.55,), 1e-3),
    "one slope": ProbitRegion((1.6,), (0.3,), 1e-3),
    "steep": ProbitRegion((12.0,), (0.6,), 1e-3),
    "barely positive": ProbitRegion((1.2,), (0.02,), 1e-3),
    "three slopes, minimum at a vertex": ProbitRegion((1.0, 2.0, 5.0), (0.63, 0.5, 0.2), 1e-3),
    "three slopes, minimum at a tangent point": ProbitRegion((1.0, 2.0, 5.0), (0.3, 0.5, 0.1), 1e-3),
}
# Searches along a line end within 1e-5 of a bracket, where the objective is flat to second order; interior
# points stop at a scaled optimality error of 1e-9; Bayesian search stops at gains of 1e-4.
TOLERANCES = [("scipy", 1e-7), (get_solver("scipy", method="slsqp"), 1e-6),
              (get_solver("scipy", method="differential-evolution"), 1e-5), ("ipopt", 1e-6)]


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS)
@pytest.mark.parametrize(("solver", "tolerance"), TOLERANCES, ids=lambda value: str(value)[:30])
def test_solvers_agree_with_the_closed_form(region, solver, tolerance):
    found = solve_region(region, solver, tolerance=tolerance)
    assert found.attained == pytest.approx(found.minimum, abs=tolerance)
    assert found.minimum == region.solve()[0]
    assert found.lower == region.tangent_bound() <= found.attained + 1e-9
    if len(region.slopes) == 1:
        assert found.attained == pytest.approx(found.lower, abs=tolerance + 1e-7)
    assert (region.matrix @ found.point >= region.right_side - 1e-12).all()
    assert found.attained == pytest.approx(float(ndtri(found.point[0]) - ndtri(found.point[1])), abs=1e-9)
    assert found.evaluations > 0


def test_bayesian_search_agrees_too():
    found = solve_region(REGIONS["one slope"], "botorch", tolerance=1e-3)
    assert found.attained == pytest.approx(found.lower, abs=1e-3)


@pytest.mark.parametrize("name", ["cvxpy", "gpkit", "pyomo", "branch-and-bound"])
def test_solvers_of_monomials_say_who_can(name):
    with pytest.raises(RefusedError, match="'scipy', 'ipopt' or 'botorch'"):
        solve_region(REGIONS["one slope"], name)


def test_what_cannot_be_solved():
    with pytest.raises(UnknownNameError, match="Did you mean 'ipopt'"):
        solve_region(REGIONS["one slope"], "iopt")
    hopeless = solve_region(ProbitRegion((1.0, 2.0), (-0.1, 0.0), 0.01), "ipopt")
    assert hopeless.attained == hopeless.lower == -math.inf
    assert hopeless.evaluations == 0
    # Two values are too few: the miss is told, not passed on.
    with pytest.raises(SolverFailedError, match="minimum"):
        solve_region(REGIONS["steep"], "scipy", budget=Budget(evaluations=2))


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS)
def test_pieces_follow_the_edge_and_hold_the_minimum(region):
    pieces = edge_pieces(region)
    best = min(-piece.log_tails(np.linspace(0.0, piece.extent, 5001)).max() for piece in pieces)
    assert best == pytest.approx(region.solve()[0], abs=1e-5)
    for piece in pieces:
        q = piece.points(np.linspace(0.0, piece.extent, 9))
        assert q[:, 1] == pytest.approx([region.edge(v) for v in q[:, 0]], abs=1e-12)
        assert (q.sum(axis=1) <= 1.0 + 1e-12).all()
        assert piece.coordinate(q[4]) == pytest.approx(0.5 * piece.extent, rel=1e-6)


def test_derivatives_are_those_of_the_homogeneous_extension():
    tails = edge_pieces(REGIONS["one slope"])[0].tail_set
    q, step = np.array([0.2, 0.65, 0.15]), 1e-5

    def value(p):
        return tails.log_probability(p) + math.log(p.sum())

    unit = step * np.eye(3)
    gradient = [(value(q + e) - value(q - e)) / (2.0 * step) for e in unit]
    hessian = [[(value(q + e + d) - value(q + e - d) - value(q - e + d) + value(q - e - d)) / (4.0 * step * step)
                for d in unit] for e in unit]
    # Central differences err by step^2 and by 1e-16 / step (/ step^2) from rounding.
    assert tails.log_gradient(q) == pytest.approx(np.array(gradient), abs=1e-8)
    assert tails.log_hessian(q) == pytest.approx(np.array(hessian), abs=2e-5)
