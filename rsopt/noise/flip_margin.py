"""The margin that is left after changes of bits: a functional for each number of changes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from rsopt.arguments import as_whole
from rsopt.errors import InvalidInputError, shown
from rsopt.functional import Functional
from rsopt.noise.regions import Envelope, envelope

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FlipMargin(Functional):
    """g(p_A, p_j) = min lo(p_A) - hi(p_j) over the given numbers of additions and deletions of ones (theorem N4).

    Where it is positive, A stays ahead after every such change of the input. lo is rounded down and hi up by more than
    their evaluation errs: where g is seen to be positive it is so, and also for every larger q1 and smaller q2.

    Attributes:
        add: probability that a 0 becomes a 1, as it is drawn.
        remove: probability that a 1 becomes a 0, likewise.
        changes: (additions, deletions), one or more; fewer of both are covered with them.

    Raises:
        InvalidInputError: changes that are no pairs of whole numbers from 0 on.
    """

    name: ClassVar[str] = "flip-margin"
    formula: ClassVar[str] = "lo(q1) - hi(q2)"

    add: Fraction
    remove: Fraction
    changes: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        checked = tuple(tuple(as_whole(number) for number in pair) for pair in self.changes)
        if not checked or any(len(pair) != 2 or any(number is None or number < 0 for number in pair)
                              for pair in checked):
            raise InvalidInputError("Numbers of additions and deletions must be whole numbers from 0 on; found "
                                    f"{shown(self.changes)}.")
        object.__setattr__(self, "changes", checked)

    @property
    def range(self) -> tuple[float, float]:
        """A difference of two probabilities."""
        return -1.0, 1.0

    @property
    def monotone(self) -> bool:
        """Proven: lo and hi are nondecreasing."""
        return True

    @property
    def flips(self) -> tuple[Fraction, Fraction, tuple[tuple[int, int], ...]] | None:
        """As in `Functional`; what is made of this one by others is another one."""
        return (self.add, self.remove, self.changes) if type(self) is FlipMargin else None

    @cached_property
    def _envelopes(self) -> tuple[Envelope, ...]:
        return tuple(envelope(self.add, self.remove, *pair) for pair in self.changes)

    def value(self, q1: Array, q2: Array) -> Array:
        """As in `Functional`."""
        return np.asarray(np.min(self._each(q1, q2), axis=0))

    def gradient(self, q1: Array, q2: Array) -> tuple[Array, Array]:
        """As in `Functional`: of the smallest of the differences, on the piece that holds the point."""
        which = np.argmin(self._each(q1, q2), axis=0)
        first = np.array([each.least_slope(q1) for each in self._envelopes])
        second = np.array([-each.most_slope(q2) for each in self._envelopes])
        pick = which[np.newaxis]
        return np.take_along_axis(first, pick, 0)[0], np.take_along_axis(second, pick, 0)[0]

    def _each(self, q1: Array, q2: Array) -> Array:
        return np.array([each.least(q1) - each.most(q2) for each in self._envelopes])
