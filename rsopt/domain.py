"""Domains: the set of null distributions q over which the worst case is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rsopt.errors import InvalidInputError
from rsopt.functionals import Functional, LinkFunctional
from rsopt.kernels import links

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
        if not 0.0 <= self.least_q1 < 1.0:
            raise InvalidInputError(f"least_q1 must lie in [0, 1); found {self.least_q1!r}.")

    @property
    def name(self) -> str:
        """What the domain is, in a few words."""
        return "simplex" if self.least_q1 == 0.0 else f"simplex with q1 >= {self.least_q1:g}"

    def segment(self, functional: Functional, level: float) -> tuple[float, float] | None:
        """(smallest, largest) q2 of the level curve inside the domain, rounded outwards; None if it is empty."""
        if isinstance(functional, LinkFunctional):
            kind, coefficients = functional.kind, functional.coefficients
            low = links.curve_start(kind, coefficients, level)
            high = links.curve_end(kind, coefficients, level)
            if self.least_q1 > 0.0:
                floor = links.link(kind, coefficients, self.least_q1) - level
                at_floor = links.link_inverse(kind, coefficients, floor)
                low = max(low, at_floor - 64 * links.EPS)
        else:
            low, high = _bisected_ends(functional, level, self.least_q1)
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
        return end * (1.0 - 64 * links.EPS), end

    def contains(self, q: Array) -> npt.NDArray[np.bool_]:
        """Whether points q, shape (b, 3), lie in the domain, up to 1e-12; shape (b,)."""
        inside: npt.NDArray[np.bool_] = Simplex().contains(q) & (abs(q[..., 2]) <= 1e-12)
        return inside


def level_q1(functional: Functional, level: float, q2: Array) -> Array:
    """h_L(q2): an upper bound, tight to rounding, of the largest q1 with g(q1, q2) <= level; shape of q2.

    Closed form for link functionals, bisection on the value for the others (1 where all q1 qualify).
    """
    points = np.asarray(q2, dtype=float)
    if isinstance(functional, LinkFunctional):
        return functional.curve(level, points)
    low, high = np.zeros(points.shape), np.ones(points.shape)
    for _ in range(60):
        middle = 0.5 * (low + high)
        above = functional.value(middle, points) > level
        high = np.where(above, middle, high)
        low = np.where(above, low, middle)
    return high


def _bisected_ends(functional: Functional, level: float, least_q1: float) -> tuple[float, float]:
    """Ends of the level curve of a general functional: g(1 - q2, q2) falls in q2, and so does g(least_q1, q2)."""
    def first_below(q1_of: object, cap: float) -> tuple[float, float]:
        low, high = 0.0, cap
        for _ in range(60):
            middle = 0.5 * (low + high)
            q1 = 1.0 - middle if q1_of is None else least_q1
            if float(functional.value(np.array(q1), np.array(middle))) <= level:
                high = middle
            else:
                low = middle
        return low, high
    end = first_below(None, 1.0)[1]
    at_start = float(functional.value(np.array(least_q1), np.array(0.0)))
    start = 0.0 if at_start <= level else first_below(least_q1, 1.0 - least_q1)[0]
    return start, end
