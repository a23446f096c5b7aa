"""The inductive order: its sets, its coverage by enumeration, and that it is larger where it is meant to be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from enumeration import FUNCTIONALS, all_bounds, functional_value, outcomes, probabilities, simplex_grid

import rsopt
from rsopt import Counts, Inductive
from rsopt.errors import InvalidInputError
from rsopt.testing import check_statistic

ORDER = Inductive()


@pytest.mark.parametrize("functional", ["margin", "probit", "taylor-probit"])
def test_it_is_a_statistic(functional: str) -> None:
    check_statistic(ORDER, functional)


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("functional", ["margin", "probit", "logit"])
def test_error_never_exceeds_alpha(functional: str, alpha: float) -> None:
    """At a lattice, and on the level curves of the bounds themselves, where the error comes near alpha."""
    sharpest = 0.0
    for n in (1, 3, 8, 14):
        bounds = all_bounds(n, functional, ORDER, alpha)
        assert all(bound.proven for bound in bounds.values())
        x = outcomes(n)
        lower = np.array([bounds[int(a), int(b)].lower for a, b, _ in x])
        hard = []
        for level in np.unique(lower[np.isfinite(lower)]):
            if level <= FUNCTIONALS[functional].range[0]:
                continue
            level -= 1e-9 * (1.0 + abs(level))
            low, high = FUNCTIONALS[functional].curve_ends(float(level), 0.0)
            q2 = np.linspace(low, high, 200)
            q1 = FUNCTIONALS[functional].curve(float(level), q2)
            hard.append(np.stack([q1, q2, 1.0 - q1 - q2], axis=1)[q1 + q2 <= 1.0])
        p = np.concatenate([simplex_grid(), *hard])
        truth = functional_value(functional, p[:, 0], p[:, 1])
        error = np.sum(probabilities(p, x) * (lower[None, :] > truth[:, None]), axis=1)
        assert error.max() <= alpha, (n, p[error.argmax()])
        sharpest = max(sharpest, float(error.max()))
    assert sharpest >= 0.9 * alpha


@pytest.mark.parametrize("functional", ["margin", "probit"])
def test_every_outcome_stands_behind_its_betters(functional: str) -> None:
    n, g = 20, FUNCTIONALS[functional]
    rank = {(a, b): ORDER.value(Counts((a, b, n - a - b), 0, 1), g, 0.01)
            for a in range(n + 1) for b in range(n + 1 - a)}
    assert rank[n, 0] == 0.0
    for (a, b), value in rank.items():
        for better in ((a + 1, b), (a, b - 1), (a + 1, b - 1)):
            assert rank.get(better, math.inf) > value or value == -math.inf
    assert sum(value > -math.inf for value in rank.values()) > 0.5 * len(rank)


def test_it_is_larger_where_the_pair_has_few_votes() -> None:
    for functional, votes in (("margin", (24, 0, 26)), ("probit", (20, 0, 30)), ("margin", (15, 2, 33))):
        counts = Counts(votes, 0, 1)
        own, order = (rsopt.lower_bound(counts, functional=functional, statistic=statistic)
                      for statistic in ("studentized", ORDER))
        assert order.lower > own.lower_at_most + 0.02
        assert order.lower > rsopt.baselines.melded(counts, functional=functional).lower
        assert order.proof is None


def test_it_is_made_for_few_samples() -> None:
    with pytest.raises(InvalidInputError, match=r"made for n up to 50; found 51\. Use 'studentized'"):
        rsopt.lower_bound([40, 6, 5], 0, statistic=Inductive)
    bound = rsopt.lower_bound([40, 6, 4], 0, statistic=Inductive)
    with pytest.raises(InvalidInputError, match="has no certificate"):
        _ = bound.certificate
