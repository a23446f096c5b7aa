"""Noise in the parameter of a transformation (theorem N3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rsopt.arguments import as_real, as_whole
from rsopt.errors import InvalidInputError, shown
from rsopt.functional import Functional
from rsopt.noise.additive import Additive
from rsopt.noise.function import Apply, called
from rsopt.noise.noise import Noise
from rsopt.noise.norms import Conversion
from rsopt.noise.source import Source

if TYPE_CHECKING:
    from torch import Tensor

_TRIALS = 4


@dataclass(frozen=True)
class Transformed(Noise):
    """Inputs transformed at random: phi(x, Z), Z additive noise on R^k, and radii in the parameter.

    phi must satisfy phi(phi(x, a), b) = phi(x, a + b): brightness, gain in dB, logarithm of the contrast, translation
    with wrap-around; not rotation with interpolation. This is tried on every input that is certified, for some
    parameters that the noise draws, and a violation is an error; it is yours to know for all.

    Attributes:
        noise: of the parameter.
        apply: phi, (batch (rows, *shape), parameters (rows, k)) -> (rows, *shape), at the top level of a module, so
            that a run can be stored and sent to other processes.
        dimension: k.
        step: with a step h parameters are whole multiples of h: the noise is rounded to them, phi need satisfy the law
            for them alone, and radii speak of them alone. For phi that is known on a grid, such as a shift by whole
            pixels.
        tolerance: by how much the two sides of the law may differ in any coordinate, in the units of the input.

    Raises:
        InvalidInputError: the noise is not additive, a dimension that is none or not that of the noise's scales, or a
            step or tolerance without meaning.
    """

    name: ClassVar[str] = "transformed"
    law: ClassVar[str] = "a random transformation"
    action: ClassVar[str] = "the input is transformed with this noise in the parameter"

    noise: Additive
    apply: Apply | str
    dimension: int
    step: float | None = None
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        if not isinstance(self.noise, Additive):
            raise InvalidInputError(f"The noise of a parameter must be additive, such as Gaussian(1.0); found "
                                    f"{shown(self.noise)}.")
        dimension, tolerance = as_whole(self.dimension), as_real(self.tolerance)
        if dimension is None or dimension < 1:
            raise InvalidInputError(f"dimension must be a whole number of parameters from 1 on; found "
                                    f"{shown(self.dimension)}.")
        object.__setattr__(self, "dimension", dimension)
        self.noise.fitted((self.dimension,))
        if not callable(self.apply) and not isinstance(self.apply, str):
            raise InvalidInputError(f"apply must be a function of a batch and parameters; found {shown(self.apply)}.")
        if self.step is not None:
            step = as_real(self.step)
            if step is None or not 0.0 < step < math.inf:
                raise InvalidInputError(f"step must be a positive number, in the units of the parameter; found "
                                        f"{shown(self.step)}.")
            object.__setattr__(self, "step", step)
        if tolerance is None or not 0.0 <= tolerance < math.inf:
            raise InvalidInputError(f"tolerance must be a number from 0 on; found {shown(self.tolerance)}.")
        object.__setattr__(self, "tolerance", tolerance)

    @property
    def functionals(self) -> tuple[str, ...]:
        """Those of the noise."""
        return self.noise.functionals

    @property
    def norm(self) -> str:
        """The norm of the noise, in the parameter; a single parameter has one norm only."""
        return "parameter" if self.dimension == 1 and self.noise.norm == self.noise.ball else \
            f"parameter {self.noise.norm}"

    @property
    def unit(self) -> str:
        """Units of the parameter."""
        return self.noise.unit.replace("input", "parameter")

    @property
    def setting(self) -> str:
        """The noise of the parameter."""
        steps = "" if self.step is None else f" in steps of {self.step:g}"
        name = self.apply if isinstance(self.apply, str) else getattr(self.apply, "__name__", repr(self.apply))
        return f"{name.rpartition(':')[2]} by {self.noise.title}{steps}"

    @property
    def within(self) -> str:
        """As in `Noise`."""
        steps = "" if self.step is None else f" that is a multiple of {self.step:g}"
        norm = "" if self.norm == "parameter" else f" in the {self.noise.norm} norm"
        return f"transformation of the input by a parameter{steps} of size less than the radius{norm}"

    def rule(self, functional: Functional) -> str:
        """That of the noise."""
        return self.noise.rule(functional)

    def fitting(self, functional: str | Functional) -> Functional:
        """As for the noise."""
        return self.noise.fitting(functional)

    def certified_radius(self, functional: Functional, lower: float) -> float:
        """As for the noise, in the parameter."""
        return self.noise.certified_radius(functional, lower)

    def conversion(self, norm: str, dimension: int | None = None) -> Conversion:
        """As for the noise, between norms of the parameter."""
        return self.noise.conversion(norm, self.dimension)

    def parameters(self, rows: int, like: Tensor, source: Source) -> Tensor:
        """Parameters as the noise draws them, float32 (rows, k), on the device of `like`."""
        import torch

        found = self.noise.noisy(torch.zeros((rows, self.dimension), device=like.device), source)
        return found if self.step is None else (found / self.step).round() * self.step

    def noisy(self, batch: Tensor, source: Source) -> Tensor:
        """As in `Noise`: each row transformed by a parameter of its own."""
        return called(self.apply)(batch, self.parameters(len(batch), batch, source))

    def total_variation(self, n: int, dimension: int) -> float:
        """As for the noise, of the parameters."""
        return self.noise.total_variation(n, self.dimension)

    def fitted(self, shape: Sequence[int]) -> Transformed:
        """Itself, for inputs of any shape."""
        return self

    def check_input(self, x: Tensor) -> None:
        """As in `Noise`: tries the law of the transformation on the input.

        Raises:
            InvalidInputError: phi(phi(x, a), b) and phi(x, a + b) differ by more than the tolerance.
        """
        phi, source = called(self.apply), Source.of(0, x.device)
        first, second = (self.parameters(_TRIALS, x, source) for _ in range(2))
        batch = x.expand(_TRIALS, *x.shape)
        twice, once = phi(phi(batch, first), second), phi(batch, first + second)
        if twice.shape != batch.shape or once.shape != batch.shape:
            raise InvalidInputError(f"The transformation makes shape {tuple(once.shape)} of a batch of shape "
                                    f"{tuple(batch.shape)}; it must keep it.")
        apart = (twice - once).abs().flatten(1).amax(dim=1)
        worst = int(apart.argmax())
        if not float(apart[worst]) <= self.tolerance:
            a, b = first[worst].tolist(), second[worst].tolist()
            raise InvalidInputError(
                f"The transformation breaks the law phi(phi(x, a), b) = phi(x, a + b) that its certificate rests on: "
                f"at a = {a}, b = {b} the two sides differ by {float(apart[worst]):.3g}, and the tolerance is "
                f"{self.tolerance:g}.")
