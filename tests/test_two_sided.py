"""Upper bounds and intervals: exact coverage by enumeration, and their relations to the lower bound."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from enumeration import FUNCTIONALS, all_bounds, functional_value, outcomes, probabilities, simplex_grid
from hypothesis import given, settings
from hypothesis import strategies as st
from squares import Squares

import rsopt
from rsopt.errors import InvalidInputError

Array = npt.NDArray[np.float64]
SIZES = (1, 2, 5, 8)
ALPHAS = (0.05, 0.001)


@cache
def all_upper(n: int, functional: str, alpha: float, statistic: str = "clopper-pearson"
              ) -> dict[tuple[int, int], rsopt.UpperBound]:
    """The upper bound at every outcome, the rival fixed in advance."""
    return {(int(a), int(b)): rsopt.upper_bound((a, b, c), 0, 1, functional=FUNCTIONALS[functional], alpha=alpha,
                                                statistic=statistic) for a, b, c in outcomes(n)}


def hardest(bounds: dict[tuple[int, int], rsopt.UpperBound]) -> Array:
    """For each outcome, the null on which its own tail reaches alpha, moved to just above the outcome's bound."""
    points = []
    for bound in bounds.values():
        witness = bound.certificate.witness
        if witness is None or not np.isfinite(bound.upper):
            continue
        level = -bound.upper - 1e-9 * (1.0 + abs(bound.upper))
        pb = float(bound.functional.curve(level, np.array(witness[1])))
        if pb + witness[1] <= 1.0:
            points.append([witness[1], pb, 1.0 - pb - witness[1]])
    return np.array(points).reshape(-1, 3)


def missed(p: Array, truth: Array, lower: Array, upper: Array, n: int) -> Array:
    """P_p(not lower <= truth <= upper) for each p, shape (b, 3) -> (b,)."""
    outside = (lower[None, :] > truth[:, None]) | (upper[None, :] < truth[:, None])
    return np.sum(probabilities(p, outcomes(n)) * outside, axis=1)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("functional", list(FUNCTIONALS))
def test_the_upper_bound_of_a_fixed_pair_never_errs_more_than_alpha(functional: str, alpha: float) -> None:
    sharpest = 0.0
    for n in SIZES:
        for statistic in ("clopper-pearson", "studentized"):
            bounds = all_upper(n, functional, alpha, statistic)
            p = np.concatenate([simplex_grid(), hardest(bounds)])
            upper = np.array([bounds[int(a), int(b)].upper for a, b, _ in outcomes(n)])
            error = missed(p, functional_value(functional, p[:, 0], p[:, 1]), np.full(upper.shape, -np.inf), upper, n)
            assert error.max() <= alpha, (n, statistic, p[error.argmax()], error.max())
            sharpest = max(sharpest, float(error.max()))
    assert sharpest >= 0.97 * alpha


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("functional", list(FUNCTIONALS))
def test_the_interval_of_a_fixed_pair(functional: str, alpha: float) -> None:
    for n in SIZES:
        intervals = [rsopt.margin_interval((a, b, c), 0, 1, functional=FUNCTIONALS[functional], alpha=alpha)
                     for a, b, c in outcomes(n)]
        lower, upper = (np.array([getattr(found, side) for found in intervals]) for side in ("lower", "upper"))
        below = all_bounds(n, functional, "studentized", alpha / 2.0)
        assert lower.tolist() == [below[int(a), int(b)].lower for a, b, _ in outcomes(n)]
        at_shares = functional_value(functional, *(outcomes(n)[:, i] / n for i in (0, 1)))
        assert np.all(lower <= upper)
        assert np.all((lower <= at_shares) & (at_shares <= upper))
        p = np.concatenate([simplex_grid(), hardest(all_upper(n, functional, alpha / 2.0))])
        error = missed(p, functional_value(functional, p[:, 0], p[:, 1]), lower, upper, n)
        assert error.max() <= alpha, (n, p[error.argmax()], error.max())


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("functional", ["margin", "probit", "logit"])
def test_a_rival_that_is_chosen_on_the_votes_is_paid_for(functional: str, alpha: float) -> None:
    """Theorem U2 for three classes; at the full alpha the bound of the runner-up errs more often than alpha."""
    worst_unpaid = 0.0
    for n in SIZES:
        x = outcomes(n)
        shares = np.linspace(0.0, 0.5, 101)
        equal = np.stack([1.0 - 2.0 * shares, shares, shares], axis=1)
        p = np.concatenate([simplex_grid(), equal])
        truth = np.minimum(*(functional_value(functional, p[:, 0], p[:, j]) for j in (1, 2)))
        intervals = [rsopt.margin_interval(row, 0, functional=functional, alpha=alpha) for row in x]
        lower, upper = (np.array([getattr(found, side) for found in intervals]) for side in ("lower", "upper"))
        assert missed(p, truth, lower, upper, n).max() <= alpha
        alone = np.array([rsopt.upper_bound(row, 0, functional=functional, alpha=alpha).upper for row in x])
        anything = np.full(alone.shape, -np.inf)
        assert missed(p, truth, anything, alone, n).max() <= alpha
        pair = all_upper(n, functional, alpha)
        unpaid = np.array([pair[int(row[0]), int(row[1:].max())].upper for row in x])
        worst_unpaid = max(worst_unpaid, float(missed(p, truth, anything, unpaid, n).max()))
    assert worst_unpaid > alpha


@pytest.mark.parametrize("alpha", ALPHAS)
def test_two_classes_and_one_of_ones_own(alpha: float) -> None:
    for n in (1, 5, 8):
        x = outcomes(n, 2)
        p1 = np.linspace(0.0, 1.0, 401)
        p = np.stack([p1, 1.0 - p1], axis=1)
        upper = np.array([rsopt.upper_bound(row, 0, functional="margin", alpha=alpha).upper for row in x])
        assert np.sum(probabilities(p, x) * (upper[None, :] < (2.0 * p1 - 1.0)[:, None]), axis=1).max() <= alpha
    n, p = 5, simplex_grid()
    truth = p[:, 0] ** 2 - 2.0 * p[:, 1]
    for statistic in ("clopper-pearson", "studentized"):
        own = [rsopt.upper_bound(row, 0, 1, functional=Squares(), alpha=alpha, statistic=statistic)
               for row in outcomes(n)]
        above = np.array([bound.upper for bound in own])
        assert missed(p, truth, np.full(above.shape, -np.inf), above, n).max() <= alpha
        assert above.min() < 1.0


def test_the_published_taylor_route_bounds_the_probit_margin_from_above_too() -> None:
    published, alpha, p = rsopt.TaylorProbitMargin(order=3, as_published=True), 0.05, simplex_grid()
    truth = functional_value("probit", p[:, 0], p[:, 1])
    for n in (2, 8):
        bounds = [rsopt.upper_bound(row, 0, 1, functional=published, alpha=alpha) for row in outcomes(n)]
        upper = np.array([bound.upper for bound in bounds])
        assert missed(p, truth, np.full(upper.shape, -np.inf), upper, n).max() <= alpha
        assert np.isfinite(upper.min())


def test_exchanging_twice_is_nothing() -> None:
    assert Squares().exchanged.exchanged == Squares()
    assert rsopt.ProbitMargin().exchanged == rsopt.ProbitMargin()
    q1, q2 = np.array([0.2, 0.5]), np.array([0.3, 0.1])
    turned = Squares().exchanged
    assert turned.range == (-1.0, 2.0)
    assert turned.value(q1, q2).tolist() == (-Squares().value(q2, q1)).tolist()
    step = 1e-6
    for found, way in zip(turned.gradient(q1, q2), ((step, 0.0), (0.0, step)), strict=True):
        slope = (turned.value(q1 + way[0], q2 + way[1]) - turned.value(q1 - way[0], q2 - way[1])) / (2.0 * step)
        assert np.allclose(found, slope)
    with pytest.raises(InvalidInputError, match="defines 'exchanged', which follows from the values"):
        type("Own", (rsopt.Functional,), {"name": "own", "exchanged": None})


@given(st.tuples(*[st.integers(0, 3000)] * 3).filter(lambda votes: sum(votes) > 0),
       st.sampled_from(["margin", "probit", "taylor-probit", "laplace", "logit"]),
       st.sampled_from([0.05, 1e-3]))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_relations_at_any_size(votes: tuple[int, int, int], functional: str, alpha: float) -> None:
    """The exchange of the classes turns the interval; both limits hold the shares; the certificate is checked."""
    found = rsopt.margin_interval(votes, 0, 1, functional=functional, alpha=alpha)
    assert found.lower == rsopt.lower_bound(rsopt.Counts(votes, 0, 1), functional=functional, alpha=alpha / 2.0).lower
    assert found.lower <= found.upper
    other = rsopt.lower_bound(rsopt.Counts(votes, 1, 0), functional=functional, alpha=alpha / 2.0,
                              statistic="clopper-pearson")
    assert found.upper == -other.lower
    assert found.upper >= found.upper_bound.upper_at_least
    if np.isfinite(found.upper):
        certificate = found.upper_bound.certificate
        assert (certificate.x1, certificate.x2, certificate.alpha) == (votes[1], votes[0], alpha / 2.0)
        assert rsopt.check_certificate(certificate).lower in (-found.upper, -np.inf)
    plain = rsopt.upper_bound(votes, 0, functional=functional, alpha=alpha)
    fixed = rsopt.upper_bound(votes, 0, plain.counts.runner_up, functional=functional, alpha=alpha / 2.0)
    assert abs(plain.upper - fixed.upper) <= 1e-6 * (1.0 + abs(fixed.upper)) or plain.upper == fixed.upper


def test_the_statement_is_in_the_result() -> None:
    votes = [900, 60, 40, 0]
    pair, every = rsopt.upper_bound(votes, 0, 1), rsopt.upper_bound(votes, 0)
    assert (pair.rivals, every.rivals) == (1, 3)
    assert pair.upper < every.upper
    assert every.exchanged.alpha * 3 <= 1e-3
    assert every.to_dict()["rival"] is None
    assert pair.to_dict() == {**every.to_dict(), "upper": pair.upper, "upper_at_least": pair.upper_at_least, "rival": 1,
                              "rivals": 1, "exchanged": pair.exchanged.to_dict()}
    # A rival without votes may have probability 0, where the probit margin has no upper limit.
    assert rsopt.upper_bound(votes, 0, 3).to_dict()["upper"] is None
    assert 0.9 < rsopt.upper_bound(votes, 0, 3, functional="margin").upper < 1.0
    found = rsopt.margin_interval(rsopt.Counts(votes, 0, 2)).to_dict()
    assert (found["upper_bound"]["rival"], found["lower_bound"]["alpha"], found["alpha"]) == (2, 5e-4, 1e-3)


@pytest.mark.parametrize(("counts", "top", "rival", "text"), [
    ([9, 1, 0], None, 1, "Say which class is certified"),
    ([9, 1, 0], 0, 3, "rival=3 is no class: there are 3"),
    ([9, 1, 0], 1, 1, "rival and top are the same class, 1"),
    (rsopt.Counts([9, 1, 0], 0, 1), None, 2, "rival=2 contradicts the counts, whose rival is 1")])
def test_what_has_no_meaning_is_refused(counts: object, top: int | None, rival: int | None, text: str) -> None:
    for bounded in (rsopt.upper_bound, rsopt.margin_interval):
        with pytest.raises(InvalidInputError, match=text):
            bounded(counts, top, rival)
    with pytest.raises(InvalidInputError, match="strictly between 0 and 1/2"):
        rsopt.margin_interval([9, 1, 0], 0, alpha=0.7)
