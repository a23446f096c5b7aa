"""Tail sets: each observation inside its own, nested and monotone over all outcomes, equal to the tabulated hull."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import special

import rsopt
from rsopt.errors import InvalidInputError
from rsopt.functionals import CompiledFunctional as LinkFunctional
from rsopt.kernels.monotone import doubtful_level
from rsopt.kernels.statistics import raw_statistic
from rsopt.staircase import TailSet
from rsopt.statistics import STATISTICS, tabulated_tail_set

FUNCTIONALS = [rsopt.Margin(), rsopt.ProbitMargin(), rsopt.TaylorProbitMargin(order=3),
               rsopt.TaylorProbitMargin(order=101)]


def pair(n: int, x1: int, x2: int) -> rsopt.Counts:
    """The outcome (x1, x2, n - x1 - x2) with cell 2 as the rival."""
    return rsopt.Counts((x1, x2, n - x1 - x2), 0, 1)


def rows(tail_set: TailSet) -> np.ndarray:
    """All stairs, n + 1 where a row is empty."""
    full = np.full(tail_set.n + 1, tail_set.n + 1)
    full[: tail_set.top_row + 1] = tail_set.rows()
    return full


@pytest.mark.parametrize("functional", FUNCTIONALS, ids=repr)
@pytest.mark.parametrize("statistic", list(STATISTICS))
@pytest.mark.parametrize(("n", "alpha"), [(1, 0.05), (2, 1e-5), (7, 0.3), (20, 1e-3), (40, 1e-5)])
def test_tail_sets_are_monotone_and_hold_their_observation(functional: LinkFunctional, statistic: str, n: int,
                                                           alpha: float) -> None:
    chosen = STATISTICS[statistic]()
    stairs = {(x1, x2): rows(chosen.tail_set(pair(n, x1, x2), functional, alpha))
              for x1 in range(n + 1) for x2 in range(n + 1 - x1)}
    for (x1, x2), own in stairs.items():
        assert own[x2] <= x1, "the observation lies in its own tail set"
        assert np.all(np.diff(own) >= 0), "rows with more votes for the rival need at least as many for the class"
        if (x1 + 1, x2) in stairs:
            assert np.all(stairs[x1 + 1, x2] >= own), "one more vote for the class is no less evidence"
        if x2 > 0:
            assert np.all(stairs[x1, x2 - 1] >= own), "one vote less for the rival is no less evidence"


@pytest.mark.parametrize("functional", FUNCTIONALS, ids=repr)
@pytest.mark.parametrize(("n", "alpha"), [(1, 0.05), (9, 1e-5), (33, 0.4), (60, 1e-3), (60, 1e-5)])
def test_rows_found_on_demand_equal_the_tabulated_hull(functional: LinkFunctional, n: int, alpha: float) -> None:
    z = float(special.ndtri(1.0 - alpha))
    raw = np.vectorize(lambda a, b: raw_statistic(n, 1, functional.compiled, z, int(a), int(b)))
    for x1 in range(0, n + 1, max(n // 9, 1)):
        for x2 in range(0, n + 1 - x1, max(n // 7, 1)):
            found = rsopt.Studentized().tail_set(pair(n, x1, x2), functional, alpha)
            assert np.array_equal(rows(found), rows(tabulated_tail_set(raw, pair(n, x1, x2))))


@pytest.mark.parametrize("functional", FUNCTIONALS, ids=repr)
@pytest.mark.parametrize(("n", "alpha"), [(5, 0.4), (40, 0.05), (120, 1e-3), (120, 1e-5)])
def test_the_doubtful_level_bounds_every_place_where_the_statistic_is_not_monotone(functional: LinkFunctional, n: int,
                                                                                  alpha: float) -> None:
    z = float(special.ndtri(1.0 - alpha))
    table = np.full((n + 1, n + 1), np.nan)
    for x1 in range(n + 1):
        for x2 in range(n + 1 - x1):
            table[x1, x2] = raw_statistic(n, 1, functional.compiled, z, x1, x2)
    with np.errstate(invalid="ignore"):
        falls = table[1:] < table[:-1]
        rises = table[:, 1:] > table[:, :-1]
    worst = max(table[:-1][falls].max(initial=-math.inf), table[:, 1:][rises].max(initial=-math.inf))
    assert worst <= doubtful_level(n, functional.compiled, z)


def test_the_corner_is_doubtful_and_large_samples_there_are_no_evidence() -> None:
    z = float(special.ndtri(1.0 - 1e-5))
    assert doubtful_level(1000, rsopt.Margin().compiled, z) > -1.0
    bound = rsopt.lower_bound(rsopt.Counts((2, 9990, 8), 0, 1), functional="margin", alpha=1e-5)
    assert bound.lower == -1.0
    assert bound.lower_at_most == -1.0


def test_a_statistic_that_is_nan_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="The statistic is NaN at x1 = 0, x2 = 0"):
        tabulated_tail_set(lambda x1, x2: np.where(x1 + x2 == 0, np.nan, x1 - x2), pair(9, 4, 2))


def test_a_statistic_of_ones_own_has_no_largest_sample() -> None:
    found = tabulated_tail_set(lambda x1, x2: x1 - x2, pair(3001, 2000, 1000))
    assert found.rows().tolist() == [1000 + x2 for x2 in range(1001)]


@pytest.mark.parametrize("stairs", [[2, 1, 3], [-1, 0], [0]])
def test_stairs_that_are_none(stairs: list[int]) -> None:
    with pytest.raises(InvalidInputError, match="must be nondecreasing, non-negative and n \\+ 1 long"):
        TailSet.from_stairs(stairs)


@pytest.mark.parametrize("functional", ["margin", "probit"])
def test_brackets_agree_with_monotonicity(functional: str) -> None:
    n, alpha = 20, 0.01
    bounds = {(x1, x2): rsopt.lower_bound(pair(n, x1, x2), functional=functional, alpha=alpha)
              for x1 in range(n + 1) for x2 in range(n + 1 - x1)}
    for x2 in range(n + 1):
        for less, more in pairwise(bounds[x1, x2] for x1 in range(n + 1 - x2)):
            assert less.lower <= more.lower_at_most
    for x1 in range(n + 1):
        for more, less in pairwise(bounds[x1, x2] for x2 in range(n + 1 - x1)):
            assert less.lower <= more.lower_at_most
