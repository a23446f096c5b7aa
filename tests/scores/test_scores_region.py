"""The tangent function and the optimisation view of the probit bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar
from scipy.special import ndtr, ndtri
from score_laws import LAWS

from rsopt.errors import InvalidInputError, UnknownNameError
from rsopt.intervals.call_price import call_price, implied_level, tangent_bound
from rsopt.scores.lower_bound_scores import lower_bound_scores
from rsopt.scores.probit_region import ProbitRegion, probit_region

SLOPES = st.floats(0.0, 6.0).map(math.exp)
LEVELS = st.floats(0.02, 7.0)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(SLOPES, LEVELS)
def test_the_tangent_function_is_the_supremum(b, level):
    found = minimize_scalar(lambda z: b * ndtr(z) - ndtr(level + z), bounds=(-12.0, 12.0), method="bounded",
                            options={"xatol": 1e-12})
    assert call_price(b, level) == pytest.approx(max(0.0, -found.fun), abs=1e-10)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(SLOPES, LEVELS)
def test_the_inverse_inverts_and_the_bound_rounds_down(b, level):
    theta = call_price(b, level)
    if theta > 1e-9 and theta < 1.0 - 1e-9:
        assert implied_level(b, theta) == pytest.approx(level, rel=1e-5, abs=1e-7)
        bound = tangent_bound(b, theta)
        assert bound <= level + 1e-12 or call_price(b, bound) + 1e-14 <= theta
        assert bound >= implied_level(b, theta) - 1e-4
    assert tangent_bound(b, 0.0) == tangent_bound(b, -0.3) == -math.inf


@settings(max_examples=200, deadline=None, derandomize=True)
@given(SLOPES, st.floats(1e-6, 1.0 - 1e-6), st.floats(1e-6, 1.0 - 1e-6))
def test_the_tangent_bound_never_exceeds_the_margin_of_any_point(b, u, v):
    bound = tangent_bound(b, u - b * v)
    assert bound <= max(0.0, float(ndtri(u) - ndtri(v))) + 1e-9


@pytest.mark.parametrize("slopes", [(1.0,), (1.4,), (1.0, 1.5), (1.0, 1.3, 2.0, 4.0)])
def test_the_exact_solution_is_what_a_solver_finds(slopes):
    rng = np.random.default_rng(8)
    for _ in range(12):
        point = rng.dirichlet([6.0, 2.0, 1.0])
        slack = rng.uniform(0.01, 0.05, len(slopes))
        region = ProbitRegion(slopes, tuple(point[0] - b * point[1] - s for b, s in zip(slopes, slack, strict=True)),
                              0.01)
        value, (u, v) = region.solve()
        if not math.isfinite(value):
            assert max(region.thetas) <= 0.0 or point[0] <= point[1] + 0.1
            continue
        assert value == pytest.approx(float(ndtri(u) - ndtri(v)), abs=1e-12)
        assert (region.matrix @ [u, v] >= region.right_side - 1e-12).all()
        # One slope: the tangent bound itself. Several: never below the best of them.
        tangent = region.tangent_bound()
        assert value >= tangent - 1e-9
        if len(slopes) == 1:
            assert value == pytest.approx(tangent, abs=1e-8)
        found = minimize(region.objective, point[:2], jac=region.gradient, method="SLSQP",
                         bounds=[(1e-9, 1.0 - 1e-9)] * 2, options={"ftol": 1e-14, "maxiter": 500},
                         constraints={"type": "ineq", "fun": lambda p, r=region: r.matrix @ p - r.right_side,
                                      "jac": lambda p, r=region: r.matrix})
        assert found.fun == pytest.approx(value, abs=1e-6)
        grid = np.linspace(1e-4, 1.0 - 1e-4, 4001)
        edge = np.array([region.edge(x) for x in grid])
        inside = (edge > 0.0) & (edge < 1.0)
        assert (ndtri(edge[inside]) - ndtri(grid[inside])).min() >= value - 1e-9


def test_a_region_from_scores_agrees_with_the_tangent_bound():
    rows = LAWS["sure or lost"](np.random.default_rng(5), 4000)
    z = ndtri(LAWS["sure or lost"](np.random.default_rng(6), 200)[:, :2].mean(axis=0))
    slope = math.exp(0.5 * (z[1] ** 2 - z[0] ** 2))
    region = probit_region(rows, top=0, rival=1, slopes=[slope], alpha=1e-3)
    value, _ = region.solve()
    assert value == pytest.approx(region.tangent_bound(), abs=1e-8)
    # Slopes that are adapted while betting are worth as much as the right one from the start.
    adapted = lower_bound_scores(rows, top=0, functional="probit").lower
    assert value == pytest.approx(adapted, rel=0.02)
    several = probit_region(rows, top=0, rival=1, slopes=[3.0 * slope, slope, 1.0], alpha=1e-3)
    assert several.slopes == tuple(sorted(several.slopes))
    assert 0.9 * value < several.solve()[0] < 1.02 * value
    # The margin's slope: M2 >= 2 ndtri((1 + M1)/2).
    one = probit_region(rows, top=0, rival=1, slopes=[1.0], alpha=1e-3)
    margin = lower_bound_scores(rows, top=0, functional="margin").lower
    assert one.solve()[0] == pytest.approx(2.0 * ndtri(0.5 * (1.0 + margin)), abs=2e-3)


def test_hopeless_regions_and_bad_input():
    assert ProbitRegion((1.0, 2.0), (-0.1, -0.4), 0.01).solve() == (-math.inf, (0.0, 0.0))
    assert ProbitRegion((1.0,), (-0.1,), 0.01).tangent_bound() == -math.inf
    for slopes, thetas in (((), ()), ((1.0,), ()), ((0.5,), (0.1,)), ((2.0, 1.5), (0.1, 0.1)), ((1.0,), (1.0,)),
                           ((1.0,), (math.nan,)), ((math.inf,), (0.1,))):
        with pytest.raises(InvalidInputError):
            ProbitRegion(slopes, thetas, 0.01)
    rows = LAWS["beta(8,2)"](np.random.default_rng(0), 100)
    for change in ({"rival": 0}, {"rival": 2}, {"slopes": []}, {"slopes": [0.9]}, {"slopes": [math.nan]},
                   {"alpha": 0.5}):
        with pytest.raises(InvalidInputError):
            probit_region(rows, **{"top": 0, "rival": 1, "slopes": [1.0], **change})
    with pytest.raises(UnknownNameError):
        probit_region(rows, top=0, rival=1, slopes=[1.0], method="digital")
