"""Laplace noise: l1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from rsopt.functional import Functional
from rsopt.noise.additive import Additive, Array, Scale, checked_scale
from rsopt.noise.source import Source
from rsopt.radius import quantile_radius, rounded_down

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, repr=False)
class Laplace(Additive):
    """Noise of density exp(-|z|/scale)/(2 scale) in every coordinate: radii in l1.

    Attributes:
        scale: a positive number in the units of the input, or one for every coordinate (any sequence or array, in the
            order of the flattened input): then radii are in the norm sum |d_i|/scale_i. The standard deviation is
            sqrt(2) scale.
        grid: the step h of a grid that all inputs lie on, 1/255 for images of bytes: noise is then a whole number of
            steps, drawn exactly, and radii speak of changes to other inputs on the grid. None for noise in float32.

    Raises:
        InvalidInputError: a scale that is not positive and finite, or a grid that is none, is too coarse or too
            fine for it, or stands beside a row of them.
    """

    name: ClassVar[str] = "laplace"
    law: ClassVar[str] = "Laplace noise"
    action: ClassVar[str] = "Laplace noise of this scale is added to the input"
    ball: ClassVar[str] = "l1"

    scale: Scale
    grid: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", checked_scale("scale", self.scale, "the scale of the noise"))
        self._check_grid()

    @property
    def functionals(self) -> tuple[str, ...]:
        """As in `Noise`."""
        return ("laplace", "margin")

    @property
    def spread(self) -> Scale:
        """scale."""
        return self.scale

    def standard(self, shape: tuple[int, ...], source: Source) -> Tensor:
        """Values of density exp(-|z|)/2."""
        return source.laplaces(shape)

    def cdf(self, z: Array) -> Array:
        """exp(-|z|)/2 below 0, 1 - exp(-|z|)/2 above."""
        tail = 0.5 * np.exp(-np.abs(z))
        return np.where(z < 0.0, tail, 1.0 - tail)

    def certified_radius(self, functional: Functional, lower: float) -> float:
        """scale/2 times a bound on the Laplace margin; -scale log(1 - M) from a bound M on the margin."""
        if functional.name == "margin":
            return rounded_down(-self.measure * math.log1p(-min(lower, 1.0))) if 0.0 < lower < 1.0 else \
                0.0 if lower <= 0.0 else math.inf
        return quantile_radius(lower, self.measure)

    def rule(self, functional: Functional) -> str:
        """As in `Noise`."""
        return "−scale·log(1 − bound)" if functional.name == "margin" else "scale/2 times the bound"
