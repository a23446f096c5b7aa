"""A functional of one's own cannot be got half right: what is proven is what its Python says, or it is refused."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from enumeration import outcomes, probabilities, simplex_grid

import rsopt
from rsopt.counts import Counts
from rsopt.errors import InvalidInputError
from rsopt.obligations import POINTS
from rsopt.staircase import TailSet
from rsopt.statistics import tabulated_tail_set

Array = npt.NDArray[np.float64]


class Logit(rsopt.LinkFunctional):
    """log(q/(1 - q)), given in Python."""

    name = "own logit"

    def link(self, q: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(q) - np.log1p(-np.asarray(q)))

    def link_slope(self, q: Array) -> Array:
        with np.errstate(divide="ignore"):
            return 1.0 / (q * (1.0 - q))

    def link_curvature(self, q: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return (2.0 * q - 1.0) / (q * (1.0 - q)) ** 2

    def radius(self, lower: float, scale: float) -> float:
        return max(0.5 * scale * lower, 0.0)


class Difference(rsopt.Functional):
    """q1 - q2 by its values and gradient."""

    name = "difference"
    range = (-1.0, 1.0)

    def value(self, q1: Array, q2: Array) -> Array:
        return np.asarray(q1) - np.asarray(q2)

    def gradient(self, q1: Array, q2: Array) -> tuple[Array, Array]:
        return np.ones_like(q1), -np.ones_like(q2)


@pytest.mark.parametrize("statistic", ["studentized", "clopper-pearson"])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_a_link_given_in_python_never_errs_with_more_than_alpha(statistic: str, alpha: float) -> None:
    g, n = Logit(), 7
    x = outcomes(n)
    bounds = [rsopt.lower_bound(Counts(tuple(row.tolist()), 0, 1), functional=g, statistic=statistic, alpha=alpha)
              for row in x]
    lower = np.array([bound.lower for bound in bounds])
    p = np.concatenate([simplex_grid(), outcomes(60) / 60])
    truth = g.value(p[:, 0], p[:, 1])
    error = np.sum(probabilities(p, x) * (lower[None, :] > truth[:, None]), axis=1)
    assert error.max() <= alpha
    assert error.max() > 0.2 * alpha


def test_the_bound_is_below_the_plug_in_and_knows_its_radius() -> None:
    bound = rsopt.lower_bound([9000, 600, 400], top=0, functional=Logit, alpha=1e-3)
    plug_in = float(Logit().value(np.array(0.9), np.array(0.06)))
    assert 4.6 < bound.lower < bound.lower_at_most < plug_in
    assert bound.lower_at_most - bound.lower < 0.01 * (plug_in - bound.lower)
    assert bound.radius(sigma=2.0) == bound.lower
    assert bound.message.endswith("On trust: that 'own logit' rises in q1 and falls in q2 everywhere, which was "
                                  f"checked at {POINTS:,} points.")
    assert rsopt.lower_bound([9000, 600, 400], top=0).message == ""


@pytest.mark.parametrize("statistic", ["studentized", "plugin", "clopper-pearson"])
@pytest.mark.parametrize("votes", [(9000, 600, 400), (2900, 2400, 200), (100_000, 0, 0), (30_000, 29_000, 1000)])
def test_own_functionals_at_any_n_agree_with_the_same_one_compiled(votes: tuple[int, ...], statistic: str) -> None:
    own, ours = (rsopt.lower_bound(Counts(votes, 0), functional=g, statistic=statistic, alpha=0.01)
                 for g in (Difference(), rsopt.Margin()))
    assert own.lower <= ours.lower_at_most
    assert ours.lower <= own.lower_at_most
    assert ours.lower - own.lower <= 0.01 * (votes[0] - votes[1]) / sum(votes) * (1.0 + ours.lower)


def test_what_bisection_makes_of_any_statistic_is_nested_and_holds_the_observation(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """Of raw statistics that rise and fall at random about a slope: every outcome's set."""
    monkeypatch.setattr(rsopt.statistics, "LARGEST_TABLE", 0)
    n = 11
    chance = np.random.default_rng(5)
    for _ in range(20):
        trend = np.subtract.outer(np.arange(n + 1), np.arange(n + 1))
        table = (trend + chance.normal(0.0, 2.0, trend.shape)).round(1)

        def raw(x1: Array, x2: Array, table: Array = table) -> Array:
            return table[x1.astype(int), x2.astype(int)]

        sets = []
        for x1, x2, x3 in outcomes(n).tolist():
            found = tabulated_tail_set(raw, Counts((x1, x2, x3), 0, 1))
            assert found.contains(x1, x2)
            sets.append({(a, b) for a, b, _ in outcomes(n).tolist() if found.contains(a, b)})
        sets.sort(key=len)
        assert all(small <= large for small, large in itertools.pairwise(sets))
        assert len({len(one) for one in sets}) > 8


def test_bisection_makes_the_exact_set_of_a_monotone_statistic(monkeypatch: pytest.MonkeyPatch) -> None:
    def raw(x1: Array, x2: Array) -> Array:
        return x1 - 1.7 * x2 + np.sqrt(x1)

    for votes in ((9, 2, 4), (0, 15, 0), (15, 0, 0), (3, 3, 9), (0, 0, 15)):
        counts = Counts(votes, 0, 1)
        whole = tabulated_tail_set(raw, counts)
        monkeypatch.setattr(rsopt.statistics, "LARGEST_TABLE", 0)
        assert tabulated_tail_set(raw, counts).rows().tolist() == whole.rows().tolist()
        monkeypatch.undo()


def own(body: dict[str, object], base: type = rsopt.Functional) -> object:
    """An instance of a class with this body."""
    return type("Own", (base,), {"name": "own", "range": (-1.0, 1.0), **body})()


@pytest.mark.parametrize(("g", "text"), [
    (lambda: own({"value": lambda self, a, b: -np.abs(a - b - 0.3), "range": (-1.3, 0.0)}),
     "The functional 'own' falls while q1 grows: g(0.305, 0) = "),
    (lambda: own({"value": lambda self, a, b: a + b - 1.0}), "The functional 'own' rises while q2 grows: g(0, "),
    (lambda: own({"value": lambda self, a, b: 3.0 * (a - b)}),
     "The functional 'own' leaves its stated range (-1.0, 1.0)"),
    (lambda: own({"value": lambda self, a, b: np.zeros(3)}), "must return an array of the shape of its arguments"),
    (lambda: own({"value": lambda self, a, b: np.where(a > 0.9, np.nan, a - b)}),
     "'own' is NaN at q1 = 0.905, q2 = 0."),
    (lambda: own({"value": lambda self, a, b: a - b, "range": (1.0, -1.0)}), "must be two numbers, the smaller first"),
    (lambda: own({"link": lambda self, q: q * q, "link_slope": lambda self, q: q,
                  "link_curvature": lambda self, q: 2.0}, rsopt.LinkFunctional),
     "has slope 0.04 at q = 0.02 and link_slope says 0.02"),
    (lambda: own({"link": lambda self, q: 0.5 - q, "link_slope": lambda self, q: -1.0 + 0.0 * q,
                  "link_curvature": lambda self, q: 0.0 * q}, rsopt.LinkFunctional), "falls while q1 grows"),
])
def test_what_is_no_functional_is_refused_with_the_points(g: object, text: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(text)):
        rsopt.lower_bound([80, 10, 10], top=0, functional=g(), statistic="plugin")  # type: ignore[operator]


@pytest.mark.parametrize(("base", "name", "text"), [
    (rsopt.LinkFunctional, "kind", "'kind', which chose a compiled link in earlier versions: define link"),
    (rsopt.LinkFunctional, "compiled", "'compiled', which is for the functionals that ship"),
    (rsopt.LinkFunctional, "value", "'value', which follows from its link"),
    (rsopt.LinkFunctional, "gradient", "'gradient', which follows from its link"),
    (rsopt.Functional, "curve", "'curve', which rsopt finds from the values"),
    (rsopt.Functional, "curve_ends", "'curve_ends', which rsopt finds from the values"),
    (rsopt.ProbitMargin, "value", "cannot be made from a functional that ships"),
    (rsopt.Margin, "name", "cannot be made from a functional that ships")])
def test_nothing_that_a_proof_uses_can_be_replaced(base: type, name: str, text: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(text)):
        type("Half", (base,), {name: 0})


def test_functionals_and_statistics_by_name_and_class_everywhere() -> None:
    counts = Counts((90, 6, 4), 0)
    whole = rsopt.LowerBoundProblem(counts, rsopt.ProbitMargin(), rsopt.Studentized(), 0.01).solve().lower
    assert rsopt.LowerBoundProblem(counts, "probit", "studentized", 0.01).solve().lower == whole  # type: ignore[arg-type]
    assert rsopt.lower_bound(counts, functional=rsopt.ProbitMargin, alpha=0.01).lower == whole
    with pytest.raises(InvalidInputError, match=r"is no functional: subclass rsopt\.Functional"):
        rsopt.lower_bound(counts, functional=3.0, alpha=0.01)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Empty:
    """A statistic whose tail set leaves the observation out."""

    name: ClassVar[str] = "empty"
    largest_alpha: ClassVar[float] = 0.5

    def tail_set(self, counts: Counts, functional: rsopt.Functional, alpha: float) -> TailSet:
        return TailSet.from_stairs(np.arange(counts.n + 1) + counts.n + 1)

    def value(self, counts: Counts, functional: rsopt.Functional, alpha: float) -> float:
        return 0.0


def test_a_statistic_that_leaves_the_observation_out_is_refused() -> None:
    """An empty tail set is an infinite bound."""
    with pytest.raises(InvalidInputError, match=r"'empty' leaves the observation \(8, 1\) out of its own tail set"):
        rsopt.lower_bound([8, 1, 1], top=0, statistic=Empty(), alpha=0.01)
