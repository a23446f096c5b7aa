"""Deletion: edit distance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rsopt.arguments import as_real, as_whole
from rsopt.errors import InvalidInputError, shown
from rsopt.functional import Functional
from rsopt.noise.coupling import CoupledNoise
from rsopt.noise.source import Source, threshold

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Deletion(CoupledNoise):
    """Each token of a sequence is deleted with one probability, independently (Huang et al. 2023): edit distance.

    Radii count insertions, deletions and substitutions. D(r) = 1 - probability^r: an alignment of two sequences with r
    edited columns shares the coins of all columns, and what is left of the two is equal where all edited columns are
    deleted.

    A draw is padded with `null` at its end, and entries of an input that are `null` are padding, no tokens. The answer
    of the model must depend on the tokens alone, not on how much padding follows; then a radius speaks of sequences of
    every length.

    Attributes:
        probability: of a deletion, between 0 and 1.
        null: the padding, no token.

    Raises:
        InvalidInputError: no probability strictly between 0 and 1, or `null` is no whole number.
    """

    name: ClassVar[str] = "deletion"
    law: ClassVar[str] = "deletion"
    action: ClassVar[str] = "every token of the input is deleted with this probability, independently"

    probability: float
    null: int = 0

    def __post_init__(self) -> None:
        value, null = as_real(self.probability), as_whole(self.null)
        if value is None or not 0.0 < value < 1.0:
            raise InvalidInputError(f"probability must lie strictly between 0 and 1; found {shown(self.probability)}.")
        if null is None:
            raise InvalidInputError(f"null must be a whole number, which is no token; found {shown(self.null)}.")
        object.__setattr__(self, "probability", value)
        object.__setattr__(self, "null", null)

    @property
    def norm(self) -> str:
        """Edit distance."""
        return "edit"

    @property
    def unit(self) -> str:
        """Edits."""
        return "edits"

    @property
    def symbols(self) -> bool:
        """Entries name tokens."""
        return True

    @property
    def radius_name(self) -> str:
        """As in `Noise`."""
        return "edit-distance radius"

    @property
    def setting(self) -> str:
        """The probability."""
        return f"probability {self.probability:g}"

    @property
    def within(self) -> str:
        """As in `Noise`."""
        return "change of the sequence by at most so many insertions, deletions and substitutions as the radius says"

    @property
    def largest(self) -> float:
        """Infinite: sequences may have any length."""
        return math.inf

    def difference(self, r: int) -> float:
        """1 - probability^r, rounded up."""
        # Logarithm, product and exponential are off by a relative 1e-15 together, and so is the result.
        exact = -math.expm1(r * math.log(self.probability))
        return min(exact * (1.0 + 4e-15), 1.0)

    def rule(self, functional: Functional) -> str:
        """As in `Noise`."""
        return f"the largest whole number r with 2 D(r) below the bound, D(r) = 1 − {self.probability:g}^r"

    def check_input(self, x: Tensor) -> None:
        """As in `Noise`: refuses what is no sequence."""
        if x.ndim != 1:
            raise InvalidInputError(f"Deletion is for sequences of tokens, (length,); found shape {tuple(x.shape)}.")

    def noisy(self, batch: Tensor, source: Source) -> Tensor:
        """As in `Noise`: what is left of each row (rows, length), padded at its end to the length it had."""
        # Deleted a little more often than stated where the probability is no multiple of 2^-63.
        left = (source.words(tuple(batch.shape)) >= threshold(self.probability)) & (batch != self.null)
        order = (~left).byte().argsort(dim=1, stable=True)
        return batch.gather(1, order).where(left.gather(1, order), batch.new_tensor(self.null))
