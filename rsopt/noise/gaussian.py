"""Gaussian noise: l2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from scipy import special

from rsopt.errors import InvalidInputError
from rsopt.functional import Functional
from rsopt.functionals import as_functional
from rsopt.noise.additive import Additive, Array, Scale, checked_scale
from rsopt.noise.noise import Noise, shipped
from rsopt.noise.source import Source

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, repr=False)
class Gaussian(Additive):
    """Normal noise of standard deviation sigma: radii in l2 (Cohen et al. 2019).

    Attributes:
        sigma: a positive number in the units of the input, or one for every coordinate (any sequence or array, in the
            order of the flattened input): then radii are in the norm (sum (d_i / sigma_i)²)^(1/2).
        grid: the step h of a grid that all inputs lie on, 1/255 for images of bytes: noise is then a whole number of
            steps, drawn exactly, and radii speak of changes to other inputs on the grid. None for noise in float32.

    Raises:
        InvalidInputError: a sigma that is not positive and finite, or a grid that is none, is too coarse or too
            fine for it, or stands beside a row of them.
    """

    name: ClassVar[str] = "gaussian"
    law: ClassVar[str] = "Gaussian noise"
    action: ClassVar[str] = "Gaussian noise of this sigma is added to the input"
    ball: ClassVar[str] = "l2"
    word: ClassVar[str] = "sigma"

    sigma: Scale
    grid: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", checked_scale("sigma", self.sigma, "the standard deviation of the noise"))
        self._check_grid()

    @property
    def functionals(self) -> tuple[str, ...]:
        """As in `Noise`."""
        return ("probit", "taylor-probit", "margin")

    @property
    def spread(self) -> Scale:
        """sigma."""
        return self.sigma

    def standard(self, shape: tuple[int, ...], source: Source) -> Tensor:
        """Standard normal values."""
        return source.normals(shape)

    def cdf(self, z: Array) -> Array:
        """Phi(z)."""
        found: Array = special.ndtr(z)
        return found

    def fitting(self, functional: str | Functional) -> Functional:
        """As in `Noise`; a functional of the user's own says itself which radius it gives at a sigma."""
        chosen = as_functional(functional)
        return super().fitting(chosen) if shipped(chosen) else chosen

    def certified_radius(self, functional: Functional, lower: float) -> float:
        """R2 = sigma/2 times a bound on the probit margin, R1 = sigma sqrt(pi/2) times one on the margin."""
        return functional.radius(lower, self.measure)

    def rule(self, functional: Functional) -> str:
        """As in `Noise`."""
        return "sigma·sqrt(pi/2) times the bound" if functional.name == "margin" else "sigma/2 times the bound"


def plain_sigma(noise: Noise) -> float | None:
    """sigma of Gaussian noise that is the same in all coordinates and on no grid, which stores and records say by this
    number alone.

    None for every other noise.
    """
    return one_sigma(noise) if isinstance(noise, Gaussian) and noise.grid is None else None


def one_sigma(noise: Noise) -> float | None:
    """sigma of Gaussian noise that is the same in all coordinates, on a grid or not; None for every other noise."""
    return noise.sigma if isinstance(noise, Gaussian) and isinstance(noise.sigma, float) else None


def the_sigma(noise: Noise) -> float:
    """sigma of Gaussian noise that is the same in all coordinates.

    Raises:
        InvalidInputError: the noise is another one.
    """
    found = one_sigma(noise)
    if found is None:
        raise InvalidInputError(f"The noise is {noise.title}, which no single sigma describes.")
    return found
