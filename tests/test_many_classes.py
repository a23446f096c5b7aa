"""Any number of classes costs nothing: the bound against the empirical runner-up is the least over all rivals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import rsopt


@pytest.mark.parametrize("functional", ["margin", "probit"])
@pytest.mark.parametrize(("classes", "n"), [(10, 100), (10, 20_000), (1000, 5000)])
def test_minimum_over_all_pairs(classes: int, n: int, functional: str) -> None:
    rng = np.random.default_rng(classes + n)
    shares = np.sort(rng.dirichlet(np.full(classes, 0.3)))[::-1]
    shares = np.append(0.5 + 0.5 * shares[0], 0.5 * shares[1:])
    shares /= shares.sum()
    votes = rng.permuted(rng.multinomial(n, shares))
    top = int(votes.argmax())
    bound = rsopt.lower_bound(votes, top=top, functional=functional)
    # Rivals with equally many votes have the same bound, so one of each number is enough.
    rivals = {int(votes[j]): j for j in range(classes) if j != top}
    assert len(rivals) >= 4
    pairs = {x2: rsopt.lower_bound(rsopt.Counts(tuple(votes.tolist()), top, j), functional=functional)
             for x2, j in rivals.items()}
    assert bound.lower == min(pair.lower for pair in pairs.values()) == pairs[max(pairs)].lower
    assert bound.lower_at_most == pairs[max(pairs)].lower_at_most
    assert bound.counts.x2 == max(pairs)
    # And falls with the rival's votes by more than what the proofs give up.
    ordered = [pairs[x2].lower_at_most for x2 in sorted(pairs)]
    assert all(later < earlier for earlier, later in itertools.pairwise(ordered))


def test_classes_without_votes_change_nothing() -> None:
    few = rsopt.lower_bound([930, 40, 30], top=0)
    many = rsopt.lower_bound([930, 40, 30] + 997 * [0], top=0)
    assert (many.lower, many.lower_at_most) == (few.lower, few.lower_at_most)
