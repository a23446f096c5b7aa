"""Noise that is added to an input: independent coordinates of one symmetric law."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from rsopt.arguments import as_real
from rsopt.errors import InvalidInputError, shown
from rsopt.noise.grid import Grid, GridNoise
from rsopt.noise.noise import Noise, fields_of
from rsopt.noise.norms import Conversion, conversion
from rsopt.noise.source import Source
from rsopt.noise.tails import LAWS

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[np.float64]
Scale = float | tuple[float, ...]


class Additive(Noise):
    """x + s Z, the coordinates of Z independent of one symmetric law, s one number or one for every coordinate.

    With one scale for every coordinate the certificate is in the weighted norm: the norm of (d_i / s_i), d the change
    of the input.

    On a grid, inputs are multiples of its step and the noise is round(Z/h) steps h, drawn from whole numbers alone:
    what is sampled is the smoothing by Z of the classifier behind the rounding, without any rounding error, at a total
    variation from the exact law that `total_variation` bounds (theorem N6). Without one, noise is drawn and added in
    float32, which the theorems do not cover.

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
    def grid(self) -> float | None:
        """The step of the grid that inputs lie on, in their units; None for noise in float32."""
        return None

    @property
    def table(self) -> GridNoise | None:
        """The law of the steps; None for noise in float32.

        Raises:
            InvalidInputError: a grid without meaning for this noise.
        """
        if self.grid is None:
            return None
        if self.name not in LAWS:
            raise InvalidInputError(f"The noise {self.name!r} has no grid: tables are of {', '.join(LAWS)} noise.")
        if not isinstance(self.spread, float):
            raise InvalidInputError(f"Noise on a grid takes one {self.word} for all coordinates; found "
                                    f"{len(self.spread)}. Leave out the grid, or give one {self.word}.")
        return GridNoise.of(self.name, self.spread, Grid(self.grid))

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
            return f"{self.word} {self.spread:g}{'' if self.grid is None else f' on the grid of {Grid(self.grid)}'}"
        return f"{self.word} {min(self.spread):g} to {max(self.spread):g} over {len(self.spread)} coordinates"

    @property
    def measure(self) -> float:
        """By which the bound is multiplied: the scale, or 1 in the weighted norm."""
        return self.spread if isinstance(self.spread, float) else 1.0

    @property
    def within(self) -> str:
        """As in `Noise`; on a grid, of changes to other inputs on it."""
        on = "" if self.grid is None else f" to other multiples of {Grid(self.grid)}"
        return f"change of the input{on} by less than the radius, in the {self.norm} norm and {self.unit},"

    def total_variation(self, n: int, dimension: int) -> float:
        """As in `Noise`, on a grid; 0 for noise in float32, of which nothing is proven."""
        return 0.0 if self.table is None else self.table.total_variation(n * dimension)

    def check_input(self, x: Tensor) -> None:
        """As in `Noise`; on a grid, also an input off it."""
        super().check_input(x)
        if self.table is not None:
            self.table.grid.check(x)

    def noisy(self, batch: Tensor, source: Source) -> Tensor:
        """As in `Noise`: on a grid from whole numbers, inputs taken for the multiples next to them; otherwise drawn
        and added in float32, the scale rounded up.
        """
        if self.table is not None:
            return self.table.added(batch, source.steps(self.table, tuple(batch.shape)))
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

    def to_dict(self) -> dict[str, Any]:
        """As in `Noise`; the grid only where there is one."""
        return {name: value for name, value in super().to_dict().items() if name != "grid" or value is not None}

    def __repr__(self) -> str:
        """The class with its fields; the grid only where there is one."""
        said = {field.name: getattr(self, field.name) for field in fields_of(self)}
        return (f"{type(self).__name__}("
                + ", ".join(f"{name}={value!r}" for name, value in said.items() if name != "grid" or value is not None)
                + ")")

    def _check_grid(self) -> None:
        """Makes the grid a float, and refuses one without meaning.

        Raises:
            InvalidInputError: as in `table`.
        """
        if self.grid is not None:
            step = as_real(self.grid)
            if step is None:
                raise InvalidInputError(f"grid must be the step of the grid that inputs lie on, such as 1/255 for "
                                        f"bytes; found {shown(self.grid)}.")
            object.__setattr__(self, "grid", step)
        # Made once, and kept: whatever can be refused is refused now.
        _ = self.table


def on_grid(noise: Noise, step: float | None) -> Noise:
    """The same noise on the grid of a step, or on none; itself where it is not additive or has no such field.

    Raises:
        InvalidInputError: a grid without meaning for this noise.
    """
    if not isinstance(noise, Additive) or "grid" not in {field.name for field in fields_of(noise)}:
        return noise
    changed: Any = noise
    found: Noise = replace(changed, grid=step)
    return found


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
