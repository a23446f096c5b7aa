"""Error spending: how a total error alpha is shared out over the looks at growing counts.

Any shares that add up to at most 1 are valid (union bound, see `rsopt.sequential.adaptive`); they differ in the
samples it takes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from scipy import special

from rsopt.counts import checked_alpha
from rsopt.errors import InvalidInputError, UnknownNameError

Array = npt.NDArray[np.float64]

# Every look gets at least this share of alpha: O'Brien and Fleming's first looks would get levels at which double
# precision can prove nothing.
LEAST_SHARE = 1e-4

# On realistic votes (tests/benchmarks/bench_adaptive.py) within 2% of the fewest samples for every question, the
# fewest for most, and no certified input lost against a fixed n; linear, power and pocock differ little.
DEFAULT = "equal"


@runtime_checkable
class Spending(Protocol):
    """How much of alpha each look may spend."""

    @property
    def name(self) -> str:
        """Short name used in results and on the command line."""
        ...

    def shares(self, looks: Sequence[int]) -> Array:
        """Non-negative shares of alpha, adding up to at most 1.

        Args:
            looks: n_1 < n_2 < … < n_K, all looks that can be taken.

        Returns:
            shape (K,).
        """
        ...


@dataclass(frozen=True)
class Equal:
    """The same share for every look."""

    name: ClassVar[str] = "equal"

    def shares(self, looks: Sequence[int]) -> Array:
        """1/K each."""
        return np.full(len(looks), 1.0 / len(looks))


@dataclass(frozen=True)
class Linear:
    """Shares proportional to the number of the look: late looks, which cost most, get most."""

    name: ClassVar[str] = "linear"

    def shares(self, looks: Sequence[int]) -> Array:
        """2k/(K(K + 1))."""
        numbers: Array = np.arange(1.0, len(looks) + 1.0)
        return numbers * (1.0 / float(numbers.sum()))


@dataclass(frozen=True)
class OpenEnded:
    """Shares that need no last look: their sum stays below 1 however many there are."""

    name: ClassVar[str] = "open-ended"

    def shares(self, looks: Sequence[int]) -> Array:
        """1/(k(k + 1)), with sum 1 - 1/(K + 1)."""
        numbers = np.arange(1.0, len(looks) + 1.0)
        return 1.0 / (numbers * (numbers + 1.0))


@dataclass(frozen=True)
class Power:
    """Kim and DeMets (1987): the share spent by the time n is (n/n_K)^rho.

    Attributes:
        rho: positive; under geometric looks a small rho spreads the error, a large one saves it for the end.

    Raises:
        InvalidInputError: a rho that is not positive.
    """

    rho: float = 0.15
    name: ClassVar[str] = "power"

    def __post_init__(self) -> None:
        if not 0.0 < self.rho < math.inf:
            raise InvalidInputError(f"rho must be a positive number; found {self.rho!r}.")

    def shares(self, looks: Sequence[int]) -> Array:
        """Increments of t^rho at t = n_k/n_K."""
        return _increments(_times(looks) ** self.rho)


@dataclass(frozen=True)
class Pocock:
    """Lan and DeMets (1983), Pocock type: ln(1 + (e - 1) t) is spent by the time t = n/n_K."""

    name: ClassVar[str] = "pocock"

    def shares(self, looks: Sequence[int]) -> Array:
        """Increments of ln(1 + (e - 1) t)."""
        return _increments(np.log1p((math.e - 1.0) * _times(looks)))


@dataclass(frozen=True)
class OBrienFleming:
    """Lan and DeMets (1983), O'Brien–Fleming type: nearly everything is kept for the last looks.

    Attributes:
        reference: the alpha of the shape 2 - 2 ndtr(z(reference/2)/sqrt(t)); the shares need not know the alpha that
            they share out.

    Raises:
        InvalidInputError: a reference outside (0, 1/2).
    """

    reference: float = 1e-3
    name: ClassVar[str] = "obrien-fleming"

    def __post_init__(self) -> None:
        checked_alpha(self.reference)

    def shares(self, looks: Sequence[int]) -> Array:
        """Increments of 2 - 2 ndtr(z/sqrt(t)), as shares of its value at t = 1."""
        z = -float(special.ndtri(self.reference / 2.0))
        return _increments(special.ndtr(-z / np.sqrt(_times(looks))) / special.ndtr(-z))


SPENDING: dict[str, type[Equal | Linear | OpenEnded | Power | Pocock | OBrienFleming]] = {
    "equal": Equal, "linear": Linear, "open-ended": OpenEnded, "power": Power, "pocock": Pocock,
    "obrien-fleming": OBrienFleming}


def as_spending(spending: str | Spending) -> Spending:
    """A spending function from its name, or the instance itself.

    Raises:
        UnknownNameError: a name that nobody registered.
        InvalidInputError: something that is no spending function.
    """
    if isinstance(spending, str):
        if spending not in SPENDING:
            raise UnknownNameError.of("spending function", spending, list(SPENDING))
        return SPENDING[spending]()
    if not isinstance(spending, Spending):
        raise InvalidInputError(f"{spending!r} is no spending function: it needs name and shares(looks).")
    return spending


def look_levels(spending: Spending, alpha: float, looks: Sequence[int], idle: int = 0) -> tuple[float, ...]:
    """alpha_1, …, alpha_K for the looks, with alpha_1 + … + alpha_K <= alpha in exact arithmetic.

    Args:
        spending: how the error is shared out.
        alpha: probability that any of the statements is false.
        looks: n_1 < … < n_K.
        idle: so many first looks can decide nothing; they get `LEAST_SHARE` and the others share out the rest.

    Raises:
        InvalidInputError: looks that do not grow, an alpha out of range or too small to be shared out, or shares that
            are negative or add up to more than 1.
    """
    total = checked_alpha(alpha)
    if not looks or looks[0] < 1 or any(b <= a for a, b in itertools.pairwise(looks)):
        raise InvalidInputError(f"Looks must be growing numbers of samples; found {list(looks)}.")
    active = np.asarray(spending.shares(looks[idle:]), dtype=float)
    if active.shape != (len(looks) - idle,) or not np.all(active >= 0.0) or math.fsum(active) > 1.0 + 1e-12:
        raise InvalidInputError(f"The shares of {spending.name!r} must be one a look, non-negative, with a sum of at "
                                f"most 1; found {active.tolist()}.")
    if total * LEAST_SHARE < 1e-15:
        raise InvalidInputError(f"alpha = {alpha!r} is too small to be shared out over looks: some would get less than "
                                "1e-15, where double precision can prove nothing. Use a larger alpha, or a fixed n.")
    shares = np.full(len(looks), LEAST_SHARE)
    shares[idle:] += (1.0 - len(looks) * LEAST_SHARE) * active
    # The margin covers every rounding above, so that the sum is at most alpha and not only nearly so.
    return tuple((total * (1.0 - 1e-11) * shares).tolist())


def _times(looks: Sequence[int]) -> Array:
    return np.asarray(looks, dtype=float) / looks[-1]


def _increments(spent: Array) -> Array:
    return np.maximum(np.diff(spent, prepend=0.0), 0.0)
