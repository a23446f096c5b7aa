"""A solver as a stranger would write it: golden-section search in each of a few intervals of the black box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rsopt.solver import Claim, Proposal
from rsopt.solving.forms import BlackBox

GOLDEN = (5.0**0.5 - 1.0) / 2.0


@dataclass(frozen=True)
class GoldenSection:
    """Scan the coordinate, then shrink around the best point of the scan."""

    scan: int = 200
    steps: int = 40
    accepts: ClassVar[tuple[type[BlackBox]]] = (BlackBox,)
    proves: ClassVar[Claim] = Claim.LOCAL

    def refuses(self, form: Any, domain: Any) -> str | None:
        return None

    def propose(self, form: BlackBox, domain: Any, budget: Any, *, stop_at: Any, start: Any, rng: Any) -> Proposal:
        t = np.linspace(0.0, 1.0, self.scan)
        best = int(form.log_tails(t[:, None]).argmax())
        low, high = t[max(best - 1, 0)], t[min(best + 1, self.scan - 1)]
        for _ in range(self.steps):
            a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
            left, right = form.log_tails(np.array([[a], [b]]))
            low, high = (low, b) if left >= right else (a, high)
        ends = np.array([[low], [high], [t[best]]])
        return Proposal(form.point(ends[int(form.log_tails(ends).argmax())]))


class Careless(GoldenSection):
    """The same, with bad manners: it prints, and it draws from the global generator."""

    def propose(self, form: BlackBox, domain: Any, budget: Any, *, stop_at: Any, start: Any, rng: Any) -> Proposal:
        print("solving …")
        return super().propose(form, domain, budget, stop_at=stop_at, start=start, rng=rng)


class Moody(GoldenSection):
    """The same, but its answer hangs on NumPy's global generator."""

    def propose(self, form: BlackBox, domain: Any, budget: Any, *, stop_at: Any, start: Any, rng: Any) -> Proposal:
        return Proposal(form.point([np.random.rand()]))  # noqa: NPY002 - that is its fault


class Lazy(GoldenSection):
    """Proposes the middle of the curve and calls it a local maximum."""

    def propose(self, form: BlackBox, domain: Any, budget: Any, *, stop_at: Any, start: Any, rng: Any) -> Proposal:
        form.log_tails(np.array([[0.5]]))
        return Proposal(form.point([0.5]))
