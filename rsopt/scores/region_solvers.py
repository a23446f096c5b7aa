"""The smallest probit margin over a `ProbitRegion`, searched by the named solvers of `rsopt.registry`.

On a piece u = theta + b v of the region's lower edge, with p = (u, v), the task has the shape of the discrete
worst case: on q = (v, u, 1 - u - v) in the simplex, maximise log F(q) = ndtri(q1) - ndtri(q2) subject to
q1 <= h(q2) = (q2 - theta)/b. So the same forms and solvers serve, those that read values or derivatives. The
simplex takes nothing away: slopes are at least 1, so beyond u + v = 1 the objective grows along the edge, since
du >= dv and |ndtri u| >= |ndtri v|.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from rsopt.domain import Simplex
from rsopt.errors import RefusedError, SolverFailedError
from rsopt.registry import as_solver
from rsopt.scores.probit_region import ProbitRegion
from rsopt.solver import Budget, Solver
from rsopt.solving.curve import LevelCurve
from rsopt.solving.forms import BlackBox, SmoothOracle
from rsopt.solving.meter import Meter, SearchEnded

Array = npt.NDArray[np.float64]

#: These rest on P_q(W) being a sum of monomials, which F is not.
_MONOMIAL = ("Pyomo", "GPkit", "Cvxpy", "BranchAndBound")


@dataclass(frozen=True)
class RegionSolution:
    """What a solver found on a region, after rsopt has looked at it.

    Attributes:
        attained: ndtri(u) - ndtri(v) at `point`, computed by rsopt: at least the minimum, so no bound itself.
        minimum: the exact minimum in closed form, `ProbitRegion.solve`.
        lower: the proven bound, `ProbitRegion.tangent_bound`, rounded down.
        point: (u, v), in the region.
        evaluations: values of the objective, a gradient counting 4 and a Hessian 10.
        solver: the solver with its fields.
    """

    attained: float
    minimum: float
    lower: float
    point: tuple[float, float]
    evaluations: int
    solver: str


def solve_region(region: ProbitRegion, solver: str | Solver = "scipy", *, tolerance: float = 1e-4,
                 budget: Budget | None = None, seed: int = 0) -> RegionSolution:
    """Minimise ndtri(u) - ndtri(v) over the region with a solver, one search a piece of its lower edge.

    Args:
        region: the confidence region; a hopeless one, without positive theta, needs no search.
        solver: a name of `rsopt.registry`, or an instance.
        tolerance: by how much the point found may miss the exact minimum.
        budget: limits of each search; None for the default ones.
        seed: of the solver's randomness.

    Raises:
        UnknownNameError, MissingDependencyError, InvalidInputError: as in `rsopt.registry.as_solver`.
        RefusedError: the solver needs a sum of monomials, or refuses by itself.
        SolverFailedError: the point found misses the minimum by more than `tolerance`.
    """
    chosen = as_solver(solver)
    form_type = _form_type(chosen)
    minimum, point = region.solve()
    if max(region.thetas) <= 0.0:
        return RegionSolution(-math.inf, -math.inf, region.tangent_bound(), point, 0, repr(chosen))
    best, evaluations, domain = math.inf, 0, Simplex(0.0)
    for number, piece in enumerate(edge_pieces(region)):
        curve = cast(LevelCurve, piece)  # it offers all that the two forms and their solvers read
        limits = budget or Budget()
        meter = Meter(curve, limits, None)
        form = form_type(curve, meter)
        if reason := chosen.refuses(form, domain):
            raise RefusedError(f"{chosen!r} refuses the region: {reason}")
        # A budget that ends a search leaves the best point that went through the form.
        with contextlib.suppress(SearchEnded):
            found = chosen.propose(form, domain, limits, stop_at=None, start=None,
                                   rng=np.random.default_rng([seed, number]))
            meter.log_tails(piece.coordinate(found.point))
        evaluations += meter.evaluations
        if -meter.best < best and meter.best_s is not None:
            best = -meter.best
            v, u, _ = piece.points(meter.best_s)[0]
            point = (float(u), float(v))
    if not abs(best - minimum) <= tolerance:
        raise SolverFailedError(f"{chosen!r} found {best:.6g} at (u, v) = {point}, but the minimum is {minimum:.6g}. "
                                "Try another solver, or a larger tolerance.")
    return RegionSolution(best, minimum, region.tangent_bound(), point, evaluations, repr(chosen))


def _form_type(solver: Solver) -> type[BlackBox] | type[SmoothOracle]:
    forms = [form for form in solver.accepts if form in (BlackBox, SmoothOracle)]
    if not forms or type(solver).__name__ in _MONOMIAL:
        raise RefusedError(f"{solver!r} works on a tail that is a sum of monomials; ndtri(u) - ndtri(v) is none. Take "
                           "'scipy', 'ipopt' or 'botorch', which read values or derivatives.")
    return cast("type[BlackBox] | type[SmoothOracle]", forms[0])


@dataclass(frozen=True)
class EdgePiece:
    """The part v_low <= v <= v_high of the lower edge on which u = theta + slope v, as a level curve of forms.

    Points are q = (v, u, 1 - u - v), of shape (3,); the coordinate is s = ndtri(v_high) - ndtri(v).
    """

    slope: float
    theta: float
    v_low: float
    v_high: float

    @property
    def tail_set(self) -> _Objective:
        """F, extended off the simplex as homogeneous of degree 1."""
        return _Objective()

    @property
    def domain(self) -> Simplex:
        """The whole simplex."""
        return Simplex(0.0)

    @property
    def segment(self) -> tuple[float, float]:
        """(smallest, largest) u."""
        return self.theta + self.slope * self.v_low, self.theta + self.slope * self.v_high

    @property
    def extent(self) -> float:
        """The largest s."""
        return float(ndtri(self.v_high) - ndtri(self.v_low))

    def points(self, s: npt.ArrayLike) -> Array:
        """q at s; shape (b,) -> (b, 3)."""
        v = np.clip(ndtr(ndtri(self.v_high) - np.atleast_1d(s)), self.v_low, self.v_high)
        u = self.theta + self.slope * v
        return np.stack([v, u, np.maximum(1.0 - u - v, 0.0)], axis=-1)

    def log_tails(self, s: npt.ArrayLike) -> Array:
        """log F at s; shape (b,) -> (b,)."""
        q = self.points(s)
        return np.asarray(ndtri(q[:, 0]) - ndtri(q[:, 1]))

    def coordinate(self, q: npt.ArrayLike) -> float:
        """The s of the point of the piece with the u of q (scaled to sum 1), shape (3,); clamped to the piece."""
        q = np.asarray(q, dtype=float)
        v = min(max((float(q[1] / q.sum()) - self.theta) / self.slope, self.v_low), self.v_high)
        return float(ndtri(self.v_high) - ndtri(v))

    def grid(self, size: int) -> Array:
        """`size` values of s from 0 to `extent`, equally spaced: the objective has no finer structure."""
        return np.linspace(0.0, self.extent, size)

    def from_unit(self, t: npt.ArrayLike) -> Array:
        """s from a coordinate t in [0, 1]; same shape."""
        return self.extent * np.asarray(t, dtype=float)

    def to_unit(self, s: float) -> float:
        """The inverse of `from_unit`."""
        return s / self.extent

    def tangent(self, u: float) -> tuple[float, float, float]:
        """(h, h', h'') of v = h(u)."""
        return (u - self.theta) / self.slope, 1.0 / self.slope, 0.0


class _Objective:
    """log F(q) = ndtri(q1/|q|) - ndtri(q2/|q|) + log |q| with |q| = sum q, and its derivatives where |q| = 1."""

    n = 1

    def log_probability(self, q: Array) -> float:
        """log F less log |q|, (3,) -> float."""
        return float(ndtri(q[0] / q.sum()) - ndtri(q[1] / q.sum()))

    def log_gradient(self, q: Array) -> Array:
        """(3,) -> (3,)."""
        slope, _ = self._plain(q)
        return np.asarray(slope - q @ slope + 1.0)

    def log_hessian(self, q: Array) -> Array:
        """(3,) -> (3, 3)."""
        slope, curvature = self._plain(q)
        mixed = slope + curvature * q
        return np.asarray(np.diag(curvature) - mixed[:, None] - mixed[None, :]
                          + (q * q) @ curvature + 2.0 * (q @ slope) - 1.0)

    @staticmethod
    def _plain(q: Array) -> tuple[Array, Array]:
        z = ndtri(q[:2])
        rate = math.sqrt(2.0 * math.pi) * np.exp(0.5 * z * z) * np.array([1.0, -1.0])
        return np.append(rate, 0.0), np.append(z * rate * np.abs(rate), 0.0)


def edge_pieces(region: ProbitRegion) -> list[EdgePiece]:
    """The lower edge of a region with a positive theta inside the simplex, without the part that cannot hold the
    minimum: where the objective is at most its value at the end, ndtri(v) >= ndtri(max theta) - that value."""
    lines = list(zip(region.slopes, region.thetas, strict=True))
    end = min((1.0 - theta) / (1.0 + slope) for slope, theta in lines)
    value = float(ndtri(region.edge(end)) - ndtri(end))
    start = float(ndtr(ndtri(max(region.thetas)) - value - 1e-9))
    crossings = {(theta - other) / (c - b) for i, (b, theta) in enumerate(lines) for c, other in lines[i + 1:]}
    ends = [start, *sorted(v for v in crossings if start < v < end), end]
    pieces = []
    for low, high in pairwise(ends):
        middle = 0.5 * (low + high)
        slope, theta = max(lines, key=lambda line: line[1] + line[0] * middle)
        pieces.append(EdgePiece(slope, theta, low, high))
    return pieces
