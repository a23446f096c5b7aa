"""Problems as declarative objects: what they print, their defaults, what solving them returns, polishing."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import rsopt
from rsopt.domain import Edge
from rsopt.errors import InvalidInputError
from rsopt.solver import Budget, Claim, Stop
from rsopt.testing import core, zoo


def problem(**changes: Any) -> rsopt.LowerBoundProblem:
    parts: dict[str, Any] = {"counts": rsopt.Counts((9, 2, 1), 0), "functional": rsopt.ProbitMargin(),
                             "statistic": rsopt.Studentized(), "alpha": 0.05}
    return rsopt.LowerBoundProblem(**(parts | changes))


def test_printed() -> None:
    assert str(problem()) == """\
Lower confidence bound (equation 8) for class 0 against its runner-up 1
  find        LCB = sup { L : Pi(L) <= 0.05 }
  with        Pi(L) = sup { P_q(X in W) : ndtri(q1) - ndtri(q2) <= L, q in the simplex }
  functional  ProbitMargin()
  statistic   studentized: W = { x : T(x) >= T(x_obs) } has 13 outcomes
  observed    x1 = 9, x2 = 2, other = 1, n = 12, 3 classes"""
    assert str(problem().worst_case(0.25)) == """\
Worst case (equation 10) at level L = 0.25
  maximise    P_q(X in W),  X ~ Multinomial(n = 12, q)
              a posynomial of degree 12 with 13 monomials
  over        q1, q2 >= 0, q3 >= 0
  subject to  ndtri(q1) - ndtri(q2) <= 0.25
              q1 + q2 + q3 = 1
  compare     the supremum with alpha = 0.05"""
    restricted = problem(functional=rsopt.TaylorProbitMargin(order=3), domain=rsopt.Simplex(least_q1=0.5))
    text = str(restricted.worst_case(0.25))
    assert "equation 11" in text
    assert "q1 >= 0.5" in text
    assert "f_M(q1) - f_M(q2) <= 0.25" in text
    assert "equation 9" in str(problem(functional=rsopt.Margin()).worst_case(0.25))


def test_the_printed_number_of_monomials_is_that_of_the_outcomes() -> None:
    p = problem()
    inside = sum(p.tail_set.contains(a, b) for a in range(13) for b in range(13 - a))
    assert inside == p.tail_set.size() == 13


def test_defaults() -> None:
    assert problem().domain == rsopt.Simplex()
    two = problem(counts=rsopt.Counts((9, 3), 0))
    assert two.domain == Edge()
    assert two.worst_case(0.1).curve.one_point
    p = problem()
    assert p.tail_set is p.tail_set
    for alpha in (0.0, 0.5, float("nan"), -1.0):
        with pytest.raises(InvalidInputError, match="alpha must"):
            problem(alpha=alpha)
    with pytest.raises(InvalidInputError, match=r"above 0\.4"):
        problem(alpha=0.45)


def test_budgets_must_be_positive() -> None:
    for wrong in ({"seconds": 0.0}, {"evaluations": 0}, {"seconds": float("nan")}):
        with pytest.raises(InvalidInputError, match="A budget needs positive limits"):
            Budget(**wrong)


def test_starts_are_checked() -> None:
    worst = core()[3].worst_case
    for wrong in ([0.5, 0.5], [np.nan, 0.5, 0.5], [0.0, 0.0, 0.0], "start"):
        with pytest.raises(InvalidInputError, match="start must"):
            worst.solve(start=wrong)  # type: ignore[arg-type]
    # A start need not be feasible: it is moved to the level curve.
    assert worst.solve(start=np.array([0.9, 0.9, 0.9])).claim is Claim.LOCAL


def test_results_are_consistent() -> None:
    case = core()[3]
    found = case.worst_case.solve()
    assert found.form == "BlackBox"
    assert found.solver.startswith("SciPy(")
    assert found.proposal is not None
    assert found.stop is Stop.CONVERGED
    assert found.claim is Claim.LOCAL
    assert found.tail_attained <= case.bracket.at_most <= found.tail_proven == 1.0
    assert found.violation < 1e-12
    few = case.worst_case.solve(budget=Budget(evaluations=10))
    assert few.stop is Stop.EVALUATIONS
    assert few.claim is Claim.FEASIBLE
    assert few.evaluations == 10


def test_polishing_never_loses() -> None:
    rng = np.random.default_rng(4)
    for case in zoo(most_n=1000):
        curve = case.worst_case.curve
        q = curve.points([float(rng.uniform(0.0, curve.extent))])[0]
        before = float(np.exp(case.worst_case.tail_set.log_probability(q)))
        point, after = case.worst_case.polish(q)
        assert after >= before * (1.0 - 1e-11)
        assert after == pytest.approx(float(np.exp(case.worst_case.tail_set.log_probability(point))), rel=1e-9)
        assert after <= case.bracket.at_most
        nearly = case.worst_case.polish(case.bracket.point)[1]
        assert nearly >= case.bracket.at_least * (1.0 - 1e-11)


def test_the_supremum_rises_with_the_level() -> None:
    """Pi is nondecreasing: the reason why a bisection over levels is a bound."""
    p = problem(counts=rsopt.Counts((40, 8, 2), 0))
    tails = [p.worst_case(level).solve("branch-and-bound") for level in np.linspace(-1.0, 3.0, 17)]
    for lower, higher in itertools.pairwise(tails):
        assert lower.tail_attained <= higher.tail_proven


def test_solving_delegates_to_the_outer_search() -> None:
    bound = problem(counts=rsopt.Counts((40, 8, 2), 0)).solve("ipopt")
    same = rsopt.lower_bound([40, 8, 2], top=0, alpha=0.05)
    assert bound.proven
    assert bound.lower == pytest.approx(same.lower, abs=1e-3)


@pytest.mark.parametrize("swap", ["classes", "rest"])
def test_metamorphic(swap: str) -> None:
    """Permuting the classes, or splitting the rest into more of them, changes nothing."""
    base = problem(counts=rsopt.Counts((40, 8, 2), 0)).worst_case(0.5).solve()
    counts = rsopt.Counts((2, 8, 40), 2) if swap == "classes" else rsopt.Counts((40, 8, 1, 1, 0, 0), 0)
    other = problem(counts=counts).worst_case(0.5).solve()
    assert other.tail_attained == base.tail_attained
    assert np.array_equal(other.point, base.point)
