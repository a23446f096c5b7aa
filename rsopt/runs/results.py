"""What a certified table says as a whole: which methods bounded it, how much of it is certified, at what price."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rsopt.data_set.certified_accuracy import CertifiedAccuracy, certified_accuracy
from rsopt.methods import BASELINES, MELDED, OWN, RIVALS, SOFT_METHODS
from rsopt.noise import Noise
from rsopt.noise.gaussian import one_sigma
from rsopt.noise.registry import noise_facts
from rsopt.question import Question
from rsopt.runs.rows import Row
from rsopt.runs.savings import Savings, savings

_STEPS = (0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class MethodSummary:
    """One method over a whole table.

    Attributes:
        method: the method.
        shares: share of all inputs certified at each of the radii that were asked for.
        mean_radius: over all inputs, those not certified (as their label) at 0.
        samples: what a baseline would need for our radii; None for our own bound, the melded limit and those on scores.
    """

    method: str
    shares: tuple[float, ...]
    mean_radius: float
    samples: Savings | None

    @property
    def cost(self) -> str:
        """The samples for our radius, in words."""
        return "1×" if self.method == OWN else "–" if self.samples is None else str(self.samples)

    def to_dict(self) -> dict[str, Any]:
        """The line as JSON values; a median that no number of samples reaches, or that there is none of, is null."""
        median = None if self.samples is None else self.samples.median
        conjectured = {"conjectured": True} if self.method == MELDED else {}
        return {"method": self.method, **conjectured, "shares": list(self.shares), "mean_radius": self.mean_radius,
                "samples_for_our_radius": None if median is None or not math.isfinite(median) else median,
                "never_reached": None if self.samples is None else self.samples.never}


@dataclass(frozen=True, eq=False)
class Results:
    """A certified table and the question that was asked of every row.

    Where labels are known, certified means certified as the label; where none are known, any class counts.

    Attributes:
        rows: the table, at least one row, failed ones included.
        question: what was bounded.
    """

    rows: Sequence[Row]
    question: Question

    @property
    def alpha(self) -> float:
        """Probability that a single row is wrong."""
        return self.question.alpha

    @property
    def noise(self) -> Noise:
        """The noise under which votes were cast; it names norm and units of the radii."""
        return self.question.noise

    @property
    def labelled(self) -> bool:
        """Whether labels are known, so that what is certified is right or wrong."""
        return any(row.label is not None for row in self.rows)

    @property
    def methods(self) -> list[str]:
        """The methods that bounded these rows; ours first.

        The melded limit is among them where it is there for every row that has a bound: of some rows, as in a run that
        an earlier version began, shares would be compared with shares of others.
        """
        found = [name for name in (OWN, *RIVALS, *SOFT_METHODS) if any(name in row.bounds for row in self.rows)]
        return [name for name in found if name != MELDED or all(
            name in row.bounds for row in self.rows if OWN in row.bounds)]

    def radii(self, method: str = OWN) -> list[float]:
        """The radii of the certified rows."""
        return [row.radius(method) for row in self.rows
                if (row.correct(method) if self.labelled else row.radius(method) > 0.0)]

    def share(self, radius: float, method: str = OWN) -> float:
        """Share of all inputs that are certified at `radius`; at 0, with any radius."""
        return self.count(radius, method) / len(self.rows)

    def count(self, radius: float, method: str = OWN) -> int:
        """How many inputs are certified at `radius`; at 0, with any radius."""
        return sum(found >= radius for found in self.radii(method))

    def certified_accuracy(self, method: str = OWN, at: Sequence[float] | None = None) -> CertifiedAccuracy:
        """What these rows say about certified accuracy at every radius, here and on new inputs (theorems D1 and D3).

        Args:
            method: whose radii; each method's statements are for itself.
            at: radii of the columns; None for every one at which the share falls.
        """
        return certified_accuracy([row.radius(method) for row in self.rows],
                                  [row.correct(method) for row in self.rows] if self.labelled else None,
                                  alpha=self.alpha, at=at)

    def savings(self, method: str) -> Savings:
        """What a baseline would need for our radii."""
        return savings(self.rows, method, self.question)

    def summary(self, grid: Sequence[float]) -> list[MethodSummary]:
        """The methods side by side, ours first, with the shares at the radii of `grid`."""
        return [MethodSummary(name, tuple(self.share(radius, name) for radius in grid),
                              math.fsum(self.radii(name)) / len(self.rows),
                              self.savings(name) if name in BASELINES else None) for name in self.methods]

    def grid(self) -> list[float]:
        """Up to four radii for the columns of a table."""
        return radius_grid(self.largest)

    @property
    def largest(self) -> float:
        """The largest radius that any method certifies, so that the melded limit has no say; 0 for none."""
        return max((radius for name in self.methods if name != MELDED for radius in self.radii(name)), default=0.0)

    def to_dict(self, radii: Sequence[float] = ()) -> dict[str, Any]:
        """The summary as JSON values.

        Args:
            radii: at which shares are told; none for round steps.
        """
        grid = list(radii) or self.grid()
        sigma = one_sigma(self.noise)
        return {
            "inputs": len(self.rows), "failed": sum(bool(row.error) for row in self.rows), "labelled": self.labelled,
            "abstentions": sum(row.abstain for row in self.rows), **noise_facts(self.noise),
            **({} if sigma is None else {"sigma": sigma}), "norm": self.noise.norm,
            "unit": self.noise.unit, "functional": self.question.functional.name,
            "statistic": self.question.statistic.name, "alpha": self.alpha,
            "samples": {"selection": sum(row.n0 for row in self.rows), "estimation": sum(row.n for row in self.rows)},
            "radii": grid, "methods": [line.to_dict() for line in self.summary(grid)]}


def radius_grid(largest: float, columns: int = 4) -> list[float]:
    """Radii from 0 in round steps, at most so many."""
    step = next((step for step in _STEPS if largest / step < columns), largest / columns or 1.0)
    return [step * k for k in range(columns) if k == 0 or step * k <= largest]
