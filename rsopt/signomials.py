"""Signomial constraints: sums of monomials with coefficients of either sign, at most 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Signomial:
    """sum_k coefficients[k] · prod_i v_i^exponents[k, i] <= 0.

    Attributes:
        coefficients: shape (m,), of either sign.
        exponents: shape (m, v), one column for each variable.
    """

    coefficients: Array
    exponents: Array

    @classmethod
    def of(cls, terms: Sequence[tuple[float, tuple[int, ...]]]) -> Signomial:
        """The signomial with these (coefficient, exponents) as its terms."""
        return cls(np.array([c for c, _ in terms]), np.array([powers for _, powers in terms], dtype=float))


@dataclass(frozen=True, eq=False)
class LevelSignomials:
    """g(q) <= L as signomials.

    Attributes:
        variables: names of the columns: q1, q2, q3 and, for the Taylor functional, y1 = q1 - 1/2 and y2 = 1/2
            - q2.
        constraints: each <= 0.
    """

    variables: tuple[str, ...]
    constraints: tuple[Signomial, ...]
