"""The tangent function: its closed form, its inverse, and what it proves of the probit margin."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import ndtr, ndtri

from rsopt.intervals.call_price import call_price, implied_level

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
def test_the_inverse_inverts(b, level):
    theta = call_price(b, level)
    if theta > 1e-9 and theta < 1.0 - 1e-9:
        assert implied_level(b, theta) == pytest.approx(level, rel=1e-5, abs=1e-7)
    assert (implied_level(b, 0.0), implied_level(b, 1.0)) == (0.0, math.inf)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(SLOPES, st.floats(1e-6, 1.0 - 1e-6), st.floats(1e-6, 1.0 - 1e-6))
def test_what_a_tangent_proves_never_exceeds_the_margin_of_any_point(b, u, v):
    assert implied_level(b, u - b * v) <= max(0.0, float(ndtri(u) - ndtri(v))) + 1e-9
