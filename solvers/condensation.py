"""Sequential condensation: what the geometric (gpkit) and the convex (cvxpy) backend have in common.

F(q) = P_q(W) is a posynomial, so the monomial that touches it at an iterate lies below it everywhere
(arithmetic– geometric mean). Maximising that monomial instead is a geometric program; each solution is the
next iterate. Close to the optimum the plain steps converge slowly, like an EM algorithm, so pairs of them are
extrapolated (SQUAREM).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsopt.solver import Stop
from rsopt.solving.curve import LevelCurve
from rsopt.solving.forms import SmoothOracle

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Condensed:
    """The subproblem at an iterate, in v = q / iterate: maximise prod v_i^share_i subject to

        sum iterate_i v_i <= 1,   1/radius <= v_i <= radius,
        and  v_1 iterate_1 + gap <= v_2 iterate_2  if gap is given (the margin with L <= 0, as it is),
        else v_1 <= bend · v_2^power (the tangent monomial of the level curve).

    Attributes:
        iterate: q, shape (3,), positive.
        share: exponents of the local monomial of F, divided by n, shape (3,); they sum to 1.
        gap: -L for the margin with L <= 0; None otherwise.
        bend: h(q2)/q1 at the iterate.
        power: dlog h/dlog q2 at the iterate.
        radius: how far the step may go.
    """

    iterate: Array
    share: Array
    gap: float | None
    bend: float
    power: float
    radius: float


@dataclass(frozen=True)
class Run:
    """How one run of condensations ended."""

    point: Array
    log_tail: float
    steps: int
    stop: Stop


def condense(form: SmoothOracle, start: Array, step: Callable[[Condensed], Array], iterations: int,
             tolerance: float) -> Run:
    """Condensations from `start` until log P_q(W) changes by less than `tolerance`.

    Args:
        form: the oracle.
        start: q, shape (3,).
        step: solves a `Condensed` and returns v, shape (3,).
        iterations: most pairs of steps.
        tolerance: of log P_q(W).

    Raises:
        SearchEnded: the search is decided or the budget is spent.
    """
    meter, curve = form.meter, form.curve
    q = interior(curve, start)
    value = meter.witness(q)
    radius, taken = 4.0, 0
    for _ in range(iterations):
        path, values = [q], [value]
        for _ in range(2):
            share = path[-1] * form.gradient(path[-1]) / curve.tail_set.n
            v = step(_condensed(curve, path[-1], share, radius))
            taken += 1
            path.append(interior(curve, path[-1] * v))
            values.append(meter.witness(path[-1]))
        path.append(interior(curve, _extrapolated(*np.log(path))))
        values.append(meter.witness(path[-1]))
        best = int(np.argmax(values))
        if values[best] - value <= tolerance:
            if radius < 1.01:
                return Run(path[best], values[best], taken, Stop.CONVERGED)
            radius = 1.0 + (radius - 1.0) / 8.0
        q, value = path[best], values[best]
    return Run(q, value, taken, Stop.ITERATIONS)


def interior(curve: LevelCurve, q: Array) -> Array:
    """The point of the curve with the q2 of q, moved off the faces, where logs end, by n·q_i <= 1e-4."""
    tiny = 1e-4 / curve.tail_set.n
    point = curve.points([curve.coordinate(q)])[0]
    q2 = off_the_faces(curve, float(point[1]))
    if q2 > point[1]:
        # q3 pays for it: scaling all three would bring q2 back below where h ends.
        q1 = curve.tangent(q2)[0]
        point = np.array([q1, q2, 1.0 - q1 - q2])
    point[2] = max(point[2], min(1e-6, tiny))
    return np.asarray(point / point.sum())


def off_the_faces(curve: LevelCurve, q2: float) -> float:
    """q2, or where the curve reaches q1 = 0 or q2 = 0 the q2 of a point close by where both are positive."""
    if np.isfinite(curve.family.bottom):
        tiny = 1e-4 / curve.tail_set.n
        return max(curve.with_q1(q2, tiny), 0.01 * tiny)
    return q2


def level_gap(curve: LevelCurve) -> float | None:
    """-L where q1 - L <= q2 is a posynomial constraint as it stands (the margin with L <= 0); None elsewhere."""
    return -curve.level if curve.functional.linear and curve.level <= 0.0 else None


def _condensed(curve: LevelCurve, q: Array, share: Array, radius: float) -> Condensed:
    gap = level_gap(curve)
    if gap is not None:
        return Condensed(q, share, gap, 0.0, 0.0, radius)
    h, slope, _ = curve.tangent(float(q[1]))
    return Condensed(q, share, None, h / float(q[0]), slope * float(q[1]) / h, radius)


def _extrapolated(y0: Array, y1: Array, y2: Array) -> Array:
    """The squared extrapolation of three iterates in logs; e^y."""
    first, bend = y1 - y0, (y2 - y1) - (y1 - y0)
    size = float(np.linalg.norm(bend))
    if size == 0.0:
        return np.exp(y2)
    alpha = -max(float(np.linalg.norm(first)) / size, 1.0)
    step = np.clip(-2.0 * alpha * first + alpha * alpha * bend, -3.0, 3.0)
    return np.exp(y0 + step)
