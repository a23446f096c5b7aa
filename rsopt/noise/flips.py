"""Flips of bits: l0 of sparse binary data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from rsopt.arguments import as_real, as_whole
from rsopt.errors import InvalidInputError, shown
from rsopt.functional import Functional
from rsopt.noise.coupling import CoupledNoise
from rsopt.noise.flip_margin import FlipMargin
from rsopt.noise.regions import Envelope, envelope, total_variation
from rsopt.noise.rounding import rounded_up
from rsopt.noise.source import WORDS, Source, threshold

if TYPE_CHECKING:
    from torch import Tensor

_LARGEST = 64


@dataclass(frozen=True)
class Flips(CoupledNoise):
    """Each bit of an input is flipped, independently: 0 with one probability, 1 with another (Bojchevski et al. 2020).

    For sparse binary data, such as words in a text or edges of a graph: a small `add` leaves the many zeros alone, a
    large `remove` hides most ones. Radii count changed bits.

    A bound M on the margin certifies the largest r with hi((1 - M)/2) < 1/2 after any r changes, hi(p) being the
    largest probability that a set of probability p can have after them (theorem N4). More can be certified by `margin`
    and `margin_within`, whose bounds say directly whether so many changes are harmless (`rsopt.largest_certified`).

    Attributes:
        add: probability that a 0 becomes a 1.
        remove: probability that a 1 becomes a 0.

    Raises:
        InvalidInputError: no probabilities in [0, 1), or both are 0.
    """

    name: ClassVar[str] = "flips"
    law: ClassVar[str] = "flips of bits"
    action: ClassVar[str] = "every bit of the input is flipped with a probability of its value, independently"

    add: float
    remove: float

    def __post_init__(self) -> None:
        for name in ("add", "remove"):
            value = as_real(getattr(self, name))
            if value is None or not 0.0 <= value < 1.0:
                raise InvalidInputError(f"{name} must be a probability from 0 to below 1; found "
                                        f"{shown(getattr(self, name))}.")
            object.__setattr__(self, name, value)
        if self.add == 0.0 and self.remove == 0.0:
            raise InvalidInputError("add and remove are both 0: nothing is ever flipped, and no radius follows.")

    @property
    def norm(self) -> str:
        """l0."""
        return "l0"

    @property
    def unit(self) -> str:
        """Bits."""
        return "bits"

    @property
    def symbols(self) -> bool:
        """Entries may be whole numbers."""
        return True

    @property
    def setting(self) -> str:
        """The two probabilities."""
        return f"add {self.add:g}, remove {self.remove:g}"

    @property
    def within(self) -> str:
        """As in `Noise`."""
        return "change of at most so many bits of the input as the radius says"

    @property
    def largest(self) -> float:
        """Radii above this are not looked for."""
        return _LARGEST

    @property
    def exact(self) -> tuple[Fraction, Fraction]:
        """`add` and `remove` as they are drawn: the next multiples of 2^-63."""
        drawn = [Fraction(threshold(value), WORDS) for value in (self.add, self.remove)]
        return drawn[0], drawn[1]

    def difference(self, r: int) -> float:
        """The largest total variation over all ways to change r bits, rounded up."""
        return _furthest(*self.exact, r)

    def survives(self, r: int, margin: float) -> bool:
        """Whether hi((1 - margin)/2) < 1/2 after every r changes (theorem N4)."""
        p = np.array(math.nextafter(0.5 * (1.0 - margin), 1.0))
        return all(float(each.most(p)) < 0.5 for each in _envelopes(*self.exact, r))

    def margin(self, additions: int, deletions: int) -> FlipMargin:
        """The functional that is positive where A survives at most so many additions and so many deletions of ones.

        Raises:
            InvalidInputError: numbers that are no whole numbers from 0 on.
        """
        return FlipMargin(*self.exact, ((additions, deletions),))

    def margin_within(self, r: int) -> FlipMargin:
        """The functional that is positive where A survives every change of at most r bits.

        Raises:
            InvalidInputError: a number that is no whole number from 0 on.
        """
        changed = as_whole(r)
        if changed is None or changed < 0:
            raise InvalidInputError(f"A number of changed bits must be a whole number from 0 on; found {shown(r)}.")
        return FlipMargin(*self.exact, tuple((a, changed - a) for a in range(changed + 1)))

    def rule(self, functional: Functional) -> str:
        """As in `Noise`."""
        return ("the largest whole number r with hi((1 - bound)/2) below 1/2, hi(p) the largest probability after a "
                "change of r bits of a set that has p before")

    def check_input(self, x: Tensor) -> None:
        """As in `Noise`: refuses an input that holds anything but 0 and 1."""
        super().check_input(x)
        if bool(((x != 0) & (x != 1)).any()):
            raise InvalidInputError("Flips are for inputs of zeros and ones, and this one holds other values. "
                                    "Make them bits first: what is certified are the bits.")

    def noisy(self, batch: Tensor, source: Source) -> Tensor:
        """As in `Noise`: the rows with some bits flipped."""
        words, zero = source.words(tuple(batch.shape)), batch == 0
        flipped = (zero & (words < threshold(self.add))) | (~zero & (words < threshold(self.remove)))
        return (zero == flipped).to(batch.dtype)


@lru_cache(maxsize=256)
def _envelopes(add: Fraction, remove: Fraction, r: int) -> tuple[Envelope, ...]:
    """hi and lo of all ways to change r bits."""
    return tuple(envelope(add, remove, a, r - a) for a in range(r + 1))


@lru_cache(maxsize=1024)
def _furthest(add: Fraction, remove: Fraction, r: int) -> float:
    return rounded_up(max(total_variation(add, remove, a, r - a) for a in range(r + 1)))
