"""Counts: a validated observation of votes per class, and the class that is certified."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, MappingView, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rsopt.arguments import Real, Whole, as_real, as_whole, iterated
from rsopt.errors import InvalidInputError, shown

MAX_DRAWS = 10_000_000

_COUNT = re.compile(r"[0-9]{1,18}(?:\.0*)?")
_BRACKETS = re.compile(r"\[(.*)\]|\((.*)\)", re.DOTALL)
_GROUP = re.compile(r"0[0-9]{2}")


class Listed(Protocol):
    """A row of numbers that gives itself as a list: an array of NumPy, a tensor of torch."""

    def tolist(self) -> Any:
        """The entries as Python numbers."""
        ...


VotesLike = Sequence[int] | Listed
"""Votes per class, shape (K,), in the order of the classes."""


@dataclass(frozen=True, init=False)
class Counts:
    """Votes per class in n independent noisy forward passes.

    Attributes:
        votes: counts per class, all classes, whole numbers >= 0, in the order of the classes; any sequence or array.
        top: index of the class that is certified. It must not be chosen on these votes (fact 8):
            either it is a known label, or it was chosen on separate samples.
        rival: index of one other class to bound the margin against, fixed in advance; by default the empirical
            runner-up, whose bound is the least and holds for all rivals (fact 7). Where another class has more votes
            than the rival, no radius is made of the bound.

    Raises:
        InvalidInputError: votes in no order of classes (a mapping, a set, bytes), fewer than two classes, negative,
            fractional, NaN or missing votes, no votes at all, more than 10,000,000 votes, or a `top` or `rival` that is
            no class, or both the same.
    """

    votes: tuple[int, ...]
    top: int
    rival: int | None = None

    def __init__(self, votes: VotesLike, top: Whole, rival: Whole | None = None) -> None:
        whole = _whole(votes)
        object.__setattr__(self, "votes", whole)
        object.__setattr__(self, "top", _class_index("top", top, len(whole)))
        object.__setattr__(self, "rival", None if rival is None else _class_index("rival", rival, len(whole)))
        if self.rival == self.top:
            raise InvalidInputError(f"rival and top are the same class, {self.top}.")

    @property
    def n(self) -> int:
        """Number of draws."""
        return sum(self.votes)

    @property
    def runner_up(self) -> int:
        """The rival if one was fixed, else the class with the most votes other than `top` (the first among equals)."""
        return self._strongest if self.rival is None else self.rival

    @property
    def x1(self) -> int:
        """Votes of the certified class."""
        return self.votes[self.top]

    @property
    def x2(self) -> int:
        """Votes of the runner-up."""
        return self.votes[self.runner_up]

    @property
    def stronger(self) -> int | None:
        """The class with more votes than the rival that was fixed, the first of those with most; else None.

        Of that class a bound against the rival says nothing. A rival with as many votes as the strongest has the
        `reduced` counts, and so the bound, of the empirical runner-up, which holds for all (fact 7).
        """
        return None if self.votes[self._strongest] == self.x2 else self._strongest

    @property
    def _strongest(self) -> int:
        """The class with the most votes other than `top`, the first among equals."""
        others = np.array(self.votes)
        others[self.top] = -1
        return int(others.argmax())

    @property
    def two_classes(self) -> bool:
        """Whether no third class exists, so that q3 = 0."""
        return len(self.votes) == 2

    @property
    def reduced(self) -> tuple[int, int, int, bool]:
        """All that a bound depends on: (n, x1, x2, whether there are but two classes)."""
        return self.n, self.x1, self.x2, self.two_classes


def counts_in(text: str) -> list[int]:
    """The counts in a line of text: "9000 600 400", "9000,600,400" or "[9000, 600, 400]".

    Raises:
        InvalidInputError: something in it is no whole number from 0 on, or commas might group its digits.
    """
    bracketed = _BRACKETS.fullmatch(text.strip())
    inside = (text if bracketed is None else bracketed[1] or bracketed[2] or "").strip()
    if not inside:
        raise InvalidInputError("There are no counts. Give one whole number a class, for example: 9000 600 400")
    spaced = [part.strip() for part in inside.split(",")]
    parts = spaced if "," in inside and not any(re.search(r"\s", part) for part in spaced) else inside.split()
    for part in parts:
        if not _COUNT.fullmatch(part):
            raise InvalidInputError(f"{shown(part)} is no count. Counts are whole numbers, one a class, for example: "
                                    "9000 600 400")
        if "," in inside and _GROUP.fullmatch(part):
            raise InvalidInputError(f"The commas in {shown(text)} may group digits or part counts. Write 9000, not "
                                    "9,000.")
    return [int(part.partition(".")[0]) for part in parts]


def one_rival(counts: Counts, statement: str) -> str:
    """Why a bound against a rival that was fixed says too little, and what to do.

    Args:
        counts: the observation, with the rival.
        statement: what needs a bound against all classes, at the beginning of a sentence.
    """
    stronger = counts.stronger
    others = "" if stronger is None else f", while class {stronger} has {counts.votes[stronger]:,}"
    return (f"This bound is against class {counts.runner_up} alone, which was fixed as the rival and has {counts.x2:,} "
            f"votes{others}. {statement} needs the margin against all classes: leave rival out, and the bound holds "
            "for all of them (fact 7).")


def _class_index(role: str, value: object, classes: int) -> int:
    index = as_whole(value)
    if index is None:
        raise InvalidInputError(f"{role} must be the index of a class, an int; found {shown(value)}.")
    if not 0 <= index < classes:
        raise InvalidInputError(f"{role}={shown(index)} is no class: there are {classes}, numbered 0 to {classes - 1}.")
    return index


def _whole(votes: object) -> tuple[int, ...]:
    """The votes as Python ints, or an error that shows the first entry that is no count."""
    entries = _entries(votes)
    whole = tuple(_count(index, value) for index, value in enumerate(entries))
    if len(whole) < 2:
        raise InvalidInputError(f"Counts must be one row with at least two classes; found shape ({len(whole)},). "
                                "A single total says nothing about the runner-up.")
    if sum(whole) == 0:
        raise InvalidInputError("All counts are 0: there is nothing to bound. Draw at least one sample.")
    if sum(whole) > MAX_DRAWS:
        raise InvalidInputError(f"The counts add up to {sum(whole):,}; at most {MAX_DRAWS:,} draws are supported.")
    return whole


def _entries(votes: object) -> list[Any]:
    """What stands in a row of votes, class by class."""
    # A table of pandas has keys too, and so has what its value_counts() gives, sorted by votes.
    if isinstance(votes, Mapping | MappingView | Set) or hasattr(votes, "keys"):
        raise InvalidInputError(f"Counts must be a sequence in the order of the classes; found a "
                                f"{type(votes).__name__}, {shown(votes)}, which has no such order or leaves classes "
                                "out. Give [votes[c] for c in range(classes)].")
    shape = getattr(votes, "shape", (0,))
    if len(shape) != 1:
        raise InvalidInputError(f"Counts must be one row with at least two classes; found shape {tuple(shape)}.")
    listed: object = votes if isinstance(votes, memoryview) or not hasattr(votes, "tolist") else votes.tolist()
    if isinstance(listed, str | bytes | bytearray | memoryview) or not isinstance(listed, Sequence):
        raise InvalidInputError(f"Counts must be a sequence of whole numbers, one a class; found {shown(votes)}.")
    return list(listed)


def _count(index: int, value: object) -> int:
    number = as_real(value)
    if number is None:
        raise InvalidInputError(f"Count {index} is {shown(value)}; counts must be whole numbers, one a class.")
    if math.isnan(number):
        raise InvalidInputError(f"Count {index} is nan. A model that returns NaN must be fixed first.")
    if number < 0:
        raise InvalidInputError(f"Count {index} is {shown(value)}; counts cannot be negative.")
    if number > MAX_DRAWS:
        raise InvalidInputError(f"Count {index} is {shown(value)}; at most {MAX_DRAWS:,} draws are supported.")
    if not number.is_integer():
        raise InvalidInputError(f"Count {index} is {shown(value)}; counts must be whole numbers, not shares.")
    return int(number)


def checked_alpha(alpha: Real, largest: float = 0.5) -> float:
    """`alpha` as a float, or an error unless 0 < alpha < 1/2 and alpha <= `largest`."""
    value = as_real(alpha)
    if value is None:
        raise InvalidInputError(f"alpha must be a number between 0 and 1/2; found {shown(alpha)}.")
    if not 0.0 < value < 0.5:
        raise InvalidInputError(f"alpha must lie strictly between 0 and 1/2; found {shown(alpha)}. It is the "
                                "probability that the bound is wrong, for example 0.001.")
    if value > largest:
        raise InvalidInputError(f"alpha = {value!r} is above {largest}, the largest this statistic supports. "
                                "Use a smaller alpha or another statistic.")
    if value < 1e-15:
        raise InvalidInputError(f"alpha = {value!r} is below 1e-15, where double precision can prove nothing.")
    return value


def counts_of_rows(counts: Iterable[Counts | VotesLike], tops: Iterable[Whole] | None) -> list[Counts]:
    """Many rows of votes, each with its certified class.

    Args:
        counts: one row an input; also an array (m, K) or whatever gives one, such as a frame.
        tops: the certified classes, shape (m,); None where the rows are `Counts`, which know theirs.

    Raises:
        InvalidInputError: no rows, another number of classes, or a row without meaning, which the text names.
    """
    rows: list[Any] = list(iterated(np.asarray(counts) if hasattr(counts, "__array__") else counts, "counts"))
    classes: list[Any] = [None] * len(rows) if tops is None else list(iterated(tops, "tops"))
    if not rows or len(rows) != len(classes):
        raise InvalidInputError("counts and tops must have a row and a class for each input, at least one; found "
                                f"{len(rows)} and {len(classes)}.")
    found = []
    for k, (row, top) in enumerate(zip(rows, classes, strict=True)):
        try:
            found.append(as_counts(row, top))
        except InvalidInputError as reason:
            raise InvalidInputError(f"Row {k}: {reason}") from reason
    return found


def as_counts(counts: Counts | VotesLike, top: Whole | None) -> Counts:
    """`counts` itself, or a row of votes with the `top` that was said beside it.

    Raises:
        InvalidInputError: no `top` beside bare votes, or a `top` that contradicts the `Counts`.
    """
    if isinstance(counts, Counts):
        if top is not None and _class_index("top", top, len(counts.votes)) != counts.top:
            raise InvalidInputError(f"top={top} contradicts the counts, whose certified class is {counts.top}.")
        return counts
    if top is None:
        raise InvalidInputError("Say which class is certified: top=…. It is a known label or was chosen on separate "
                                "samples; choosing it on the counts themselves voids the bound.")
    return Counts(counts, top)
