"""Error spending: how a total error alpha is shared out over the looks at growing counts.

Any shares that add up to at most 1 are valid (union bound, see `rsopt.sequential.adaptive`); they differ in the
samples it takes. A spending function takes n_1 < n_2 < … < n_K, all looks that can be taken, and returns non-negative
shares of alpha, shape (K,), adding up to at most 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from rsopt.counts import checked_alpha
from rsopt.errors import InvalidInputError, UnknownNameError

Array = npt.NDArray[np.float64]
Spending = Callable[[Sequence[int]], Array]

# Every look gets at least this share of alpha: O'Brien and Fleming's first looks would get errors at which double
# precision can prove nothing.
LEAST_SHARE = 1e-4

# On realistic votes (tests/benchmarks/bench_adaptive.py) within 2% of the fewest samples for every question, and
# the fewest for most; linear, power and pocock differ little.
DEFAULT = "equal"


def equal(looks: Sequence[int]) -> Array:
    """The same share for every look: 1/K each."""
    return np.full(len(looks), 1.0 / len(looks))


def linear(looks: Sequence[int]) -> Array:
    """Shares proportional to the number of the look, 2k/(K(K + 1)): late looks, which cost most, get most."""
    numbers: Array = np.arange(1.0, len(looks) + 1.0)
    return numbers * (1.0 / float(numbers.sum()))


def open_ended(looks: Sequence[int]) -> Array:
    """1/(k(k + 1)): shares that need no last look, since their sum, 1 - 1/(K + 1), always stays below 1."""
    numbers = np.arange(1.0, len(looks) + 1.0)
    return 1.0 / (numbers * (numbers + 1.0))


def power(looks: Sequence[int], rho: float = 0.15) -> Array:
    """Kim and DeMets (1987): the share spent by the time n is (n/n_K)^rho.

    Args:
        looks: as above.
        rho: positive; under geometric looks a small rho spreads the error, a large one saves it for the end.

    Raises:
        InvalidInputError: a rho that is not positive.
    """
    if not 0.0 < rho < math.inf:
        raise InvalidInputError(f"rho must be a positive number; found {rho!r}.")
    return _increments(_times(looks) ** rho)


def pocock(looks: Sequence[int]) -> Array:
    """Lan and DeMets (1983), Pocock type: ln(1 + (e - 1) t) is spent by the time t = n/n_K."""
    return _increments(np.log1p((math.e - 1.0) * _times(looks)))


def obrien_fleming(looks: Sequence[int], reference: float = 1e-3) -> Array:
    """Lan and DeMets (1983), O'Brien–Fleming type: nearly everything is kept for the last looks.

    Args:
        looks: as above.
        reference: the alpha of the shape 2 - 2 ndtr(z(reference/2)/sqrt(t)), whose shares of its value at t = 1 these
            are; they need not know the alpha that they share out.

    Raises:
        InvalidInputError: a reference outside (0, 1/2).
    """
    z = -float(special.ndtri(checked_alpha(reference) / 2.0))
    return _increments(special.ndtr(-z / np.sqrt(_times(looks))) / special.ndtr(-z))


SPENDING: dict[str, Spending] = {
    "equal": equal, "linear": linear, "open-ended": open_ended, "power": power, "pocock": pocock,
    "obrien-fleming": obrien_fleming}


def as_spending(spending: str | Spending) -> Spending:
    """A spending function from its name, or the function itself.

    Raises:
        UnknownNameError: a name that nobody registered.
        InvalidInputError: something that is no function.
    """
    if isinstance(spending, str):
        if spending not in SPENDING:
            raise UnknownNameError.of("spending function", spending, list(SPENDING))
        return SPENDING[spending]
    if not callable(spending):
        raise InvalidInputError(f"{spending!r} is no spending function: it must take the looks and return their shares "
                                "of alpha.")
    return spending


def look_alphas(spending: str | Spending, alpha: float, looks: Sequence[int], idle: int = 0) -> tuple[float, ...]:
    """alpha_1, …, alpha_K for the looks, with alpha_1 + … + alpha_K <= alpha in exact arithmetic.

    Args:
        spending: how the error is shared out, a name or a function.
        alpha: probability that any of the statements is false.
        looks: n_1 < … < n_K.
        idle: so many first looks can decide nothing; they get `LEAST_SHARE` and the others share out the rest.

    Raises:
        UnknownNameError: as in `as_spending`.
        InvalidInputError: looks that do not grow, an alpha out of range or too small to be shared out, or shares that
            are negative or add up to more than 1.
    """
    total, shared_out = checked_alpha(alpha), as_spending(spending)
    if not looks or looks[0] < 1 or any(b <= a for a, b in itertools.pairwise(looks)):
        raise InvalidInputError(f"Looks must be growing numbers of samples; found {list(looks)}.")
    active = np.asarray(shared_out(looks[idle:]), dtype=float)
    if active.shape != (len(looks) - idle,) or not np.all(active >= 0.0) or math.fsum(active) > 1.0 + 1e-12:
        named = spending if isinstance(spending, str) else getattr(spending, "__name__", spending)
        raise InvalidInputError(f"The shares of {named!r} must be one a look, non-negative, with a sum of at "
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
