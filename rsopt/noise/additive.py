"""Noise that is added to an input: independent coordinates of one symmetric law."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from rsopt.arguments import as_real
from rsopt.errors import InvalidInputError, shown
from rsopt.noise.noise import Noise
from rsopt.noise.norms import Conversion, conversion
from rsopt.noise.source import Source

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[np.float64]
Scale = float | tuple[float, ...]


class Additive(Noise):
    """x + s Z, the coordinates of Z independent of one symmetric law, s one number or one for every coordinate.

    With one scale for every coordinate the certificate is in the weighted norm: the norm of (d_i / s_i), d the change
    of the input.

    Attributes:
        ball: the norm where all scales are equal.
        word: what the scale is called in sentences.
    """

    ball: ClassVar[str]
    word: ClassVar[str] = "scale"

    @property
    @abstractmethod
    def spread(self) -> Scale:
        """s, in the units of the input."""

    @abstractmethod
    def standard(self, shape: tuple[int, ...], source: Source) -> Tensor:
        """Values of the law at scale 1, float32."""

    @abstractmethod
    def cdf(self, z: Array) -> Array:
        """The distribution function of the law at scale 1, elementwise."""

    @property
    def norm(self) -> str:
        """The norm, weighted where scales differ."""
        return self.ball if isinstance(self.spread, float) else f"weighted {self.ball}"

    @property
    def unit(self) -> str:
        """Units of the input; with one scale for every coordinate, scales of the noise."""
        return "units of the input" if isinstance(self.spread, float) else f"{self.word}s of the noise"

    @property
    def setting(self) -> str:
        """The scale, or the least and the largest."""
        if isinstance(self.spread, float):
            return f"{self.word} {self.spread:g}"
        return f"{self.word} {min(self.spread):g} to {max(self.spread):g} over {len(self.spread)} coordinates"

    @property
    def measure(self) -> float:
        """By which the bound is multiplied: the scale, or 1 in the weighted norm."""
        return self.spread if isinstance(self.spread, float) else 1.0

    def noisy(self, batch: Tensor, source: Source) -> Tensor:
        """As in `Noise`: drawn and added in float32, the scale rounded up."""
        noise = self.standard(tuple(batch.shape), source)
        if isinstance(self.spread, float):
            return noise.mul_(float32_at_least(self.spread)).add_(batch)
        scales = noise.new_tensor([float32_at_least(scale) for scale in self.spread])
        return noise.mul_(scales.reshape(batch.shape[1:])).add_(batch)

    def fitted(self, shape: Sequence[int]) -> Noise:
        """Itself.

        Raises:
            InvalidInputError: one scale for every coordinate, and another number of coordinates.
        """
        if not isinstance(self.spread, float) and math.prod(shape) != len(self.spread):
            raise InvalidInputError(f"The noise has {len(self.spread)} {self.word}s, one a coordinate, and an input of "
                                    f"shape {tuple(shape)} has {math.prod(shape)} coordinates.")
        return self

    def conversion(self, norm: str, dimension: int | None = None) -> Conversion:
        """As in `Noise`; from a weighted norm by its least scale."""
        return conversion(self.norm, norm, dimension, 1.0 if isinstance(self.spread, float) else min(self.spread))


def checked_scale(name: str, value: object, what: str) -> Scale:
    """A scale as a float, or scales in the order of the coordinates as a tuple of floats.

    Args:
        name: of the field.
        value: a number, or a sequence or array of numbers.
        what: the field in words, for the error.

    Raises:
        InvalidInputError: something else than positive finite numbers.
    """
    if (number := as_real(value)) is not None:
        if not 0.0 < number < math.inf:
            raise _no_scale(name, value, what)
        return number
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):
        raise _no_scale(name, value, what) from None
    if found.dtype.kind not in "fiu" or not found.ndim or not found.size:
        raise _no_scale(name, value, what)
    numbers = found.astype(float)
    if not bool((np.isfinite(numbers) & (numbers > 0.0)).all()):
        raise _no_scale(name, value, what)
    return tuple(numbers.ravel().tolist())


def float32_at_least(scale: float) -> float:
    """The smallest float32 that is not below the scale.

    Rounded up, because a radius is computed from the scale in float64: noise that is wider than stated makes the
    radius too small by the rounding, noise that is narrower would make it too large.
    """
    nearest = np.float32(scale)
    return float(nearest if float(nearest) >= scale else np.nextafter(nearest, np.float32(np.inf)))


def _no_scale(name: str, value: object, what: str) -> InvalidInputError:
    return InvalidInputError(f"{name} must be a positive number, {what} in the units of the input; found "
                             f"{shown(value)}.")
