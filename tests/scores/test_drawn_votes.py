"""Votes drawn from scores: their law is that of the mean scores, and the exact bound on them covers as promised."""

from __future__ import annotations

import functools
import itertools
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binom

import rsopt
from rsopt.errors import InvalidInputError, RefusedError
from rsopt.scores import drawn_votes as module
from rsopt.scores.drawn_votes import drawn_votes, votes_at


def test_one_hot_rows_are_votes() -> None:
    """The bound on one-hot rows is the bound on their counts."""
    rows = np.repeat(np.eye(3), [900, 60, 40], axis=0)
    for functional in ("margin", "probit"):
        drawn = rsopt.lower_bound_scores(rows, top=0, functional=functional, method="drawn-votes")
        counted = rsopt.lower_bound([900, 60, 40], top=0, functional=functional)
        assert drawn.lower == counted.lower
        assert drawn.runner_up == (1,)
        assert drawn.radius(sigma=0.25) == counted.radius(sigma=0.25)


def test_unanimous_rows_reach_the_limit_of_all_bounds() -> None:
    rows = np.tile([1.0, 0.0, 0.0], (2000, 1))
    lower = rsopt.lower_bound_scores(rows, top=0, functional="probit", method="drawn-votes").lower
    limit = 2.0 * float(ndtri(1e-3 ** (1.0 / 2000)))
    assert limit * (1.0 - 1e-3) <= lower <= limit


@pytest.mark.parametrize("row", [(0.7, 0.2, 0.1), (0.05, 0.05, 0.9), (0.0, 0.5, 0.5), (0.3330, 0.3330, 0.3335),
                                 (0.5009, 0.3, 0.2)])
def test_each_class_gets_its_score(row: tuple[float, ...]) -> None:
    """Binomial, each at error 1e-7 over 200,000 rows, 15 classes in all; a class without score gets no vote."""
    n = 200_000
    votes = drawn_votes(np.tile(row, (n, 1)), 0, ((1,), (2,)), seed=5)
    for count, share in zip(votes, row, strict=True):
        assert binom.sf(count - 1, n, share) > 1e-7
        assert binom.cdf(count, n, share) > 1e-7


def test_what_does_not_fit_is_taken_from_the_top_class() -> None:
    """Rivals keep their scores even where they alone exceed 1, and no row votes for the top class and a rival."""
    n = 100_000
    own, rival = drawn_votes(np.tile([0.5009, 0.5], (n, 1)), 0, ((1,),), seed=1)
    assert own == n - rival
    votes = drawn_votes(np.tile([0.0, 0.4, 0.6009], (n, 1)), 0, ((1,), (2,)), seed=1)
    assert votes[0] == 0
    assert binom.cdf(votes[1], n, 0.4) > 1e-7
    assert binom.cdf(votes[2], n, 0.6009) > 1e-7
    pooled = drawn_votes(np.tile([0.0, 0.4, 0.6009], (n, 1)), 0, ((1, 2),), seed=1)
    assert pooled.tolist() == [0, n]


@pytest.mark.parametrize("score", [1.0 - 2.0**-53, 0.9, 0.5, 1.0 / 3.0, 0.1, 1e-10, 1e-17, 0.0])
def test_rounding_never_helps_the_top_class(score: float) -> None:
    """Of the 2^53 uniform numbers at most a share `score` votes for a top class, and at least one for a rival."""
    share = Fraction(score) * 2**53
    last_without = math.ceil(2**53 - share) - 1
    assert not votes_at(np.array([[score], [0.0]]), np.array([last_without * 2.0**-53]))[0, 0]
    last_with = math.ceil(share) - 1
    assert last_with < 0 or votes_at(np.array([[0.0], [score]]), np.array([last_with * 2.0**-53]))[1, 0]


def test_the_error_is_at_most_alpha_over_rows_and_draws() -> None:
    """All sequences of three kinds of rows, and all votes they can cast: the exact probability of a false bound."""
    kinds = np.array([[0.9, 0.1, 0.0], [0.3, 0.5, 0.2], [0.25, 0.375, 0.375]])
    n, alpha, largest = 7, 0.05, 0.0
    laws = [row_law(kind) for kind in kinds]
    for mix, functional in itertools.product(((1.0, 0.0, 0.0), (0.3, 0.7, 0.0), (0.5, 0.3, 0.2), (0.9, 0.0, 0.1),
                                              (0.7, 0.0, 0.3)), ("margin", "probit")):
        mean = np.array(mix) @ kinds
        strongest = mean[1:].max()
        truth = mean[0] - strongest if functional == "margin" else float(ndtri(mean[0]) - ndtri(strongest))
        law: dict[tuple[int, ...], float] = {}
        for share, of_kind in zip(mix, laws, strict=True):
            for votes, chance in of_kind.items():
                law[votes] = law.get(votes, 0.0) + share * chance
        error = sum(chance for votes, chance in sums(law, n).items() if bound(votes, n, functional, alpha) > truth)
        assert error <= alpha
        largest = max(largest, error)
    assert largest > 0.0


def row_law(row: np.ndarray) -> dict[tuple[int, ...], float]:
    """Law of the votes of one row: they change only where the uniform number passes a score or 1 - X_A."""
    ends = sorted({0.0, 1.0, 1.0 - row[0], *row[1:]})
    law: dict[tuple[int, ...], float] = {}
    for low, high in itertools.pairwise(ends):
        votes = tuple(int(v) for v in votes_at(row[:, None], np.array([0.5 * (low + high)]))[:, 0])
        law[votes] = law.get(votes, 0.0) + high - low
    return law


def sums(law: dict[tuple[int, ...], float], n: int) -> dict[tuple[int, ...], float]:
    """Law of the sum of n independent votes."""
    total: dict[tuple[int, ...], float] = {(0, 0, 0): 1.0}
    for _ in range(n):
        after: dict[tuple[int, ...], float] = {}
        for (votes, chance), (cast, share) in itertools.product(total.items(), law.items()):
            moved = tuple(v + c for v, c in zip(votes, cast, strict=True))
            after[moved] = after.get(moved, 0.0) + chance * share
        total = after
    return total


@functools.cache
def bound(votes: tuple[int, ...], n: int, functional: str, alpha: float) -> float:
    rival = max(votes[1:])
    return rsopt.lower_bound((votes[0], rival, n - votes[0] - rival), top=0, functional=functional, alpha=alpha).lower


def test_rows_that_were_drawn_with_the_same_seed_are_no_danger() -> None:
    """Rows made of the numbers of the draw itself would all vote for the top class; its key is no one's own."""
    n = 20_000
    mine = np.random.Generator(np.random.Philox(key=7)).random(n)
    votes = drawn_votes(np.stack([1.0 - mine, mine], axis=1), 0, ((1,),), seed=7)
    # Half the rows on average, at ten standard errors.
    assert abs(votes[0] - 0.5 * n) < 5.0 * math.sqrt(n)


def test_portions_change_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = np.random.default_rng(4).dirichlet([3.0, 1.0, 1.0], 1000).astype(np.float32)
    stored = np.memmap(tmp_path / "rows", dtype=np.float32, mode="w+", shape=rows.shape)
    stored[:] = rows
    whole = rsopt.lower_bound_scores(rows, top=0, functional="margin", method="drawn-votes")
    assert whole == rsopt.lower_bound_scores(rows.astype(np.float64), top=0, functional="margin", method="drawn-votes")
    monkeypatch.setattr(module, "PORTION", 100)
    assert rsopt.lower_bound_scores(stored, top=0, functional="margin", method="drawn-votes") == whole
    stored[777, 1] = np.nan
    with pytest.raises(InvalidInputError, match="Row 777 holds NaN"):
        rsopt.lower_bound_scores(stored, top=0, functional="margin", method="drawn-votes")


def test_the_proof_is_a_certificate() -> None:
    rows = np.random.default_rng(2).dirichlet([30.0, 1.0, 1.0], 1500)
    bound = rsopt.lower_bound_scores(rows, top=0, functional="probit", method="drawn-votes", seed=3)
    assert rsopt.check_certificate(bound.certificate.to_dict()).lower == bound.lower
    with pytest.raises(RefusedError, match=r"the proof of its bound is \.certificate"):
        _ = bound.transcript
    again, other = (rsopt.lower_bound_scores(rows, top=0, functional="probit", method="drawn-votes", seed=seed)
                    for seed in (3, 4))
    assert again == bound
    assert other != bound


def test_groups_vote_together() -> None:
    rows = np.tile([0.6, 0.15, 0.15, 0.1], (3000, 1))
    alone = rsopt.lower_bound_scores(rows, top=0, functional="margin", method="drawn-votes")
    pooled = rsopt.lower_bound_scores(rows, top=0, functional="margin", method="drawn-votes", groups=((1, 2), (3,)))
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
        rsopt.lower_bound_scores(rows, top=0, functional="margin", method="drawn-votes", selection=selection[:, :5])


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, None])
def test_seeds_that_are_none(seed: object) -> None:
    with pytest.raises(InvalidInputError, match="seed must be a whole number from 0"):
        rsopt.lower_bound_scores(np.tile([0.6, 0.4], (9, 1)), top=0, method="drawn-votes", seed=seed)  # type: ignore[arg-type]


def test_alphas_that_counts_do_not_support() -> None:
    rows = np.tile([0.999, 0.001], (900, 1))
    with pytest.raises(InvalidInputError, match=r"alpha = 0\.45 is above 0\.4"):
        rsopt.lower_bound_scores(rows, top=0, functional="margin", method="drawn-votes", alpha=0.45)
    # A look that is taken early spends as little.
    assert rsopt.lower_bound_scores(rows, top=0, functional="margin", method="drawn-votes", alpha=1e-14).lower > 0.8
