"""The closed-form baselines: limits against ball arithmetic, closed forms at 0 and n, and independent values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arb_tail import log_tail
from brackets import BRACKETS
from scipy import special, stats
from scipy.integrate import quad

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
        share - (1.0 - share), rel=1e-9)
    assert baselines.cohen(all_votes, functional="margin", alpha=alpha).lower == pytest.approx(
        2.0 * alpha ** (1.0 / n) - 1.0, rel=1e-9)
    assert baselines.bonferroni(all_votes, functional="margin", alpha=alpha).lower == pytest.approx(
        2.0 * (alpha / 3.0) ** (1.0 / n) - 1.0, rel=1e-9)
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


def melded_chance(x: int, y: int, n: int, limit: float) -> float:
    """P(T (2B - 1) <= limit), by an adaptive rule over B."""
    m = x + y

    def inside(b: float) -> float:
        gap = 2.0 * b - 1.0
        if limit >= 0.0:
            chance = 1.0 if gap <= limit else stats.beta.cdf(limit / gap, m, n - m + 1)
        else:
            chance = 0.0 if gap > limit else (stats.beta.sf(limit / gap, m + 1, n - m) if m < n else 1.0)
        return float(stats.beta.pdf(b, x, y + 1) * chance)

    turn = 0.5 * (1.0 + limit)
    return math.fsum(quad(inside, low, high, limit=300, epsabs=1e-14, epsrel=1e-12)[0]
                     for low, high in ((0.0, 0.5 * turn), (0.5 * turn, turn), (turn, 0.5 * (1.0 + turn)),
                                       (0.5 * (1.0 + turn), 1.0)))


@pytest.mark.parametrize(("x", "y", "n"), [(24, 0, 50), (9, 1, 20), (7, 6, 20), (1, 5, 9), (180, 20, 200), (9, 0, 9),
                                           (3, 4, 7), (40, 30, 1000)])
@pytest.mark.parametrize("alpha", [0.05, 1e-3])
def test_the_melded_limit_is_its_quantile(x: int, y: int, n: int, alpha: float) -> None:
    limit = baselines.melded(rsopt.Counts((x, y, n - x - y), 0, 1), alpha=alpha).lower
    assert melded_chance(x, y, n, limit) == pytest.approx(alpha, rel=1e-6)


def test_the_melded_limit_at_the_ends() -> None:
    """No votes for the class or the pair; two classes, where the pair has all votes; as McNemar's test decides at 0."""
    n, alpha = 30, 0.01
    assert baselines.melded(rsopt.Counts((0, 0, n), 0, 1), alpha=alpha).lower == pytest.approx(
        -(1.0 - alpha ** (1.0 / n)), rel=1e-11)
    assert baselines.melded(rsopt.Counts((0, 4, n - 4), 0, 1), alpha=alpha).lower == pytest.approx(
        -stats.beta.ppf(1.0 - alpha, 5, n - 4), rel=1e-9)
    assert baselines.melded(rsopt.Counts((0, n, 0), 0, 1), alpha=alpha).lower == -1.0
    assert baselines.melded([20, 10], 0, alpha=alpha).lower == pytest.approx(
        baselines.cohen([20, 10], 0, functional="margin", alpha=alpha).lower, abs=1e-11)
    for x in range(n + 1):
        for y in range(n + 1 - x):
            positive = baselines.melded(rsopt.Counts((x, y, n - x - y), 0, 1), alpha=alpha).lower > 0.0
            assert positive == (stats.binom.sf(x - 1, x + y, 0.5) < alpha), (x, y)
    # As precise at sizes where T is narrow beside B: the limit of ten million votes is that of the normal law.
    x, y, n = 4_000_000, 3_900_000, 10_000_000
    found = baselines.melded(rsopt.Counts((x, y, n - x - y), 0, 1), alpha=alpha).lower
    deviation = math.sqrt(((x + y) / n - 0.01 ** 2) / n)
    assert found == pytest.approx(0.01 - stats.norm.ppf(1.0 - alpha) * deviation, abs=0.01 * deviation)


def test_the_melded_limit_certifies_nothing() -> None:
    bound = baselines.melded([900, 60, 40], top=0, functional="probit")
    assert (bound.proven, bound.certified, bound.abstain, bound.method) == (False, False, False, "melded")
    assert bound.message == "conjectured, not proven: it certifies nothing"
    with pytest.raises(InvalidInputError, match="not proven; no radius is made of it"):
        bound.radius(0.25)
    margin = baselines.melded([900, 60, 40], top=0).lower
    least = min(float(rsopt.ProbitMargin().value(np.array(q2 + margin), np.array(q2)))
                for q2 in np.linspace(1e-6, 0.5 * (1.0 - margin), 2001))
    assert bound.lower == pytest.approx(least, rel=1e-9)
    assert baselines.melded([300, 310, 390], top=0, functional="probit").lower == -math.inf


def test_the_melded_limit_of_a_functional_without_a_link() -> None:
    """What follows for the margin after one change of a bit is its least value beyond the limit."""
    votes, flips = [90, 6, 4], rsopt.noise.Flips(0.1, 0.4).margin_within(1)
    margin = baselines.melded(votes, 0).lower
    found = baselines.melded(votes, 0, functional=flips).lower
    line = np.linspace(0.0, 0.5 * (1.0 - margin), 1025)
    assert found == pytest.approx(float(flips.value(line + margin, line).min()), abs=1e-12)
    assert found <= float(flips.value(np.array(0.9), np.array(0.0)))
