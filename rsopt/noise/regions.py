"""Regions of constant likelihood ratio between the flips of two inputs: what changing bits does to a probability."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from rsopt.noise.rounding import rounded_down, rounded_up

Array = npt.NDArray[np.float64]

# What an interpolation between two points may be off by, relatively: six roundings are below eight units of 2^-53.
_ROUNDING = 2.0**-50


@dataclass(frozen=True, eq=False)
class Envelope:
    """The least and the largest probability under x' of a set that has probability p under x, for every p.

    By Neyman and Pearson (1933) lo(p) fills the regions from the smallest ratio P_x'/P_x on and hi(p) from the largest:
    both are piecewise linear. Their corners are exact but for a last rounding to the safe side, and so are the values
    between them: lo is never above and hi never below the exact one (theorem N4).

    Attributes:
        lo_at, lo: corners of the convex lo, shape (k,); the first are nondecreasing, from 0 to 1.
        hi_at, hi: corners of the concave hi, likewise.
    """

    lo_at: Array
    lo: Array
    hi_at: Array
    hi: Array

    def least(self, p: Array) -> Array:
        """lo(p), elementwise, rounded down."""
        return np.interp(p, self.lo_at, self.lo) * (1.0 - _ROUNDING)

    def most(self, p: Array) -> Array:
        """hi(p), elementwise, rounded up."""
        return np.minimum(np.interp(p, self.hi_at, self.hi) * (1.0 + _ROUNDING), 1.0)

    def least_slope(self, p: Array) -> Array:
        """lo'(p), elementwise, of the piece that ends at p or holds it."""
        return _slope(self.lo_at, self.lo, p)

    def most_slope(self, p: Array) -> Array:
        """hi'(p), likewise."""
        return _slope(self.hi_at, self.hi, p)


def _slope(at: Array, values: Array, p: Array) -> Array:
    run, rise = np.diff(at), np.diff(values)
    # Pieces too short for double precision have no slope that could be told.
    slopes = np.divide(rise, run, out=np.zeros(run.size), where=run > 0.0)
    return np.asarray(slopes[np.clip(np.searchsorted(at, p) - 1, 0, run.size - 1)])


Regions = tuple[tuple[Fraction, Fraction], ...]


@lru_cache(maxsize=1024)
def regions(add: Fraction, remove: Fraction, additions: int, deletions: int) -> Regions:
    """(probability under x, probability under x') of each region, from the smallest ratio P_x'/P_x to the largest.

    x' arises from x by `additions` bits that become 1 and `deletions` that become 0. Other bits are drawn alike. With u
    ones drawn at the added places and v at the deleted ones, u ~ Bin(additions, add) and v ~ Bin(deletions, 1 - remove)
    under x, and u ~ Bin(additions, 1 - remove), v ~ Bin(deletions, add) under x'.

    Args:
        add: probability that a 0 becomes a 1.
        remove: probability that a 1 becomes a 0.
        additions, deletions: numbers of changed bits, from 0 on.
    """
    before_u, after_u = _binomial(additions, add), _binomial(additions, 1 - remove)
    before_v, after_v = _binomial(deletions, 1 - remove), _binomial(deletions, add)
    together: defaultdict[Fraction | None, list[Fraction]] = defaultdict(lambda: [Fraction(0), Fraction(0)])
    for u in range(additions + 1):
        for v in range(deletions + 1):
            before, after = before_u[u] * before_v[v], after_u[u] * after_v[v]
            if before or after:
                region = together[after / before if before else None]
                region[0] += before
                region[1] += after
    # Where P_x vanishes the ratio is infinite: None stands last.
    ratios = sorted(ratio for ratio in together if ratio is not None)
    ordered = [together[ratio] for ratio in ratios] + ([together[None]] if None in together else [])
    return tuple((before, after) for before, after in ordered)


def _binomial(n: int, p: Fraction) -> list[Fraction]:
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


@lru_cache(maxsize=1024)
def envelope(add: Fraction, remove: Fraction, additions: int, deletions: int) -> Envelope:
    """lo and hi for so many additions and deletions; arguments as in `regions`."""
    found = regions(add, remove, additions, deletions)
    # A region that x cannot reach costs no p: lo leaves it out, and hi begins with it.
    rising = _corners(tuple(region for region in found if region[0]))
    falling = _corners(found[::-1])
    return Envelope(lo_at=np.array([rounded_up(p) for p, _ in rising]),
                    lo=np.array([rounded_down(value) for _, value in rising]),
                    hi_at=np.array([rounded_down(p) for p, _ in falling]),
                    hi=np.array([rounded_up(value) for _, value in falling]))


def _corners(found: Regions) -> list[tuple[Fraction, Fraction]]:
    sums = zip(accumulate(before for before, _ in found), accumulate(after for _, after in found), strict=True)
    return [(Fraction(0), Fraction(0)), *sums]


def total_variation(add: Fraction, remove: Fraction, additions: int, deletions: int) -> Fraction:
    """Total variation between the laws of the two inputs; arguments as in `regions`."""
    return sum((max(before - after, Fraction(0)) for before, after in regions(add, remove, additions, deletions)),
               Fraction(0))
