"""IPOPT on the smooth oracle, with exact gradient and Hessian, through the IPOPT inside the casadi wheel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rsopt.domain import Domain
from rsopt.solver import Budget, Claim, Proposal, Stop
from rsopt.solving.forms import Form, SmoothOracle
from rsopt.solving.log_program import LogProgram
from rsopt.solving.meter import SearchEnded
from rsopt.solving.starts import starting_points
from rsopt.solving.words import Options, as_options, on_stderr

Array = npt.NDArray[np.float64]

# A large first barrier would push the iterates out of the basin that they were started in. Relaxed bounds
# would make q infeasible by about 1e-8.
STAY_NEAR_START: dict[str, float | str] = {
    "mu_init": 1e-5, "bound_push": 1e-8, "bound_frac": 1e-8, "bound_relax_factor": 0.0,
    "honor_original_bounds": "yes"}


def ipopt_options(iterations: int, tolerance: float, options: Options, verbose: bool) -> dict[str, int | float | str]:
    """What casadi hands to IPOPT; options that were asked for come last, over ours."""
    chosen = {"print_level": 5 if verbose else 0, "sb": "yes", "max_iter": iterations, "tol": tolerance,
              **STAY_NEAR_START, **dict(options)}
    return {f"ipopt.{name}": value for name, value in chosen.items()}


@dataclass(frozen=True)
class Ipopt:
    """Interior-point search in y = log q, started in each basin of the level curve.

    In logs the corners, where the optimum often lies, are as smooth as the middle: minimise -log F(e^y)
    subject to log sum e^y = 0 and y1 <= log h(e^y2).

    Attributes:
        starts: how many basins are tried, the best at their starting points first.
        iterations: limit of one run.
        tolerance: IPOPT's own, on the scaled problem.
        options: other options of IPOPT, by its names; a mapping, or pairs.
        verbose: IPOPT's own words, on stderr.
    """

    starts: int = 3
    iterations: int = 200
    tolerance: float = 1e-9
    options: Options = ()
    verbose: bool = field(default=False, repr=False)
    accepts: ClassVar[tuple[type[SmoothOracle]]] = (SmoothOracle,)
    proves: ClassVar[Claim] = Claim.LOCAL

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", as_options(self.options))

    def refuses(self, form: Form, domain: Domain) -> str | None:
        """None: it takes every smooth problem."""
        return None

    def propose(self, form: SmoothOracle, domain: Domain, budget: Budget, *, stop_at: float | None,
                start: Array | None, rng: np.random.Generator) -> Proposal:
        """Run IPOPT from each start; after every iteration the iterate is tried as a witness (Lemma 1)."""
        with on_stderr(self.verbose):
            found = [_Run(form, self).solve(point)
                     for point in starting_points(form.curve, form.meter, start, self.starts)]
        best, value, status = max(found, key=lambda run: form.meter.witness(run[0]))
        return Proposal(best, Stop.ITERATIONS if "Iterations" in status else Stop.CONVERGED, Claim.LOCAL, value,
                        message="IPOPT: " + ", ".join(run[2] for run in found))


class _Run:
    """The nonlinear program in casadi's IPOPT; keeps casadi's callbacks alive as long as it is used."""

    def __init__(self, form: SmoothOracle, ipopt: Ipopt) -> None:
        import casadi

        self.program, self.meter = LogProgram(form), form.meter
        self.ended: SearchEnded | None = None
        held, program, nothing = self.held, self.program, np.zeros

        def value(y: Array) -> float:
            return float(held(lambda: program.value(y), 1e20))

        nlp = _callback(casadi, "nlp", [3, 0], [1, 2], lambda y, p: (value(y), program.constraints(y)))
        gradient = _callback(casadi, "grad_f", [3, 0], [1, 3],
                             lambda y, p: (value(y), held(lambda: program.slope(y), nothing(3))))
        jacobian = _callback(casadi, "jac_g", [3, 0], [2, (2, 3)],
                             lambda y, p: (program.constraints(y), program.jacobian(y)))
        hessian = _callback(casadi, "hess_lag", [3, 0, 1, 2], [(3, 3)], lambda y, p, f, g: (
            np.triu(held(lambda: program.curvature(y, float(f[0]), g), nothing((3, 3)))),))
        watch = _callback(casadi, "watch", [3, 1, 2, 3, 2, 0], [1], lambda y, *others: (self.watch(y),))
        self._alive = (nlp, gradient, jacobian, hessian, watch)
        x, p = casadi.MX.sym("x", 3), casadi.MX.sym("p", 0)
        f, g = nlp(x, p)
        self.solver = casadi.nlpsol("worst_case", "ipopt", {"x": x, "f": f, "g": g}, {
            "grad_f": gradient, "jac_g": jacobian, "hess_lag": hessian, "iteration_callback": watch,
            "no_nlp_grad": True, "print_time": False, "error_on_fail": False, "show_eval_warnings": False,
            **ipopt_options(ipopt.iterations, ipopt.tolerance, ipopt.options, ipopt.verbose)})

    def solve(self, q: Array) -> tuple[Array, float, str]:
        """Run from q; returns (q, log P_q(W), IPOPT's status). Raises SearchEnded when the search is decided."""
        low, high = self.program.low, self.program.high
        y = np.clip(np.log(np.maximum(q, 0.01 / self.program.form.curve.tail_set.n)), low, high)
        found = self.solver(x0=y, lbx=low, ubx=high, lbg=[0.0, -math.inf], ubg=[0.0, 0.0])
        if self.ended is not None:
            raise self.ended
        return np.exp(np.asarray(found["x"]).ravel()), -float(found["f"]), str(self.solver.stats()["return_status"])

    def held(self, compute: Callable[[], Any], otherwise: Any) -> Any:
        """An exception must not cross IPOPT: remember it, and let the iteration callback stop the run."""
        if self.ended is None:
            try:
                return compute()
            except SearchEnded as ended:
                self.ended = ended
        return otherwise

    def watch(self, y: Array) -> float:
        """Called after every iteration: tries the iterate as a witness; 1 stops IPOPT."""
        self.held(lambda: self.meter.witness(np.exp(y)), None)
        return 0.0 if self.ended is None else 1.0


def _callback(casadi: Any, name: str, shapes_in: Sequence[int], shapes_out: Sequence[int | tuple[int, int]],
              compute: Callable[..., tuple[Any, ...]]) -> Any:
    """A casadi function that calls `compute` with one NumPy array an input."""

    class Wrapped(casadi.Callback):  # type: ignore[misc]  # casadi states no types
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
