"""Votes drawn from scores: their law is that of the mean scores, and the exact bound on them covers as promised."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import chi2

import rsopt
from rsopt.errors import InvalidInputError, RefusedError
from rsopt.soft.drawn_votes import drawn_votes


def test_one_hot_rows_are_votes() -> None:
    """The bound on one-hot rows is the bound on their counts, but for the rounding that alpha pays for."""
    rows = np.repeat(np.eye(3), [900, 60, 40], axis=0)
    for functional in ("margin", "probit"):
        drawn = rsopt.lower_bound_scores(rows, top=0, functional=functional, method="drawn-votes")
        counted = rsopt.lower_bound([900, 60, 40], top=0, functional=functional)
        assert drawn.lower == pytest.approx(counted.lower, abs=1e-9)
        assert drawn.runner_up == (1,)
        assert drawn.radius(sigma=0.25) == pytest.approx(counted.radius(sigma=0.25), abs=1e-9)


def test_unanimous_rows_reach_the_limit_of_all_bounds() -> None:
    rows = np.tile([1.0, 0.0, 0.0], (2000, 1))
    lower = rsopt.lower_bound_scores(rows, top=0, functional="probit", method="drawn-votes").lower
    limit = 2.0 * float(ndtri(1e-3 ** (1.0 / 2000)))
    assert limit * (1.0 - 1e-3) <= lower <= limit


@pytest.mark.parametrize("row", [(0.7, 0.2, 0.1), (0.05, 0.05, 0.9), (0.0, 0.5, 0.5), (0.3330, 0.3330, 0.3335)])
def test_each_class_gets_its_score(row: tuple[float, ...]) -> None:
    """Chi-square over 200,000 draws at error 1e-6; a class without score gets no vote, nobody gets what is missing."""
    n = 200_000
    votes = drawn_votes(np.tile(row, (n, 1)), 0, ((1,), (2,)), seed=5)
    shares = np.array([*row, max(1.0 - sum(row), 0.0)])
    expected = n * shares
    assert votes.sum() == n
    assert (votes[shares < 1e-12] == 0).all()
    seen = shares >= 1e-12
    statistic = ((votes[seen] - expected[seen]) ** 2 / expected[seen]).sum()
    assert statistic < chi2.isf(1e-6, seen.sum() - 1)


def test_what_does_not_fit_is_taken_from_the_top_class() -> None:
    over = np.tile([0.5009, 0.3, 0.2], (100_000, 1))
    votes = drawn_votes(over, 0, ((1,), (2,)), seed=1)
    within = drawn_votes(np.tile([0.5, 0.3, 0.2], (100_000, 1)), 0, ((1,), (2,)), seed=1)
    assert (votes == within).all()
    rivals_alone = drawn_votes(np.tile([0.0, 0.6003, 0.4003], (1000, 1)), 0, ((1,), (2,)), seed=1)
    assert rivals_alone[0] == rivals_alone[-1] == 0


def test_the_error_is_at_most_alpha_over_rows_and_draws() -> None:
    """All sequences of two kinds of rows, and all votes they can cast: the exact probability of a false bound."""
    kinds = np.array([[0.9, 0.1, 0.0], [0.3, 0.5, 0.2]])
    n, alpha = 7, 0.05
    for mix, functional in itertools.product((0.0, 0.3, 0.5, 0.9, 1.0), ("margin", "probit")):
        mean = mix * kinds[0] + (1.0 - mix) * kinds[1]
        truth = mean[0] - mean[1] if functional == "margin" else float(ndtri(mean[0]) - ndtri(mean[1]))
        error = 0.0
        for first in range(n + 1):
            # Among rows of one kind votes are multinomial; of both kinds, their convolution.
            chance = math.comb(n, first) * mix**first * (1.0 - mix) ** (n - first)
            for votes, share in convolved(kinds, first, n - first).items():
                counts = rsopt.Counts((*votes,), 0, 1)
                if rsopt.lower_bound(counts, functional=functional, alpha=alpha).lower > truth:
                    error += chance * share
        assert error <= alpha


def convolved(kinds: np.ndarray, first: int, second: int) -> dict[tuple[int, int, int], float]:
    """Law of the votes of so many rows of each kind."""
    law: dict[tuple[int, int, int], float] = {(0, 0, 0): 1.0}
    for kind in [0] * first + [1] * second:
        after: dict[tuple[int, int, int], float] = {}
        for votes, chance in law.items():
            for j in range(3):
                moved = (votes[0] + (j == 0), votes[1] + (j == 1), votes[2] + (j == 2))
                after[moved] = after.get(moved, 0.0) + chance * float(kinds[kind, j])
        law = after
    return law


def test_the_proof_is_a_certificate() -> None:
    rows = np.random.default_rng(2).dirichlet([30.0, 1.0, 1.0], 1500)
    bound = rsopt.lower_bound_scores(rows, top=0, functional="probit", method="drawn-votes", seed=3)
    assert bound.certificate is not None
    assert rsopt.check_certificate(bound.certificate.to_dict()).lower == bound.lower
    with pytest.raises(RefusedError, match=r"the proof of its bound is \.certificate"):
        _ = bound.transcript
    again, other = (rsopt.lower_bound_scores(rows, top=0, functional="probit", method="drawn-votes", seed=seed)
                    for seed in (3, 4))
    assert again == bound
    assert other != bound


def test_groups_vote_together() -> None:
    rows = np.tile([0.6, 0.15, 0.15, 0.1], (3000, 1))
    alone = rsopt.lower_bound_scores(rows, top=0, method="drawn-votes")
    pooled = rsopt.lower_bound_scores(rows, top=0, method="drawn-votes", groups=((1, 2), (3,)))
    assert pooled.runner_up == (1, 2)
    assert pooled.lower < alone.lower


def test_a_selection_sample_pools_no_rivals() -> None:
    """Hopeless rivals together have more votes than each: pooled, they would cost where few rows miss."""
    rows = np.repeat(np.eye(6), [1980, 4, 4, 4, 4, 4], axis=0)
    selection = np.tile([0.9, 0.1, 0.0, 0.0, 0.0, 0.0], (50, 1))
    alone = rsopt.lower_bound_scores(rows, top=0, functional="probit", method="drawn-votes")
    beside = rsopt.lower_bound_scores(rows, top=0, functional="probit", method="drawn-votes", selection=selection)
    assert beside == alone
    with pytest.raises(InvalidInputError):
        rsopt.lower_bound_scores(rows, top=0, method="drawn-votes", selection=selection[:, :5])


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, None])
def test_seeds_that_are_none(seed: object) -> None:
    with pytest.raises(InvalidInputError, match="seed must be a whole number from 0"):
        rsopt.lower_bound_scores(np.tile([0.6, 0.4], (9, 1)), top=0, method="drawn-votes", seed=seed)  # type: ignore[arg-type]


def test_an_alpha_below_what_double_precision_can_draw() -> None:
    with pytest.raises(InvalidInputError, match="too small for votes drawn in double precision from 9 rows"):
        rsopt.lower_bound_scores(np.tile([0.6, 0.4], (9, 1)), top=0, method="drawn-votes", alpha=1e-14)
