"""Rows of scores, checked: what a bound may rest on, and the columns that it looks at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsopt.arguments import as_whole
from rsopt.errors import InvalidInputError, shown

#: Rows may leave the probability simplex by this much, in any entry and in their sum: half precision does.
TOLERANCE = 1e-3
#: With a selection sample, rivals are pooled while a pool's mean stays below this share of the runner-up's.
POOL_SHARE = 0.25
#: The strongest rivals on a selection sample stay alone: where few rows go wrong, it does not show how they will share.
ALONE = 4


def check_rows(scores: object, classes: int | None = None, *, first_row: int = 0) -> np.ndarray:
    """Scores as an array (n, m) of their own precision, every entry read and checked.

    Args:
        scores: (n, m), float16, float32, float64, or integers (one-hot rows).
        classes: the m that is expected, or None.
        first_row: number of the first row, for the error texts.

    Raises:
        InvalidInputError: wrong shape or type, no rows, fewer than two classes, NaN or infinite entries, an
            entry below -1e-3, a row whose sum is off 1 by more than 1e-3.
    """
    try:
        rows = np.asarray(scores)
    except (TypeError, ValueError):
        rows = np.empty((), dtype=object)
    if rows.dtype.kind not in "fiub":
        raise InvalidInputError("scores must be an array of real numbers, one row a sample; got dtype "
                                f"{rows.dtype}.")
    if rows.ndim != 2:
        raise InvalidInputError(f"scores must have shape (n, classes); got shape {rows.shape}.")
    if rows.shape[0] == 0:
        raise InvalidInputError("There are no score rows: a bound needs at least one.")
    if rows.shape[1] < 2:
        raise InvalidInputError(f"A margin needs at least two classes; the rows have {rows.shape[1]}.")
    if classes is not None and rows.shape[1] != classes:
        raise InvalidInputError(f"Expected rows of {classes} classes; got {rows.shape[1]}.")
    # By columns: NumPy sums few long rows faster than many short ones.
    with np.errstate(invalid="ignore", over="ignore"):
        sums = rows.T.astype(np.float64).sum(axis=0)
    # A NaN or an infinity anywhere leaves the row's sum not finite.
    bad = np.flatnonzero(~(np.abs(sums - 1.0) <= TOLERANCE))
    if bad.size:
        row = int(bad[0])
        if not np.isfinite(rows[row].astype(np.float64)).all():
            raise InvalidInputError(f"Row {first_row + row} holds NaN or infinite scores.")
        raise InvalidInputError(f"Row {first_row + row} sums to {sums[row]:.6g}; scores must sum to 1 within "
                                f"{TOLERANCE:g}. Are these logits? Apply a softmax or sparsemax first.")
    if rows.min() < -TOLERANCE:
        lowest = rows.min(axis=1)
        row = int(np.argmin(lowest))
        raise InvalidInputError(f"Row {first_row + row} holds the score {float(lowest[row]):.6g}; scores "
                                f"must not be below -{TOLERANCE:g}.")
    return rows


def check_top(top: object, classes: int) -> int:
    """The certified class as an index in 0 … classes - 1.

    Raises:
        InvalidInputError: it is no such index.
    """
    if isinstance(top, bool) or not isinstance(top, int | np.integer) or not 0 <= top < classes:
        raise InvalidInputError(f"top must be a class index in 0 … {classes - 1}, chosen without looking at "
                                f"these rows; got {top!r}.")
    return int(top)


def check_groups(groups: Sequence[Sequence[int]] | None, top: int,
                 classes: int) -> tuple[tuple[int, ...], ...]:
    """Rivals as a partition of all classes but `top`; each one alone when `groups` is None.

    Raises:
        InvalidInputError: a class is missing, repeated, out of range or equal to `top`, or a group is empty.
    """
    if groups is None:
        return tuple((j,) for j in range(classes) if j != top)
    try:
        named = [[as_whole(j) for j in group] for group in groups]
    except TypeError:
        raise InvalidInputError(f"groups must be rows of class indices; found {shown(groups)}.") from None
    result = tuple(tuple(-1 if j is None else j for j in group) for group in named)
    listed = sorted(j for group in result for j in group)
    if listed != [j for j in range(classes) if j != top] or not all(result):
        raise InvalidInputError(f"groups must hold every class but top = {top} exactly once, and no empty "
                                f"group; found {shown(groups)} for {classes} classes.")
    return result


def pooled_groups(selection: np.ndarray, top: int) -> tuple[tuple[int, ...], ...]:
    """Groups of rivals fixed on a separate sample: strong rivals alone, hopeless ones together.

    E[X_j] is at most the mean of the sum over j's group, so a group stands for its members. In order of
    increasing mean, rivals join a group until its mean would exceed a quarter of the runner-up's.

    Args:
        selection: rows (n0, m) that are not used for the bound.
        top: the certified class.
    """
    means = np.clip(selection.astype(np.float64), 0.0, 1.0).mean(axis=0)
    rivals = sorted((j for j in range(means.size) if j != top), key=lambda j: (means[j], j))
    limit = POOL_SHARE * means[rivals[-1]]
    groups: list[list[int]] = []
    total = np.inf
    for left, j in zip(range(len(rivals), 0, -1), rivals, strict=True):
        if total + means[j] > limit or left <= ALONE:
            groups.append([])
            total = 0.0
        groups[-1].append(j)
        total += means[j]
    return tuple(tuple(sorted(group)) for group in reversed(groups))


def pooled_columns(rows: np.ndarray, top: int, groups: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """X_A and the groups' sums, clipped to [0, 1], (1 + groups, n), float64.

    The bound speaks of the clipped scores. Clipping needs no allowance: it is a fixed map, so the classifier
    with clipped scores is what is certified; every proof asks for X_A and X_j in [0, 1] only, never for a sum
    of 1; and it is 1-Lipschitz in each entry, so a network's Lipschitz constant holds for it too. A group's
    clipped sum is at least each of its members' clipped scores.
    """
    clipped = rows.T.astype(np.float64)
    np.clip(clipped, 0.0, 1.0, out=clipped)
    columns = np.empty((1 + len(groups), rows.shape[0]))
    columns[0] = clipped[top]
    for i, group in enumerate(groups, start=1):
        columns[i] = clipped[group[0]]
        for j in group[1:]:
            columns[i] += clipped[j]
        if len(group) > 1:
            np.minimum(columns[i], 1.0, out=columns[i])
    return columns
