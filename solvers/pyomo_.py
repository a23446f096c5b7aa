"""Pyomo: the declarative model solved by IPOPT, the executable where there is one, else the one inside casadi."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rsopt.domain import Domain
from rsopt.errors import InvalidInputError
from rsopt.solver import Budget, Claim, Proposal, Stop
from rsopt.solving.forms import Form, TermList
from rsopt.solving.meter import SearchEnded
from rsopt.solving.starts import starting_points
from rsopt.solving.words import Options, as_options, on_stderr

from .ipopt_ import STAY_NEAR_START, ipopt_options
from .pyomo_model import build_model, has_algebraic_form

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pyomo:
    """All monomials in a Pyomo model (`rsopt.solvers.pyomo_model`), solved by IPOPT from several starts.

    Attributes:
        executable: name or path of an IPOPT executable that speaks .nl files. None takes "ipopt" where it is found, and
            else hands the same model as a .nl file to the IPOPT inside the casadi wheel.
        most_terms: most monomials it takes.
        starts: how many basins are tried.
        iterations: limit of one run.
        tolerance: IPOPT's own.
        options: other options of IPOPT, by its names; a mapping, or pairs.
        verbose: IPOPT's own words, on stderr.

    Raises:
        InvalidInputError: an `executable` that is not there.
    """

    executable: str | None = None
    most_terms: int = 40_000
    starts: int = 3
    iterations: int = 200
    tolerance: float = 1e-9
    options: Options = ()
    verbose: bool = field(default=False, repr=False)
    accepts: ClassVar[tuple[type[TermList]]] = (TermList,)
    proves: ClassVar[Claim] = Claim.LOCAL

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", as_options(self.options))
        if self.executable is not None and shutil.which(self.executable) is None:
            raise InvalidInputError(f"No executable {self.executable!r} was found. Give the path of an IPOPT "
                                    "executable, or leave it out: the IPOPT inside casadi is used where none is on "
                                    "the PATH.")

    def refuses(self, form: Form, domain: Domain) -> str | None:
        """A functional without an algebraic form, or more monomials than `most_terms`."""
        if not has_algebraic_form(form.curve.functional):
            return f"The functional {form.curve.functional.name!r} has no algebraic form for a Pyomo model."
        return form.too_many(self.most_terms) if isinstance(form, TermList) else None

    def propose(self, form: TermList, domain: Domain, budget: Budget, *, stop_at: float | None, start: Array | None,
                rng: np.random.Generator) -> Proposal:
        """Build the model once and solve it from each start."""
        points = starting_points(form.curve, form.meter, start, self.starts)
        began = time.perf_counter()
        model = build_model(form)
        path = shutil.which(self.executable or "ipopt")
        run = _Executable(self, path, form, model) if path else _InCasadi(self, form, model)
        built = time.perf_counter() - began
        with on_stderr(self.verbose):
            found = [(form.meter.witness(q), q, status) for q, status in (run.solve(point) for point in points)]
        _, best, status = max(found, key=lambda item: item[0])
        words = f"IPOPT {'at ' + path if path else 'inside casadi'}: " + ", ".join(item[2] for item in found)
        stop = Stop.ITERATIONS if "maximum_iterations" in status.lower() or "maxiter" in status.lower() \
            else Stop.CONVERGED
        return Proposal(best, stop, Claim.LOCAL, form.log_sum(best), built, words)


def set_start(model: Any, form: TermList, q: Array) -> None:
    """Give the variables of the model the values they have at q."""
    for i in (1, 2, 3):
        lower, upper = model.log_q[i].bounds
        model.log_q[i].value = float(np.clip(np.log(max(q[i - 1], 0.01 / form.curve.tail_set.n)), lower, upper))
    if hasattr(model, "s"):
        model.s.value = form.curve.coordinate(q)


class _InCasadi:
    """The model as a .nl file in casadi's IPOPT; every iterate is tried as a witness (Lemma 1)."""

    def __init__(self, solver: Pyomo, form: TermList, model: Any) -> None:
        import casadi
        from pyomo.repn.plugins.nl_writer import NLWriter

        self.form, self.model = form, model
        self.ended: SearchEnded | None = None
        set_start(model, form, np.full(3, 1.0 / 3.0))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "worst_case.nl"
            with path.open("w") as stream:
                # Presolve and scaling would change the columns, which are read back by position.
                written = NLWriter().write(model, stream, linear_presolve=False, scale_model=False)
            self.nlp = casadi.NlpBuilder()
            self.nlp.import_nl(str(path), {})
        self.columns = list(written.variables)
        at = {id(variable): index for index, variable in enumerate(self.columns)}
        self.cells = [at[id(model.log_q[i])] for i in (1, 2, 3)]
        self.watch = self._watch(casadi, len(self.columns), len(written.constraints))
        self.solver = casadi.nlpsol("worst_case", "ipopt", self.nlp, {
            "expand": True, "iteration_callback": self.watch, "print_time": False, "error_on_fail": False,
            "show_eval_warnings": False,
            **ipopt_options(solver.iterations, solver.tolerance, solver.options, solver.verbose)})

    def solve(self, start: Array) -> tuple[Array, str]:
        """Run from q; returns (q, status). Raises SearchEnded when the search is decided."""
        set_start(self.model, self.form, start)
        found = self.solver(x0=[variable.value for variable in self.columns], lbx=self.nlp.x_lb, ubx=self.nlp.x_ub,
                            lbg=self.nlp.g_lb, ubg=self.nlp.g_ub)
        if self.ended is not None:
            raise self.ended
        x = np.asarray(found["x"]).ravel()
        return np.exp(x[self.cells]), str(self.solver.stats()["return_status"])

    def _watch(self, casadi: Any, variables: int, constraints: int) -> Any:
        outer = self

        class Watch(casadi.Callback):  # type: ignore[misc]  # casadi states no types
            def __init__(self) -> None:
                casadi.Callback.__init__(self)
                self.construct("watch", {})

            def get_n_in(self) -> int:
                return int(casadi.nlpsol_n_out())

            def get_n_out(self) -> int:
                return 1

            def get_sparsity_in(self, i: int) -> Any:
                name = casadi.nlpsol_out(i)
                size = {"f": 1, "x": variables, "lam_x": variables, "g": constraints, "lam_g": constraints}
                return casadi.Sparsity.dense(size.get(name, 0), 1)

            def eval(self, inputs: Any) -> list[float]:
                try:
                    outer.form.meter.witness(np.exp(np.asarray(inputs[0]).ravel()[outer.cells]))
                except SearchEnded as ended:  # must not cross IPOPT
                    outer.ended = ended
                return [0.0 if outer.ended is None else 1.0]

        return Watch()


class _Executable:
    """The model handed to an IPOPT executable by Pyomo; Lemma 1 is looked at between runs."""

    def __init__(self, solver: Pyomo, path: str, form: TermList, model: Any) -> None:
        import pyomo.environ as pyo

        self.form, self.model, self.verbose = form, model, solver.verbose
        self.solver = pyo.SolverFactory("ipopt", executable=path)
        self.solver.options.update({"max_iter": solver.iterations, "tol": solver.tolerance,
                                    "print_level": 5 if self.verbose else 0, **STAY_NEAR_START,
                                    **dict(solver.options)})

    def solve(self, start: Array) -> tuple[Array, str]:
        """Run from q; returns (q, status)."""
        set_start(self.model, self.form, start)
        seconds = max(self.form.meter.deadline - time.perf_counter(), 1.0)
        found = self.solver.solve(self.model, tee=self.verbose, timelimit=seconds, load_solutions=True)
        q = np.exp([float(self.model.log_q[i].value) for i in (1, 2, 3)])
        return q, str(found.solver.termination_condition)
