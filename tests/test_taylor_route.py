"""Both ways to the probit margin through a Taylor polynomial: exact error probabilities and the branches taken."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from enumeration import functional_value, outcomes, probabilities, simplex_grid
from scipy import stats

import rsopt
from rsopt.errors import CertificateError, InvalidInputError
from rsopt.solver import Budget
from rsopt.statistics import Studentized, clopper_pearson_lower
from rsopt.taylor_route import published_bound

Array = npt.NDArray[np.float64]


@cache
def bounds(n: int, order: int, alpha: float, as_published: bool) -> tuple[rsopt.Bound, ...]:
    functional = rsopt.TaylorProbitMargin(order=order, as_published=as_published)
    return tuple(rsopt.lower_bound(rsopt.Counts((int(a), int(b), int(c)), 0, 1), functional=functional, alpha=alpha)
                 for a, b, c in outcomes(n))


def around_one_half() -> Array:
    """Distributions with p_A on both sides of 1/2 and at it, every share of the rest for the rival."""
    p_a = 0.5 + np.concatenate([[0.0], *[(-h, h) for h in (1e-9, 1e-6, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4)]])
    share = np.linspace(0.0, 1.0, 21)
    a, s = (v.ravel() for v in np.meshgrid(p_a, share))
    return np.stack([a, (1.0 - a) * s, (1.0 - a) * (1.0 - s)], axis=1)


def error(p: Array, lower: Array, n: int) -> Array:
    """P_p(lower(X) > probit margin of p), shape (b, 3) -> (b,)."""
    truth = functional_value("probit", p[:, 0], p[:, 1])
    return np.sum(probabilities(p, outcomes(n)) * (lower[None, :] > truth[:, None]), axis=1)


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.001])
@pytest.mark.parametrize("order", [1, 3, 15])
def test_published_route_covers_the_probit_margin(order: int, alpha: float) -> None:
    p = np.concatenate([simplex_grid(), around_one_half()])
    for n in (1, 2, 5, 8, 12, 14):
        lower = np.array([bound.lower for bound in bounds(n, order, alpha, True)])
        wrong = error(p, lower, n)
        assert wrong.max() <= alpha, (n, p[wrong.argmax()], wrong.max())


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.001])
@pytest.mark.parametrize("order", [1, 3, 15])
def test_positive_bounds_without_a_test_cover_the_probit_margin(order: int, alpha: float) -> None:
    p = np.concatenate([simplex_grid(), around_one_half()])
    for n in (1, 2, 5, 8, 12, 14):
        lower = np.array([bound.lower for bound in bounds(n, order, alpha, False)])
        wrong = error(p, np.where(lower > 0.0, lower, -np.inf), n)
        assert wrong.max() <= alpha, (n, p[wrong.argmax()], wrong.max())


def test_without_a_test_more_inputs_are_certified() -> None:
    plain = sum(bound.lower > 0.0 for bound in bounds(12, 3, 0.05, False))
    published = sum(bound.lower > 0.0 for bound in bounds(12, 3, 0.05, True))
    assert (plain, published) == (18, 8)


def test_the_test_passes_with_probability_at_most_beta_at_one_half() -> None:
    n, beta = 12, 0.045
    passed = np.array([bound.method.endswith("q1 >= 1/2") for bound in bounds(n, 3, 0.05, True)])
    limits = np.array([float(clopper_pearson_lower(int(x[0]), n, beta)) for x in outcomes(n)])
    assert np.array_equal(passed, limits > 0.5)
    assert 0.0 < float(probabilities(np.array([[0.5, 0.5, 0.0]]), outcomes(n))[0] @ passed) <= beta


def test_the_branch_is_reported() -> None:
    functional = rsopt.TaylorProbitMargin(order=15, as_published=True)
    passed = rsopt.lower_bound([90, 6, 4], top=0, functional=functional)
    assert passed.method == "published route, Taylor bound over q1 >= 1/2"
    assert passed.message.startswith("Test passed: the limit of p_A at beta = 0.0009 is 0.77392, above 1/2")
    assert passed.alpha == 1e-3
    assert passed.certificate.alpha < 0.0009 + 1e-12
    failed = rsopt.lower_bound([60, 30, 10], top=0, functional=functional)
    assert failed.method == "published route, two-way Clopper–Pearson fallback"
    assert failed.message.startswith("Test failed: the limit of p_A at beta = 0.0009 is 0.439448, not above 1/2")
    assert failed.proof is None
    assert failed.proven


def test_two_classes_take_the_same_route() -> None:
    functional = rsopt.TaylorProbitMargin(order=15, as_published=True)
    bound = rsopt.lower_bound([95, 5], top=0, functional=functional, alpha=0.01)
    # Equal to the one-sided Clopper–Pearson limit at beta, up to the 0.2% of the width that the proof gives up.
    low = float(clopper_pearson_lower(95, 100, 0.009))
    exact = float(functional.value(np.array(low), np.array(1.0 - low)))
    assert exact - 0.01 * abs(exact) <= bound.lower <= exact


def test_certificates_of_the_route_stand_only_where_the_test_passes() -> None:
    bound = rsopt.lower_bound([90, 6, 4], top=0, functional=rsopt.TaylorProbitMargin(order=3, as_published=True))
    assert rsopt.check_certificate(bound.certificate.to_dict()).lower == bound.lower
    problem = rsopt.LowerBoundProblem(rsopt.Counts((60, 30, 10), 0), rsopt.TaylorProbitMargin(order=3), Studentized(),
                                      0.001, rsopt.Simplex(least_q1=0.5))
    assert stats.binom.sf(59, 100, 0.5) > 0.001
    unfit = problem.solve().certificate
    assert unfit is not None
    with pytest.raises(CertificateError, match="needs a passed test"):
        rsopt.check_certificate(unfit.to_dict())


def test_the_route_must_be_asked_for() -> None:
    with pytest.raises(InvalidInputError, match="as_published=True"):
        published_bound(rsopt.Counts((90, 6, 4), 0), rsopt.TaylorProbitMargin(), Studentized(), 0.01, "scipy", Budget())
