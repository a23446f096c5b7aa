"""SciPy: a grid along the level curve with a bounded minimisation in every basin, and other methods to compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import optimize

from rsopt.domain import Domain
from rsopt.errors import UnknownNameError
from rsopt.solver import Budget, Claim, Proposal, Stop
from rsopt.solving.forms import BlackBox, Form, SmoothOracle
from rsopt.solving.log_program import LogProgram
from rsopt.solving.starts import bracket, promising, starting_points, survey

Array = npt.NDArray[np.float64]

# Stands for log 0, since Brent's parabolas turn infinities into NaN.
_WORST = 1e100


_BOX = ("differential-evolution", "dual-annealing", "direct", "shgo")


@dataclass(frozen=True)
class SciPy:
    """Search of the level curve with scipy.optimize (the default solver).

    Attributes:
        method: "brent-grid" (a survey of the curve, then bounded minimisation in its highest basins);
            "differential-evolution", "dual-annealing", "direct" or "shgo" on the curve's coordinate;
            "slsqp" on (log q1, log q2, log q3) with gradients.
        grid: number of points of the first walk along the curve (brent-grid).
        zoom: further points around each of the highest local maxima, where n is above 200 (brent-grid).
        basins: how many local maxima are refined at most, the highest first (brent-grid, slsqp).
        tolerance: accuracy of the coordinate in a refinement, as a share of its bracket (brent-grid); a
            two-hundredth of it is the relative accuracy asked of differential-evolution and direct.

    Raises:
        UnknownNameError: a method that is not in the list.
    """

    method: str = "brent-grid"
    grid: int = 48
    zoom: int = 24
    basins: int = 3
    tolerance: float = 2e-3
    proves: ClassVar[Claim] = Claim.LOCAL

    def __post_init__(self) -> None:
        known = ["brent-grid", *_BOX, "slsqp"]
        if self.method not in known:
            raise UnknownNameError.of("method of the solver 'scipy'", self.method, known)

    @property
    def accepts(self) -> tuple[type[Form], ...]:
        """A smooth oracle for the methods that use gradients, a black box for the others."""
        return (SmoothOracle,) if self.method == "slsqp" else (BlackBox,)

    def refuses(self, form: Form, domain: Domain) -> str | None:
        """None: each method takes every problem that has its form."""
        return None

    def propose(self, form: Form, domain: Domain, budget: Budget, *, stop_at: float | None, start: Array | None,
                rng: np.random.Generator) -> Proposal:
        """Search by the method that was chosen."""
        if isinstance(form, SmoothOracle):
            return self._slsqp(form, start)
        if self.method != "brent-grid":
            return self._box(form, start, rng)
        curve, meter = form.curve, form.meter
        s, values = survey(curve, meter, start, self.grid, self.zoom, self.basins)
        for peak in promising(values)[: self.basins]:
            low, high = bracket(s, peak)
            optimize.minimize_scalar(lambda v: min(-float(meter.log_tails(v)[0]), _WORST), bounds=(low, high),
                                     method="bounded", options={"xatol": self.tolerance * (high - low)})
        assert meter.best_s is not None
        return Proposal(curve.points([meter.best_s])[0], Stop.CONVERGED, Claim.LOCAL, meter.best)

    def _box(self, form: Form, start: Array | None, rng: np.random.Generator) -> Proposal:
        """A global method of SciPy on the coordinate t in [0, 1]."""
        assert isinstance(form, BlackBox)

        def cost(t: Array) -> float:
            return min(-float(form.log_tails(np.reshape(t, (1, 1)))[0]), _WORST)

        box = [(0.0, 1.0)]
        first = None if start is None else [form.coordinate(start)]
        if self.method == "differential-evolution":
            found = optimize.differential_evolution(cost, box, rng=rng, tol=5e-3 * self.tolerance, x0=first, popsize=30)
        elif self.method == "dual-annealing":
            found = optimize.dual_annealing(cost, box, rng=rng, x0=first, maxiter=200)
        elif self.method == "direct":
            found = optimize.direct(cost, box, eps=5e-3 * self.tolerance, maxfun=1000, vol_tol=1e-12)
        else:
            # The default sampling misses maxima inside the curve; Sobol points do not.
            found = optimize.shgo(cost, box, n=64, iters=2, sampling_method="sobol")
        return Proposal(form.point(found.x), Stop.CONVERGED if found.success else Stop.ITERATIONS, Claim.LOCAL,
                        -float(found.fun), message=str(found.message))

    def _slsqp(self, form: SmoothOracle, start: Array | None) -> Proposal:
        """SLSQP with gradients and constraints in y = log q, from each starting point."""
        program = LogProgram(form)
        best: Proposal | None = None
        for point in starting_points(form.curve, form.meter, start, self.basins):
            y = np.clip(np.log(np.maximum(point, 0.01 / form.curve.tail_set.n)), program.low, program.high)
            total = {"type": "eq", "fun": lambda y: program.constraints(y)[0], "jac": lambda y: program.jacobian(y)[0]}
            level = {"type": "ineq", "fun": lambda y: -program.constraints(y)[1],
                     "jac": lambda y: -program.jacobian(y)[1]}
            found = optimize.minimize(program.value, y, jac=program.slope, method="SLSQP",
                                      bounds=list(zip(program.low, program.high, strict=True)),
                                      constraints=[total, level], options={"ftol": 1e-12, "maxiter": 200})
            value = form.meter.witness(np.exp(found.x))
            if best is None or best.log_tail is None or value > best.log_tail:
                best = Proposal(np.exp(found.x), Stop.CONVERGED if found.success else Stop.ITERATIONS, Claim.LOCAL,
                                -float(found.fun), message=str(found.message))
        assert best is not None
        return best
