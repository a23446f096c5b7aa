"""Adaptive sampling: the coverage of the whole rule by enumerating every path of votes, and when it stops."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from enumeration import functional_value, outcomes, probabilities, simplex_grid

import rsopt
from rsopt.checks.certificate import check_certificate
from rsopt.counts import Counts
from rsopt.errors import InvalidInputError, RsoptError, UnknownNameError
from rsopt.question import Question
from rsopt.sequential.adaptive import Precision, TargetRadii, TargetState, adaptive_bound
from rsopt.sequential.levels import upper_limit
from rsopt.sequential.looks import Looks
from rsopt.sequential.policy import LookResult, PlannedLook

Array = npt.NDArray[np.float64]
SIGMA = 0.5


@cache
def looked(counts: Counts, functional: str, alpha: float) -> LookResult:
    """A look as a run takes it: the exact bound at its level."""
    bound = rsopt.lower_bound(counts, functional=functional, alpha=alpha)
    return LookResult(counts.n, alpha, bound.lower, bound.lower_at_most, bound.radius(sigma=SIGMA), counts)


@dataclass(frozen=True)
class Careless:
    """Looks that each spend the whole alpha, as nobody may."""

    plan: tuple[PlannedLook, ...]

    def next_look(self, taken: Sequence[LookResult]) -> PlannedLook | None:
        return None if len(taken) == len(self.plan) or any(look.lower > 0.0 for look in taken) else (
            self.plan[len(taken)])


Policy = TargetRadii | Precision | Careless


def paths(sizes: Sequence[int], cells: int) -> list[tuple[tuple[int, ...], ...]]:
    """Every sequence of votes between the looks."""
    steps = [outcomes(n, cells) for n in np.diff([0, *sizes])]
    return list(itertools.product(*([tuple(row) for row in step.tolist()] for step in steps)))


def chances(p: Array, sizes: Sequence[int]) -> Array:
    """The probability of every path, p of shape (b, cells) -> (b, number of paths)."""
    total = np.ones((len(p), 1))
    for n in np.diff([0, *sizes]):
        step = probabilities(p, outcomes(int(n), p.shape[1]))
        total = (total[:, :, None] * step[:, None, :]).reshape(len(p), -1)
    return total


def followed(policy: Policy, path: Sequence[tuple[int, ...]], functional: str) -> list[LookResult]:
    """The looks that the policy takes on a path."""
    taken: list[LookResult] = []
    votes = np.zeros(len(path[0]), dtype=np.int64)
    for step in path:
        planned = policy.next_look(taken)
        if planned is None:
            break
        votes = votes + np.array(step)
        assert planned.n == votes.sum()
        taken.append(looked(Counts(tuple(votes.tolist()), 0), functional, planned.alpha))
    else:
        assert policy.next_look(taken) is None
    return taken


def truth(functional: str, p: Array) -> Array:
    """The margin against the strongest rival."""
    return functional_value(functional, p[:, 0], p[:, 1:].max(axis=1))


def points(functional: str, cells: int, levels: Sequence[float]) -> Array:
    """A grid with its boundary, and points just below each of the levels, where a reported bound is just wrong."""
    g = rsopt.Margin() if functional == "margin" else rsopt.ProbitMargin()
    found = []
    for level in sorted(set(levels)):
        if math.isfinite(level):
            below = level - 1e-9 * (1.0 + abs(level))
            for q2 in (1e-9, 1e-4, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5):
                q1 = float(g.curve(below, np.array(q2)))
                if 0.0 <= q1 <= 1.0 - q2:
                    found.append([q1, q2, 1.0 - q1 - q2])
    three = np.concatenate([simplex_grid(), np.array(found).reshape(-1, 3)])
    if cells == 2:
        two = np.column_stack([three[:, 0], 1.0 - three[:, 0]])
        ends = [level_end(g, level) for level in set(levels) if math.isfinite(level)]
        return np.concatenate([two, np.array(ends).reshape(-1, 2)])
    if cells == 3:
        return three
    halves = np.concatenate([three[:, :2], np.repeat(0.5 * three[:, 2:], 2, axis=1)], axis=1)
    equal = np.array([[a, *[(1.0 - a) / 3.0] * 3] for a in np.linspace(0.0, 1.0, 41)])
    return np.concatenate([halves, equal])


def level_end(g: rsopt.Margin | rsopt.ProbitMargin, level: float) -> list[float]:
    """Just below a level with two classes: q1 - (1 - q1) or 2 ndtri(q1)."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if float(g.value(np.array(middle), np.array(1.0 - middle))) < level else (
            low, middle)
    return [low * (1.0 - 1e-9), 1.0 - low * (1.0 - 1e-9)]


def asked(functional: str) -> Question:
    return Question(SIGMA, functional)


EARLY = Looks(12, 0.3, first=4, growth=2.0, chunk=4)
LATE = Looks(14, 0.1, first=2, growth=2.7, spending="open-ended")
TWICE = Looks(8, 0.3, first=4, growth=2.0, spending="linear")
RULES = [
    (TargetRadii((0.0,), asked("probit"), EARLY, 0.4), 3),
    (TargetRadii((0.0, 0.1, 0.3), asked("probit"), EARLY, 0.4), 3),
    (TargetRadii((0.0, 0.1), asked("margin"), EARLY, 0.4), 3),
    (TargetRadii((0.05, 0.3), asked("probit"), LATE, 0.2), 3),
    (Precision(0.8, asked("probit"), EARLY, 0.4), 3), (Precision(0.8, asked("margin"), LATE, 0.4), 3),
    (TargetRadii((0.0, 0.2), asked("probit"), EARLY, 0.4), 2), (TargetRadii((0.0, 0.1), asked("margin"), LATE, 0.4), 2),
    (TargetRadii((0.0, 0.1), asked("probit"), TWICE, 0.49), 4)]


@pytest.mark.parametrize(("policy", "cells"), RULES)
def test_no_rule_errs_more_often_than_it_says(policy: TargetRadii | Precision, cells: int) -> None:
    functional, sizes = policy.question.functional.name, policy.looks.sizes
    every = [followed(policy, path, functional) for path in paths(sizes, cells)]
    lower = np.array([max(look.lower for look in taken) for taken in every])
    p = points(functional, cells, lower.tolist())
    chance, true = chances(p, sizes), truth(functional, p)
    assert np.allclose(chance.sum(axis=1), 1.0, rtol=0.0, atol=1e-12)
    # 4,000 products and sums of positive terms: rounding below 1e-11.
    wrong = np.sum(chance * (lower[None, :] > true[:, None]), axis=1)
    assert wrong.max() <= policy.alpha + 1e-11
    assert wrong.max() >= 0.45 * policy.alpha
    if isinstance(policy, TargetRadii):
        states = [policy.states(taken) for taken in every]
        for radius, level in zip(policy.radii, policy.levels, strict=True):
            given_up = np.array([found[radius] is TargetState.OUT_OF_REACH for found in states])
            eager = (chance * given_up[None, :]).sum(axis=1)[true >= level]
            assert eager.max(initial=0.0) <= policy.give_up + 1e-11
        # All targets that the true margin allows, together.
        allowed = true[:, None] >= np.array(policy.levels)[None, :]
        gone = np.array([[found[radius] is TargetState.OUT_OF_REACH for radius in policy.radii] for found in states])
        together = np.array([chance[i] @ np.any(gone & allowed[i], axis=1) for i in range(len(p))])
        assert together.max() <= policy.give_up + 1e-11
        assert len({len(taken) for taken in every}) > 1


def test_looks_that_each_spend_all_of_alpha_are_found_out() -> None:
    plan = tuple(PlannedLook(n, 0.3) for n in (4, 8, 12))
    every = [followed(Careless(plan), path, "probit") for path in paths((4, 8, 12), 3)]
    lower = np.array([max(look.lower for look in taken) for taken in every])
    p = points("probit", 3, lower.tolist())
    wrong = np.sum(chances(p, (4, 8, 12)) * (lower[None, :] > truth("probit", p)[:, None]), axis=1)
    assert wrong.max() > 0.3 + 0.02


@pytest.mark.parametrize("alpha", [0.4, 0.1, 0.01])
@pytest.mark.parametrize(("n", "cells"), [(1, 3), (5, 3), (14, 3), (14, 2), (9, 4), (7, 5)])
@pytest.mark.parametrize("functional", ["margin", "probit"])
def test_upper_limits_cover_the_least_margin(functional: str, n: int, cells: int, alpha: float) -> None:
    g = asked(functional).functional
    x = outcomes(n, cells)
    limit = np.array([upper_limit(Counts(tuple(row), 0), g, alpha) for row in x.tolist()])
    p = points(functional, min(cells, 4), [])
    if cells == 5:
        p = np.concatenate([p[:, :3], np.repeat(0.5 * p[:, 3:], 2, axis=1)], axis=1)
    short = np.sum(probabilities(p, x) * (limit[None, :] < truth(functional, p)[:, None]), axis=1)
    assert short.max() <= alpha + 1e-12
    if functional == "probit":
        unlimited = (x[:, 0] == n) | (x[:, 1:].max(axis=1) == 0)
        assert np.all(np.isposinf(limit[unlimited]))


def result(counts: Sequence[int], lower: float, alpha: float = 0.001) -> LookResult:
    """A look that showed these votes and this bound."""
    return LookResult(sum(counts), alpha, lower, lower, 0.5 * SIGMA * max(lower, 0.0), Counts(tuple(counts), 0))


def test_targets_are_decided_one_by_one() -> None:
    policy = TargetRadii((0.5, 0.1, 0.5), Question(SIGMA), Looks(1000, 0.001, first=100, growth=3.0))
    assert policy.radii == (0.1, 0.5)
    assert [look.n for look in policy.plan] == [100, 216, 465, 1000][: len(policy.plan)]
    assert policy.next_look([]) == policy.plan[0]
    first = result([80, 10, 10], policy.levels[0])
    assert policy.states([first]) == {0.1: TargetState.REACHED, 0.5: TargetState.OPEN}
    assert policy.next_look([first]) == policy.plan[1]
    second = result([120, 60, 36], -0.2)
    assert policy.states([first, second]) == {0.1: TargetState.REACHED, 0.5: TargetState.OUT_OF_REACH}
    assert policy.next_look([first, second]) is None
    assert policy.next_look([result([80, 10, 10], math.nextafter(policy.levels[1], 9.0))]) is None
    assert policy.states([result([20, 70, 10], -1.0)]) == dict.fromkeys((0.1, 0.5), TargetState.OUT_OF_REACH)


def test_sampling_ends_at_the_last_look_whatever_is_open() -> None:
    policy = TargetRadii((0.1,), Question(SIGMA), Looks(1000, 0.001, first=100, growth=3.0))
    taken = [result([3 * look.n // 5, look.n - 3 * look.n // 5, 0], -0.1) for look in policy.plan]
    for count in range(len(taken)):
        assert policy.next_look(taken[:count]) == policy.plan[count]
    assert policy.states(taken) == {0.1: TargetState.OPEN}
    assert policy.next_look(taken) is None


def test_a_target_is_not_given_up_where_its_rival_has_no_votes() -> None:
    policy = TargetRadii((1.0,), Question(SIGMA), Looks(1000, 0.001, first=100))
    assert policy.states([result([100, 0, 0], 0.2)]) == {1.0: TargetState.OPEN}
    assert policy.states([result([60, 0, 0, *[1] * 40], 0.2)])[1.0] is not TargetState.REACHED


def test_looks_before_a_radius_can_be_reached_spend_next_to_nothing() -> None:
    policy = TargetRadii((0.6, 0.9), Question(SIGMA), Looks(10_000, 0.001))
    early = [look for look in policy.plan if look.n < policy.earliest(0.6)]
    assert early
    assert all(look.alpha < 1.01e-4 * 0.001 for look in early)
    assert policy.earliest(0.6) < policy.earliest(0.9)
    for radius, level in zip(policy.radii, policy.levels, strict=True):
        at = next(look for look in policy.plan if look.n == policy.earliest(radius))
        assert looked(Counts((at.n, 0, 0), 0), "probit", at.alpha).lower >= level
        before = policy.plan[policy.plan.index(at) - 1]
        assert looked(Counts((before.n, 0, 0), 0), "probit", before.alpha).lower < level
    assert sum(look.alpha for look in policy.plan) <= 0.001


def test_precision_stops_at_the_width_asked_for() -> None:
    policy = Precision(0.1, Question(SIGMA), Looks(100_000, 0.001, first=1000, growth=10.0))
    votes = [900, 60, 40]
    upper = policy.upper([result(votes, 0.0)])
    wide, narrow = result(votes, upper / 1.1 - 1e-9), result(votes, upper / 1.1 + 1e-9)
    assert policy.next_look([wide]) == policy.plan[1]
    assert policy.next_look([narrow]) is None
    assert policy.next_look([result([200, 700, 100], -1.0)]) is None
    assert policy.next_look([result([1000, 0, 0], 5.0)]) == policy.plan[1]


@pytest.mark.parametrize("policy", [TargetRadii((0.3,), Question(SIGMA), Looks(5000, 0.001)),
                                    Precision(0.2, Question(SIGMA), Looks(5000, 0.001))])
def test_the_best_bound_over_the_looks_is_returned(policy: TargetRadii | Precision) -> None:
    rng = np.random.default_rng(5)
    found = adaptive_bound(lambda n: rng.multinomial(n, [0.9, 0.06, 0.04]), policy, 0)
    assert 1 < len(found.looks) < len(policy.plan)
    assert found.lower == max(look.lower for look in found.looks) == found.bound.lower
    at = next(look for look in found.looks if look.lower == found.lower)
    assert check_certificate(json.loads(found.bound.certificate.to_json())).lower == found.lower
    assert (found.bound.counts, found.bound.alpha) == (at.counts, at.alpha)
    assert (found.n, found.alpha) == (found.looks[-1].n, 0.001)
    if isinstance(policy, TargetRadii):
        assert found.bound.radius(sigma=SIGMA) >= 0.3
        assert all(look.radius < 0.3 for look in found.looks[:-1])


def test_votes_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="20 samples were asked for and 19 votes came back"):
        adaptive_bound(lambda n: [n - 1, 0], TargetRadii((0.3,), Question(SIGMA), Looks(5000, 0.001)), 0)


def test_votes_without_an_order_or_of_other_classes_are_refused() -> None:
    policy = TargetRadii((0.3,), Question(SIGMA), Looks(5000, 0.001))
    with pytest.raises(InvalidInputError, match="in the order of the classes; found a Counter"):
        adaptive_bound(lambda n: Counter({0: n}), policy, 0)
    with pytest.raises(InvalidInputError, match="Votes of 3 classes were drawn after votes of 2"):
        adaptive_bound(lambda n: [n - 1, 1] if n == 20 else [n - 1, 1, 0], policy, 0)


@pytest.mark.parametrize(("build", "kind", "text"), [
    (lambda: TargetRadii((), Question(SIGMA), EARLY), InvalidInputError, "Give at least one target radius."),
    (lambda: TargetRadii(0.3, Question(SIGMA), EARLY), InvalidInputError, "a row of target radii; found 0.3."),
    (lambda: TargetRadii((-0.1,), Question(SIGMA), EARLY), InvalidInputError, "must be a number from 0 on; found -0.1"),
    (lambda: TargetRadii((math.nan,), Question(SIGMA), EARLY), InvalidInputError, "found nan"),
    (lambda: TargetRadii((True,), Question(SIGMA), EARLY), InvalidInputError, "found True"),
    (lambda: TargetRadii((0.7,), Question(SIGMA, "margin"), Looks(1000)), InvalidInputError,
     "No votes certify radius 0.7 at sigma 0.5 with 'margin': its largest radius is 0.62"),
    (lambda: TargetRadii((0.5, 1.5), Question(SIGMA), Looks(1000)), InvalidInputError,
     "Radius 1.5 at sigma 0.5 needs at least 6,890 samples at alpha 0.001, even if all vote for the class"),
    (lambda: TargetRadii((0.5,), Question(SIGMA), EARLY, 0.6), InvalidInputError, "alpha must lie strictly between"),
    (lambda: TargetRadii((0.5,), Question(0.0), EARLY), InvalidInputError, "sigma must be a positive number"),
    (lambda: TargetRadii((0.5,), Question(SIGMA, "probat"), EARLY), UnknownNameError, "Did you mean 'probit'?"),
    (lambda: TargetRadii((0.1,), Question(SIGMA), Looks(1000, 1e-12)), InvalidInputError,
     "alpha = 1e-12 is too small to be shared out over looks"),
    (lambda: Precision(0.0, Question(SIGMA), EARLY), InvalidInputError, "must be a positive share of the bound"),
    (lambda: Precision(math.inf, Question(SIGMA), EARLY), InvalidInputError, "found inf"),
    (lambda: Precision(0.1, Question(SIGMA), Looks(9)), InvalidInputError,
     "Nothing can be certified with fewer than 10 samples at alpha 0.001; at most 9 are allowed")])
def test_questions_without_meaning_are_refused(build, kind: type[RsoptError], text: str) -> None:
    with pytest.raises(kind) as refused:
        build()
    assert text in str(refused.value)
