"""A solver of your own in thirty lines: golden-section search on the black box, and what rsopt makes of it.

    python examples/own_solver.py

To give it a name for everybody, register it in your package's pyproject.toml:

    [project.entry-points."rsopt.solvers"]
    golden-section = "my_package:GoldenSection"
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import rsopt
from rsopt.solver import Claim, Proposal
from rsopt.solving.forms import BlackBox
from rsopt.testing import check_solver

GOLDEN = (5.0**0.5 - 1.0) / 2.0


@dataclass(frozen=True)
class GoldenSection:
    """Scan the level curve, then shrink around the best point. Its fields are its hyper-parameters."""

    scan: int = 200
    steps: int = 40
    accepts: ClassVar[tuple[type[BlackBox]]] = (BlackBox,)  # values are all it needs to know
    proves: ClassVar[Claim] = Claim.LOCAL  # rsopt proves the rest

    def refuses(self, form: BlackBox, domain: Any) -> str | None:
        """Take every problem."""
        return None

    def propose(self, form: BlackBox, domain: Any, budget: Any, *, stop_at: Any, start: Any, rng: Any) -> Proposal:
        """Budget and stop_at are enforced by the form: past them, evaluating ends the search."""
        t = np.linspace(0.0, 1.0, self.scan)
        best = int(form.log_tails(t[:, None]).argmax())
        low, high = t[max(best - 1, 0)], t[min(best + 1, self.scan - 1)]
        for _ in range(self.steps):
            a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
            left, right = form.log_tails(np.array([[a], [b]]))
            low, high = (low, b) if left >= right else (a, high)
        ends = np.array([[low], [high], [t[best]]])
        return Proposal(form.point(ends[int(form.log_tails(ends).argmax())]))


def main() -> None:
    mine = rsopt.lower_bound([9000, 600, 400], top=0, solver=GoldenSection())
    default = rsopt.lower_bound([9000, 600, 400], top=0)
    print(f"proven with {mine.solver}: {mine.lower:.5f} (searched {mine.searched:.5f})")
    print(f"proven with the default solver:              {default.lower:.5f} (searched {default.searched:.5f})")
    outcomes = check_solver(GoldenSection(), tolerance=1e-3)
    print(f"conformance: {len(outcomes)} problems, worst gap {max(outcome.gap for outcome in outcomes):.0e}")
    assert mine.certified
    assert abs(mine.lower - default.lower) < 1e-3


if __name__ == "__main__":
    main()
