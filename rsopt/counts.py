"""Counts: a validated observation of votes per class, and the class that is certified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rsopt.errors import InvalidInputError

MAX_DRAWS = 10_000_000


@dataclass(frozen=True)
class Counts:
    """Votes per class in n independent noisy forward passes.

    Attributes:
        votes: counts per class, all classes, whole numbers >= 0.
        top: index of the class that is certified. It must not be chosen on these votes (fact 8):
            either it is a known label, or it was chosen on separate samples.
        rival: index of one other class to bound the margin against, fixed in advance; by default the empirical
            runner-up, whose bound is the least and holds for all rivals (fact 7).

    Raises:
        InvalidInputError: fewer than two classes, negative, fractional, NaN or missing votes, no votes at all,
            more than 10,000,000 votes, or a `top` or `rival` that is no class, or both the same.
    """

    votes: tuple[int, ...]
    top: int
    rival: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "votes", _whole(self.votes))
        object.__setattr__(self, "top", _class_index("top", self.top, len(self.votes)))
        if self.rival is not None:
            object.__setattr__(self, "rival", _class_index("rival", self.rival, len(self.votes)))
            if self.rival == self.top:
                raise InvalidInputError(f"rival and top are the same class, {self.top}.")

    @property
    def n(self) -> int:
        """Number of draws."""
        return sum(self.votes)

    @property
    def runner_up(self) -> int:
        """The rival if one was fixed, else the class with the most votes other than `top` (the first among equals)."""
        if self.rival is not None:
            return self.rival
        others = np.array(self.votes)
        others[self.top] = -1
        return int(others.argmax())

    @property
    def x1(self) -> int:
        """Votes of the certified class."""
        return self.votes[self.top]

    @property
    def x2(self) -> int:
        """Votes of the runner-up."""
        return self.votes[self.runner_up]

    @property
    def two_classes(self) -> bool:
        """Whether no third class exists, so that q3 = 0."""
        return len(self.votes) == 2


def _class_index(role: str, value: Any, classes: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InvalidInputError(f"{role} must be the index of a class, an int; found {value!r}.")
    if not 0 <= value < classes:
        raise InvalidInputError(f"{role}={value} is no class: there are {classes}, numbered 0 to {classes - 1}.")
    return int(value)


def _whole(votes: Any) -> tuple[int, ...]:
    """The votes as Python ints, or an error that shows the first entry that is no count."""
    array: npt.NDArray[Any]
    try:
        array = np.asarray(votes.tolist() if hasattr(votes, "tolist") else list(votes))
    except TypeError:
        raise InvalidInputError(f"Counts must be a sequence of whole numbers, one a class; found {votes!r}.") from None
    if array.ndim != 1 or array.size < 2:
        raise InvalidInputError(f"Counts must be one row with at least two classes; found shape {array.shape}. "
                                "A single total says nothing about the runner-up.")
    if array.dtype.kind not in "iuf":
        raise InvalidInputError(f"Counts must be whole numbers; found {votes!r}.")
    for index, value in enumerate(array.tolist()):
        if value != value or value in (float("inf"), float("-inf")):
            raise InvalidInputError(f"Count {index} is {value}. A model that returns NaN must be fixed first.")
        if value < 0:
            raise InvalidInputError(f"Count {index} is {value}; counts cannot be negative.")
        if value != int(value):
            raise InvalidInputError(f"Count {index} is {value}; counts must be whole numbers, not shares.")
    whole = tuple(int(value) for value in array.tolist())
    if sum(whole) == 0:
        raise InvalidInputError("All counts are 0: there is nothing to bound. Draw at least one sample.")
    if sum(whole) > MAX_DRAWS:
        raise InvalidInputError(f"The counts add up to {sum(whole):,}; at most {MAX_DRAWS:,} draws are supported.")
    return whole


def checked_alpha(alpha: float, largest: float = 0.5) -> float:
    """`alpha` as a float, or an error unless 0 < alpha < 1/2 and alpha <= `largest`."""
    if isinstance(alpha, bool) or not isinstance(alpha, int | float | np.floating):
        raise InvalidInputError(f"alpha must be a number between 0 and 1/2; found {alpha!r}.")
    if not 0.0 < alpha < 0.5:
        raise InvalidInputError(f"alpha must lie strictly between 0 and 1/2; found {alpha!r}. It is the probability "
                                "that the bound is wrong, for example 0.001.")
    if alpha > largest:
        raise InvalidInputError(f"alpha = {alpha!r} is above {largest}, the largest this statistic supports. "
                                "Use a smaller alpha or another statistic.")
    if alpha < 1e-15:
        raise InvalidInputError(f"alpha = {alpha!r} is below 1e-15, where double precision can prove nothing.")
    return float(alpha)


def as_counts(counts: Counts | Sequence[int], top: int | None) -> Counts:
    """`counts` itself, or a row of votes with the `top` that was said beside it.

    Raises:
        InvalidInputError: no `top` beside bare votes, or a `top` that contradicts the `Counts`.
    """
    if isinstance(counts, Counts):
        if top is not None and top != counts.top:
            raise InvalidInputError(f"top={top} contradicts the counts, whose certified class is {counts.top}.")
        return counts
    if top is None:
        raise InvalidInputError("Say which class is certified: top=…. It is a known label or was chosen on separate "
                                "samples; choosing it on the counts themselves voids the bound.")
    return Counts(_whole(counts), top)
