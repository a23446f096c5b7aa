"""The default bound against the baselines, wherever one of them certifies a positive radius."""

from __future__ import annotations

import pytest
from enumeration import FUNCTIONALS, width

import rsopt
from rsopt import Counts, baselines

# Outcomes (functional, n, alpha, x1, x2) at which the exact bound is below the larger baseline, with the difference.
EXCEPTIONS: dict[tuple[str, int, float, int, int], float] = {}

# How many outcomes have a positive baseline, so that the test cannot become empty.
CERTIFIED = {(10, 0.05): 5, (10, 0.001): 1, (30, 0.05): 113, (30, 0.001): 49, (60, 0.05): 566, (60, 0.001): 357}


@pytest.mark.parametrize(("n", "alpha"), list(CERTIFIED))
@pytest.mark.parametrize("functional", ["margin", "probit"])
def test_at_or_above_both_baselines(functional: str, n: int, alpha: float) -> None:
    certified, below = 0, {}
    for x1 in range(n + 1):
        for x2 in range(n + 1 - x1):
            counts = Counts((x1, x2, n - x1 - x2), 0, 1)
            larger = max(baselines.two_way_clopper_pearson(counts, functional=functional, alpha=alpha).lower,
                         baselines.cohen(counts, functional=functional, alpha=alpha).lower)
            if larger <= 0.0:
                continue
            certified += 1
            bound = rsopt.lower_bound(counts, functional=functional, alpha=alpha)
            if bound.lower_at_most < larger:
                below[functional, n, alpha, x1, x2] = larger - bound.lower_at_most
    assert certified == CERTIFIED[n, alpha]
    assert below.keys() == {key for key in EXCEPTIONS if key[:3] == (functional, n, alpha)}
    assert all(difference <= EXCEPTIONS[key] for key, difference in below.items())


@pytest.mark.parametrize("functional", ["margin", "probit"])
@pytest.mark.parametrize(("n", "alpha"), [(10, 0.05), (60, 0.001), (1000, 0.001)])
def test_equal_to_cohen_when_every_vote_is_for_the_pair(functional: str, n: int, alpha: float) -> None:
    for x2 in range(0, n // 3, max(n // 40, 1)):
        counts = Counts((n - x2, x2, 0), 0, 1)
        cohen = baselines.cohen(counts, functional=functional, alpha=alpha).lower
        if cohen > 0.0:
            bound = rsopt.lower_bound(counts, functional=functional, alpha=alpha)
            assert bound.lower <= cohen <= bound.lower_at_most
            assert bound.lower_at_most - cohen <= 1e-6 * width(bound, cohen)
            assert cohen - bound.lower <= 0.005 * width(bound, cohen)


@pytest.mark.parametrize("statistic", ["studentized", "clopper-pearson", "plugin"])
@pytest.mark.parametrize("functional", list(FUNCTIONALS))
@pytest.mark.parametrize(("n", "alpha"), [(1, 0.05), (13, 0.3), (60, 0.001), (2000, 1e-5)])
def test_two_classes_are_one_sided_clopper_pearson(functional: str, statistic: str, n: int, alpha: float) -> None:
    for x1 in sorted({1, 2, n // 2, n - n // 7, n - 1, n}) if n <= 60 else (n // 10, n // 2, n - n // 7, n - 1, n):
        if not 1 <= x1 <= n:
            continue
        bound = rsopt.lower_bound([x1, n - x1], top=0, functional=FUNCTIONALS[functional], statistic=statistic,
                                  alpha=alpha)
        one_sided = baselines.cohen([x1, n - x1], top=0, functional=FUNCTIONALS[functional], alpha=alpha).lower
        assert bound.lower <= one_sided <= bound.lower_at_most
        assert bound.lower_at_most - one_sided <= 1e-6 * width(bound, one_sided)
        assert one_sided - bound.lower <= 0.005 * width(bound, one_sided)
