"""Many bounds at once are the single ones, whatever is shared and wherever they are proven."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

import rsopt
from rsopt.errors import InvalidInputError, UnknownNameError
from rsopt.step_down import holm

VOTES = np.array([[90, 6, 4], [60, 30, 10], [90, 4, 6], [5, 80, 15], [90, 6, 4], [0, 3, 97]])
TOPS = [0, 0, 0, 1, 0, 2]


def test_each_row_has_the_bound_that_it_has_alone() -> None:
    table = rsopt.lower_bounds(VOTES, TOPS, alpha=0.01)
    alone = [rsopt.lower_bound(row, top, alpha=0.01) for row, top in zip(VOTES, TOPS, strict=True)]
    assert table.lower.tolist() == [bound.lower for bound in alone]
    assert table.lower_at_most.tolist() == [bound.lower_at_most for bound in alone]
    assert table.certified.tolist() == [bound.certified for bound in alone]
    assert table.radius(0.25).tolist() == [bound.radius(0.25) for bound in alone]
    assert [bound.counts for bound in table.bounds] == [bound.counts for bound in alone]
    assert table.columns()["runner_up"] == [1, 1, 2, 2, 1, 1]
    # Equal votes are one proof; the file speaks of (x1, x2, n), so that it is theirs too.
    assert table.bounds[0].proof is table.bounds[2].proof is table.bounds[4].proof
    assert rsopt.check_certificate(table.bounds[2].certificate).lower == table.lower[2]


def test_a_row_against_one_rival_alone_has_no_radius() -> None:
    """Equal votes share a proof, but not what their rows speak of."""
    table = rsopt.lower_bounds([rsopt.Counts((84, 6, 10), 0, 2), rsopt.Counts((84, 10, 6), 0),
                                rsopt.Counts((84, 3, 3, 10), 0, 3), rsopt.Counts((84, 10, 6), 0, 2)])
    assert table.lower[0] == table.lower[1] == table.lower[2] < table.lower[3]
    assert table.certified.tolist() == [True, True, True, False]
    with pytest.raises(InvalidInputError, match=r"Row 3: This bound is against class 2 alone.*while class 1 has 10"):
        table.radius(0.25)


def test_two_processes_prove_what_one_does() -> None:
    votes = [rsopt.Counts([50 + 5 * k, 30, 10], 0) for k in range(5)]
    one, two = (rsopt.lower_bounds(votes, functional="margin", jobs=jobs) for jobs in (1, 2))
    assert one.lower.tolist() == two.lower.tolist()
    assert [bound.certificate for bound in one.bounds] == [bound.certificate for bound in two.bounds]


@pytest.mark.parametrize(("counts", "tops", "text"), [
    ([], [], "at least one; found 0 and 0"),
    ([[9, 1]], [0, 0], "found 1 and 2"),
    ([[9, 1], [3, -1]], [0, 0], "Row 1: Count 1 is -1"),
    ([[9, 1], [3, 1]], [0, 2], "Row 1: top"),
    ([[9, 1]], None, "Row 0: Say which class is certified"),
    (5, None, "counts must be a row of items"),
    (np.array([[9.5, 1.0]]), [0], "Row 0: Count 0 is 9.5")])
def test_rows_without_meaning_are_named(counts: object, tops: object, text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        rsopt.lower_bounds(counts, tops)


def test_names_are_refused_before_anything_is_proven() -> None:
    with pytest.raises(UnknownNameError):
        rsopt.lower_bounds(VOTES, TOPS, solver="nobody")
    with pytest.raises(InvalidInputError, match="jobs must be an integer of at least 1, got 0"):
        rsopt.lower_bounds(VOTES, TOPS, jobs=0)


def test_adjusted_p_values_are_never_below_the_exact_products() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 7, 50):
        p_values = rng.uniform(0.0, 1.5 / size, size=size)
        adjusted = holm(p_values)
        order = np.argsort(p_values)
        exact = Fraction(0)
        for rank, place in enumerate(order):
            exact = max(exact, Fraction(float(p_values[place])) * (size - rank))
            assert Fraction(float(adjusted[place])) >= min(exact, Fraction(1))
            assert float(adjusted[place]) <= min(float(exact) * (1.0 + 1e-15), 1.0)
    assert holm(np.array([0.3])).tolist() == [0.3]


class Frame:
    """A table as pandas and polars have it: named columns, which it iterates over, and an array of the rows."""

    def __init__(self, rows: list[list[int]]) -> None:
        self.rows = rows

    def __iter__(self) -> Iterator[str]:
        return iter("abc")

    def keys(self) -> list[str]:
        return list("abc")

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.rows)


def test_frames_are_read_by_rows() -> None:
    framed = rsopt.lower_bounds(Frame(VOTES.tolist()), TOPS)
    assert framed.lower.tolist() == rsopt.lower_bounds(VOTES, TOPS).lower.tolist()


def test_progress_tells_of_every_row_once() -> None:
    told: list[int] = []
    rsopt.lower_bounds(VOTES, TOPS, advanced=told.append)
    assert sum(told) == len(VOTES)
    # Rows 0, 2 and 4 are one proof.
    assert sorted(told) == [1, 1, 1, 3]
    with pytest.raises(InvalidInputError, match="advanced must be a function of a number of rows; found 5"):
        rsopt.lower_bounds(VOTES, TOPS, advanced=5)  # type: ignore[arg-type]
