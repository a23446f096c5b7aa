"""Upper tails of noise laws between two integers: arithmetic of whole numbers alone, rounded outward at every step.

A number in [0, 2^64) is enclosed by integers (low, high) in units of 2^-BITS. Nothing here is a float, so the
enclosures hold on every machine.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

from rsopt.errors import UnknownNameError

__all__ = ["BITS", "FAR", "LAWS", "upper_tail"]

BITS = 192
"""Binary places. Enclosures come out less than 2^-160 wide, for tables that need 2^-65."""
FAR = 140
"""Beyond so many scales every law has less than one unit."""
_ONE = 1 << BITS

Enclosure = tuple[int, int]


def upper_tail(law: str, z: Fraction) -> Enclosure:
    """Integers (low, high) with low <= 2^BITS · P(Z > z) <= high, for Z of this law with scale 1.

    The scale is the standard deviation of the Gaussian law, the mean absolute deviation of the Laplace law, s in
    1/(1 + exp(-z/s)) of the logistic law, and half the width of the uniform law.

    Args:
        law: "gaussian", "laplace", "logistic" or "uniform".
        z: at least 0.

    Raises:
        UnknownNameError: another law.
    """
    if law not in _TAILS:
        raise UnknownNameError.of("law of noise", law, list(LAWS))
    # exp(-FAR) is below 2^-BITS, and above it would be a number of any length.
    return (0, 1) if z > FAR else _TAILS[law](z)


def _enclosed(value: Fraction) -> Enclosure:
    scaled = value * _ONE
    return math.floor(scaled), math.ceil(scaled)


def _product(a: Enclosure, b: Enclosure) -> Enclosure:
    return a[0] * b[0] >> BITS, -(-a[1] * b[1] >> BITS)


def _quotient(a: Enclosure, b: Enclosure) -> Enclosure:
    return (a[0] << BITS) // b[1], -(-(a[1] << BITS) // b[0])


def _exp(w: Fraction) -> Enclosure:
    """exp(w) for w >= 0: the series at w / 2^k < 2^-8, squared k times."""
    squarings = max(0, math.floor(w).bit_length() + 8)
    v = _enclosed(w / (1 << squarings))
    term = total = (_ONE, _ONE)
    for n in range(1, BITS):
        low, high = _product(term, v)
        term = (low // n, -(-high // n))
        total = (total[0] + term[0], total[1] + term[1])
        if term[1] <= 1:
            break
    # What is left out is less than the last term, since each is less than half of the one before.
    total = (total[0], total[1] + term[1])
    for _ in range(squarings):
        total = _product(total, total)
    return total


def _gaussian(z: Fraction) -> Enclosure:
    """1/2 - exp(-z²/2)/sqrt(2 pi) · (z + z³/3 + z⁵/(3·5) + …), a series without cancellation."""
    square = _enclosed(z * z)
    term = total = _enclosed(z)
    n = 0
    # Once a factor is below 1/2 all later terms together are less than the last one.
    while term[1] > 1 or 2 * square[1] >= (2 * n + 1) * _ONE:
        n += 1
        low, high = _product(term, square)
        term = (low // (2 * n + 1), -(-high // (2 * n + 1)))
        total = (total[0] + term[0], total[1] + term[1])
    total = (total[0], total[1] + term[1])
    low, high = _quotient(total, _product(_exp(z * z / 2), _root_of_two_pi()))
    return max(0, _ONE // 2 - high), _ONE // 2 - low


def _laplace(z: Fraction) -> Enclosure:
    """exp(-z)/2."""
    return _quotient((_ONE // 2, _ONE // 2), _exp(z))


def _logistic(z: Fraction) -> Enclosure:
    """1/(1 + exp(z))."""
    low, high = _exp(z)
    return _quotient((_ONE, _ONE), (_ONE + low, _ONE + high))


def _uniform(z: Fraction) -> Enclosure:
    """(1 - z)/2, down to 0."""
    return _enclosed(max(Fraction(0), (1 - z) / 2))


@lru_cache(maxsize=1)
def _root_of_two_pi() -> Enclosure:
    # Machin: pi/4 = 4 arctan(1/5) - arctan(1/239).
    five, far = _arctan(5), _arctan(239)
    two_pi = (8 * (4 * five[0] - far[1]), 8 * (4 * five[1] - far[0]))
    return math.isqrt(two_pi[0] << BITS), math.isqrt(two_pi[1] << BITS) + 1


def _arctan(divisor: int) -> Enclosure:
    """arctan(1/divisor): each of the alternating terms is rounded down, and the rest is less than the last one."""
    total, n, power = 0, 0, _ONE // divisor
    while power:
        total += (-1) ** n * (power // (2 * n + 1))
        n, power = n + 1, power // divisor ** 2
    # Each power is short of its value by less than 2, so each term by less than 3.
    return total - 3 * n - 1, total + 3 * n + 1


_TAILS = {"gaussian": _gaussian, "laplace": _laplace, "logistic": _logistic, "uniform": _uniform}
LAWS = tuple(_TAILS)
"""The laws, all symmetric about 0."""
