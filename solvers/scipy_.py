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
from rsopt.starts import bracket, peaks, survey

Array = npt.NDArray[np.float64]

# Stands for log 0, since Brent's parabolas turn infinities into NaN.
_WORST = 1e100


@dataclass(frozen=True)
class SciPy:
    """Search of the level curve with scipy.optimize (the default solver).

    Attributes:
        method: "brent-grid".
        grid: number of grid points.
        zoom: further grid points around each of the highest local maxima.
        basins: how many local maxima of the grid are refined, the highest first.
        tolerance: relative accuracy of the coordinate in a refinement.
    """

    method: str = "brent-grid"
    grid: int = 48
    zoom: int = 64
    basins: int = 3
    tolerance: float = 1e-5
    accepts: ClassVar[tuple[type[BlackBox]]] = (BlackBox,)
    proves: ClassVar[Claim] = Claim.LOCAL

    def refuses(self, form: Form, domain: Domain) -> str | None:
        """None: it takes every problem."""
        return None

    def propose(self, form: BlackBox, domain: Domain, budget: Budget, *, stop_at: float | None, start: Array | None,
                rng: np.random.Generator) -> Proposal:
        """Evaluate a grid that is geometric at both ends, then refine its highest local maxima."""
        curve, meter = form.curve, form.meter
        s, values = survey(curve, meter, start, self.grid, self.zoom, self.basins)
        for peak in peaks(values)[: self.basins]:
            low, high = bracket(s, peak)
            optimize.minimize_scalar(lambda v: min(-float(meter.log_tails(v)[0]), _WORST), bounds=(low, high),
                                     method="bounded", options={"xatol": self.tolerance * (high - low)})
        assert meter.best_s is not None
        return Proposal(curve.points([meter.best_s])[0], Stop.CONVERGED, Claim.LOCAL, meter.best)
