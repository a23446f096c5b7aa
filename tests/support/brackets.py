"""Bounds in brackets, found once by other code than rsopt's; they lie in tests/data/brackets.json."""

from __future__ import annotations

import json
from dataclasses import dataclass

from places import DATA

import rsopt


@dataclass(frozen=True)
class Bracket:
    """One bound and what is known of it.

    Attributes:
        functional, statistic, alpha: what is bounded, by which order of the samples, with which error.
        n, x1, x2: all votes, those of the certified class, those of its runner-up.
        lo: what a branch and bound gave as proven (three are refuted, see `test_reference`).
        hi: no valid bound is above it: a witness refutes any.
        clopper_pearson, cohen: the bounds of the baselines of these names.
    """

    functional: str
    statistic: str
    alpha: float
    n: int
    x1: int
    x2: int
    lo: float
    hi: float
    clopper_pearson: float
    cohen: float

    @property
    def counts(self) -> rsopt.Counts:
        """The votes, with what neither class has in a third cell."""
        return rsopt.Counts((self.x1, self.x2, self.n - self.x1 - self.x2), 0, 1)

    def bound(self, solver: str = "scipy") -> rsopt.Bound:
        """Our bound."""
        return rsopt.lower_bound(self.counts, functional=self.functional, statistic=self.statistic, alpha=self.alpha,
                                 solver=solver)


def _read() -> tuple[Bracket, ...]:
    table = json.loads((DATA / "brackets.json").read_text())
    return tuple(Bracket(**dict(zip(table["columns"], row, strict=True))) for row in table["rows"])


BRACKETS = _read()
