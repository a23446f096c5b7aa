"""The functionals that ship: differences of a link at q1 and q2, one for each law of the noise; and by name."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rsopt.arguments import Whole, as_name, as_real, as_whole, instance_of
from rsopt.errors import InvalidInputError, UnknownNameError, shown
from rsopt.functional import Functional, LinkFunctional
from rsopt.kernels import links
from rsopt.radius import probit_radius, smoothed_margin_radius
from rsopt.signomials import LevelSignomials, Signomial

Array = npt.NDArray[np.float64]


class CompiledFunctional(LinkFunctional):
    """A functional whose link is compiled and has all properties listed in `rsopt.kernels.links`: the fast proof."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        if cls.__module__ != __name__:
            raise InvalidInputError(f"{cls.__name__} cannot be made from a functional that ships, whose proof is "
                                    "compiled and would not see the change: subclass rsopt.LinkFunctional or "
                                    "rsopt.Functional.")
        super().__init_subclass__(**arguments)

    @property
    @abstractmethod
    def compiled(self) -> links.Link:
        """The link in compiled code; `CompiledFunctional` leaves it to the functional."""

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest value of g on the simplex."""
        top = 2.0 * links.link_value(self.compiled, 1.0)
        return -top, top

    def link(self, q: Array) -> Array:
        """f(q), elementwise."""
        return self._elementwise(links.VALUE, q)

    def link_slope(self, q: Array) -> Array:
        """f'(q), elementwise."""
        return self._elementwise(links.SLOPE, q)

    def link_curvature(self, q: Array) -> Array:
        """f''(q), elementwise."""
        return self._elementwise(links.CURVATURE, q)

    def link_inverse(self, y: Array) -> Array:
        """f^{-1}(y), elementwise, clamped to [0, 1]."""
        return self._elementwise(links.INVERSE, y)

    def curve(self, level: float, q2: Array) -> Array:
        """h_L(q2): the q1 with g(q1, q2) = level; same shape as q2."""
        return np.array([links.curve_q1(self.compiled, level, v) for v in np.ravel(q2)]).reshape(np.shape(q2))

    def curve_ends(self, level: float, least_q1: float) -> tuple[float, float]:
        """(smallest, largest) q2 with a q1 >= `least_q1` on the curve g = level, rounded outwards."""
        f = self.compiled
        low, high = links.curve_start(f, level), links.curve_end(f, level)
        if least_q1 > 0.0:
            low = max(low, links.link_inverse(f, links.link_value(f, least_q1) - level) - 64 * links.EPS)
        return low, high

    def _elementwise(self, what: int, q: Array) -> Array:
        values: Array = links.elementwise(what, self.compiled, np.ascontiguousarray(np.ravel(q), dtype=float))
        return values.reshape(np.shape(q))


@dataclass(frozen=True)
class Margin(CompiledFunctional):
    """g(q) = q1 - q2 (equation 9): the margin between the top class and the runner-up, in [-1, 1]."""

    name: ClassVar[str] = "margin"
    equation: ClassVar[str] = "9"
    formula: ClassVar[str] = "q1 - q2"
    linear: ClassVar[bool] = True
    concave_from: ClassVar[float] = -math.inf
    scored: ClassVar[bool] = True

    @property
    def compiled(self) -> links.Link:
        """The link f(q) = q - 1/2."""
        return links.Link(links.IDENTITY, _NONE)

    def radius(self, lower: float, scale: float) -> float:
        """R1 = lower · scale sqrt(pi/2), l2, by the Lipschitz constant of the smoothed hard classifier."""
        return smoothed_margin_radius(lower, scale)

    def expression(self, q: tuple[Any, Any, Any], log: Callable[[Any], Any]) -> Any:
        """q1 - q2."""
        return q[0] - q[1]

    def level_signomials(self, level: float, least_q1: float) -> LevelSignomials:
        """q1 - q2 - L <= 0."""
        constant = [(-level, (0, 0, 0))] if level != 0.0 else []
        return LevelSignomials(("q1", "q2", "q3"), (Signomial.of([(1.0, (1, 0, 0)), (-1.0, (0, 1, 0)), *constant]),))


@dataclass(frozen=True)
class ProbitMargin(CompiledFunctional):
    """g(q) = ndtri(q1) - ndtri(q2) (equation 10), unbounded; sigma/2 times it is the certified l2 radius R2."""

    name: ClassVar[str] = "probit"
    equation: ClassVar[str] = "10"
    formula: ClassVar[str] = "ndtri(q1) - ndtri(q2)"
    concave_from: ClassVar[float] = 0.0
    scored: ClassVar[bool] = True

    @property
    def compiled(self) -> links.Link:
        """The link f = ndtri."""
        return links.Link(links.PROBIT, _NONE)

    def radius(self, lower: float, scale: float) -> float:
        """R2 = scale/2 · lower, l2."""
        return probit_radius(lower, scale)

    def described(self) -> dict[str, Any]:
        """As `Functional.described`."""
        return {"functional": self.name,
                "g": "z(q1) - z(q2), z the inverse of the standard normal distribution function"}


@dataclass(frozen=True)
class TaylorProbitMargin(CompiledFunctional):
    """g(q) = f_M(q1) - f_M(q2) (equation 11), f_M the Taylor polynomial of ndtri about 1/2 up to odd order M.

    All Taylor coefficients of ndtri about 1/2 are positive, so ndtri - f_M is increasing: whenever q1 >= q2,
    this functional does not exceed the probit margin, and a positive bound on it bounds both (fact 10).

    Attributes:
        order: M, odd, at least 1, at most 1001.
        as_published: use the published route instead: test p_A > 1/2, restrict the nulls to q1 >= 1/2, fall back
            to two-way Clopper–Pearson, with alpha split into beta + gamma (see `rsopt.taylor_route`).
        gamma_share: share of alpha that the published route gives to the runner-up in its fallback.

    Raises:
        InvalidInputError: an order that is even, below 1 or above 1001; a share outside (0, 1).
    """

    name: ClassVar[str] = "taylor-probit"
    equation: ClassVar[str] = "11"
    formula: ClassVar[str] = "f_M(q1) - f_M(q2)"
    order: int = 15
    as_published: bool = False
    gamma_share: float = field(default=0.1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", checked_order(self.order))
        share = as_real(self.gamma_share)
        if share is None or not 0.0 < share < 1.0:
            raise InvalidInputError(f"gamma_share must lie strictly between 0 and 1; found {shown(self.gamma_share)}.")
        object.__setattr__(self, "gamma_share", share)

    @property
    def coefficients(self) -> Array:
        """Coefficients of (2q - 1)^1, (2q - 1)^3, …, (2q - 1)^M, each rounded down."""
        return taylor_coefficients((self.order + 1) // 2).copy()

    @property
    def compiled(self) -> links.Link:
        """The link f_M."""
        return links.Link(links.POLYNOMIAL, self.coefficients)

    def radius(self, lower: float, scale: float) -> float:
        """R2 = scale/2 · lower, l2: a positive bound on g bounds the probit margin."""
        return probit_radius(lower, scale)

    def expression(self, q: tuple[Any, Any, Any], log: Callable[[Any], Any]) -> Any:
        """The two polynomials, by Horner's rule."""
        sides = []
        for q_i in q[:2]:
            u = 2.0 * q_i - 1.0
            series: Any = 0.0
            for coefficient in reversed(self.coefficients):
                series = float(coefficient) + u * u * series
            sides.append(u * series)
        return sides[0] - sides[1]

    def level_signomials(self, level: float, least_q1: float) -> LevelSignomials | None:
        """With q1 >= 1/2 and L > 0 a posynomial in y1 = q1 - 1/2 and y2 = 1/2 - q2 (fact 10); None elsewhere.

        It is tied to q by q1 <= 1/2 + y1 and 1/2 <= q2 + y2. Expanded in q itself the coefficients alternate and reach
        10^40 at order 101.
        """
        if least_q1 < 0.5 or level <= 0.0:
            return None
        series = [(float(c) * 2.0 ** (2 * k + 1), 2 * k + 1) for k, c in enumerate(self.coefficients)]
        posynomial = [(c, (0, 0, 0, p, 0)) for c, p in series] + [(c, (0, 0, 0, 0, p)) for c, p in series]
        return LevelSignomials(("q1", "q2", "q3", "y1", "y2"), (
            Signomial.of([*posynomial, (-level, (0, 0, 0, 0, 0))]),
            Signomial.of([(1.0, (1, 0, 0, 0, 0)), (-0.5, (0, 0, 0, 0, 0)), (-1.0, (0, 0, 0, 1, 0))]),
            Signomial.of([(0.5, (0, 0, 0, 0, 0)), (-1.0, (0, 1, 0, 0, 0)), (-1.0, (0, 0, 0, 0, 1))])))

    def described(self) -> dict[str, Any]:
        """As `Functional.described`, with the order and the coefficients."""
        return {"functional": self.name, "g": "f(q1) - f(q2), f(q) = sum_k c_k (2q - 1)^(2k+1), k = 0, 1, …",
                "order": self.order, "coefficients": self.coefficients.tolist()}


@dataclass(frozen=True)
class LaplaceMargin(CompiledFunctional):
    """g(q) = f(q1) - f(q2) (equation 12), f(q) = log 2q up to 1/2 and -log 2(1 - q) above: Laplace noise.

    f times the scale of the noise is its quantile function, so scale/2 times g is the certified l1 radius
    (`rsopt.noise.Laplace`).
    """

    name: ClassVar[str] = "laplace"
    equation: ClassVar[str] = "12"
    formula: ClassVar[str] = "f(q1) - f(q2)"
    analytic: ClassVar[bool] = False
    concave_from: ClassVar[float] = 0.0
    scored: ClassVar[bool] = True

    @property
    def compiled(self) -> links.Link:
        """The quantile function of the Laplace law of scale 1."""
        return links.Link(links.LAPLACE, _NONE)

    def described(self) -> dict[str, Any]:
        """As `Functional.described`."""
        return {"functional": self.name, "g": "f(q1) - f(q2), f(q) = log(2q) for q <= 1/2, -log(2(1 - q)) above"}


@dataclass(frozen=True)
class LogitMargin(CompiledFunctional):
    """g(q) = logit(q1) - logit(q2) (equation 13): logistic noise, whose scale/2 times g is the certified l1 radius.

    See `rsopt.noise.Logistic`.
    """

    name: ClassVar[str] = "logit"
    equation: ClassVar[str] = "13"
    formula: ClassVar[str] = "logit(q1) - logit(q2)"
    concave_from: ClassVar[float] = 0.0
    scored: ClassVar[bool] = True

    @property
    def compiled(self) -> links.Link:
        """The quantile function of the logistic law of scale 1."""
        return links.Link(links.LOGIT, _NONE)

    def expression(self, q: tuple[Any, Any, Any], log: Callable[[Any], Any]) -> Any:
        """log q1(q1 + q3) - log q2(q2 + q3), since 1 - q1 = q2 + q3 and 1 - q2 = q1 + q3."""
        return log(q[0]) + log(q[0] + q[2]) - log(q[1]) - log(q[1] + q[2])

    def level_signomials(self, level: float, least_q1: float) -> LevelSignomials:
        """q1² + q1 q3 <= e^L (q2² + q2 q3)."""
        ratio = math.exp(level)
        return LevelSignomials(("q1", "q2", "q3"), (Signomial.of([
            (1.0, (2, 0, 0)), (1.0, (1, 0, 1)), (-ratio, (0, 2, 0)), (-ratio, (0, 1, 1))]),))

    def described(self) -> dict[str, Any]:
        """As `Functional.described`."""
        return {"functional": self.name, "g": "log(q1/(1 - q1)) - log(q2/(1 - q2))"}


_NONE = np.zeros(0)


@lru_cache(maxsize=64)
def taylor_coefficients(terms: int) -> Array:
    """The first `terms` coefficients of ndtri((1 + u)/2) = sqrt(2) erfinv(u) in odd powers of u, shape (terms,).

    erfinv(u) = sum c_k/(2k + 1) (sqrt(pi)/2 u)^(2k+1), c_k = sum_m c_m c_{k-1-m}/((m + 1)(2m + 1)). Rounded down
    by a relative 1e-12, so that the polynomial with the stored coefficients still lies below ndtri's increments.
    """
    c = np.ones(terms)
    m = np.arange(terms)
    weight = 1.0 / ((m + 1.0) * (2.0 * m + 1.0))
    for k in range(1, terms):
        c[k] = np.sum(c[:k] * c[k - 1::-1] * weight[:k])
    powers = (math.sqrt(math.pi) / 2.0) ** (2 * m + 1)
    result = math.sqrt(2.0) * c * powers / (2 * m + 1) * (1.0 - 1e-12)
    result.setflags(write=False)
    return result


_Shipped = type[Margin] | type[ProbitMargin] | type[TaylorProbitMargin] | type[LaplaceMargin] | type[LogitMargin]

def checked_order(order: object) -> int:
    """The order of a Taylor polynomial as an int, or an error unless it is an odd number from 1 to 1001."""
    whole = as_whole(order)
    if whole is None or whole % 2 == 0 or not 1 <= whole <= 1001:
        raise InvalidInputError(f"order must be an odd number from 1 to 1001; found {shown(order)}.")
    return whole


FUNCTIONALS: dict[str, _Shipped] = {"margin": Margin, "probit": ProbitMargin, "taylor-probit": TaylorProbitMargin,
                                    "laplace": LaplaceMargin, "logit": LogitMargin}


FunctionalLike = str | Functional | type[Functional]
"""A functional, its class, or its name."""


def as_functional(functional: FunctionalLike, order: Whole | None = None) -> Functional:
    """A functional from its name or its class, or the instance itself.

    Raises:
        UnknownNameError: a name that nobody registered.
        InvalidInputError: `order` beside a functional that has none, or something that is no functional.
    """
    if isinstance(functional, str):
        if functional not in FUNCTIONALS:
            raise UnknownNameError.of("functional", functional, list(FUNCTIONALS))
        if order is not None:
            if functional != "taylor-probit":
                raise InvalidInputError(f"order={shown(order)} has no meaning for the functional {functional!r}; "
                                        "only 'taylor-probit' has an order.")
            return TaylorProbitMargin(order=checked_order(order))
        return FUNCTIONALS[functional]()
    if order is not None:
        raise InvalidInputError("Give the order to the functional itself, for example TaylorProbitMargin(order=15).")
    made = instance_of(functional)
    if not isinstance(made, Functional):
        raise InvalidInputError(f"{shown(functional)} is no functional: subclass rsopt.Functional with name, range and "
                                "value(q1, q2), or rsopt.LinkFunctional.")
    return made


def score_functionals() -> list[str]:
    """Names of the functionals that are bounded on scores."""
    return [name for name, functional in FUNCTIONALS.items() if functional.scored]


def score_functional(name: object) -> CompiledFunctional:
    """The functional of that name, once it is sure that it is bounded on scores.

    Raises:
        UnknownNameError: it is not, or there is none.
    """
    known = score_functionals()
    if as_name(name) not in known:
        raise UnknownNameError.of("functional on scores", name, known)
    return FUNCTIONALS[as_name(name)]()
