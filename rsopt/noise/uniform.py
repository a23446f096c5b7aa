"""Uniform noise: l1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from rsopt.functional import Functional
from rsopt.noise.additive import Additive, Array, Scale, checked_scale
from rsopt.noise.source import Source
from rsopt.radius import quantile_radius

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, repr=False)
class Uniform(Additive):
    """Noise that is uniform between -half_width and half_width in every coordinate: radii in l1.

    Attributes:
        half_width: a positive number in the units of the input, or one for every coordinate (any sequence or array, in
            the order of the flattened input): then radii are in the norm sum |d_i|/half_width_i. The standard deviation
            is half_width/sqrt(3), and no radius exceeds half_width.
        grid: the step h of a grid that all inputs lie on, 1/255 for images of bytes: noise is then a whole number of
            steps, drawn exactly, and radii speak of changes to other inputs on the grid. None for noise in float32.

    Raises:
        InvalidInputError: a half_width that is not positive and finite, or a grid that is none, is too coarse or too
            fine for it, or stands beside a row of them.
    """

    name: ClassVar[str] = "uniform"
    law: ClassVar[str] = "uniform noise"
    action: ClassVar[str] = "uniform noise of this half-width is added to the input"
    ball: ClassVar[str] = "l1"
    word: ClassVar[str] = "half-width"

    half_width: Scale
    grid: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "half_width",
                           checked_scale("half_width", self.half_width, "half the width of the noise"))
        self._check_grid()

    @property
    def functionals(self) -> tuple[str, ...]:
        """As in `Noise`."""
        return ("margin",)

    @property
    def spread(self) -> Scale:
        """half_width."""
        return self.half_width

    def standard(self, shape: tuple[int, ...], source: Source) -> Tensor:
        """Uniform values on [-1, 1]."""
        return source.uniforms(shape)

    def cdf(self, z: Array) -> Array:
        """(1 + z)/2 between -1 and 1."""
        return np.clip(0.5 * (1.0 + z), 0.0, 1.0)

    def certified_radius(self, functional: Functional, lower: float) -> float:
        """half_width times a bound on the margin: the quantile function is half_width (2p - 1)."""
        return quantile_radius(2.0 * lower, self.measure)

    def rule(self, functional: Functional) -> str:
        """As in `Noise`."""
        return "half-width times the bound"
