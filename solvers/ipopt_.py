"""IPOPT on the smooth oracle, with exact gradient and Hessian, through the IPOPT inside the casadi wheel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rsopt.domain import Domain
from rsopt.forms import Form, SmoothOracle
from rsopt.meter import SearchEnded
from rsopt.solver import Budget, Claim, Proposal, Stop
from rsopt.starts import starting_points

Array = npt.NDArray[np.float64]

_SMALLEST = 1e-16


@dataclass(frozen=True)
class Ipopt:
    """Interior-point search in y = log q, started in each basin of the level curve.

    In logs the corners, where the optimum often lies, are as smooth as the middle: minimise -log F(e^y) subject to
    log sum e^y = 0 and y1 <= log h(e^y2).

    Attributes:
        starts: how many basins are tried, the best at their starting points first.
        iterations: limit of one run.
        tolerance: IPOPT's own, on the scaled problem.
    """

    starts: int = 3
    iterations: int = 200
    tolerance: float = 1e-9
    accepts: ClassVar[tuple[type[SmoothOracle]]] = (SmoothOracle,)
    proves: ClassVar[Claim] = Claim.LOCAL

    def refuses(self, form: Form, domain: Domain) -> str | None:
        """None: it takes every smooth problem."""
        return None

    def propose(self, form: SmoothOracle, domain: Domain, budget: Budget, *, stop_at: float | None,
                start: Array | None, rng: np.random.Generator) -> Proposal:
        """Run IPOPT from each start; after every iteration the iterate is tried as a witness (Lemma 1)."""
        meter = form.meter
        best: Proposal | None = None
        words = []
        for point in starting_points(form.curve, meter, start, self.starts):
            run = _Run(form, self.iterations, self.tolerance)
            y, status = run.solve(np.log(np.maximum(point, 0.01 / form.curve.tail_set.n)))
            words.append(status)
            q = np.exp(y)
            value = meter.witness(q)
            if best is None or best.log_tail is None or value > best.log_tail:
                stop = Stop.ITERATIONS if "Iterations" in status else Stop.CONVERGED
                best = Proposal(q, stop, Claim.LOCAL, -run.value(y))
        assert best is not None
        return Proposal(best.point, best.stop, best.claim, best.log_tail, message="IPOPT: " + ", ".join(words))


class _Run:
    """One nonlinear program; keeps casadi's callbacks alive as long as it is used."""

    def __init__(self, form: SmoothOracle, iterations: int, tolerance: float) -> None:
        import casadi

        self.form = form
        self.ended: SearchEnded | None = None
        self.last = np.full(3, math.log(1.0 / 3.0))
        nlp = _callback(casadi, "nlp", [3, 0], [1, 2], lambda x, p: (self.value(x), self.constraints(x)))
        gradient = _callback(casadi, "grad_f", [3, 0], [1, 3], lambda x, p: (self.value(x), self.slope(x)))
        jacobian = _callback(casadi, "jac_g", [3, 0], [2, (2, 3)],
                             lambda x, p: (self.constraints(x), self.jacobian(x)))
        hessian = _callback(casadi, "hess_lag", [3, 0, 1, 2], [(3, 3)],
                            lambda x, p, f, g: (self.curvature(x, f[0], g),))
        watch = _callback(casadi, "watch", [3, 1, 2, 3, 2, 0], [1], lambda x, *rest: (self.watch(x),))
        self._alive = (nlp, gradient, jacobian, hessian, watch)
        x, p = casadi.MX.sym("x", 3), casadi.MX.sym("p", 0)
        f, g = nlp(x, p)
        self.solver = casadi.nlpsol("worst_case", "ipopt", {"x": x, "f": f, "g": g}, {
            "grad_f": gradient, "jac_g": jacobian, "hess_lag": hessian, "iteration_callback": watch,
            "no_nlp_grad": True, "print_time": False, "error_on_fail": False, "show_eval_warnings": False,
            "ipopt.print_level": 0, "ipopt.sb": "yes", "ipopt.max_iter": iterations, "ipopt.tol": tolerance,
            # Relaxed bounds would make q infeasible by about 1e-8.
            "ipopt.bound_relax_factor": 0.0, "ipopt.honor_original_bounds": "yes"})
        low, high = form.curve.segment
        least = form.curve.domain.least_q1
        floor = math.log(_SMALLEST)
        self.bounds = {"lbx": [math.log(max(least, _SMALLEST)), math.log(max(low, _SMALLEST)), floor],
                       "ubx": [0.0, math.log(high), 0.0], "lbg": [0.0, -math.inf], "ubg": [0.0, 0.0]}

    def solve(self, y: Array) -> tuple[Array, str]:
        """Run from y; returns (y, IPOPT's status). Raises SearchEnded when the search is decided."""
        found = self.solver(x0=np.clip(y, self.bounds["lbx"], self.bounds["ubx"]), **self.bounds)
        if self.ended is not None:
            raise self.ended
        return np.asarray(found["x"]).ravel(), str(self.solver.stats()["return_status"])

    def guarded(self, compute: Callable[[], Any], otherwise: Any) -> Any:
        """An exception must not cross IPOPT: remember it, and let the iteration callback stop the run."""
        if self.ended is None:
            try:
                return compute()
            except SearchEnded as ended:
                self.ended = ended
        return otherwise

    def normalised(self, y: Array) -> Array:
        """q = e^y / sum e^y."""
        q = np.exp(y - y.max())
        return np.asarray(q / q.sum())

    def value(self, y: Array) -> float:
        """-log F(e^y)."""
        total = math.log(float(np.exp(y).sum()))
        return float(self.guarded(lambda: -self.form.log_tail(self.normalised(y)) - self.n * total, 1e20))

    @property
    def n(self) -> int:
        return self.form.curve.tail_set.n

    def slope(self, y: Array) -> Array:
        """Gradient of -log F(e^y) in y: -q_i dlog F/dq_i, which does not depend on the scale of q."""
        q = self.normalised(y)
        return np.asarray(self.guarded(lambda: -q * self.form.gradient(q), np.zeros(3)))

    def curvature(self, y: Array, weight: float, multipliers: Array) -> Array:
        """Hessian of the Lagrangian in y."""
        q = self.normalised(y)
        hessian = self.guarded(
            lambda: -np.outer(q, q) * self.form.hessian(q) - np.diag(q * self.form.gradient(q)), np.zeros((3, 3)))
        total = weight * np.asarray(hessian) + multipliers[0] * (np.diag(q) - np.outer(q, q))
        total[1, 1] -= multipliers[1] * self.log_curve(y[1])[2]
        return np.asarray(np.triu(total))

    def log_curve(self, y2: float) -> tuple[float, float, float]:
        """H(y2) = log h(e^y2) with its first two derivatives."""
        q2 = math.exp(y2)
        h, first, second = self.form.curve.tangent(q2)
        h = max(h, 1e-300)
        slope = q2 * first / h
        return math.log(h), slope, slope + q2 * q2 * second / h - slope * slope

    def constraints(self, y: Array) -> Array:
        """(log sum e^y, y1 - H(y2))."""
        return np.array([math.log(float(np.exp(y).sum())), y[0] - self.log_curve(y[1])[0]])

    def jacobian(self, y: Array) -> Array:
        """Jacobian of the constraints, shape (2, 3)."""
        return np.array([self.normalised(y), [1.0, -self.log_curve(y[1])[1], 0.0]])

    def watch(self, y: Array) -> float:
        """Called after every iteration: 1 stops IPOPT."""
        self.guarded(lambda: self.form.meter.witness(np.exp(y)), None)
        return 0.0 if self.ended is None else 1.0


def _callback(casadi: Any, name: str, shapes_in: Sequence[int], shapes_out: Sequence[int | tuple[int, int]],
              compute: Callable[..., tuple[Any, ...]]) -> Any:
    """A casadi function that calls `compute` with one NumPy array an input."""

    class Wrapped(casadi.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            casadi.Callback.__init__(self)
            self.construct(name, {})

        def get_n_in(self) -> int:
            return len(shapes_in)

        def get_n_out(self) -> int:
            return len(shapes_out)

        def get_sparsity_in(self, i: int) -> Any:
            return casadi.Sparsity.dense(shapes_in[i], 1)

        def get_sparsity_out(self, i: int) -> Any:
            shape = shapes_out[i]
            if name == "hess_lag":
                return casadi.Sparsity.upper(3)
            return casadi.Sparsity.dense(*shape) if isinstance(shape, tuple) else casadi.Sparsity.dense(shape, 1)

        def eval(self, inputs: Sequence[Any]) -> list[Any]:
            return [casadi.DM(value) for value in compute(*(np.asarray(v).ravel() for v in inputs))]

    return Wrapped()
