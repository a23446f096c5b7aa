"""Noise on a grid: whole numbers of steps, drawn from whole numbers alone.

Where inputs are multiples of a step h (images of bytes: h = 1/255), x + h·K with K = round(Z/h) has the law of
round(x + Z) for noise Z over the real numbers. What is sampled is then exactly the smoothing of the classifier behind
the rounding, for every perturbation on the grid: no float carries randomness, and rounding can make no radius too
large (Voráček & Hein 2023, "Sound randomized smoothing in floating-point arithmetic").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rsopt.errors import InvalidInputError
from rsopt.noise.rounding import rounded_up
from rsopt.noise.tails import BITS, upper_tail

if TYPE_CHECKING:
    from torch import Tensor, device

__all__ = ["BYTES", "Grid", "GridNoise"]

BYTES = 1 / 255
"""Step of images of bytes, scaled to [0, 1]."""
OFF_GRID = 1e-3
"""How far an input may lie from its multiple of the step, in steps, beside the rounding of float32."""
FURTHEST = 1 << 20
"""Inputs lie no further from 0, in steps: the rounding of float32, in input and quotient, is below a quarter there."""
_ROUNDING = 2.0**-22
_FINEST = 1e-6  # below, every step would be next to 1/m for some m
MOST_STEPS = 1 << 14
"""Noise reaches no further than so many steps to either side."""
_BLOCK = 1 << 16  # values per round: its scratch arrays stay in the second-level cache
_OPEN = np.int16(-(1 << 15))


@dataclass(frozen=True)
class Grid:
    """The multiples of a step.

    Attributes:
        step: the step h; a float next to 1/m for a whole number m stands for 1/m itself.

    Raises:
        InvalidInputError: a step that is not positive and finite.
    """

    step: float

    def __post_init__(self) -> None:
        if not (self.step > 0.0 and math.isfinite(self.step)):
            raise InvalidInputError(f"The step of a grid must be positive and finite; found {self.step!r}.")

    @property
    def exact(self) -> Fraction:
        """The step as the number that it stands for."""
        parts = round(1.0 / self.step) if self.step > _FINEST else 0
        near = parts > 0 and math.isclose(self.step, 1.0 / parts, rel_tol=1e-7)
        return Fraction(1, parts) if near else Fraction(float(self.step))

    def __str__(self) -> str:
        """For example "1/255"."""
        return f"{self.step:g}" if self.parts is None else str(self.exact)

    @property
    def parts(self) -> int | None:
        """m where the step is 1/m, m below 2^24, a number of float32; otherwise None."""
        exact = self.exact
        return exact.denominator if exact.numerator == 1 and exact.denominator < 1 << 24 else None

    def check(self, x: Tensor) -> None:
        """Refuses inputs off the grid.

        Args:
            x: float32, any shape.

        Raises:
            InvalidInputError: an input is no multiple of the step, up to the rounding of float32, is not finite, or
                lies beyond 2^20 steps.
        """
        import torch

        steps = self._steps(x)
        off = (steps - steps.round()).abs()
        # A comparison with NaN fails, and so refuses.
        on = (off <= OFF_GRID + _ROUNDING * steps.abs()) & (steps.abs() <= FURTHEST)
        if not bool(on.all()):
            found = float(x.flatten()[int(torch.argmin(on.flatten().int()))])
            how = (f"(x / {self.step:g}).round() * {self.step:g}" if self.parts is None else
                   f"(x * {self.parts}).round() / {self.parts}")
            raise InvalidInputError(f"Inputs must be multiples of {self}, at most {FURTHEST:,} of them; found "
                                    f"{found:.8g}. Round them to the grid first, {how}, and the rounded inputs are "
                                    "what is certified.")

    def multiples(self, x: Tensor) -> Tensor:
        """The multiples of the step next to inputs of the same shape: whole numbers, in a float32 tensor."""
        return self._steps(x).round_()

    def points(self, multiples: Tensor) -> Tensor:
        """The points at whole multiples below 2^24 of the step, in place: one correctly rounded operation each.

        For a step 1/m it is the float32 next to i/m, which is what dividing bytes by 255 in float32 gives.

        Args:
            multiples: whole numbers, float32, any shape.
        """
        if self.parts is not None:
            # A divisor on the host would be turned into its reciprocal by an accelerator.
            return multiples.div_(multiples.new_full((), self.parts))
        return multiples.mul_(float(np.float32(self.step)))

    def _steps(self, x: Tensor) -> Tensor:
        return x.float() / self.step if self.parts is None else x.float() * self.parts


@dataclass(frozen=True, eq=False)
class GridNoise:
    """The law of round(Z/h), as a table.

    u uniform on the 64-bit integers gives K + `reach`, the number of thresholds that are <= u. Every threshold is
    within 3/4 of a unit of 2^64 · P(K <= k), and beyond `reach` lie at most 3/2: both are 1/2 a unit, for each side,
    up to the width of the enclosures in `tails`.

    Attributes:
        law: one of `rsopt.noise.tails.LAWS`.
        scale: scale of Z, as there, in the units of the inputs.
        grid: the grid.
        reach: K lies in [-reach, reach].
        thresholds: uint64 (2·reach,), ascending.
    """

    law: str
    scale: float
    grid: Grid
    reach: int
    thresholds: NDArray[np.uint64]
    _guide: NDArray[np.int16]

    @staticmethod
    @lru_cache(maxsize=8)
    def of(law: str, scale: float, grid: Grid) -> GridNoise:
        """The table of a law.

        Args:
            law: one of `rsopt.noise.tails.LAWS`.
            scale: scale of the noise, positive, in the units of the inputs.
            grid: the grid.

        Raises:
            UnknownNameError: no such law.
            InvalidInputError: a scale without meaning, or one too large or too small for the grid.
        """
        if not (scale > 0.0 and math.isfinite(scale)):
            raise InvalidInputError(f"The scale of noise must be positive and finite; found {scale!r}.")
        ratio = grid.exact / Fraction(float(scale))

        def beyond(steps: int) -> int:
            return _rounded(upper_tail(law, (steps + Fraction(1, 2)) * ratio))

        if beyond(MOST_STEPS) > 0:
            raise InvalidInputError(f"Noise of scale {scale:g} reaches over more than {MOST_STEPS:,} steps of {grid}. "
                                    "Use a coarser grid.")
        if beyond(0) == 0:
            raise InvalidInputError(f"Noise of scale {scale:g} never leaves a step of {grid}. Use a finer grid.")
        tails: list[int] = []
        while (tail := beyond(len(tails))) > 0:
            tails.append(tail)
        thresholds = np.array([*reversed(tails), *((1 << 64) - tail for tail in tails)], dtype=np.uint64)
        return GridNoise(law, scale, grid, len(tails), thresholds, _guide(thresholds))

    def total_variation(self, draws: int) -> float:
        """Upper bound on the total variation between so many draws and independent draws of round(Z/h).

        Half the sum of what the cells are off by is at most the sum of what the thresholds are off by and what lies
        beyond `reach`: 3/2 (reach + 1) units of 2^-64, at most 2 reach + 1 (theorem N6). A statement with error
        probability alpha for the exact law has at most alpha plus this for the draws.
        """
        return rounded_up(min(Fraction((2 * self.reach + 1) * draws, 1 << 64), Fraction(1)))

    def draw(self, source: np.random.Philox, shape: tuple[int, ...]) -> NDArray[np.int16]:
        """Independent values of K + `reach` on the host, int16; the same on every machine.

        Of the 64 random bits of a value the upper 16 decide almost always; the others are drawn where they do not.
        Both are words of NumPy's Philox, which stay the same from version to version.

        Args:
            source: gives the words, and stands behind them afterwards.
            shape: any shape.
        """
        values = np.empty(math.prod(shape), dtype=np.int16)
        for start in range(0, values.size, _BLOCK):
            block = values[start:start + _BLOCK]
            upper = source.random_raw(-(-block.size // 4)).astype("<u8", copy=False).view("<u2")[:block.size]
            self._guide.take(upper, out=block, mode="clip")
            undecided = np.flatnonzero(block == _OPEN)
            lower = source.random_raw(undecided.size) >> np.uint64(16)
            words = upper[undecided].astype(np.uint64) << np.uint64(48) | lower
            block[undecided] = np.searchsorted(self.thresholds, words, side="right")
        return values.reshape(shape)

    def of_words(self, words: Tensor) -> Tensor:
        """Values of K + `reach` from random words on an accelerator, int32: by search among the thresholds.

        Args:
            words: uniform on the 64-bit integers with a sign, int64, any shape.
        """
        import torch

        return torch.bucketize(words, _signed(self, words.device), right=True, out_int32=True)

    def added(self, batch: Tensor, steps: Tensor) -> Tensor:
        """The points of the grid K steps from inputs, float32: a function of whole numbers alone.

        Args:
            batch: inputs on the grid (rows, *shape).
            steps: K + `reach`, of the same shape.
        """
        # One input in many rows, as in a chunk of samples, is looked at once.
        one = batch[:1] if len(batch) and batch.stride(0) == 0 else batch
        # Whole numbers below 2^24 are exact in float32.
        return self.grid.points(self.grid.multiples(one).sub_(self.reach) + steps)


@lru_cache(maxsize=16)
def _signed(noise: GridNoise, place: device) -> Tensor:
    """The thresholds on an accelerator, less 2^63: torch compares 64-bit integers with a sign."""
    import torch

    return torch.from_numpy((noise.thresholds ^ np.uint64(1 << 63)).view(np.int64)).to(place)


def _rounded(tail: tuple[int, int]) -> int:
    """A tail in units of 2^-64, to the nearest one up to what the enclosure is wide."""
    return tail[0] + (1 << BITS - 65) >> BITS - 64


def _guide(thresholds: NDArray[np.uint64]) -> NDArray[np.int16]:
    """K + reach for each value of the upper 16 bits, int16 (65536,); `_OPEN` where the lower ones matter."""
    first = np.arange(1 << 16, dtype=np.uint64) << np.uint64(48)
    last = first | np.uint64((1 << 48) - 1)
    low, high = (np.searchsorted(thresholds, words, side="right") for words in (first, last))
    return np.where(low == high, low, int(_OPEN)).astype(np.int16)
