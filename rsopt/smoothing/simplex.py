"""Maps from scores into the probability simplex, with their Lipschitz constants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from rsopt.arguments import as_name, as_real
from rsopt.errors import InvalidInputError, UnknownNameError, shown

__all__ = ["Hardmax", "Identity", "SimplexMap", "Softmax", "Sparsemax", "simplex_map", "simplex_map_names"]


@runtime_checkable
class SimplexMap(Protocol):
    """A map applied to every row of scores."""

    @property
    def lipschitz(self) -> float:
        """A constant L with ||s(u) - s(v)||_2 <= L ||u - v||_2 for all rows; infinite when there is none."""

    def __call__(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores (rows, classes) -> rows of the simplex (rows, classes)."""


@dataclass(frozen=True)
class Hardmax:
    """The vote: one at the first largest score, zero elsewhere."""

    @property
    def lipschitz(self) -> float:
        """Infinite: two rows arbitrarily close may have different votes."""
        return math.inf

    def __call__(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores (rows, classes) -> one-hot rows of the same dtype."""
        return torch.zeros_like(scores).scatter_(1, scores.argmax(dim=1, keepdim=True), 1.0)


@dataclass(frozen=True)
class Softmax:
    """softmax(scores / temperature).

    Attributes:
        temperature: T > 0, in the units of the scores; small T approaches the vote.

    Raises:
        InvalidInputError: a temperature that is not positive and finite.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        temperature = as_real(self.temperature)
        if temperature is None or not 0.0 < temperature < math.inf:
            raise InvalidInputError(f"temperature must be positive and finite, got {shown(self.temperature)}.")
        object.__setattr__(self, "temperature", temperature)

    @property
    def lipschitz(self) -> float:
        """1 / T. The Jacobian is (diag(p) - p p^T) / T, and 0 <= diag(p) - p p^T <= diag(p) <= 1."""
        return 1.0 / self.temperature

    def __call__(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores (rows, classes) -> probabilities (rows, classes)."""
        return torch.softmax(scores / self.temperature, dim=1)


@dataclass(frozen=True)
class Sparsemax:
    """The Euclidean projection of the scores onto the simplex (Martins & Astudillo 2016, algorithm 1)."""

    @property
    def lipschitz(self) -> float:
        """1: projections onto convex sets are nonexpansive."""
        return 1.0

    def __call__(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores (rows, classes) -> probabilities (rows, classes), many of them exactly zero."""
        # The projection does not change with a common shift; without it large scores lose the digits that matter.
        shifted = scores - scores.amax(dim=1, keepdim=True)
        descending = shifted.sort(dim=1, descending=True).values
        excess = descending.cumsum(dim=1) - 1.0
        count = torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=scores.dtype)
        # At least one: a row with NaN supports nothing, and must come out as NaN rather than be looked up at -1.
        support = (count * descending > excess).sum(dim=1, keepdim=True).clamp_min(1)
        threshold = excess.gather(1, support - 1) / support.to(scores.dtype)
        return (shifted - threshold).clamp_min(0.0)


@dataclass(frozen=True)
class Identity:
    """No map: the model's outputs are rows of the simplex already."""

    @property
    def lipschitz(self) -> float:
        """1."""
        return 1.0

    def __call__(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores (rows, classes), unchanged."""
        return scores


_MAPS = ("hardmax", "identity", "softmax", "sparsemax")


def simplex_map_names() -> list[str]:
    """The names `simplex_map` understands."""
    return list(_MAPS)


def simplex_map(name: str | SimplexMap, temperature: float | None = None) -> SimplexMap:
    """The simplex map of a name; an instance is returned as it is.

    Args:
        name: one of `simplex_map_names()`, or an instance.
        temperature: for "softmax" only; None means 1.

    Raises:
        UnknownNameError: nobody registered the name.
        InvalidInputError: a temperature for a map that has none, or one that is not positive.
    """
    if temperature is not None and as_name(name) != "softmax":
        raise InvalidInputError(f"temperature belongs to the simplex map 'softmax', not to {shown(name)}.")
    if isinstance(name, str):
        if name == "softmax":
            return Softmax() if temperature is None else Softmax(temperature)
        if name == "hardmax":
            return Hardmax()
        if name == "sparsemax":
            return Sparsemax()
        if name == "identity":
            return Identity()
        raise UnknownNameError.of("simplex map", name, simplex_map_names())
    if not isinstance(name, SimplexMap):
        raise InvalidInputError(f"{shown(name)} is no simplex map: it needs lipschitz and to be called with scores "
                                f"(rows, classes); by name there are {', '.join(simplex_map_names())}.")
    return name
