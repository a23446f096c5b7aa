"""The tests that one observation gives: "g(p) <= L" is rejected where Pi(L) <= alpha, for every level L."""

from __future__ import annotations

from dataclasses import dataclass

from rsopt.domain import Domain
from rsopt.functional import Functional
from rsopt.staircase import TailSet


@dataclass(frozen=True, eq=False)
class TestFamily:
    """A test of every level: Pi(L) = sup { P_q(X in W) : q in domain, g(q) <= L } is compared with alpha (equation 7).

    Attributes:
        tail_set: W, the outcomes that are at least as much evidence as the observation.
        functional: g.
        domain: where q may lie.
        alpha: the size of each test.
    """

    __test__ = False  # its name is the field's; it holds no tests of ours

    tail_set: TailSet
    functional: Functional
    domain: Domain
    alpha: float

    @property
    def bottom(self) -> float:
        """The least value of g: a bound that needs no proof."""
        return float(self.functional.range[0])

    @property
    def top(self) -> float:
        """The largest value of g."""
        return float(self.functional.range[1])

    def segment(self, level: float) -> tuple[float, float] | None:
        """(smallest, largest) q2 of the level curve inside the domain, rounded outwards; None if it is empty."""
        return self.domain.segment(self.functional, level)
