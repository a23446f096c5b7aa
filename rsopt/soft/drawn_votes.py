"""Scores turned into votes: every row casts one vote, drawn with its scores as probabilities.

Given independent rows X with mean scores E[X_j], the drawn votes are independent too, and each falls on class j with
probability E[E[vote = j | X]] = E[X_j]: the counts are multinomial with the mean scores as class probabilities. So the
exact bound on counts, with its certificate, holds for the classifier of mean scores as well. Unlike a bet it uses all
rivals' counts jointly, and it reaches alpha^(1/n) on unanimous rows; unlike a bet it adds the variance of the draw,
X (1 - X) a row, which is little where scores are nearly zero or one and much where they are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rsopt.errors import InvalidInputError
from rsopt.soft.rows import pooled_columns

if TYPE_CHECKING:
    from rsopt.bound import Bound

#: Rows that are turned into votes at a time.
PORTION = 65_536


def drawn_votes(rows: np.ndarray, top: int, groups: tuple[tuple[int, ...], ...], seed: int) -> np.ndarray:
    """Votes for `top`, for each group of rivals, and for nobody, (2 + groups,), int64.

    A row whose scores sum to less than 1 may vote for nobody. Where rounding makes them sum to more, rivals keep their
    share and `top` loses; rivals that exceed 1 by themselves are scaled to it, which is a fixed map of the row like
    the clipping to [0, 1].

    Args:
        rows: (n, m) checked scores.
        top: the certified class.
        groups: a partition of the rivals.
        seed: of the draw, 0 to 2^64 - 1; it must not be chosen by its outcome.

    Raises:
        InvalidInputError: a seed that is none.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**64:
        raise InvalidInputError(f"seed must be a whole number from 0 to 2^64 - 1; found {seed!r}.")
    random = np.random.Generator(np.random.Philox(key=[seed, 0]))
    votes = np.zeros(2 + len(groups), dtype=np.int64)
    for start in range(0, rows.shape[0], PORTION):
        columns = pooled_columns(rows[start:start + PORTION], top, groups)
        rivals = np.cumsum(columns[1:], axis=0)
        rivals /= np.maximum(rivals[-1], 1.0)
        # Rivals first, then the top class: what rounding takes away, it takes from the top class.
        ends = np.vstack([rivals, np.minimum(rivals[-1] + columns[0], 1.0)])
        at = random.random(columns.shape[1])
        chosen = (at >= ends).sum(axis=0)
        votes += np.bincount(chosen, minlength=votes.size)
    return np.concatenate([votes[-2:-1], votes[:-2], votes[-1:]])


def drawn_votes_bound(rows: np.ndarray, top: int, groups: tuple[tuple[int, ...], ...], functional: str, alpha: float,
                      seed: int) -> tuple[Bound, tuple[int, ...]]:
    """The exact bound on the drawn votes against the strongest group, and that group.

    The minimum over groups is the bound against the group with the most votes, as on counts. Rounding moves each
    probability of a vote by a few units of 2^-53, and the law of n votes by at most n times their sum in total
    variation: alpha is lowered by that much.

    Args:
        rows, top, groups, seed: as in `drawn_votes`.
        functional: "margin" or "probit".
        alpha: probability that the bound is false.

    Raises:
        InvalidInputError: alpha is so small that rounding could exceed it.
    """
    from rsopt.bound import lower_bound
    from rsopt.counts import Counts

    votes = drawn_votes(rows, top, groups, seed)
    rival = 1 + int(np.argmax(votes[1:-1]))
    own, other = int(votes[0]), int(votes[rival])
    counts = Counts((own, other, int(votes.sum()) - own - other), 0, 1)
    rounding = rows.shape[0] * (len(groups) + 2) * 2.0**-50
    if not rounding < 0.5 * alpha:
        raise InvalidInputError(f"alpha = {alpha:g} is too small for votes drawn in double precision from "
                                f"{rows.shape[0]:,} rows; use 'digital-hedge'.")
    return lower_bound(counts, functional=functional, alpha=alpha - rounding), groups[rival - 1]
