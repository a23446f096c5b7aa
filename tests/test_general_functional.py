"""Functionals and statistics of the user's own: known by their values alone, bounded and proven all the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from enumeration import outcomes, probabilities, simplex_grid, width
from squares import Squares

import rsopt
from rsopt.counts import Counts
from rsopt.errors import InvalidInputError
from rsopt.functional import Functional
from rsopt.staircase import TailSet
from rsopt.statistics import tabulated_tail_set

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PlainMargin(rsopt.Functional):
    """q1 - q2, without the link that makes it easy."""

    name: ClassVar[str] = "plain margin"
    range: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def value(self, q1: Array, q2: Array) -> Array:
        return np.asarray(q1) - np.asarray(q2)

    def gradient(self, q1: Array, q2: Array) -> tuple[Array, Array]:
        return np.ones_like(q1), -np.ones_like(q2)


@dataclass(frozen=True)
class Lead(rsopt.Functional):
    """q1/(q1 + q2), the share of the pair's votes that go to the class; 0 where neither gets any."""

    name: ClassVar[str] = "lead"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def value(self, q1: Array, q2: Array) -> Array:
        q1, q2 = np.asarray(q1, float), np.asarray(q2, float)
        both = q1 + q2
        return np.where(both > 0.0, q1 / np.where(both > 0.0, both, 1.0), 0.0)


@dataclass(frozen=True)
class Votes:
    """The order by x1 - 2 x2: a statistic of the user's own."""

    name: ClassVar[str] = "votes"
    largest_alpha: ClassVar[float] = 0.5

    def tail_set(self, counts: Counts, functional: Functional, alpha: float) -> TailSet:
        return tabulated_tail_set(lambda x1, x2: x1 - 2.0 * x2, counts)

    def value(self, counts: Counts, functional: Functional, alpha: float) -> float:
        return counts.x1 - 2.0 * counts.x2


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize(("functional", "statistic"), [
    (PlainMargin(), "studentized"), (Squares(), "studentized"), (Squares(), "plugin"), (Squares(), "clopper-pearson"),
    (Lead(), "plugin"), (Lead(), "clopper-pearson"), (rsopt.ProbitMargin(), Votes()), (Squares(), Votes())], ids=repr)
def test_error_never_exceeds_alpha(functional: Functional, statistic: object, alpha: float) -> None:
    sharpest = 0.0
    for n in (1, 3, 6):
        x = outcomes(n)
        bounds = [rsopt.lower_bound(Counts((int(a), int(b), int(c)), 0, 1), functional=functional,
                                    statistic=statistic, alpha=alpha)  # type: ignore[arg-type]
                  for a, b, c in x]
        assert all(bound.proven for bound in bounds)
        lower = np.array([bound.lower for bound in bounds])
        p = np.concatenate([simplex_grid(), outcomes(60) / 60])
        truth = functional.value(p[:, 0], p[:, 1])
        error = np.sum(probabilities(p, x) * (lower[None, :] > truth[:, None]), axis=1)
        assert error.max() <= alpha, (n, p[error.argmax()])
        sharpest = max(sharpest, float(error.max()))
    assert sharpest > 0.3 * alpha


@pytest.mark.parametrize("statistic", ["studentized", "plugin", "clopper-pearson"])
@pytest.mark.parametrize("votes", [(40, 7, 3), (5, 3, 4), (3, 20, 2), (9, 0, 0), (0, 0, 4), (300, 40, 60)])
def test_agrees_with_the_link_where_there_is_one(votes: tuple[int, int, int], statistic: str) -> None:
    """The same functional known by its values only: both brackets hold the same exact bound."""
    easy, plain = (rsopt.lower_bound(Counts(votes, 0, 1), functional=g, statistic=statistic, alpha=0.01)
                   for g in (rsopt.Margin(), PlainMargin()))
    assert plain.lower <= easy.lower_at_most
    assert easy.lower <= plain.lower_at_most
    assert easy.lower_at_most - plain.lower <= 0.03 * width(easy, easy.lower)
    assert plain.proof is None
    with pytest.raises(InvalidInputError, match="has no certificate: a file can name only the functionals and statis"):
        _ = plain.certificate


def test_two_classes() -> None:
    """On the edge q3 = 0, where q1 = 1 - q2, the exact bound is g at the one-sided Clopper–Pearson limit."""
    low = float(rsopt.statistics.clopper_pearson_lower(17, 20, 0.01))
    for functional in (PlainMargin(), Squares(), Lead()):
        bound = rsopt.lower_bound([17, 3], top=0, functional=functional, statistic="clopper-pearson", alpha=0.01)
        exact = float(functional.value(np.array(low), np.array(1.0 - low)))
        assert bound.lower <= exact + 1e-12
        assert exact <= bound.lower_at_most
        assert exact - bound.lower <= 0.03 * width(bound, exact)


def test_what_needs_more_than_values_says_so() -> None:
    with pytest.raises(InvalidInputError, match="needs the gradient of 'lead', which has none"):
        rsopt.lower_bound([9, 2, 1], top=0, functional=Lead())
    bound = rsopt.lower_bound([9, 2, 1], top=0, functional=Lead(), statistic="plugin")
    with pytest.raises(InvalidInputError, match="'lead' has no certified radius in rsopt"):
        bound.radius(sigma=0.25)


def test_a_functional_that_is_nan_is_refused() -> None:
    @dataclass(frozen=True)
    class Broken(PlainMargin):
        def value(self, q1: Array, q2: Array) -> Array:
            return np.where(np.asarray(q1) > 0.4, math.nan, np.asarray(q1) - np.asarray(q2))

    with pytest.raises(InvalidInputError, match=r"'plain margin' is NaN at q1 = 0\.405, q2 = 0\. Every point"):
        rsopt.lower_bound([4, 2, 5], top=0, functional=Broken())


def test_a_statistic_that_is_nan_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def raw(x1: Array, x2: Array) -> Array:
        return np.where(x1 > 3, math.nan, x1)

    with pytest.raises(InvalidInputError, match="The statistic is NaN at x1 = 4, x2 = 0"):
        tabulated_tail_set(raw, Counts((4, 2, 5), 0))
    monkeypatch.setattr(rsopt.statistics, "LARGEST_TABLE", 5)
    with pytest.raises(InvalidInputError, match=r"The statistic is NaN at x1 = .* \(n = 11\)"):
        tabulated_tail_set(raw, Counts((4, 2, 5), 0))
