"""The closed-form baselines: limits against ball arithmetic, closed forms at 0 and n, and independent values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arb_tail import log_tail
from brackets import BRACKETS
from scipy import special, stats

import rsopt
from rsopt import baselines
from rsopt.errors import InvalidInputError
from rsopt.statistics import clopper_pearson_lower, clopper_pearson_upper

CASES = [(1, 0), (1, 1), (5, 2), (40, 0), (40, 1), (40, 39), (40, 40), (1000, 3), (1000, 997), (100_000, 1),
         (100_000, 52_001), (100_000, 99_999), (10_000_000, 12), (10_000_000, 4_000_000), (10_000_000, 9_999_990)]


def tail_at_least(x: int, n: int, p: float, other: float) -> float:
    """log P(Bin(n, p) >= x) by ball arithmetic; `other` is 1 - p, said apart for the accuracy of a small one."""
    return float(log_tail(np.array([p, 0.0, other]), np.array([x]), n).mid())


@pytest.mark.parametrize("alpha", [0.05, 1e-3, 1e-9, 1e-15])
@pytest.mark.parametrize(("n", "x"), CASES)
def test_limits(n: int, x: int, alpha: float) -> None:
    """After the baselines' rounding by 1e-12, the limits are on the safe side, and no more than 1e-9 from exact."""
    lower = float(clopper_pearson_lower(x, n, alpha))
    upper = float(clopper_pearson_upper(x, n, alpha))
    assert 0.0 <= lower <= x / n <= upper <= 1.0
    if x == 0:
        assert lower == 0.0
    else:
        safe, loose = lower * (1.0 - 1e-12), lower * (1.0 + 1e-9)
        assert tail_at_least(x, n, safe, 1.0 - safe) <= math.log(alpha)
        assert loose >= 1.0 or tail_at_least(x, n, loose, 1.0 - loose) > math.log(alpha)
    if x == n:
        assert upper == 1.0
    else:
        # P(Bin(n, p) <= x) = P(Bin(n, 1 - p) >= n - x).
        safe, loose = upper * (1.0 + 1e-12), upper * (1.0 - 1e-9)
        assert safe >= 1.0 or tail_at_least(n - x, n, 1.0 - safe, safe) <= math.log(alpha)
        assert tail_at_least(n - x, n, 1.0 - loose, loose) > math.log(alpha)


def test_closed_forms_at_the_ends() -> None:
    n, alpha = 40, 0.01
    all_votes = rsopt.Counts((n, 0, 0), 0)
    share = (alpha / 2.0) ** (1.0 / n)
    assert baselines.two_way_clopper_pearson(all_votes, functional="margin", alpha=alpha).lower == pytest.approx(
        share - (1.0 - share), rel=1e-11)
    assert baselines.cohen(all_votes, functional="margin", alpha=alpha).lower == pytest.approx(
        2.0 * alpha ** (1.0 / n) - 1.0, rel=1e-11)
    assert baselines.bonferroni(all_votes, functional="margin", alpha=alpha).lower == pytest.approx(
        2.0 * (alpha / 3.0) ** (1.0 / n) - 1.0, rel=1e-11)
    for baseline in (baselines.two_way_clopper_pearson, baselines.cohen, baselines.bonferroni):
        nothing = baseline([0, n, 0], top=0, functional="probit", alpha=alpha)
        assert nothing.lower == -math.inf
        assert nothing.abstain
        assert baseline([0, n, 0], top=0, functional="margin", alpha=alpha).lower == -1.0


def test_against_the_reference() -> None:
    for case in BRACKETS:
        for expected, baseline in ((case.clopper_pearson, baselines.two_way_clopper_pearson),
                                   (case.cohen, baselines.cohen)):
            bound = baseline(case.counts, functional=case.functional, alpha=case.alpha)
            assert bound.lower == pytest.approx(expected, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("functional", ["margin", "probit", "taylor-probit"])
def test_against_the_definitions(functional: str) -> None:
    votes, alpha = [700, 120, 110, 70], 0.02
    value = rsopt.lower_bound(votes, top=0, functional=functional, alpha=alpha).functional.value
    for baseline, share in ((baselines.two_way_clopper_pearson, alpha / 2), (baselines.bonferroni, alpha / 4)):
        low = stats.beta.ppf(share, 700, 301)
        high = stats.beta.ppf(1.0 - share, 121, 880)
        bound = baseline(votes, top=0, functional=functional, alpha=alpha)
        exact = float(value(np.array(low), np.array(high)))
        assert exact * (1.0 - 1e-9) <= bound.lower <= exact * (1.0 + 1e-12)
    low = stats.beta.ppf(alpha, 700, 301)
    bound = baselines.cohen(votes, top=0, functional=functional, alpha=alpha)
    exact = float(value(np.array(low), np.array(1.0 - low)))
    assert exact * (1.0 - 1e-9) <= bound.lower <= exact * (1.0 + 1e-12)


def test_same_result_type_as_the_exact_bound() -> None:
    for baseline, name in ((baselines.two_way_clopper_pearson, "two-way-clopper-pearson"), (baselines.cohen, "cohen"),
                           (baselines.bonferroni, "bonferroni")):
        bound = baseline([900, 60, 40], top=0)
        assert isinstance(bound, rsopt.Bound)
        assert (bound.proven, bound.method, bound.statistic, bound.solver, bound.proof) == (
            True, name, None, None, None)
        assert math.isnan(bound.lower_at_most)
        assert bound.radius(sigma=0.25) == pytest.approx(0.125 * bound.lower, rel=1e-12)
        assert bound.to_dict()["lower_at_most"] is None
        with pytest.raises(InvalidInputError) as told:
            _ = bound.certificate
        assert str(told.value) == (f"This bound has no certificate: it is a closed form ({name}), which the same call "
                                   "computes again.")


def test_cohens_bound_is_his_radius() -> None:
    """sigma · ndtri(p_A) of the paper, as R2 = sigma/2 (ndtri(p) - ndtri(1 - p))."""
    low = stats.beta.ppf(1e-3, 990, 11)
    assert baselines.cohen([990, 6, 4], top=0).radius(sigma=0.5) == pytest.approx(0.5 * special.ndtri(low), rel=1e-9)
