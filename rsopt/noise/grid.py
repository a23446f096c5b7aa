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

import numpy as np
from numpy.typing import NDArray

from rsopt.errors import InvalidInputError
from rsopt.noise.tails import BITS, upper_tail

__all__ = ["Grid", "GridNoise"]

OFF_GRID = 1e-3
"""How far an input may lie from its multiple of the step, in steps: the rounding of float32, and no more."""
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
        parts = round(1.0 / self.step)
        near = parts > 0 and math.isclose(self.step, 1.0 / parts, rel_tol=1e-7)
        return Fraction(1, parts) if near else Fraction(float(self.step))

    def integers(self, x: NDArray[np.floating]) -> NDArray[np.int32]:
        """The multiples at which inputs lie, of the same shape.

        Raises:
            InvalidInputError: an input is off the grid, not finite, or beyond 2^23 steps.
        """
        steps = np.asarray(x, dtype=np.float64) / float(self.exact)
        usable = np.abs(steps) < 1 << 23
        nearest = np.rint(np.where(usable, steps, 0.0))
        off = np.where(usable, np.abs(steps - nearest), np.inf)
        if off.size and off.max() > OFF_GRID:
            place = int(off.argmax())
            raise InvalidInputError(f"Inputs must be multiples of {self.exact}; found {np.ravel(x)[place]!r}. Round "
                                    "them to the grid first, and the rounded inputs are what is certified.")
        return nearest.astype(np.int32)

    def points(self, multiples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The points at whole multiples below 2^24 of the step, in place: one correctly rounded operation each.

        For a step 1/m it is the float32 next to i/m, which is what dividing bytes by 255 in float32 gives.
        """
        exact = self.exact
        if exact.numerator == 1 and exact.denominator < 1 << 24:
            multiples /= np.float32(exact.denominator)
        else:
            multiples *= np.float32(self.step)
        return multiples


@dataclass(frozen=True, eq=False)
class GridNoise:
    """The law of round(Z/h), as a table.

    u uniform on the 64-bit integers gives K = (number of thresholds that are <= u) - `reach`. Every threshold is within
    one unit of 2^64 · P(K <= k), which `tails` proves.

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
        tails: list[int] = []
        while (tail := _rounded(upper_tail(law, (len(tails) + Fraction(1, 2)) * ratio))) > 0:
            tails.append(tail)
            if len(tails) > MOST_STEPS:
                raise InvalidInputError(f"Noise of scale {scale:g} reaches over more than {MOST_STEPS:,} steps of "
                                        f"{grid.exact}. Use a coarser grid.")
        if not tails:
            raise InvalidInputError(f"Noise of scale {scale:g} never leaves a step of {grid.exact}. Use a finer grid.")
        thresholds = np.array([*reversed(tails), *((1 << 64) - tail for tail in tails)], dtype=np.uint64)
        return GridNoise(law, scale, grid, len(tails), thresholds, _guide(thresholds, len(tails)))

    def total_variation(self, draws: int) -> float:
        """Upper bound on the total variation between so many draws and independent draws of round(Z/h).

        Half the sum of what the cells are off by, at most the sum of what the thresholds are off by, one unit of 2^-64
        each; and less than one unit beyond `reach`. A statement with error probability alpha for the exact law has at
        most alpha plus this for the draws.
        """
        bound = Fraction((2 * self.reach + 1) * draws, 1 << 64)
        return min(1.0, math.nextafter(float(bound), math.inf))

    def draw(self, key: int, shape: tuple[int, ...]) -> NDArray[np.int16]:
        """Independent values of K, int16; a function of key and shape alone, the same on every machine.

        Of the 64 random bits of a value the upper 16 decide almost always; the others are drawn where they do not.
        Both are words of NumPy's Philox, which stay the same from version to version.

        Args:
            key: in [0, 2^128).
            shape: any shape.
        """
        source = np.random.Philox(key=key)
        values = np.empty(math.prod(shape), dtype=np.int16)
        for start in range(0, values.size, _BLOCK):
            block = values[start:start + _BLOCK]
            upper = source.random_raw(-(-block.size // 4)).astype("<u8", copy=False).view("<u2")[:block.size]
            self._guide.take(upper, out=block, mode="clip")
            undecided = np.flatnonzero(block == _OPEN)
            lower = source.random_raw(undecided.size) >> np.uint64(16)
            words = upper[undecided].astype(np.uint64) << np.uint64(48) | lower
            block[undecided] = np.searchsorted(self.thresholds, words, side="right") - self.reach
        return values.reshape(shape)

    def copies(self, point: NDArray[np.int32], key: int, rows: int) -> NDArray[np.float32]:
        """Noisy copies of an input, float32 (rows, *shape): a function of the arguments alone.

        Args:
            point: the input as multiples of the step (`Grid.integers`), (*shape).
            key: as in `draw`.
            rows: how many.
        """
        # Whole numbers below 2^24 are exact in float32.
        multiples = self.draw(key, (rows, *point.shape)).astype(np.float32)
        multiples += point.astype(np.float32)
        return self.grid.points(multiples)


def _rounded(tail: tuple[int, int]) -> int:
    """A tail in units of 2^-64, to the nearest one up to what the enclosure is wide."""
    return tail[0] + (1 << BITS - 65) >> BITS - 64


def _guide(thresholds: NDArray[np.uint64], reach: int) -> NDArray[np.int16]:
    """K for each value of the upper 16 bits, int16 (65536,); `_OPEN` where the lower ones matter."""
    first = np.arange(1 << 16, dtype=np.uint64) << np.uint64(48)
    last = first | np.uint64((1 << 48) - 1)
    low, high = (np.searchsorted(thresholds, words, side="right") for words in (first, last))
    return np.where(low == high, low - reach, int(_OPEN)).astype(np.int16)
