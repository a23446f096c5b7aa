"""p-values: proven from above, attained from below, valid by enumeration; and Holm's step-down on them."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

import rsopt
from rsopt.errors import InvalidInputError
from rsopt.step_down import holm

FUNCTIONALS = ("margin", "probit", "laplace", "logit")


def problem(votes: tuple[int, ...], functional: str = "margin", statistic: str = "studentized",
            alpha: float = 0.05) -> rsopt.LowerBoundProblem:
    return rsopt.LowerBoundProblem(rsopt.Counts(votes, 0), functional, statistic, alpha)


def on_curve(functional: str, level: float, rest: float) -> tuple[float, float]:
    """(q1, q2) with q3 = rest and g = level, just below it."""
    g, low, high = problem((1, 1, 1), functional).functional, 0.0, 1.0 - rest
    for _ in range(60):
        q = 0.5 * (low + high)
        low, high = (q, high) if float(g.value(np.array(q), np.array(1.0 - rest - q))) <= level else (low, q)
    return low, 1.0 - rest - low


@pytest.mark.parametrize("functional", FUNCTIONALS)
@pytest.mark.parametrize("votes", [(90, 6, 4), (60, 30, 10), (40, 60, 0), (100, 0, 0), (0, 50, 50), (970, 20, 10)])
def test_the_two_sides_meet_and_agree_with_the_bound(functional: str, votes: tuple[int, ...]) -> None:
    asked = problem(votes, functional, alpha=0.001)
    bound = asked.solve()
    for level in (-0.5, 0.0, 0.3, 1.5) if functional != "margin" else (-0.5, 0.0, 0.3, 0.9):
        found = asked.p_value(level)
        assert found.at_least <= found.at_most <= max(found.at_least * (1.0 + 4e-3), 1.1e-300) or found.at_most == 1.0
        # The bound is the largest level at which the p-value is at most alpha.
        if level <= bound.lower:
            assert found.at_least <= 0.001
        elif level > bound.lower_at_most:
            assert found.at_most >= 0.001
    if bound.lower > asked.functional.range[0]:
        assert asked.p_value(bound.lower).at_most <= 0.001
    curve = asked.curve(np.linspace(-0.9, 0.9, 13))
    assert all(one.at_least <= two.at_most * (1.0 + 1e-9) for one, two in itertools.pairwise(curve))


@pytest.mark.parametrize("functional", ["margin", "laplace"])
@pytest.mark.parametrize("statistic", ["studentized", "clopper-pearson"])
def test_p_values_are_valid(functional: str, statistic: str) -> None:
    """P(p-value <= t) <= t at truths on the edge of the hypothesis, over all votes of n = 9, zero tolerance."""
    n, level = 9, 0.2
    found = {(x, y): problem((x, y, n - x - y), functional, statistic).p_value(level).at_most
             for x in range(n + 1) for y in range(n + 1 - x)}
    for rest in (0.0, 0.2, 0.6):
        q1, q2 = on_curve(functional, level, rest)
        q = [Fraction(q1), Fraction(q2)]
        q.append(1 - sum(q))
        for t in sorted(set(found.values())):
            mass = sum((math.comb(n, x) * math.comb(n - x, y) * q[0]**x * q[1]**y * q[2]**(n - x - y)
                        for (x, y), p in found.items() if p <= t), Fraction(0))
            assert mass <= Fraction(t)


def test_levels_without_meaning() -> None:
    asked = problem((90, 6, 4))
    assert asked.p_value(1.0).at_most == 1.0
    for level in (math.nan, "0", None):
        with pytest.raises(InvalidInputError, match="A level must be a number"):
            asked.p_value(level)  # type: ignore[arg-type]


def test_holm_on_known_values() -> None:
    """By hand: 4 · .01, max(3 · .02, .04), max(2 · .03, .06), .04."""
    assert holm(np.array([0.03, 0.01, 0.02, 0.04])) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm(np.array([0.9, 0.6])).tolist() == [1.0, 1.0]


def test_one_error_for_all_positions_however_they_depend() -> None:
    """Two pixels of two classes from the same draws: all joint votes of n = 8, laws with true and false claims."""
    n, alpha = 8, 0.1
    single = {x: rsopt.simultaneous([(x, n - x)], [0], alpha=alpha, functional="margin").p_values[0]
              for x in range(n + 1)}
    outcomes = [k for k in itertools.product(range(n + 1), repeat=4) if sum(k) == n]
    worst = 0.0
    for law in [(0.5, 0.0, 0.0, 0.5), (0.25, 0.25, 0.25, 0.25), (0.0, 0.5, 0.5, 0.0), (0.5, 0.45, 0.0, 0.05),
                (0.4, 0.1, 0.1, 0.4), (0.5, 0.5, 0.0, 0.0), (0.45, 0.05, 0.5, 0.0)]:
        # Cells: both 0, first 0 second 1, first 1 second 0, both 1.
        true = (law[0] + law[1] > 0.5 + 1e-12, law[0] + law[2] > 0.5 + 1e-12)
        wrong = 0.0
        for cells in outcomes:
            adjusted = holm(np.array([single[cells[0] + cells[1]], single[cells[0] + cells[2]]]))
            if any(value <= alpha and not holds for value, holds in zip(adjusted, true, strict=True)):
                wrong += math.factorial(n) * math.prod(
                    q**k / math.factorial(k) for q, k in zip(law, cells, strict=True))
        worst = max(worst, wrong)
        assert wrong <= alpha * (1.0 + 1e-12)
    assert worst > 0.01


def test_simultaneous_certifies_rows_and_names_what_is_wrong() -> None:
    votes = np.array([[95, 3, 2], [60, 30, 10], [95, 3, 2], [20, 70, 10]])
    found = rsopt.simultaneous(votes, [0, 0, 0, 0], alpha=0.01)
    assert found.certified.tolist() == [True, True, True, False]
    assert found.p_values[0] == found.p_values[2]
    assert (found.adjusted >= found.p_values).all()
    assert found.alpha == 0.01
    level = rsopt.Question(0.25).level(0.2)
    assert rsopt.simultaneous(votes, [0] * 4, level, alpha=0.01).certified.tolist() == [True, False, True, False]
    with pytest.raises(InvalidInputError, match=r"Row 1: This bound is against class 2 alone.*while class 1 has 3"):
        rsopt.simultaneous([rsopt.Counts([95, 3, 2], 0, 1), rsopt.Counts([95, 3, 2], 0, 2)], None)
    with pytest.raises(InvalidInputError, match="Row 1: Count 0 is -1"):
        rsopt.simultaneous([[9, 1], [-1, 3]], [0, 0])
    with pytest.raises(InvalidInputError, match="found 1 and 2"):
        rsopt.simultaneous([[9, 1]], [0, 0])
    with pytest.raises(InvalidInputError, match="at least one; found 0 and 0"):
        rsopt.simultaneous([], [])
