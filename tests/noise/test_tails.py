"""Enclosures of tails hold, against two other arithmetics, and are narrow."""

from fractions import Fraction

import mpmath
import pytest
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from rsopt.errors import UnknownNameError
from rsopt.noise.tails import BITS, FAR, LAWS, upper_tail

PLACES = 120
REFERENCE = {
    "gaussian": lambda z: mpmath.erfc(z / mpmath.sqrt(2)) / 2, "laplace": lambda z: mpmath.exp(-z) / 2,
    "logistic": lambda z: 1 / (1 + mpmath.exp(z)), "uniform": lambda z: max(mpmath.mpf(0), (1 - z) / 2)}
BALLS = {
    "gaussian": lambda z: (z / arb(2).sqrt()).erfc() / 2, "laplace": lambda z: (-z).exp() / 2,
    "logistic": lambda z: 1 / (1 + z.exp())}
POINTS = [Fraction(0), Fraction(1, 10**9), Fraction(1, 510), Fraction(1, 3), Fraction(1), Fraction(5, 2),
          Fraction(513, 64), Fraction(91, 10), Fraction(40), Fraction(FAR), Fraction(FAR) + Fraction(1, 3)]


def check(law: str, z: Fraction) -> None:
    low, high = upper_tail(law, z)
    with mpmath.workdps(PLACES):
        exact = REFERENCE[law](mpmath.mpf(z.numerator) / z.denominator) * mpmath.mpf(2) ** BITS
        assert low <= exact <= high
    assert low >= 0
    assert high - low < 1 << BITS - 160


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("z", POINTS, ids=str)
def test_points(law, z):
    check(law, z)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LAWS), st.fractions(0, 45, max_denominator=10**12))
def test_any_point(law, z):
    check(law, z)


@pytest.mark.parametrize("law", BALLS)
def test_against_ball_arithmetic(law):
    before = ctx.prec
    ctx.prec = 400
    try:
        for z in POINTS:
            low, high = upper_tail(law, z)
            ball = BALLS[law](arb(z.numerator) / z.denominator) * arb(2) ** BITS
            assert ball >= low
            assert ball <= high
    finally:
        ctx.prec = before


@pytest.mark.parametrize("law", LAWS)
def test_far_beyond_every_tail(law):
    assert upper_tail(law, Fraction(10) ** 600) == (0, 1)


def test_an_unknown_law():
    with pytest.raises(UnknownNameError, match=r"There is no law of noise named 'gausian'\. Did you mean 'gaussian'"):
        upper_tail("gausian", Fraction(1))
