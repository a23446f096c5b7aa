"""SciPy: a grid along the level curve with a bounded minimisation in every basin, and other methods to compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import optimize

from rsopt.domain import Domain
from rsopt.forms import BlackBox, Form
from rsopt.solver import Budget, Claim, Proposal, Stop

Array = npt.NDArray[np.float64]

# Stands for log 0, since Brent's parabolas turn infinities into NaN.
_WORST = 1e100


@dataclass(frozen=True)
class SciPy:
    """Search of the level curve with scipy.optimize (the default solver).

    Attributes:
        method: "brent-grid".
        grid: number of grid points.
        basins: how many local maxima of the grid are refined, the highest first.
        tolerance: relative accuracy of the coordinate in a refinement.
    """

    method: str = "brent-grid"
    grid: int = 48
    basins: int = 3
    tolerance: float = 1e-7
    accepts: ClassVar[tuple[type[BlackBox]]] = (BlackBox,)
    proves: ClassVar[Claim] = Claim.LOCAL

    def refuses(self, form: Form, domain: Domain) -> str | None:
        """None: it takes every problem."""
        return None

    def propose(self, form: BlackBox, domain: Domain, budget: Budget, *, stop_at: float | None, start: Array | None,
                rng: np.random.Generator) -> Proposal:
        """Evaluate a grid that is geometric at both ends, then refine its highest local maxima."""
        curve, meter = form.curve, form.meter
        s = curve.grid(self.grid)
        if start is not None:
            s = np.unique(np.append(s, curve.coordinate(start)))
        values = meter.log_tails(s)
        padded = np.concatenate([[-np.inf], values, [-np.inf]])
        peaks = np.flatnonzero((padded[1:-1] >= padded[:-2]) & (padded[1:-1] > padded[2:]))
        peaks = peaks[np.isfinite(values[peaks])]
        for peak in peaks[np.argsort(-values[peaks])][: self.basins]:
            low, high = s[max(peak - 1, 0)], s[min(peak + 1, s.size - 1)]
            optimize.minimize_scalar(lambda v: min(-float(meter.log_tails(v)[0]), _WORST), bounds=(low, high), method="bounded",
                                     options={"xatol": self.tolerance * (high - low)})
        assert meter.best_s is not None
        return Proposal(curve.points([meter.best_s])[0], Stop.CONVERGED, Claim.LOCAL, meter.best)
