"""What a functional g(q) is: the quantity that is bounded, as a function of q = (q1, q2, q3) = (p_A, p_j, rest).

What a functional implies is asked of the functional: its level curve, its radius, its equation, its words. Nobody
else tells one functional from another.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rsopt.errors import InvalidInputError
from rsopt.kernels.links import Link
from rsopt.signomials import LevelSignomials

Array = npt.NDArray[np.float64]

# What a bound is proven with, and the sentence that answers whoever replaces it. A functional that mixes its own values
# with someone else's curve or compiled link would be certified for something that it is not.
_OURS = {
    "compiled": "which is for the functionals that ship: a link given in Python is used as it is, everywhere.",
    "monotone": "which says that a proof is in the theory pages: what rsopt can check of yours is checked.",
    "exchanged": "which follows from the values.",
    "kind": "which chose a compiled link in earlier versions: define link, link_slope and link_curvature instead.",
    "curve": "which rsopt finds from the values, so that what is proven is what `value` says.",
    "flips": "which says what a certificate is of, and there is none of a functional of one's own.",
    "curve_ends": "which rsopt finds from the values, so that what is proven is what `value` says."}


class Functional(ABC):
    """A quantity g(q1, q2): continuous, nondecreasing in q1, nonincreasing in q2, free of q3.

    Subclass it with `name`, `range` and `value`; nothing else is needed for a proven bound. For the form f(q1) - f(q2)
    subclass `LinkFunctional`. The rest has defaults: `gradient` is what the studentized statistic needs, `radius` what
    `Bound.radius` needs.

    Attributes:
        name: short name used in results and on the command line.
        equation: number of its worst case among the project's equations, and `formula`, the left-hand side there.
        order: order of the polynomial; None where there is none.
        compiled: the link in compiled code; None for a functional given in Python.
        smooth: whether `tangent` is defined, which solvers that need derivatives ask.
        linear: whether g(q) = q1 - q2.
        analytic: whether g is analytic inside the simplex, which series for a modelling language need.
        concave_from: the level from which q1 = h(q2) is known to be concave; infinite where it is not.
        scored: whether it is bounded on scores too, by its tangents (proposition P2).
    """

    name: ClassVar[str]
    equation: ClassVar[str] = "7"
    formula: ClassVar[str] = "g(q1, q2)"
    order: int | None = None
    smooth: ClassVar[bool] = False
    linear: ClassVar[bool] = False
    analytic: ClassVar[bool] = True
    concave_from: ClassVar[float] = math.inf
    scored: ClassVar[bool] = False

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if cls.__module__.partition(".")[0] == "rsopt":
            return
        for name, reason in _OURS.items():
            if name in vars(cls):
                raise InvalidInputError(f"{cls.__name__} defines {name!r}, {reason}")

    @property
    def compiled(self) -> Link | None:
        """The link in compiled code; None for a functional given in Python."""
        return None

    @property
    def monotone(self) -> bool:
        """Whether it is proven to rise in q1 and fall in q2; of one's own it is checked, and stays on trust."""
        return self.compiled is not None

    @property
    def flips(self) -> tuple[Fraction, Fraction, tuple[tuple[int, int], ...]] | None:
        """(add, remove, changes) of the margin after changes of bits, for its certificate; None for all others."""
        return None

    @property
    def exchanged(self) -> Functional:
        """The functional -g(q2, q1), of the two classes in the other order, whose lower bounds are upper bounds on g.

        It rises in q1 and falls in q2 as g does (theorem U1).
        """
        return ExchangedFunctional(self)

    @property
    @abstractmethod
    def range(self) -> tuple[float, float]:
        """Smallest and largest value of g on the simplex."""

    @abstractmethod
    def value(self, q1: Array, q2: Array) -> Array:
        """g at points of the simplex; arrays of one shape in, that shape out."""

    def gradient(self, q1: Array, q2: Array) -> tuple[Array, Array]:
        """(dg/dq1, dg/dq2), of the shape of q1 and q2.

        Raises:
            InvalidInputError: a functional that does not define it.
        """
        raise InvalidInputError(f"The studentized statistic needs the gradient of {self.name!r}, which has none. Add "
                                "gradient(q1, q2), or use statistic='plugin' or 'clopper-pearson'.")

    def radius(self, lower: float, scale: float) -> float:
        """The certified l2 radius that the lower bound `lower` gives under Gaussian noise; 0 for an abstention.

        Args:
            lower: a lower bound on g.
            scale: standard deviation of the noise.

        Raises:
            InvalidInputError: a functional that does not say, or a scale without meaning.
        """
        raise InvalidInputError(f"The functional {self.name!r} has no certified radius in rsopt; add "
                                "radius(lower, scale) to it, or bound 'margin', 'probit' or 'taylor-probit'.")

    def curve(self, level: float, q2: Array) -> Array:
        """h_L(q2): an upper bound, tight to rounding, of the largest q1 with g(q1, q2) <= level; shape of q2.

        By bisection on the value; 1 where all q1 qualify.
        """
        points = np.asarray(q2, dtype=float)
        low, high = np.zeros(points.shape), np.ones(points.shape)
        for _ in range(60):
            middle = 0.5 * (low + high)
            above = self.value(middle, points) > level
            high = np.where(above, middle, high)
            low = np.where(above, low, middle)
        return high

    def curve_ends(self, level: float, least_q1: float) -> tuple[float, float]:
        """(smallest, largest) q2 with a q1 >= `least_q1` on the curve g = level, rounded outwards.

        At the largest q3 = 0. The curve is empty where the first exceeds the second. By bisection: g(1 - q2, q2) and
        g(least_q1, q2) fall in q2.
        """
        end = self._first_at_most(level, lambda q2: 1.0 - q2, 1.0)
        at_start = float(self.value(np.array(least_q1), np.array(0.0)))
        start = 0.0 if at_start <= level else self._first_at_most(level, lambda q2: least_q1, 1.0 - least_q1, 0)
        return start, end

    def _first_at_most(self, level: float, q1_at: Callable[[float], float], cap: float, side: int = 1) -> float:
        """The q2 in [0, cap] from which g(q1_at(q2), q2) <= level: the lower or upper side of its bracket."""
        bracket = [0.0, cap]
        for _ in range(60):
            q2 = 0.5 * (bracket[0] + bracket[1])
            below = float(self.value(np.array(q1_at(q2)), np.array(q2))) <= level
            bracket[1 if below else 0] = q2
        return bracket[side]

    def tangent(self, level: float, q2: float) -> tuple[float, float, float]:
        """(h, h', h'') of q1 = h_L(q2) at q2.

        Raises:
            InvalidInputError: a functional that is known by its values only (see `smooth`).
        """
        raise InvalidInputError(f"The functional {self.name!r} has no link, hence no derivatives of its level curve.")

    def expression(self, q: tuple[Any, Any, Any], log: Callable[[Any], Any]) -> Any | None:
        """g in the algebra of a modelling language, whose logarithm is `log`; None where it cannot be written so."""
        return None

    def level_signomials(self, level: float, least_q1: float) -> LevelSignomials | None:
        """g(q) <= level over the q with q1 >= `least_q1` as signomials; None where it is none."""
        return None

    def described(self) -> dict[str, Any]:
        """What a file that someone else's solver reads says about g: JSON-ready values."""
        return {"functional": self.name, "g": self.formula}


@dataclass(frozen=True)
class ExchangedFunctional(Functional):
    """-g(q2, q1): what g is for the two classes in the other order, its sign turned (theorem U1).

    Attributes:
        of: g.
    """

    name: ClassVar[str] = "exchanged"
    formula: ClassVar[str] = "-g(q2, q1)"
    of: Functional

    @property
    def exchanged(self) -> Functional:
        """g itself."""
        return self.of

    @property
    def monotone(self) -> bool:
        """Whether g is proven to be monotone, which makes this so."""
        return self.of.monotone

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest value on the simplex."""
        bottom, top = self.of.range
        return -top, -bottom

    def value(self, q1: Array, q2: Array) -> Array:
        """-g(q2, q1) at points of the simplex; arrays of one shape in, that shape out."""
        return -self.of.value(q2, q1)

    def gradient(self, q1: Array, q2: Array) -> tuple[Array, Array]:
        """Derivatives in q1 and q2, of the shape of q1 and q2; errors as in `Functional.gradient`."""
        first, second = self.of.gradient(q2, q1)
        return -second, -first

    def described(self) -> dict[str, Any]:
        """As `Functional.described`, of g."""
        return {"functional": self.name, "g": self.formula, "of": self.of.described()}


class LinkFunctional(Functional):
    """A functional g(q) = f(q1) - f(q2) with an increasing link f: subclass it with the link and its two derivatives.

    Everything else follows from these: value, gradient, level curves and their tangents. A bound rests on f increasing
    alone; the derivatives serve statistics and solvers.
    """

    smooth: ClassVar[bool] = True

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if cls.__module__.partition(".")[0] != "rsopt":
            for name in ("value", "gradient", "tangent"):
                if name in vars(cls):
                    raise InvalidInputError(f"{cls.__name__} defines {name!r}, which follows from its link: define "
                                            "link, link_slope and link_curvature alone, or subclass rsopt.Functional.")

    @property
    def exchanged(self) -> Functional:
        """The functional itself: f(q1) - f(q2) turns its sign with the order of the classes."""
        return self

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest value of g on the simplex."""
        bottom, top = (float(self.link(np.array(q))) for q in (0.0, 1.0))
        return bottom - top, top - bottom

    @abstractmethod
    def link(self, q: Array) -> Array:
        """f(q), elementwise."""

    @abstractmethod
    def link_slope(self, q: Array) -> Array:
        """f'(q), elementwise."""

    @abstractmethod
    def link_curvature(self, q: Array) -> Array:
        """f''(q), elementwise."""

    def value(self, q1: Array, q2: Array) -> Array:
        """g at points of the simplex; arrays of one shape in, that shape out (-inf where f(q1) = -inf)."""
        f1, f2 = self.link(np.asarray(q1, float)), self.link(np.asarray(q2, float))
        with np.errstate(invalid="ignore"):
            return np.where(np.isneginf(f1), -np.inf, f1 - f2)

    def gradient(self, q1: Array, q2: Array) -> tuple[Array, Array]:
        """(dg/dq1, dg/dq2) = (f'(q1), -f'(q2)), of the shape of q1 and q2; infinite where f' is."""
        return self.link_slope(np.asarray(q1, float)), -self.link_slope(np.asarray(q2, float))

    def tangent(self, level: float, q2: float) -> tuple[float, float, float]:
        """(h, h', h'') of q1 = h_L(q2) at q2, by implicit differentiation of f(q1) - f(q2) = L."""
        at = np.array(q2)
        q1 = self.curve(level, at)
        slope1, slope2 = float(self.link_slope(q1)), float(self.link_slope(at))
        first = slope2 / slope1
        second = (float(self.link_curvature(at)) - float(self.link_curvature(q1)) * first * first) / slope1
        return float(q1), first, second
