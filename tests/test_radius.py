"""Radii: closed forms, abstentions, and that nothing takes the larger of two bounds."""

from __future__ import annotations

import inspect
import math

import pytest
from scipy import special

import rsopt
from rsopt import noise, radius
from rsopt.errors import InvalidInputError


def test_r2_is_half_sigma_times_the_probit_margin() -> None:
    bound = rsopt.lower_bound([900, 60, 40], top=0)
    assert bound.radius(0.25) == pytest.approx(0.125 * bound.lower, rel=1e-14)
    assert bound.radius(0.25) <= 0.125 * bound.lower


def test_r1_on_votes_uses_the_smoothed_hard_classifier() -> None:
    bound = rsopt.lower_bound([900, 60, 40], top=0, functional="margin")
    assert bound.radius(0.25) == pytest.approx(bound.lower * 0.25 * math.sqrt(math.pi / 2.0), rel=1e-14)


def test_r1_never_exceeds_the_true_radius_of_a_linear_classifier() -> None:
    # f(x) = (x, -x)/sqrt 2 under sigma = .05 at x = .1: the decision changes at distance .1 exactly.
    sigma, x = 0.05, 0.1
    margin = 2.0 * special.ndtr(x / sigma) - 1.0
    assert radius.smoothed_margin_radius(margin, sigma) <= x
    assert radius.margin_probit_radius(margin, sigma) == pytest.approx(x, rel=1e-9)
    assert radius.margin_probit_radius(margin, sigma) <= x * (1 + 1e-12)


@pytest.mark.parametrize("margin", [1e-6, 0.1, 0.5, 0.9, 0.999999])
def test_the_same_event_radius_is_at_least_r1(margin: float) -> None:
    assert radius.margin_probit_radius(margin, 1.0) >= radius.smoothed_margin_radius(margin, 1.0) * (1 - 1e-9)


def test_an_abstention_is_radius_zero() -> None:
    assert radius.probit_radius(-0.3, 0.25) == 0.0
    assert radius.probit_radius(-math.inf, 0.25) == 0.0
    assert radius.smoothed_margin_radius(-1.0, 0.25) == 0.0
    assert radius.margin_probit_radius(0.0, 0.25) == 0.0
    assert radius.lipschitz_radius(0.5, math.inf) == 0.0


def test_nan_makes_no_radius() -> None:
    with pytest.raises(InvalidInputError, match="The bound is NaN"):
        radius.probit_radius(math.nan, 0.25)
    with pytest.raises(InvalidInputError, match="lipschitz must be a positive number; found 0"):
        radius.lipschitz_radius(0.5, 0.0)


def test_no_radius_takes_two_bounds() -> None:
    for name, function in inspect.getmembers(radius, inspect.isfunction):
        if function.__module__ == radius.__name__ and not name.startswith("_"):
            taken = [p for p in inspect.signature(function).parameters if p in ("margin", "probit_margin", "lower")]
            assert len(taken) <= 1, name


@pytest.mark.parametrize("functional", ["laplace", "logit"])
def test_bounds_for_other_noise_give_no_radius_under_gaussian_noise(functional: str) -> None:
    """They exceed the probit margin: as a Gaussian radius they would be too large."""
    bound = rsopt.lower_bound([900, 60, 40], top=0, functional=functional)
    assert bound.lower > rsopt.lower_bound([900, 60, 40], top=0).lower
    for given in ({"sigma": 0.25}, {"noise": 0.25}, {"noise": noise.Gaussian(0.25)}):
        with pytest.raises(InvalidInputError, match=f"has no radius by bounds on '{functional}': bound 'probit' or"):
            bound.radius(**given)
    with pytest.raises(InvalidInputError, match=f"has no radius by bounds on '{functional}'"):
        rsopt.Question(0.25, functional)
    own = noise.Laplace(0.5) if functional == "laplace" else noise.Logistic(0.5)
    assert bound.radius(own) == pytest.approx(0.25 * bound.lower, rel=1e-14)
    assert bound.radius(own) <= 0.25 * bound.lower
    assert bound.radius(own, norm="linf", dimension=100) == pytest.approx(0.0025 * bound.lower, rel=1e-14)
