"""The law of Smirnov's statistic against exact recursions that know nothing of its formula, and its offset."""

from __future__ import annotations

import math
from fractions import Fraction
from math import comb

import mpmath
import pytest

from rsopt.data_set import smirnov
from rsopt.data_set.smirnov import smirnov_offset, smirnov_tail


def exact_tail(n: int, offset: Fraction) -> Fraction:
    """P(F_n(t) - t > offset for some t): uniform values are counted from one boundary to the next (Noé's recursion)."""
    bounds = [max(Fraction(j, n) - offset, Fraction(0)) for j in range(1, n + 1)]
    # chance[m]: m values lie below the boundary so far, and never were j or more below that of the j-th.
    chance, below = {0: Fraction(1)}, Fraction(0)
    for j, bound in enumerate(bounds, start=1):
        share = (bound - below) / (1 - below)
        after: dict[int, Fraction] = {}
        for m, mass in chance.items():
            for more in range(n - m + 1):
                if m + more < j:
                    here = mass * comb(n - m, more) * share**more * (1 - share)**(n - m - more)
                    after[m + more] = after.get(m + more, Fraction(0)) + here
        chance, below = after, bound
    return 1 - sum(chance.values())


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13])
def test_the_tail_is_never_below_the_exact_one(n: int) -> None:
    for offset in (0.03125, 0.1, 0.25, 0.3, 1 / 3, 0.5, 0.71, 0.9, 0.999):
        exact = exact_tail(n, Fraction(offset))
        assert exact <= Fraction(smirnov_tail(n, offset)) <= exact * (1 + Fraction(2, 10**9))


@pytest.mark.parametrize(("n", "offset"), [(100, 0.12), (1000, 0.0385), (5000, 0.02), (5000, 0.002)])
def test_the_tail_for_many_values(n: int, offset: float) -> None:
    with mpmath.workdps(40):
        e = mpmath.mpf(offset)
        exact = e * mpmath.fsum(mpmath.binomial(n, j) * (e + mpmath.mpf(j) / n)**(j - 1)
                                * (1 - e - mpmath.mpf(j) / n)**(n - j) for j in range(math.floor(n * (1 - e)) + 1))
        assert exact <= smirnov_tail(n, offset) <= exact * (1 + mpmath.mpf("2e-9"))


@pytest.mark.parametrize("n", [1, 2, 4, 9, 12])
@pytest.mark.parametrize("error", [0.5, 0.05, 0.025, 1e-3, 1e-9])
def test_the_offset_is_the_least_one_and_rounded_up(n: int, error: float) -> None:
    offset = Fraction(smirnov_offset(n, error))
    assert exact_tail(n, offset) <= Fraction(error)
    assert exact_tail(n, offset - Fraction(1, 10**8)) > Fraction(error)


def test_the_offset_is_below_that_of_dvoretzky_kiefer_and_wolfowitz() -> None:
    for n in (1, 2, 10, 100, 10_000):
        known = math.sqrt(math.log(20.0) / (2 * n))
        assert known - 0.3 / n < smirnov_offset(n, 0.05) < known


def test_many_values_are_summed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = smirnov_tail(700, 0.03)
    monkeypatch.setattr(smirnov, "_PIECE", 64)
    assert smirnov_tail(700, 0.03) == pytest.approx(whole, rel=1e-13)
