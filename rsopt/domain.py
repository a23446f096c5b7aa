"""Domains: the set of null distributions q over which the worst case is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rsopt.arguments import as_real
from rsopt.errors import InvalidInputError, shown
from rsopt.functional import Functional
from rsopt.kernels.links import EPS

Array = npt.NDArray[np.float64]


@runtime_checkable
class Domain(Protocol):
    """A subset of the simplex that is closed under moving mass from cell 2 or 3 to cell 1.

    That closure is what puts the supremum of the tail probability on the level curve (fact 3).
    """

    @property
    def name(self) -> str:
        """What the domain is, in a few words."""
        ...

    @property
    def third_cell(self) -> bool:
        """Whether q3 may be positive."""
        ...

    @property
    def least_q1(self) -> float:
        """Smallest q1 in the domain."""
        ...

    def segment(self, functional: Functional, level: float) -> tuple[float, float] | None:
        """(smallest, largest) q2 of the level curve inside the domain, rounded outwards; None if it is empty."""
        ...

    def contains(self, q: Array) -> npt.NDArray[np.bool_]:
        """Whether points q, shape (b, 3), lie in the domain, up to 1e-12; shape (b,)."""
        ...


@dataclass(frozen=True)
class Simplex:
    """All (q1, q2, q3) with non-negative entries that sum to 1, optionally with q1 >= `least_q1`.

    Attributes:
        least_q1: 0 for the whole simplex; 1/2 for the nulls of the published Taylor route (fact 10).

    Raises:
        InvalidInputError: `least_q1` outside [0, 1).
    """

    least_q1: float = 0.0
    third_cell: ClassVar[bool] = True

    def __post_init__(self) -> None:
        least = as_real(self.least_q1)
        if least is None or not 0.0 <= least < 1.0:
            raise InvalidInputError(f"least_q1 must lie in [0, 1); found {shown(self.least_q1)}.")
        object.__setattr__(self, "least_q1", least)

    @property
    def name(self) -> str:
        """What the domain is, in a few words."""
        return "simplex" if self.least_q1 == 0.0 else f"simplex with q1 >= {self.least_q1:g}"

    def segment(self, functional: Functional, level: float) -> tuple[float, float] | None:
        """(smallest, largest) q2 of the level curve inside the domain, rounded outwards; None if it is empty."""
        low, high = functional.curve_ends(level, self.least_q1)
        return (low, high) if low <= high else None

    def contains(self, q: Array) -> npt.NDArray[np.bool_]:
        """Whether points q, shape (b, 3), lie in the domain, up to 1e-12; shape (b,)."""
        inside: npt.NDArray[np.bool_] = ((q >= -1e-12).all(axis=-1) & (abs(q.sum(axis=-1) - 1.0) <= 1e-12)
                                         & (q[..., 0] >= self.least_q1 - 1e-12))
        return inside


@dataclass(frozen=True)
class Edge:
    """The edge q3 = 0: two classes. The level curve meets it in one point."""

    name: ClassVar[str] = "edge q3 = 0"
    third_cell: ClassVar[bool] = False
    least_q1: ClassVar[float] = 0.0

    def segment(self, functional: Functional, level: float) -> tuple[float, float] | None:
        """The q2 with q3 = 0 on the curve, twice, rounded outwards."""
        segment = Simplex().segment(functional, level)
        if segment is None:
            return None
        end = segment[1]
        return end * (1.0 - 64 * EPS), end

    def contains(self, q: Array) -> npt.NDArray[np.bool_]:
        """Whether points q, shape (b, 3), lie in the domain, up to 1e-12; shape (b,)."""
        inside: npt.NDArray[np.bool_] = Simplex().contains(q) & (abs(q[..., 2]) <= 1e-12)
        return inside

