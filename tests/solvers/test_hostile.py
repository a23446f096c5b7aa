"""Solvers that lie, crash or hang: every bound is still proven, merely slower or looser, and says what happened."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from hostile import FAILING, HANGING, WRONG, Hostile, far_end, lie, swallow

import rsopt
from rsopt.errors import SolverFailedError
from rsopt.solver import Budget, Claim, Proposal, Stop
from rsopt.solving.forms import BlackBox
from rsopt.testing.zoo import ZooProblem, core

Array = npt.NDArray[np.float64]


PROBLEMS = [
    rsopt.LowerBoundProblem(rsopt.Counts((45, 3, 2), 0), rsopt.ProbitMargin(), rsopt.Studentized(), 1e-3),
    rsopt.LowerBoundProblem(rsopt.Counts((900, 60, 40), 0), rsopt.Margin(), rsopt.Studentized(), 0.05),
    rsopt.LowerBoundProblem(rsopt.Counts((15, 25, 10), 0), rsopt.TaylorProbitMargin(order=3), rsopt.ClopperPearson(),
                            0.01),
]


def checked(problem: rsopt.LowerBoundProblem, bound: rsopt.Bound, looser: float) -> None:
    """The bound is proven, re-checked, never above the witness, and not looser than said."""
    honest = problem.solve("scipy")
    assert bound.proven
    assert rsopt.check_certificate(bound.certificate.to_dict()).lower == bound.lower
    assert bound.lower <= honest.lower_at_most
    width = abs(honest.lower_at_most - float(problem.functional.value(
        *(np.array(x / problem.counts.n) for x in (problem.counts.x1, problem.counts.x2)))))
    assert bound.lower >= honest.lower - looser * width


@pytest.mark.parametrize("hostile", WRONG, ids=repr)
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: f"n={p.counts.n}")
def test_bounds_survive_wrong_answers(hostile: Hostile, problem: rsopt.LowerBoundProblem) -> None:
    # A refuted level yields a witness and with it the right basin, so even these bounds are within 5% of the width.
    checked(problem, problem.solve(hostile), looser=0.05)


@pytest.mark.parametrize("hostile", FAILING, ids=repr)
def test_bounds_survive_failures_and_report_them(hostile: Hostile) -> None:
    problem = PROBLEMS[0]
    with pytest.raises(SolverFailedError, match=r"The solver failed: .*Hostile"):
        problem.solve(hostile)
    bound = problem.solve(hostile, throw=False)
    checked(problem, bound, looser=0.05)
    assert "The solver failed at level" in bound.message


@pytest.mark.parametrize("hostile", HANGING, ids=repr)
def test_bounds_survive_hanging(hostile: Hostile) -> None:
    problem = PROBLEMS[0]
    bound = problem.solve(hostile, Budget(seconds=0.2), throw=False)
    checked(problem, bound, looser=0.05)
    assert "did not come back in 0.2 s and had evaluated nothing" in bound.message


@pytest.fixture(scope="module")
def case() -> ZooProblem:
    return core()[1]


def test_a_hanging_solver_keeps_what_it_evaluated(case: ZooProblem) -> None:
    case.worst_case.solve("scipy")  # so that nothing is left to compile in the second that follows
    found = case.worst_case.solve(Hostile(swallow, "swallows exceptions"), Budget(seconds=1.0))
    assert found.stop is Stop.TIME
    assert found.claim is Claim.FEASIBLE
    assert 0.0 < found.tail_attained <= case.bracket.at_most
    assert threading.active_count() < 20


def test_nothing_that_is_claimed_is_believed(case: ZooProblem) -> None:
    found = case.worst_case.solve(Hostile(far_end, "lies"))
    assert found.claim is Claim.LOCAL
    assert found.tail_proven == 1.0
    assert "claimed GLOBAL without a proof that rsopt could repeat" in found.message
    assert found.tail_attained < 0.99 * case.bracket.at_least
    assert found.tail_attained == pytest.approx(float(case.worst_case.tail_set.probability(found.point)), rel=1e-12)
    assert found.proposed_log_tail == 0.0  # reported as said, used nowhere


def test_a_true_upper_bound_is_believed_after_it_is_proved(case: ZooProblem) -> None:
    best = case.bracket

    def act(form: BlackBox) -> Proposal:
        return Proposal(best.point, claim=Claim.GLOBAL, tail_at_most=best.at_least * 1.0005)

    found = case.worst_case.solve(Hostile(act, "honest for once"))
    assert found.claim is Claim.GLOBAL
    assert found.tail_proven == best.at_least * 1.0005


def test_a_local_solver_cannot_claim_global(case: ZooProblem) -> None:
    @dataclass(frozen=True)
    class Local(Hostile):
        proves: ClassVar[Claim] = Claim.LOCAL

    def act(form: BlackBox) -> Proposal:
        return Proposal(case.bracket.point, claim=Claim.GLOBAL, tail_at_most=case.bracket.at_least * 1.0005)

    found = case.worst_case.solve(Local(act, "boasts"))
    assert found.claim is Claim.LOCAL
    assert "claimed GLOBAL; this solver can prove LOCAL at most" in found.message


def test_the_violation_is_that_of_the_proposal(case: ZooProblem) -> None:
    found = case.worst_case.solve(Hostile(lie((0.9, 0.9, -0.8)), "infeasible"))
    assert found.violation >= 0.8
    assert bool(case.worst_case.domain.contains(found.point))
    exact = case.worst_case.solve(Hostile(lambda form: Proposal(form.point([0.5])), "feasible"))
    assert exact.violation < 1e-12


def test_failures_without_throwing_are_results(case: ZooProblem) -> None:
    found = case.worst_case.solve(FAILING[0], throw=False)
    assert found.stop is Stop.FAILED
    assert found.claim is Claim.NOTHING
    assert "ZeroDivisionError: inside the hostile solver" in found.message
    assert bool(case.worst_case.domain.contains(found.point))


def test_the_cause_is_kept(case: ZooProblem) -> None:
    with pytest.raises(SolverFailedError) as raised:
        case.worst_case.solve(FAILING[0])
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
