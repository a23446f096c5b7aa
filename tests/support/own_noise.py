"""Noises as a stranger would write them, with functions at the top level of a module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from rsopt.functional import Functional
from rsopt.noise import Additive, Coupled, Laplace, Noise, Source
from rsopt.radius import rounded_down


@dataclass(frozen=True)
class Triangular(Additive):
    """The mean of two uniform values: l1, by the margin alone.

    The law is symmetric and log-concave, with quantile function Q(p) = 1 - sqrt(2 (1 - p)) above 1/2, so that half of
    Q(p_A) - Q(p_B) certifies l1; at p_A - p_B = M it is least at p_A = (1 + M)/2.
    """

    name: ClassVar[str] = "triangular"
    law: ClassVar[str] = "triangular noise"
    action: ClassVar[str] = "triangular noise of this width is added to the input"
    ball: ClassVar[str] = "l1"
    word: ClassVar[str] = "width"

    width: float

    @property
    def functionals(self) -> tuple[str, ...]:
        return ("margin",)

    @property
    def spread(self) -> float:
        return self.width

    def standard(self, shape: tuple[int, ...], source: Source) -> Tensor:
        return (source.uniforms(shape) + source.uniforms(shape)) / 2

    def cdf(self, z: np.ndarray) -> np.ndarray:
        inside = np.clip(z, -1.0, 1.0)
        return np.where(inside < 0.0, 0.5 * (1.0 + inside) ** 2, 1.0 - 0.5 * (1.0 - inside) ** 2)

    def certified_radius(self, functional: Functional, lower: float) -> float:
        return rounded_down(self.width * (1.0 - np.sqrt(1.0 - min(lower, 1.0)))) if lower > 0.0 else 0.0


class Wide(Triangular):
    """The same with a radius that is too large."""

    name: ClassVar[str] = "wide"

    def certified_radius(self, functional: Functional, lower: float) -> float:
        return 1.01 * super().certified_radius(functional, lower)


@dataclass(frozen=True)
class Narrow(Laplace):
    """Laplace noise that is drawn narrower than it says."""

    name: ClassVar[str] = "narrow"

    def standard(self, shape: tuple[int, ...], source: Source) -> Tensor:
        return 0.9 * super().standard(shape, source)


@dataclass(frozen=True)
class Restless(Laplace):
    """Laplace noise that draws from the global generator."""

    name: ClassVar[str] = "restless"

    def standard(self, shape: tuple[int, ...], source: Source) -> Tensor:
        return super().standard(shape, source) + 0.0 * torch.randn(shape)


@dataclass(frozen=True)
class Repeating(Laplace):
    """Laplace noise that gives all rows the same."""

    name: ClassVar[str] = "repeating"

    def standard(self, shape: tuple[int, ...], source: Source) -> Tensor:
        return super().standard(shape, source)[:1].expand(shape).clone()


def synonyms(batch: Tensor, source: Source) -> Tensor:
    """Every token becomes one of its ten synonyms, those with the same tens digit."""
    units = source.words(tuple(batch.shape)) % 10
    return batch - batch % 10 + units


def shown(batch: Tensor, source: Source) -> Tensor:
    """One position of each row is shown."""
    place = source.words((len(batch), 1)) % batch.shape[1]
    return torch.full_like(batch, -1).scatter_(1, place, batch.gather(1, place))


def one_of(length: int, most: int) -> Coupled:
    """One position of `length` is shown: D(r) = r/length."""
    return Coupled(shown, tuple(r / length for r in range(1, most + 1)), symbols=True)


def brighter(batch: Tensor, amount: Tensor) -> Tensor:
    """x + a."""
    return batch + amount.reshape(-1, *[1] * (batch.ndim - 1))


def brighter_and_clipped(batch: Tensor, amount: Tensor) -> Tensor:
    """x + a, cut off: no group."""
    return brighter(batch, amount).clamp(0.0, 1.0)


def rolled(batch: Tensor, steps: Tensor) -> Tensor:
    """Columns moved by whole pixels, with wrap-around."""
    width = batch.shape[-1]
    places = (torch.arange(width) - steps.round().long()) % width
    return batch.gather(-1, places.reshape(-1, *[1] * (batch.ndim - 2), width).expand(batch.shape))


TRIANGULAR = Triangular(0.75)
NOT_A_NOISE = 3.0


class Plain:
    """No noise at all."""

    name = "plain"


assert issubclass(Triangular, Noise)
