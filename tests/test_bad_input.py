"""Input without a meaning is refused before any work, with a text that says what was found and what to do."""

from __future__ import annotations

import json
import math
import re
from array import array
from collections import Counter, deque
from typing import Any

import numpy as np
import pytest
import torch
from rsopt.solvers.scipy_ import SciPy

import rsopt
from rsopt.counts import counts_in
from rsopt.errors import InvalidInputError, RsoptError, UnknownNameError

VOTES = [90, 6, 4]


@pytest.mark.parametrize(("votes", "text"), [
    ([math.nan, 6, 4], "Count 0 is nan. A model that returns NaN must be fixed first."),
    ([90, math.inf, 4], "Count 1 is inf"),
    ([90, -6, 4], "Count 1 is -6; counts cannot be negative."),
    ([90, 6.5, 4], "Count 1 is 6.5; counts must be whole numbers, not shares."),
    ([0, 0, 0], "All counts are 0: there is nothing to bound."),
    ([], "at least two classes; found shape (0,)"),
    ([100], "at least two classes; found shape (1,)"),
    (np.ones((2, 3), dtype=int), "at least two classes; found shape (2, 3)"),
    (["a", "b"], "Count 0 is 'a'; counts must be whole numbers, one a class."),
    (["90", "6"], "Count 0 is '90'; counts must be whole numbers, one a class."),
    ([90, True, False], "Count 1 is True; counts must be whole numbers, one a class."),
    (np.array([True, False]), "Count 0 is True; counts must be whole numbers, one a class."),
    (torch.tensor([True, False]), "Count 0 is True; counts must be whole numbers, one a class."),
    (np.ma.array([90, 6, 4], mask=[0, 1, 0]), "Count 1 is None; counts must be whole numbers, one a class."),
    ([[90, 6, 4]], "Count 0 is [90, 6, 4]; counts must be whole numbers, one a class."),
    ([[90], 6, 4], "Count 0 is [90]; counts must be whole numbers, one a class."),
    ([1e400, 6, 4], "Count 0 is inf; at most 10,000,000 draws are supported."),
    ([2**64, 6, 4], "Count 0 is 18446744073709551616; at most 10,000,000 draws are supported."),
    ([6, 10**5000], "Count 1 is a value of type int; at most 10,000,000 draws are supported."),
    (Counter(a=90, b=6), "found a Counter, Counter({'a': 90, 'b': 6}), which has no such order or leaves classes out. "
                         "Give [votes[c] for c in range(classes)]."),
    ({0: 90, 1: 6}, "must be a sequence in the order of the classes; found a dict, {0: 90, 1: 6}, which"),
    ({0: 90, 1: 6}.values(), "in the order of the classes; found a dict_values, dict_values([90, 6]), which has no"),
    (frozenset({90}), "must be a sequence in the order of the classes; found a frozenset, frozenset({90}), which"),
    (b"abc", "Counts must be a sequence of whole numbers, one a class; found b'abc'."),
    (memoryview(b"abc"), "Counts must be a sequence of whole numbers, one a class; found <memory at"),
    ("963", "Counts must be a sequence of whole numbers, one a class; found '963'."),
    (iter([90, 6]), "Counts must be a sequence of whole numbers, one a class; found <list_iterator"),
    (np.array(90), "Counts must be one row with at least two classes; found shape ()."),
    ([9_000_000, 1_000_001], "add up to 10,000,001; at most 10,000,000 draws are supported"),
])
def test_counts(votes: Any, text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        rsopt.lower_bound(votes, top=0)
    assert text in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("votes", [
    (90, 6, 4), deque([90, 6, 4]), array("i", [90, 6, 4]), np.array([90, 6, 4], dtype=np.uint8),
    np.array([90.0, 6.0, 4.0], dtype=np.float32), torch.tensor([90, 6, 4]), [np.int64(90), np.float64(6), 4]])
def test_rows_that_are_counts(votes: Any) -> None:
    assert rsopt.Counts(votes, np.int64(0), np.uint8(1)) == rsopt.Counts((90, 6, 4), 0, 1)
    assert all(type(count) is int for count in rsopt.Counts(votes, 0).votes)


def test_counts_of_a_table_of_pandas_have_no_order() -> None:
    class Series:
        """What pandas gives for labels.value_counts(): the votes sorted, the classes beside them."""

        def keys(self) -> list[int]:
            return [2, 0]

        def tolist(self) -> list[int]:
            return [90, 6]

    with pytest.raises(InvalidInputError, match="in the order of the classes; found a Series"):
        rsopt.Counts(Series(), 0)


@pytest.mark.parametrize("text", ["900 60 40", "[900, 60, 40]", "900,60,40", " (900 , 60,40) ", "[900  60\n 40]",
                                  "900. 60.0 40.00"])
def test_counts_in_a_line_of_text(text: str) -> None:
    assert counts_in(text) == [900, 60, 40]


@pytest.mark.parametrize(("text", "told"), [
    ("", "There are no counts. Give one whole number a class"), ("[]", "There are no counts."),
    ("9e2 60 40", "'9e2' is no count. Counts are whole numbers, one a class, for example: 9000"),
    ("inf 3", "'inf' is no count."), ("1e400 3", "'1e400' is no count."), ("1_0 3", "'1_0' is no count."),
    ("-5 3", "'-5' is no count."), ("٣ 3", "'٣' is no count."), ("900,60,", "'' is no count."),
    ("[900, 60", "'[900' is no count."), ("[[9, 6]]", "'[9' is no count."), ("0.9 0.1", "'0.9' is no count."),
    ("9,000 600", "'9,000' is no count."),
    ("9,000", "The commas in '9,000' may group digits or part counts. Write 9000, not 9,000.")])
def test_lines_of_text_without_counts(text: str, told: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        counts_in(text)
    assert told in str(caught.value)


def test_a_number_is_no_row_of_counts() -> None:
    with pytest.raises(InvalidInputError, match="must be a sequence of whole numbers"):
        rsopt.Counts(5, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("top", "text"), [
    (None, "Say which class is certified: top="), (3, "top=3 is no class: there are 3, numbered 0 to 2."),
    (-1, "top=-1 is no class"), (True, "top must be the index of a class, an int; found True."),
    (0.0, "top must be the index of a class, an int; found 0.0.")])
def test_top(top: Any, text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        rsopt.lower_bound(VOTES, top=top)
    assert text in str(caught.value)


def test_top_must_not_contradict_the_counts() -> None:
    with pytest.raises(InvalidInputError, match="top=1 contradicts the counts, whose certified class is 0"):
        rsopt.lower_bound(rsopt.Counts((90, 6, 4), 0), top=1)


def test_a_rival_is_another_class() -> None:
    with pytest.raises(InvalidInputError, match="rival and top are the same class, 0"):
        rsopt.Counts((90, 6, 4), 0, 0)
    with pytest.raises(InvalidInputError, match="rival=3 is no class"):
        rsopt.Counts((90, 6, 4), 0, 3)


@pytest.mark.parametrize("bound", [rsopt.lower_bound, rsopt.baselines.cohen, rsopt.baselines.bonferroni,
                                   rsopt.baselines.two_way_clopper_pearson])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, -0.1, math.nan, math.inf])
def test_alpha_outside_its_range(bound: Any, alpha: float) -> None:
    with pytest.raises(InvalidInputError, match="alpha must lie strictly between 0 and 1/2"):
        bound(VOTES, top=0, alpha=alpha)


def test_alpha_of_the_wrong_kind_or_size() -> None:
    with pytest.raises(InvalidInputError, match="alpha must be a number between 0 and 1/2; found 'x'"):
        rsopt.lower_bound(VOTES, top=0, alpha="x")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="alpha = 1e-16 is below 1e-15, where double precision"):
        rsopt.lower_bound(VOTES, top=0, alpha=1e-16)
    with pytest.raises(InvalidInputError, match=r"alpha = 0.45 is above 0.4, the largest this statistic supports"):
        rsopt.lower_bound(VOTES, top=0, alpha=0.45)
    assert rsopt.lower_bound(VOTES, top=0, alpha=0.45, statistic="clopper-pearson").proven


@pytest.mark.parametrize(("options", "near"), [
    ({"functional": "probot"}, "Did you mean 'probit'?"), ({"statistic": "studentised"}, "Did you mean 'studentized'?"),
    ({"solver": "gp-kit"}, "Did you mean 'gpkit'?")])
def test_unknown_names_come_with_the_nearest(options: dict[str, str], near: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        rsopt.lower_bound(VOTES, top=0, **options)  # type: ignore[arg-type]
    assert near in str(caught.value)
    assert "Known:" in str(caught.value)
    assert isinstance(caught.value, LookupError)


def test_order_belongs_to_the_taylor_polynomial() -> None:
    with pytest.raises(InvalidInputError, match="order=3 has no meaning for the functional 'probit'"):
        rsopt.lower_bound(VOTES, top=0, functional="probit", order=3)
    for order in (2, 0, -1, 1003, 3.0, True):
        with pytest.raises(InvalidInputError, match="order must be an odd number from 1 to 1001"):
            rsopt.lower_bound(VOTES, top=0, functional="taylor-probit", order=order)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="Give the order to the functional itself"):
        rsopt.lower_bound(VOTES, top=0, functional=rsopt.TaylorProbitMargin(), order=3)


def test_things_that_are_no_functional_statistic_or_solver() -> None:
    for thing in (3, int, None, ["probit"], object()):
        for kind in ("functional", "statistic", "solver"):
            with pytest.raises(InvalidInputError, match=f"{re.escape(repr(thing))} is no {kind}"):
                rsopt.lower_bound(VOTES, top=0, **{kind: thing})  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"budget must be a rsopt\.Budget\(seconds=…, evaluations=…\); found 1"):
        rsopt.lower_bound(VOTES, top=0, budget=1)  # type: ignore[arg-type]


def test_classes_stand_for_what_they_make() -> None:
    named = rsopt.lower_bound(VOTES, top=0)
    for options in ({"functional": rsopt.ProbitMargin}, {"statistic": rsopt.Studentized}, {"solver": SciPy}):
        assert rsopt.lower_bound(VOTES, top=0, **options).lower == named.lower  # type: ignore[arg-type]
    problem = rsopt.LowerBoundProblem(rsopt.Counts(VOTES, 0), "probit", rsopt.Studentized, 1e-3)
    assert problem.solve(SciPy).lower == named.lower
    question = rsopt.Question(0.25, rsopt.ProbitMargin, statistic=rsopt.Studentized, solver=SciPy)
    assert question == rsopt.Question(0.25, solver=SciPy())
    with pytest.raises(InvalidInputError, match=r"^Functional cannot be made without arguments: Can't instantiate abs"):
        rsopt.lower_bound(VOTES, top=0, functional=rsopt.Functional)  # type: ignore[type-abstract]


def test_problems_of_something_else() -> None:
    counts = rsopt.Counts(VOTES, 0)
    with pytest.raises(InvalidInputError, match=r"A problem needs counts that say which class .* found \[90, 6, 4\]\."):
        rsopt.LowerBoundProblem(VOTES, "probit", "studentized", 1e-3)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="'x' is no domain: it needs name, third_cell"):
        rsopt.LowerBoundProblem(counts, "probit", "studentized", 1e-3, "x")  # type: ignore[arg-type]
    problem = rsopt.LowerBoundProblem(counts, "probit", "studentized", 1e-3)
    with pytest.raises(InvalidInputError, match="A level must be a number; found 'x'"):
        problem.worst_case("x")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="seed must be a whole number from 0 on; found 'x'"):
        problem.solve(seed="x")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"least_q1 must lie in \[0, 1\); found 'x'"):
        rsopt.Simplex("x")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="A budget needs positive limits; found seconds='x'"):
        rsopt.Budget("x")  # type: ignore[arg-type]


NUMBERS = [np.float32(0.25), np.float64(0.25), 0.25]


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_of_numpy_are_numbers(number: Any) -> None:
    bound = rsopt.lower_bound(np.array(VOTES), top=np.int64(0), alpha=number, functional="taylor-probit",
                              order=np.int64(3))
    same = rsopt.lower_bound(VOTES, top=0, alpha=0.25, functional="taylor-probit", order=3)
    assert (bound.lower, type(bound.alpha), bound.alpha) == (same.lower, float, 0.25)
    assert bound.radius(number) == same.radius(0.25)
    assert json.loads(bound.certificate.to_json()) == json.loads(same.certificate.to_json())
    assert rsopt.Question(number).sigma == 0.25
    assert rsopt.Question(0.5).level(number) == rsopt.Question(0.5).level(0.25)
    assert rsopt.Precision(number, rsopt.Question(0.5), rsopt.Looks(1000)).facts()["share"] == 0.25
    assert rsopt.DirichletMixture(number, np.array(VOTES)) == rsopt.DirichletMixture(0.25, (90, 6, 4))
    assert rsopt.Budget(number).seconds == 0.25
    assert rsopt.Simplex(number) == rsopt.Simplex(0.25)


@pytest.mark.parametrize("value", [None, "0.25", True, 0.25j, [0.25], np.array([0.25])])
def test_what_is_no_number(value: Any) -> None:
    found = re.escape(repr(value))
    bound = rsopt.lower_bound(VOTES, top=0)
    with pytest.raises(InvalidInputError, match=f"alpha must be a number between 0 and 1/2; found {found}"):
        rsopt.lower_bound(VOTES, top=0, alpha=value)
    with pytest.raises(InvalidInputError, match=f"sigma must be a positive number, .* found {found}"):
        rsopt.Question(value)
    if value is not None:
        with pytest.raises(InvalidInputError, match=f"sigma must be a positive number, .* found {found}"):
            bound.radius(value)
    with pytest.raises(InvalidInputError, match=f"A target radius must be a number from 0 on; found {found}"):
        rsopt.Question(0.25).level(value)
    with pytest.raises(InvalidInputError, match=f"chance must lie above 0 and be at most 0.99; found {found}"):
        rsopt.plan(VOTES, 0.1, 0.25, top=0, chance=value)
    with pytest.raises(InvalidInputError, match=f"The weight of a cell must be a number .* found {found}"):
        rsopt.DirichletMixture(value)
    with pytest.raises(InvalidInputError, match=f"growth must lie between 1.05 and 100.* found {found}"):
        rsopt.Looks(100, growth=value)


@pytest.mark.parametrize("call", [
    lambda huge: rsopt.lower_bound(VOTES, top=0, alpha=huge), lambda huge: rsopt.lower_bound(VOTES, top=huge),
    lambda huge: rsopt.lower_bound(VOTES, top=0, functional="taylor-probit", order=huge), rsopt.Question, rsopt.Looks,
    rsopt.Question(0.25).level])
def test_numbers_beyond_the_floats_are_refused_in_a_short_line(call: Any) -> None:
    for huge in (10**400, 10**5000):
        with pytest.raises(InvalidInputError) as caught:
            call(huge)
        assert len(str(caught.value)) < 400


def test_a_networks_constant_says_nothing_about_votes() -> None:
    bound = rsopt.lower_bound(VOTES, top=0, functional="margin")
    with pytest.raises(InvalidInputError, match="hardmax, which is not Lipschitz"):
        bound.radius(lipschitz=1.0)
    with pytest.raises(InvalidInputError, match="or sigma, its standard deviation"):
        bound.radius()
    for sigma in (0.0, -1.0, math.nan, math.inf, "x"):
        with pytest.raises(InvalidInputError, match="sigma must be a positive number"):
            bound.radius(sigma)  # type: ignore[arg-type]


def test_an_abstention_has_radius_zero_and_no_lower_bound_in_json() -> None:
    bound = rsopt.lower_bound([30, 60, 10], top=0, statistic="plugin")
    assert bound.radius(0.25) == 0.0
    assert bound.abstain
    nothing = rsopt.lower_bound([0, 100, 0], top=0)
    assert nothing.lower == -math.inf
    assert nothing.to_dict()["lower"] is None
    assert nothing.to_dict()["abstain"] is True


def test_every_error_is_an_rsopt_error() -> None:
    for error in (InvalidInputError, UnknownNameError):
        assert issubclass(error, RsoptError)
