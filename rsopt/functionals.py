"""Functionals g(q): the quantity that is bounded, as a function of q = (q1, q2, q3) = (p_A, p_j, rest)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rsopt.errors import InvalidInputError, UnknownNameError
from rsopt.kernels import links

Array = npt.NDArray[np.float64]


@runtime_checkable
class Functional(Protocol):
    """A quantity g(q1, q2): continuous, nondecreasing in q1, nonincreasing in q2, free of q3.

    Nothing else is needed for a proven bound. Functionals of the form f(q1) - f(q2) with a link f
    (`LinkFunctional`) are proven much faster.
    """

    @property
    def name(self) -> str:
        """Short name used in results and on the command line."""
        ...

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest value of g on the simplex."""
        ...

    def value(self, q1: Array, q2: Array) -> Array:
        """g at points of the simplex; arrays of one shape in, that shape out."""
        ...


class LinkFunctional:
    """A functional g(q) = f(q1) - f(q2) whose link f has the properties listed in `rsopt.kernels.links`."""

    name: ClassVar[str]
    kind: ClassVar[int]

    @property
    def coefficients(self) -> Array:
        """Coefficients of the polynomial link; empty for the others."""
        return np.zeros(0)

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest value of g on the simplex."""
        top = 2.0 * links.link(self.kind, self.coefficients, 1.0)
        return -top, top

    def value(self, q1: Array, q2: Array) -> Array:
        """g at points of the simplex; arrays of one shape in, that shape out (-inf where f(q1) = -inf)."""
        f1, f2 = self.link(np.asarray(q1, float)), self.link(np.asarray(q2, float))
        with np.errstate(invalid="ignore"):
            return np.where(np.isneginf(f1), -np.inf, f1 - f2)

    def gradient(self, q1: Array, q2: Array) -> tuple[Array, Array]:
        """(dg/dq1, dg/dq2) = (f'(q1), -f'(q2)), of the shape of q1 and q2; infinite where f' is."""
        return self.link_slope(np.asarray(q1, float)), -self.link_slope(np.asarray(q2, float))

    def link(self, q: Array) -> Array:
        """f(q), elementwise."""
        return _elementwise(links.VALUE, self, q)

    def link_slope(self, q: Array) -> Array:
        """f'(q), elementwise."""
        return _elementwise(links.SLOPE, self, q)

    def link_curvature(self, q: Array) -> Array:
        """f''(q), elementwise."""
        return _elementwise(links.CURVATURE, self, q)

    def link_inverse(self, y: Array) -> Array:
        """f^{-1}(y), elementwise, clamped to [0, 1]."""
        return _elementwise(links.INVERSE, self, y)

    def curve(self, level: float, q2: Array) -> Array:
        """h_L(q2): the q1 with g(q1, q2) = level; same shape as q2."""
        return np.array([links.curve_q1(self.kind, self.coefficients, level, v) for v in np.ravel(q2)]
                        ).reshape(np.shape(q2))

    def curve_ends(self, level: float) -> tuple[float, float]:
        """(smallest, largest) q2 on the curve g = level; q3 = 0 at the largest (fact 3)."""
        return (links.curve_start(self.kind, self.coefficients, level),
                links.level_to_end(self.kind, self.coefficients, level))


def _elementwise(what: int, functional: LinkFunctional, q: Array) -> Array:
    flat = np.ascontiguousarray(np.ravel(q), dtype=float)
    values: Array = links.elementwise(what, functional.kind, functional.coefficients, flat)
    return values.reshape(np.shape(q))


@dataclass(frozen=True)
class Margin(LinkFunctional):
    """g(q) = q1 - q2 (equation 9): the margin between the top class and the runner-up, in [-1, 1]."""

    name: ClassVar[str] = "margin"
    kind: ClassVar[int] = links.IDENTITY


@dataclass(frozen=True)
class ProbitMargin(LinkFunctional):
    """g(q) = ndtri(q1) - ndtri(q2) (equation 10), unbounded; sigma/2 times it is the certified l2 radius R2."""

    name: ClassVar[str] = "probit"
    kind: ClassVar[int] = links.PROBIT


@dataclass(frozen=True)
class TaylorProbitMargin(LinkFunctional):
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
    kind: ClassVar[int] = links.POLYNOMIAL
    order: int = 15
    as_published: bool = False
    gamma_share: float = field(default=0.1)

    def __post_init__(self) -> None:
        if isinstance(self.order, bool) or not isinstance(self.order, int | np.integer) \
                or self.order % 2 == 0 or not 1 <= self.order <= 1001:
            raise InvalidInputError(f"order must be an odd number from 1 to 1001; found {self.order!r}.")
        if not 0.0 < self.gamma_share < 1.0:
            raise InvalidInputError(f"gamma_share must lie strictly between 0 and 1; found {self.gamma_share!r}.")

    @property
    def coefficients(self) -> Array:
        """Coefficients of (2q - 1)^1, (2q - 1)^3, …, (2q - 1)^M, each rounded down."""
        return taylor_coefficients((self.order + 1) // 2).copy()


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


FUNCTIONALS: dict[str, type[Margin] | type[ProbitMargin] | type[TaylorProbitMargin]] = {
    "margin": Margin, "probit": ProbitMargin, "taylor-probit": TaylorProbitMargin}


def as_functional(functional: str | Functional, order: int | None = None) -> Functional:
    """A functional from its name, or the instance itself.

    Raises:
        UnknownNameError: a name that nobody registered.
        InvalidInputError: `order` beside a functional that has none, or something that is no functional.
    """
    if isinstance(functional, str):
        if functional not in FUNCTIONALS:
            raise UnknownNameError.of("functional", functional, list(FUNCTIONALS))
        if order is not None:
            if functional != "taylor-probit":
                raise InvalidInputError(f"order={order} has no meaning for the functional {functional!r}; "
                                        "only 'taylor-probit' has an order.")
            return TaylorProbitMargin(order=order)
        return FUNCTIONALS[functional]()
    if order is not None:
        raise InvalidInputError("Give the order to the functional itself, for example TaylorProbitMargin(order=15).")
    if not isinstance(functional, Functional):
        raise InvalidInputError(f"{functional!r} is no functional: it needs name, range and value(q1, q2).")
    return functional
