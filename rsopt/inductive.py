"""The inductive order of the votes of few samples: each next outcome is the one that keeps the limit largest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import special

from rsopt.counts import Counts, checked_alpha
from rsopt.errors import InvalidInputError
from rsopt.functional import Functional
from rsopt.staircase import TailSet
from rsopt.statistics import tabulated_tail_set

Array = npt.NDArray[np.float64]

LARGEST = 50
_LEVELS = 400
_NULLS = 81
#: Limits closer than this share of a step between levels are equal: the order must not hang on last digits.
_EQUAL = 1e-6


@dataclass(frozen=True)
class Inductive:
    """The order of Wang (2012), for n up to 50: outcomes are taken in one by one, and each limit is made large in turn.

    The first outcome is (n, 0, 0). Of the outcomes whose betters (more votes for the class, fewer for the rival) were
    all taken in, the next one is that with the largest limit sup { L : P_q(all so far, and this one) <= alpha for every
    q with g(q) = L }; those with equal limits come together. Wang's order for a difference of two proportions is made
    in this way.

    While the order is made, the supremum is a maximum over a grid. This decides about tightness only: any order of the
    outcomes that is fixed before the votes are seen gives a valid bound, and the bound itself is proven on the tail set
    as always. A certificate cannot name this statistic.
    """

    name: ClassVar[str] = "inductive"
    largest_alpha: ClassVar[float] = 0.5

    def tail_set(self, counts: Counts, functional: Functional, alpha: float) -> TailSet:
        """W = {x : x was taken in no later than the observation}.

        Raises:
            InvalidInputError: n above 50.
        """
        ranks = self._ranks(counts, functional, alpha)
        return tabulated_tail_set(lambda x1, x2: ranks[x1.astype(int), x2.astype(int)], counts)

    def value(self, counts: Counts, functional: Functional, alpha: float) -> float:
        """Minus the number of steps before the observation was taken in; -inf where its limit is below all levels."""
        return float(self._ranks(counts, functional, alpha)[counts.x1, counts.x2])

    def _ranks(self, counts: Counts, functional: Functional, alpha: float) -> Array:
        if counts.n > LARGEST:
            raise InvalidInputError(f"The inductive order is made for n up to {LARGEST}; found {counts.n:,}. Use "
                                    "'studentized'.")
        return _order(counts.n, functional, checked_alpha(alpha, self.largest_alpha))


@lru_cache(maxsize=16)
def _order(n: int, functional: Functional, alpha: float) -> Array:
    """T(x1, x2), shape (n + 1, n + 1): minus the step at which an outcome was taken in; -inf for the others."""
    space = _Space(n, functional)
    # No limit lies above that of (n, 0, 0), which q1^n = alpha gives.
    share = alpha ** (1.0 / n)
    levels = np.linspace(float(functional.value(np.array(share), np.array(1.0 - share))),
                         float(functional.value(np.array(1.0 - share), np.array(share))), _LEVELS)
    ranks = np.full((n + 1, n + 1), -math.inf)
    taken = np.zeros(space.size, dtype=bool)
    ahead, rank, at = {int(space.number[n, 0])}, 0, 0
    above = here = _Level(space, levels[0], taken)
    while ahead and at < _LEVELS:
        candidates = np.array(sorted(ahead))
        log_here = here.with_each(candidates)
        if log_here.min() > math.log(alpha):
            at += 1
            if at < _LEVELS:
                above, here = here, _Level(space, levels[at], taken)
            continue
        # Where between the level that fails and this one the logarithm passes log alpha.
        log_above = np.maximum(above.with_each(candidates), log_here + 1e-12)
        limits = np.where(log_here <= math.log(alpha), (math.log(alpha) - log_here) / (log_above - log_here), -math.inf)
        for outcome in candidates[limits >= limits.max() - _EQUAL].tolist():
            x1, x2 = space.x[:2, outcome].tolist()
            ranks[x1, x2] = -rank
            taken[outcome] = True
            ahead.discard(outcome)
            for level in {id(above): above, id(here): here}.values():
                level.take(outcome)
            ahead |= space.next_after(x1, x2, taken)
        rank += 1
    ranks.setflags(write=False)
    return ranks


class _Space:
    """All outcomes of n votes."""

    def __init__(self, n: int, functional: Functional) -> None:
        x1, x2 = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
        possible = x1 + x2 <= n
        self.n, self.functional = n, functional
        self.x = np.stack([x1[possible], x2[possible], n - x1[possible] - x2[possible]])
        self.size = self.x.shape[1]
        self.number = np.full((n + 1, n + 1), -1)
        self.number[possible] = np.arange(self.size)
        self._ways = special.gammaln(n + 1.0) - special.gammaln(self.x + 1.0).sum(axis=0)

    def chances(self, level: float) -> Array:
        """Probability of each outcome at nulls along the level curve, shape (outcomes, nulls)."""
        low, high = self.functional.curve_ends(level, 0.0)
        q2 = low + (high - low) * np.sin(0.5 * np.pi * np.linspace(0.0, 1.0, _NULLS)) ** 2
        q1 = np.clip(self.functional.curve(level, q2), 0.0, 1.0 - q2)
        q = (q1, q2, np.maximum(1.0 - q1 - q2, 0.0))
        chances: Array = np.exp(self._ways[:, None] + sum(special.xlogy(count[:, None], cell)
                                                          for count, cell in zip(self.x, q, strict=True)))
        return chances

    def next_after(self, x1: int, x2: int, taken: npt.NDArray[np.bool_]) -> set[int]:
        """The outcomes that (x1, x2) was the last better one of."""
        found = set()
        for a, b in ((x1 - 1, x2), (x1, x2 + 1), (x1 - 1, x2 + 1)):
            if a < 0 or a + b > self.n or taken[self.number[a, b]]:
                continue
            betters = [(c, d) for c, d in ((a + 1, b), (a, b - 1), (a + 1, b - 1)) if d >= 0 and c + d <= self.n]
            if all(taken[self.number[better]] for better in betters):
                found.add(int(self.number[a, b]))
        return found


class _Level:
    """The nulls of one level, and what they make of the outcomes that were taken in."""

    def __init__(self, space: _Space, level: float, taken: npt.NDArray[np.bool_]) -> None:
        self._chances = space.chances(level)
        self._sum = self._chances[taken].sum(axis=0)

    def with_each(self, candidates: npt.NDArray[np.int64]) -> Array:
        """The logarithm of the largest probability of what was taken in and each candidate, shape of `candidates`."""
        logs: Array = np.log(np.maximum((self._sum + self._chances[candidates]).max(axis=1), 1e-300))
        return logs

    def take(self, outcome: int) -> None:
        """Takes an outcome in."""
        self._sum = self._sum + self._chances[outcome]
