"""Scores turned into votes: every row votes by one uniform number, and the votes are bounded exactly.

With U uniform on [0, 1) and independent of the row X, the row votes for the top class where U >= 1 - X_A and for
group j where U < X_j; where the two overlap, which needs X_A + X_j > 1, only for j. So for every fixed j the votes for
the top class, for j and for neither are multinomial, with probabilities at most E[X_A] and at least E[X_j] (equal to
them in the simplex): the exact bound on these counts bounds the margin of the mean scores against j too, and the
minimum over j is a bound for all rivals. That rivals share one U matters to no j, and evens out their counts.

Unlike a bet it reaches alpha^(1/n) on unanimous rows; unlike a bet it adds the variance of the draw, X (1 - X) a row,
which is little where scores are nearly zero or one and much where they are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rsopt.errors import InvalidInputError
from rsopt.scores.rows import check_rows, pooled_columns

if TYPE_CHECKING:
    from rsopt.bound import Bound

#: Scores that are turned into votes at a time.
PORTION = 1 << 20
#: Second word of the generator's key, so that nobody who draws rows with the same seed has these numbers in them.
KEY = int.from_bytes(b"rsopt:vo", "big")


def drawn_votes(rows: np.ndarray, top: int, groups: tuple[tuple[int, ...], ...], seed: int) -> np.ndarray:
    """Rows that vote for `top` and for each group of rivals, (1 + groups,), int64.

    A row may vote for several groups or for nobody.

    Args:
        rows: (n, m) scores.
        top: the certified class.
        groups: a partition of the rivals.
        seed: of the draw, 0 to 2^64 - 1; it must not be chosen by its outcome.

    Raises:
        InvalidInputError: rows that are not scores (see `rsopt.scores.rows.check_rows`), or a seed that is none.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**64:
        raise InvalidInputError(f"seed must be a whole number from 0 to 2^64 - 1; found {seed!r}.")
    random = np.random.Generator(np.random.Philox(key=np.array([seed, KEY], dtype=np.uint64)))
    votes = np.zeros(1 + len(groups), dtype=np.int64)
    for start in range(0, rows.shape[0], step := max(1, PORTION // rows.shape[1])):
        portion = check_rows(rows[start:start + step], first_row=start)
        votes += votes_at(pooled_columns(portion, top, groups), random.random(len(portion))).sum(axis=1)
    return votes


def votes_at(columns: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Whether each row votes for the top class and for each group, bool (1 + groups, n).

    Args:
        columns: X_A and the groups' sums, in [0, 1], (1 + groups, n).
        at: the uniform numbers, (n,), whole multiples of 2^-53 in [0, 1).
    """
    votes = np.empty(columns.shape, dtype=bool)
    # For multiples of 2^-53, P(U < x) is at least x and P(U >= x) at most 1 - x, for every x in [0, 1]; 2^-52 covers
    # the rounding of 1 - X_A.
    np.greater_equal(at, np.maximum(1.0 - columns[0] + 2.0**-52, columns[1:].max(axis=0)), out=votes[0])
    np.less(at, columns[1:], out=votes[1:])
    return votes


def drawn_votes_bound(rows: np.ndarray, top: int, groups: tuple[tuple[int, ...], ...], functional: str, alpha: float,
                      seed: int) -> tuple[Bound, tuple[int, ...]]:
    """The exact bound on the drawn votes against the strongest group, and that group.

    The minimum over groups is the bound against the group with the most votes, as on counts.

    Args:
        rows, top, groups, seed: as in `drawn_votes`.
        functional: its name, as in `rsopt.lower_bound_scores`.
        alpha: probability that the bound is false, at most 0.4.

    Raises:
        InvalidInputError: as in `drawn_votes`, more than 10,000,000 rows, or alpha above 0.4 or below 1e-15.
    """
    from rsopt.bounding import lower_bound
    from rsopt.counts import Counts

    votes = drawn_votes(rows, top, groups, seed)
    rival = int(np.argmax(votes[1:]))
    own, other = int(votes[0]), int(votes[1 + rival])
    counts = Counts((own, other, rows.shape[0] - own - other), 0, 1)
    return lower_bound(counts, functional=functional, alpha=alpha), groups[rival]
