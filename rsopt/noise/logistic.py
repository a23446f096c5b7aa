"""Logistic noise: l1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from scipy import special

from rsopt.functional import Functional
from rsopt.noise.additive import Additive, Array, Scale, checked_scale
from rsopt.noise.source import Source
from rsopt.radius import quantile_radius, rounded_down

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, repr=False)
class Logistic(Additive):
    """Noise of distribution function 1/(1 + exp(-z/scale)) in every coordinate: radii in l1.

    Attributes:
        scale: a positive number in the units of the input, or one for every coordinate (any sequence or array, in the
            order of the flattened input): then radii are in the norm sum |d_i|/scale_i. The standard deviation is
            pi/sqrt(3) scale.
        grid: the step h of a grid that all inputs lie on, 1/255 for images of bytes: noise is then a whole number of
            steps, drawn exactly, and radii speak of changes to other inputs on the grid. None for noise in float32.

    Raises:
        InvalidInputError: a scale that is not positive and finite, or a grid that is none, is too coarse or too
            fine for it, or stands beside a row of them.
    """

    name: ClassVar[str] = "logistic"
    law: ClassVar[str] = "logistic noise"
    action: ClassVar[str] = "logistic noise of this scale is added to the input"
    ball: ClassVar[str] = "l1"

    scale: Scale
    grid: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", checked_scale("scale", self.scale, "the scale of the noise"))
        self._check_grid()

    @property
    def functionals(self) -> tuple[str, ...]:
        """As in `Noise`."""
        return ("logit", "margin")

    @property
    def spread(self) -> Scale:
        """scale."""
        return self.scale

    def standard(self, shape: tuple[int, ...], source: Source) -> Tensor:
        """Values of distribution function 1/(1 + exp(-z))."""
        return source.logistics(shape)

    def cdf(self, z: Array) -> Array:
        """1/(1 + exp(-z))."""
        found: Array = special.expit(z)
        return found

    def certified_radius(self, functional: Functional, lower: float) -> float:
        """scale/2 times a bound on the logit margin; scale log((1 + M)/(1 - M)) from a bound M on the margin."""
        if functional.name == "margin":
            return rounded_down(2.0 * self.measure * math.atanh(lower)) if 0.0 < lower < 1.0 else \
                0.0 if lower <= 0.0 else math.inf
        return quantile_radius(lower, self.measure)

    def rule(self, functional: Functional) -> str:
        """As in `Noise`."""
        return ("scale·log((1 + bound)/(1 − bound))" if functional.name == "margin" else "scale/2 times the bound")
