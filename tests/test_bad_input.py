"""Input without a meaning is refused before any work, with a text that says what was found and what to do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import rsopt
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
    (["a", "b"], "Counts must be whole numbers; found"),
    ([9_000_000, 1_000_001], "add up to 10,000,001; at most 10,000,000 draws are supported"),
])
def test_counts(votes: Any, text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        rsopt.lower_bound(votes, top=0)
    assert text in str(caught.value)
    assert isinstance(caught.value, ValueError)


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
    assert rsopt.lower_bound(VOTES, top=0, alpha=0.45, statistic="clopper-pearson").certified


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
    with pytest.raises(InvalidInputError, match="is no functional"):
        rsopt.lower_bound(VOTES, top=0, functional=3)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="is no statistic"):
        rsopt.lower_bound(VOTES, top=0, statistic=3)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="is no solver"):
        rsopt.lower_bound(VOTES, top=0, solver=3)  # type: ignore[arg-type]


def test_a_networks_constant_says_nothing_about_votes() -> None:
    bound = rsopt.lower_bound(VOTES, top=0, functional="margin")
    with pytest.raises(InvalidInputError, match="hardmax, which is not Lipschitz"):
        bound.radius(lipschitz=1.0)
    with pytest.raises(InvalidInputError, match="Give sigma"):
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
