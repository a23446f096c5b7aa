"""The tangent functions of all functionals: closed forms, inverses, what they prove, and the checker's account."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from rsopt.checks.tangents import PRICE_ROUNDING, TANGENTS
from rsopt.functionals import score_functional, score_functionals
from rsopt.intervals.tangents import ROUNDING, tangent_growth, tangent_level, tangent_price

SLOPED = tuple(TANGENTS)
KINDS = {name: score_functional(name).compiled.kind for name in score_functionals()}
SLOPES = st.one_of(st.floats(0.0, 8.0), st.floats(0.0, 1e-12)).map(math.exp)
# Of every size, and next to ln b, where prices begin to be positive.
LEVELS = st.one_of(st.floats(0.0, 60.0), st.floats(-18.0, 3.0).map(lambda x: 10.0**x), st.just(0.0))
NEAR = st.floats(-1e-6, 1e-6)


def cdf(name: str, z: mpf) -> mpf:
    if name == "probit":
        return mp.ncdf(z)
    if name == "logit":
        return 1 / (1 + mp.exp(-z))
    return mp.exp(z) / 2 if z <= 0 else 1 - mp.exp(-z) / 2


def exact_price(name: str, b: float, level: float) -> mpf:
    """c_b(L) to 60 digits, by the closed forms of propositions P2 and P6."""
    with mp.workdps(60):
        b, level = mpf(b), mpf(level)
        if name == "probit":
            if level == 0:
                return mpf(0)
            d = level / 2 - mp.log(b) / level
            return max(mp.ncdf(d) - b * mp.ncdf(d - level), mpf(0))
        gain = 1 - mp.sqrt(b) * mp.exp(-level / 2)
        if gain <= 0:
            return mpf(0)
        return gain if name == "laplace" else gain**2 / (1 - mp.exp(-level))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(["laplace", "logit"]), SLOPES, LEVELS, NEAR, st.booleans())
def test_prices_are_right_to_their_rounding(name, b, level, off, near):
    level = max(math.log(b) + off, 0.0) if near else level
    exact = exact_price(name, b, level)
    ours = tangent_price(KINDS[name], b, level)
    theirs = float(TANGENTS[name].price(np.array(b), np.array(level)))
    # Half of what is added: the other half is for what the sum with it rounds off.
    assert abs(mpf(ours) - exact) <= ROUNDING / 2
    assert abs(mpf(theirs) - exact) <= PRICE_ROUNDING / 2


@pytest.mark.parametrize("name", ["laplace", "logit"])
@pytest.mark.parametrize("log_b", [0.0, 1e-9, 0.02, 1.0, 4.5, 8.0])
def test_the_closed_form_is_the_supremum(name, log_b):
    """The bracket on a fine grid of z = f(v), to 40 digits: never above the closed form, and next to it somewhere."""
    b = math.exp(log_b)
    for level in (1e-6, 0.3, log_b, log_b + 1e-3, log_b + 1.0, log_b + 10.0, 0.5 * log_b):
        exact = exact_price(name, b, level)
        with mp.workdps(40):
            points = [mpf(-200), *(mpf(z) / 16 for z in range(-960, 320))]
            # And the maximiser of the proof.
            if name == "laplace":
                points.append(mp.log(2 * mp.exp(-mpf(level) / 2) / (2 * mp.sqrt(mpf(b)))))
            elif level > log_b:
                v = (mp.sqrt(mp.exp(mpf(level)) / b) - 1) / mp.expm1(mpf(level))
                points.append(mp.log(v / (1 - v)))
            found = [cdf(name, mpf(level) + z) - b * cdf(name, z) for z in points]
            assert all(value <= exact + mpf(10)**-35 for value in found)
            assert max(found) >= exact - mpf(10)**-24


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from(SLOPED), SLOPES, LEVELS, LEVELS)
def test_prices_grow_with_the_level(name, b, one, other):
    low, high = sorted((one, other))
    assert tangent_price(KINDS[name], b, low) <= tangent_price(KINDS[name], b, high) + ROUNDING
    prices = TANGENTS[name].price(np.array(b), np.array([low, high]))
    assert 0.0 <= prices[0] <= prices[1] + PRICE_ROUNDING
    assert prices[1] <= 1.0


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from(["laplace", "logit"]), SLOPES, st.floats(1e-9, 1.0 - 1e-9))
def test_the_inverse_inverts(name, b, theta):
    level = tangent_level(KINDS[name], b, theta)
    assert tangent_price(KINDS[name], b, level) == pytest.approx(theta, rel=1e-6, abs=1e-13)
    assert float(TANGENTS[name].level(np.array(b), np.array(theta))) == pytest.approx(level, rel=1e-9, abs=1e-12)
    # Where the price begins, at ln b, it is not known which side rounding falls on.
    assert level >= math.log(b) - 1e-12


@pytest.mark.parametrize("name", SLOPED)
def test_the_ends(name):
    kind, tangent = KINDS[name], TANGENTS[name]
    for b in (1.0, 1.5, math.exp(8.0)):
        assert (tangent_level(kind, b, 0.0), tangent_level(kind, b, 1.0)) == (0.0, math.inf)
        assert float(tangent.level(np.array(b), np.array(1.0))) == math.inf
        for level in (-1.0, 0.0):
            assert tangent_price(kind, b, level) == 0.0
        assert float(tangent.price(np.array(b), np.array(0.0))) == 0.0
        for level in (700.0, 1e5):
            assert tangent_price(kind, b, level) == pytest.approx(1.0, abs=ROUNDING)
            assert float(tangent.price(np.array(b), np.array(level))) == pytest.approx(1.0, abs=PRICE_ROUNDING)
    # Of b = 1 comes what a bound on the margin alone gives.
    for theta in (0.1, 0.5, 0.999):
        alone = {"laplace": -2.0 * math.log1p(-theta), "logit": 2.0 * math.log((1.0 + theta) / (1.0 - theta))}
        if name in alone:
            assert tangent_level(kind, 1.0, theta) == pytest.approx(alone[name], rel=1e-12)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from(SLOPED), SLOPES, st.floats(0.05, 30.0))
def test_growth_is_the_derivative(name, b, level):
    h = 1e-5 * level
    if level - h <= math.log(b) <= level + h and name != "probit":
        return
    ahead, behind = (exact_price(name, b, level + step) for step in (h, -h))
    slope = float((ahead - behind) / (mpf(level + h) - mpf(level - h)))
    least = 1e-3 if name == "probit" else 1e-9
    for found in (tangent_growth(KINDS[name], b, level), TANGENTS[name].growth(b, level)):
        assert found == pytest.approx(max(slope, least), rel=2e-3, abs=1e-11)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from(tuple(KINDS)), SLOPES, st.floats(1e-6, 1.0 - 1e-6), st.floats(1e-6, 1.0 - 1e-6))
def test_what_a_tangent_proves_never_exceeds_the_functional_of_any_point(name, b, u, v):
    value = float(score_functional(name).value(np.array(u), np.array(v)))
    assert tangent_level(KINDS[name], b, u - b * v) <= max(0.0, value) + 1e-9
