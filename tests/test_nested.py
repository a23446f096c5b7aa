"""Nested radii: each at the full error, and the family errs no more often than one test."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

import rsopt
from rsopt import baselines
from rsopt.errors import InvalidInputError
from rsopt.noise import Flips

NOISE = Flips(0.02, 0.5)


FREQUENT = Flips(0.42, 0.44)


def radius(votes: tuple[int, ...], statistic: str, alpha: float, noise: Flips = NOISE) -> int:
    found = rsopt.largest_certified(votes, 0, radii=range(1, 7), functional_of=noise.margin_within,
                                    statistic=statistic, alpha=alpha)
    return found.radius or 0


@pytest.mark.parametrize("statistic", ["clopper-pearson", "studentized"])
def test_radii_are_too_large_no_more_often_than_alpha(statistic: str) -> None:
    """All outcomes of n = 14 votes of three classes, at truths on the edge of each radius: zero tolerance."""
    n, alpha = 14, 0.1
    found = {(x, y): radius((x, y, n - x - y), statistic, alpha, FREQUENT)
             for x in range(n + 1) for y in range(n + 1 - x)}
    assert max(found.values()) >= 2
    for r in range(1, 5):
        g = FREQUENT.margin_within(r)
        for rest in (0.0, 0.1, 0.3):
            # The largest p_A that does not survive r changes: the claim of r or more is false there.
            low, high = 0.0, 1.0 - rest
            for _ in range(60):
                p = 0.5 * (low + high)
                low, high = (p, high) if float(g.value(np.array(p), np.array(1.0 - rest - p))) <= 0.0 else (low, p)
            q = [Fraction(v) for v in (low, 1.0 - rest - low)]
            q.append(1 - sum(q))
            wrong = sum((math.comb(n, x) * math.comb(n - x, y) * q[0]**x * q[1]**y * q[2]**(n - x - y)
                         for (x, y), claimed in found.items() if claimed >= r), Fraction(0))
            assert wrong <= Fraction(alpha)


def test_never_behind_the_two_way_limits() -> None:
    ahead = 0
    for votes in [(95, 3, 2), (80, 12, 8), (60, 30, 10), (990, 5, 5), (850, 100, 50), (1000, 0, 0)]:
        mine = radius(votes, "clopper-pearson", 0.001)
        theirs = 0
        while baselines.two_way_clopper_pearson(votes, 0, functional=NOISE.margin_within(theirs + 1)).lower > 0.0:
            theirs += 1
        ahead += mine > theirs
        assert mine >= theirs
    assert ahead


def test_it_stops_at_the_first_that_is_not_proven() -> None:
    found = rsopt.largest_certified([900, 60, 40], 0, radii=itertools.count(1),
                                    functional_of=lambda d: NOISE.margin(0, d))
    assert found.certified
    assert found.tested == tuple(range(1, found.proven + 2))
    assert found.radius == found.proven
    assert (found.alpha, found.counts.x1, found.message) == (1e-3, 900, "")
    none = rsopt.largest_certified([40, 60], 0, radii=[1, 2], functional_of=NOISE.margin_within)
    assert (none.radius, none.tested, none.certified) == (None, (1,), False)
    all_of_them = rsopt.largest_certified([900, 60, 40], 0, radii=[1], functional_of=lambda d: NOISE.margin(0, d))
    assert (all_of_them.radius, all_of_them.proven) == (1, 1)


def test_the_same_as_the_bound_says() -> None:
    for votes in [(95, 3, 2), (80, 12, 8), (55, 40, 5)]:
        for r in (1, 2, 3):
            bound = rsopt.lower_bound(votes, 0, functional=NOISE.margin_within(r), statistic="clopper-pearson")
            found = rsopt.largest_certified(votes, 0, radii=[r], functional_of=NOISE.margin_within)
            assert found.certified == (bound.lower > 0.0)


def test_what_has_no_meaning_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no radii to test"):
        rsopt.largest_certified([9, 1], 0, radii=[], functional_of=NOISE.margin_within)
    with pytest.raises(InvalidInputError, match="alpha"):
        rsopt.largest_certified([9, 1], 0, radii=[1], functional_of=NOISE.margin_within, alpha=0.7)
    with pytest.raises(InvalidInputError, match=r"against class 1 alone.*has 1 votes, while class 2 has 9. A radius"):
        rsopt.largest_certified(rsopt.Counts([90, 1, 9], 0, 1), radii=[1], functional_of=NOISE.margin_within)
    with pytest.raises(InvalidInputError, match="whole numbers from 0 on"):
        rsopt.largest_certified([9, 1], 0, radii=[0.5], functional_of=lambda d: NOISE.margin(0, d))
