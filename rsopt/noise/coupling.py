"""Noise by coupling: draws for two inputs at distance r agree but with probability D(r) (theorem N2)."""

from __future__ import annotations

import math
from abc import abstractmethod

from rsopt.functional import Functional
from rsopt.noise.noise import Noise


class CoupledNoise(Noise):
    """Noise whose draws for two inputs at distance r can be made to agree but with probability at most D(r).

    Then no class changes its probability by more than D(r), and class A stays ahead where p_A - p_B > 2 D(r). The
    radius is the largest whole number r with 2 D(r) < M, M the bound on the margin; 0 certifies the input itself only.
    A noise of which more is known says by `survives` what else a margin is enough for.
    """

    @property
    def functionals(self) -> tuple[str, ...]:
        """As in `Noise`."""
        return ("margin",)

    @abstractmethod
    def difference(self, r: int) -> float:
        """D(r), rounded up, for a whole number r from 0 to `largest`; nondecreasing, D(0) = 0."""

    @property
    @abstractmethod
    def largest(self) -> float:
        """The largest r for which D(r) is known, or may be below 1/2."""

    def survives(self, r: int, margin: float) -> bool:
        """Whether this margin, from above 0 to 1, is enough for every change within distance r; 2 D(r) < margin."""
        return 2.0 * self.difference(r) < margin

    def certified_radius(self, functional: Functional, lower: float) -> float:
        """The largest whole number r that a margin of `lower` survives, as a float."""
        if not lower > 0.0:
            return 0.0
        # A margin is at most 1, so that the search ends.
        lower, within, beyond = min(lower, 1.0), 0, self.largest + 1
        while beyond - within > 1:
            # Doubling while no end is known, then bisection: what survives r survives less.
            middle = 2 * within + 1 if math.isinf(beyond) else (within + int(beyond)) // 2
            within, beyond = (middle, beyond) if self.survives(middle, lower) else (within, middle)
        return float(within)

    def rule(self, functional: Functional) -> str:
        """As in `Noise`."""
        return "the largest whole number r with 2 D(r) below the bound"
