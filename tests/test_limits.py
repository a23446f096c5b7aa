"""Binomial limits and numbers of false statements against exact sums."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import flint
import mpmath
import numpy as np
import pytest
from scipy.stats import binomtest

from rsopt.checks.arb import precision
from rsopt.limits import lower_limits, most_false, upper_limits


def at_least(x: int, n: int, p: Fraction) -> Fraction:
    return sum((comb(n, k) * p**k * (1 - p)**(n - k) for k in range(x, n + 1)), Fraction(0))


@pytest.mark.parametrize("n", [1, 2, 7, 25])
@pytest.mark.parametrize("error", [0.5, 0.1, 0.025, 1e-6])
def test_limits_are_exact_and_rounded_outwards(n: int, error: float) -> None:
    x = np.arange(n + 1)
    for count, low, high in zip(x, lower_limits(x, n, error), upper_limits(x, n, error), strict=True):
        assert at_least(int(count), n, Fraction(low)) <= Fraction(error) if count else low == 0.0
        assert 1 - at_least(int(count) + 1, n, Fraction(high)) <= Fraction(error) if count < n else high == 1.0
        if count:
            assert at_least(int(count), n, Fraction(low) * (1 + Fraction(1, 10**8))) > Fraction(error)
        if count < n:
            lower = 1 - (1 - Fraction(high)) * (1 + Fraction(1, 10**8))
            assert 1 - at_least(int(count) + 1, n, lower) > Fraction(error)


def test_limits_where_quantiles_of_scipy_are_wrong() -> None:
    """SciPy 1.17 is off at some parameters, 1000 among them."""
    x, n = np.array([999, 1000, 1001, 1000]), np.array([1000, 1000, 2000, 100_000])
    for count, draws, low in zip(x.tolist(), n.tolist(), lower_limits(x, n, 0.01), strict=True):
        with mpmath.workdps(30):
            mass = mpmath.betainc(count, draws - count + 1, 0, mpmath.mpf(low), regularized=True)
            assert mpmath.mpf("0.0099") < mass <= mpmath.mpf(0.01)


@pytest.mark.parametrize("error", [1e-15, 1e-6, 1e-3, 0.4])
@pytest.mark.parametrize(("x", "n"), [
    (99_001, 100_000), (999, 100_000), (1000, 1_000_000), (49, 50), (999_999, 1_000_000), (1, 10_000_000),
    (10_000_000, 10_000_000), (3_716_946, 9_275_303), (9999, 10_000), (500, 1000), (30_448, 1_000_000)])
def test_limits_of_many_draws_by_ball_arithmetic(x: int, n: int, error: float) -> None:
    """The tail at the limit is at most the error, and passes it not far beyond; also where SciPy's quantile is off."""
    low = float(lower_limits(x, n, error))
    # At the mirror image the same limit is one from above.
    assert float(upper_limits(n - x, n, error)) == min(np.nextafter(1.0 - low, 2.0), 1.0)
    beyond = min(max(low * (1.0 + 1e-9), np.nextafter(low, 1.0)), 1.0 - 0.5 * (1.0 - low))
    with precision(300):
        at_limit, at_beyond = (flint.arb(p).beta_lower(flint.arb(x), flint.arb(n - x + 1), True) for p in (low, beyond))
        assert bool(at_limit <= flint.arb(error))
        assert bool(at_beyond > flint.arb(error))


def test_limits_are_those_of_others() -> None:
    for count in range(11):
        interval = binomtest(count, 10).proportion_ci(0.95, "exact")
        found = float(lower_limits(count, 10, 0.025)), float(upper_limits(count, 10, 0.025))
        assert found == pytest.approx((interval.low, interval.high), rel=1e-6)


@pytest.mark.parametrize(("rows", "alpha"), [(1, 0.001), (1, 0.3), (2, 0.4), (250, 0.001), (40, 0.3), (500, 0.05)])
@pytest.mark.parametrize("error", [0.5, 0.05, 1e-3])
def test_how_many_statements_are_false(rows: int, alpha: float, error: float) -> None:
    found = most_false(rows, alpha, error)
    assert at_least(found + 1, rows, Fraction(alpha)) <= Fraction(error)
    assert found == 0 or at_least(found, rows, Fraction(alpha)) > Fraction(error) * (1 - Fraction(1, 10**8))


def test_an_error_that_is_just_reached() -> None:
    """P(Bin(1, 1/4) >= 1) is 1/4 exactly: so many may be false, or one more, never one less."""
    assert most_false(1, 0.25, 0.25) in (0, 1)
    assert most_false(1, 0.25, np.nextafter(0.25, 0.0)) == 1
    assert most_false(2, 0.4, 0.05) == 2
