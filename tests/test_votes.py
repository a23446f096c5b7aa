"""The synthetic votes have the shapes that they are documented with."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import chisquare
from votes import Order, voted


@pytest.mark.parametrize("classes", [7, 10, 1000])
def test_shapes(classes: int) -> None:
    n, inputs = 100_000, voted(classes=classes)
    votes = inputs.votes(n)
    assert votes.shape == inputs.shares.shape == (250, classes)
    assert set(votes.sum(axis=1)) == {n}
    ordered = np.sort(votes, axis=1)[:, ::-1]
    split = ordered[:, 0] < n
    assert 0.08 <= 1.0 - split.mean() <= 0.13
    assert 0.07 <= np.mean(ordered[:, 0] <= n // 2) <= 0.15
    runner_up = ordered[split, 1] / (n - ordered[split, 0])
    assert 0.70 <= np.median(runner_up) <= 0.85
    assert np.quantile(runner_up, 0.1) <= 0.52
    assert np.quantile(runner_up, 0.9) >= 0.98
    wrong = votes.argmax(axis=1) != inputs.labels
    assert 0.15 <= wrong.mean() <= 0.25


def test_a_seed_says_everything() -> None:
    one, same, other = voted(40, 7), voted(40, 7), voted(40, 7, seed=1)
    assert np.array_equal(one.shares, same.shares)
    assert np.array_equal(one.labels, same.labels)
    assert not np.any(one.shares == other.shares)
    assert np.array_equal(one.votes(500), same.votes(500))
    assert not np.array_equal(one.votes(500), one.votes(500, seed=1))


def test_votes_of_any_number_come_from_the_same_shares() -> None:
    inputs = voted(60, 7)
    for n in (1, 100, 10_000_000):
        votes = inputs.votes(n)
        assert set(votes.sum(axis=1)) == {n}
        # The leader's votes of all inputs together are binomial: within five standard deviations.
        p = inputs.shares.max(axis=1)
        found = votes[np.arange(60), inputs.shares.argmax(axis=1)].sum()
        assert abs(found - n * p.sum()) <= 5.0 * np.sqrt(n * np.sum(p * (1.0 - p)))


def test_an_order_is_one_order() -> None:
    """Whatever is asked first, an answer holds the shorter ones; the first vote is any of all votes."""
    votes = np.array([60, 30, 10])
    firsts = np.zeros(3, dtype=np.int64)
    for seed in range(400):
        order = Order(votes, seed)
        asked = {n: order.first(n) for n in (70, 1, 100, 30, 1000)}
        assert np.array_equal(asked[1000], votes)
        assert np.array_equal(asked[100], votes)
        found = [asked[n] for n in (1, 30, 70, 100)]
        assert [int(counts.sum()) for counts in found] == [1, 30, 70, 100]
        assert all(np.all(more >= fewer) for fewer, more in pairwise(found))
        assert np.array_equal(order.first(30), asked[30])
        firsts += asked[1]
    assert chisquare(firsts, 4.0 * votes).pvalue > 1e-4
