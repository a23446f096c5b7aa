"""Solvers that lie, crash or hang: every bound is still proven, merely slower or looser, and says what happened."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

import rsopt
from rsopt.comparing.zoo import ZooProblem, core
from rsopt.errors import SolverFailedError
from rsopt.forms import BlackBox
from rsopt.solver import Budget, Claim, Proposal, Stop

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Hostile:
    """Does to the form whatever `act` does."""

    act: Callable[[BlackBox], Any]
    name: str
    accepts: ClassVar[tuple[type[BlackBox]]] = (BlackBox,)
    proves: ClassVar[Claim] = Claim.GLOBAL

    def __repr__(self) -> str:
        return f"Hostile({self.name})"

    def refuses(self, form: Any, domain: Any) -> str | None:
        return None

    def propose(self, form: Any, domain: Any, budget: Any, *, stop_at: Any, start: Any, rng: Any) -> Any:
        return self.act(form)


def _raise(form: BlackBox) -> Proposal:
    raise ZeroDivisionError("inside the hostile solver")


def _spin(form: BlackBox) -> Proposal:
    while True:
        pass


def _swallow(form: BlackBox) -> Proposal:
    while True:
        try:
            form.log_tails(np.array([[0.9]]))
        except Exception:  # the point of this solver
            continue


def _sleep(form: BlackBox) -> Proposal:
    threading.Event().wait()
    raise AssertionError


def _lie(q: tuple[float, ...], **words: Any) -> Callable[[BlackBox], Proposal]:
    return lambda form: Proposal(np.array(q), **words)


def _far_end(form: BlackBox) -> Proposal:
    """A feasible point with a tail far below the supremum, said to be globally optimal."""
    return Proposal(form.point([0.97]), claim=Claim.GLOBAL, log_tail=0.0, tail_at_most=1e-9)


WRONG = [
    Hostile(_lie((0.9, 0.9, -0.8)), "infeasible point"),
    Hostile(_lie((5.0, 1.0, 1.0)), "not normalised"),
    Hostile(_lie((1.0, 0.0, 0.0)), "violates the level"),
    Hostile(_lie((0.3, 0.3, 0.4), log_tail=math.nan, claim=Claim.GLOBAL), "value NaN"),
    Hostile(_lie((0.3, 0.3, 0.4), log_tail=50.0, claim=Claim.GLOBAL), "value above 1"),
    Hostile(_far_end, "too small tail"),
]
FAILING = [
    Hostile(_raise, "raises"),
    Hostile(_lie((math.nan, 0.1, 0.9)), "NaN"),
    Hostile(_lie((math.inf, 0.1, 0.9)), "infinite"),
    Hostile(_lie((0.5, 0.5)), "wrong shape"),
    Hostile(_lie((0.0, 0.0, 0.0)), "zero"),
    Hostile(lambda form: None, "returns None"),
    Hostile(lambda form: "optimal", "returns a string"),
]
HANGING = [Hostile(_spin, "spins"), Hostile(_sleep, "sleeps in compiled code")]

PROBLEMS = [
    rsopt.LowerBoundProblem(rsopt.Counts((45, 3, 2), 0), rsopt.ProbitMargin(), rsopt.Studentized(), 1e-3),
    rsopt.LowerBoundProblem(rsopt.Counts((900, 60, 40), 0), rsopt.Margin(), rsopt.Studentized(), 0.05),
    rsopt.LowerBoundProblem(rsopt.Counts((15, 25, 10), 0), rsopt.TaylorProbitMargin(order=3), rsopt.ClopperPearson(),
                            0.01),
]


def checked(problem: rsopt.LowerBoundProblem, bound: rsopt.Bound, looser: float) -> None:
    """The bound is proven, re-checked, never above the witness, and not looser than said."""
    honest = problem.solve("scipy")
    assert bound.certified
    assert bound.certificate is not None
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
    problem, began = PROBLEMS[0], time.perf_counter()
    bound = problem.solve(hostile, Budget(seconds=0.2), throw=False)
    assert time.perf_counter() - began < 30.0
    checked(problem, bound, looser=0.05)
    assert "did not come back in 0.2 s and had evaluated nothing" in bound.message


@pytest.fixture(scope="module")
def case() -> ZooProblem:
    return core()[1]


def test_a_hanging_solver_keeps_what_it_evaluated(case: ZooProblem) -> None:
    found = case.worst_case.solve(Hostile(_swallow, "swallows exceptions"), Budget(seconds=0.2))
    assert found.stop is Stop.TIME
    assert found.claim is Claim.FEASIBLE
    assert 0.0 < found.tail_attained <= case.bracket.at_most
    assert threading.active_count() < 20


def test_nothing_that_is_claimed_is_believed(case: ZooProblem) -> None:
    found = case.worst_case.solve(Hostile(_far_end, "lies"))
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
    found = case.worst_case.solve(Hostile(_lie((0.9, 0.9, -0.8)), "infeasible"))
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
