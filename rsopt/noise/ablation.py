"""Ablation: l0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from rsopt.arguments import as_real, as_whole
from rsopt.errors import InvalidInputError, shown
from rsopt.functional import Functional
from rsopt.noise.coupling import CoupledNoise
from rsopt.noise.rounding import rounded_up
from rsopt.noise.source import Source

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Ablation(CoupledNoise):
    """All but a few positions of an input are hidden (Levine & Feizi 2020): radii in l0, the number of positions.

    `keep` of d positions are shown, every choice of them equally likely. An input of one axis is a row of positions; of
    any other the first axis holds channels, and a position has all channels. Two inputs that differ in r positions look
    the same unless one of these is shown: D(r) = 1 - C(d - r, keep)/C(d, keep).

    The model must see what is hidden as such, and be trained so: by a mask in a channel of its own, or by a value that
    nothing shown can have.

    Attributes:
        keep: positions shown.
        positions: d; None where it is to be taken from the input.
        null: what stands at a hidden position, no value of any input. None hides by 0 and appends a channel that is 1
            where the input is shown; an input of one axis becomes two channels.

    Raises:
        InvalidInputError: `keep` or `positions` is no whole number from 1 on, more are kept than there are, or `null`
            is no finite number.
    """

    name: ClassVar[str] = "ablation"
    law: ClassVar[str] = "ablation"
    action: ClassVar[str] = "all but so many positions of the input, chosen at random, are hidden"

    keep: int
    positions: int | None = None
    null: float | None = None

    def __post_init__(self) -> None:
        for name in ("keep", "positions"):
            if (value := getattr(self, name)) is None and name == "positions":
                continue
            whole = as_whole(value)
            if whole is None or whole < 1:
                raise InvalidInputError(f"{name} must be a whole number of positions from 1 on; found {shown(value)}.")
            object.__setattr__(self, name, whole)
        if self.positions is not None and self.keep > self.positions:
            raise InvalidInputError(f"keep={self.keep} positions of {self.positions} cannot be shown.")
        if self.null is not None:
            null = as_real(self.null)
            if null is None or not math.isfinite(null):
                raise InvalidInputError(f"null must be a finite number, which no input has; found {shown(self.null)}.")
            object.__setattr__(self, "null", null)

    @property
    def norm(self) -> str:
        """l0."""
        return "l0"

    @property
    def unit(self) -> str:
        """Positions."""
        return "positions"

    @property
    def symbols(self) -> bool:
        """Where a value stands for what is hidden, entries may be whole numbers that name something."""
        return self.null is not None

    @property
    def setting(self) -> str:
        """How many are kept."""
        return f"keep {self.keep}" + ("" if self.positions is None else f" of {self.positions} positions")

    @property
    def within(self) -> str:
        """As in `Noise`."""
        return "change of at most so many positions of the input as the radius says"

    @property
    def largest(self) -> float:
        """Beyond d - keep every choice shows a changed position."""
        return self._d - self.keep

    def difference(self, r: int) -> float:
        """1 - C(d - r, keep)/C(d, keep), exact but for the last rounding, upwards."""
        return _seen(self._d, self.keep, r)

    def rule(self, functional: Functional) -> str:
        """As in `Noise`."""
        return (f"the largest whole number r with 2 D(r) below the bound, D(r) = 1 − C({self._d}−r, {self.keep}) / "
                f"C({self._d}, {self.keep})")

    def fitted(self, shape: Sequence[int]) -> Ablation:
        """With the positions that inputs of this shape have.

        Raises:
            InvalidInputError: they have another number of positions than `positions`, or fewer than are kept.
        """
        found = math.prod(shape if len(shape) == 1 else shape[1:])
        if self.positions not in (None, found):
            raise InvalidInputError(f"The noise is for {self.positions} positions, and an input of shape "
                                    f"{tuple(shape)} has {found}.")
        return replace(self, positions=found)

    def check_input(self, x: Tensor) -> None:
        """As in `Noise`: refuses an input that holds the null value."""
        super().check_input(x)
        if self.null is not None and bool((x == self.null).any()):
            raise InvalidInputError(f"The input holds the null value {self.null:g}, which stands for what is hidden. "
                                    "Choose a value that no input has.")

    def noisy(self, batch: Tensor, source: Source) -> Tensor:
        """As in `Noise`: the rows with what is hidden replaced, or with the mask as one more channel."""
        import torch

        rows, places = batch.shape[0], batch.shape[1:] if batch.ndim == 2 else batch.shape[2:]
        # The positions with the largest of random words: all choices are equally likely.
        chosen = source.words((rows, math.prod(places))).topk(self.keep, dim=1, sorted=False).indices
        shown = torch.zeros((rows, math.prod(places)), dtype=torch.bool, device=batch.device).scatter_(1, chosen, True)
        mask = shown.reshape(rows, 1, *places)
        if self.null is not None:
            # A number, not a tensor: a device need not wait for the host.
            hidden = ~(mask.reshape(rows, *places) if batch.ndim == 2 else mask)
            return batch.masked_fill(hidden, self.null if batch.is_floating_point() else int(self.null))
        channels = batch[:, None] if batch.ndim == 2 else batch
        return torch.cat([channels * mask, mask.to(batch.dtype)], dim=1)

    @property
    def _d(self) -> int:
        if self.positions is None:
            raise InvalidInputError(f"A radius of ablation depends on the number of positions: Ablation({self.keep}, "
                                    "positions=…), or its fitted(shape).")
        return self.positions


@lru_cache(maxsize=4096)
def _seen(d: int, keep: int, r: int) -> float:
    return rounded_up(1 - Fraction(math.comb(d - r, keep), math.comb(d, keep)))
