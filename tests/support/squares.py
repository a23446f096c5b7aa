"""A functional of one's own that is neither odd nor of the form f(q1) - f(q2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

import rsopt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Squares(rsopt.Functional):
    """q1² - 2 q2, which does not turn its sign with the order of the classes."""

    name: ClassVar[str] = "squares"
    range: ClassVar[tuple[float, float]] = (-2.0, 1.0)

    def value(self, q1: Array, q2: Array) -> Array:
        return np.asarray(q1, float) ** 2 - 2.0 * np.asarray(q2, float)

    def gradient(self, q1: Array, q2: Array) -> tuple[Array, Array]:
        return 2.0 * np.asarray(q1, float), np.full_like(np.asarray(q2, float), -2.0)
