"""The lower-bound problem, stated once (equation 8): from an observation to a proven bound."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rsopt.arguments import Real, Whole, as_real, checked_seed, iterated
from rsopt.bound import Bound
from rsopt.certificate import FLIP_STATISTICS, Certificate, FlippedBits
from rsopt.counts import Counts, checked_alpha
from rsopt.domain import Domain, Edge, Simplex
from rsopt.errors import InvalidInputError, shown
from rsopt.family import TestFamily
from rsopt.functional import Functional
from rsopt.functionals import FUNCTIONALS, FunctionalLike, as_functional
from rsopt.inversion import invert
from rsopt.obligations import check_monotone, obligation
from rsopt.p_value import PValue, proven_p_value
from rsopt.prover import Mesh
from rsopt.registry import as_solver
from rsopt.solver import Budget, SolverLike
from rsopt.solving.result import checked_budget
from rsopt.staircase import TailSet
from rsopt.statistics import (
    STATISTICS,
    Statistic,
    StatisticLike,
    as_statistic,
    clopper_pearson_lower,
    clopper_pearson_upper,
)
from rsopt.witness import Witness
from rsopt.worst_case import WorstCaseProblem


@dataclass(frozen=True, init=False)
class LowerBoundProblem:
    """Equation 8: the largest level that the observation rejects, LCB = sup { L : Pi(L) <= alpha }.

    Pi(L) = sup { P_q(X in W) : q in the domain, g(q) <= L } with W = {x : T(x) >= T(x_obs)} (equation 7, with
    the observed value in W: without it Pi is no confidence bound).

    Attributes:
        counts: the observation and the certified class.
        functional: g; a name or a class is accepted too.
        statistic: T; likewise.
        alpha: probability that the statement "g(p) >= LCB" is false.
        domain: where q may lie; of the simplex two classes leave the edge q3 = 0.

    Raises:
        InvalidInputError: alpha out of range for the statistic; or counts, functional, statistic or domain that are
            none.
        UnknownNameError: an unknown functional or statistic.
    """

    counts: Counts
    functional: Functional
    statistic: Statistic
    alpha: float
    domain: Domain

    def __init__(self, counts: Counts, functional: FunctionalLike, statistic: StatisticLike, alpha: Real,
                 domain: Domain = Simplex()) -> None:
        if not isinstance(counts, Counts):
            raise InvalidInputError(f"A problem needs counts that say which class is certified, rsopt.Counts(votes, "
                                    f"top=…); found {shown(counts)}.")
        if not isinstance(domain, Domain):
            raise InvalidInputError(f"{shown(domain)} is no domain: it needs name, third_cell, least_q1, segment(…) "
                                    "and contains(q), as rsopt.Simplex has.")
        chosen, designated = as_functional(functional), as_statistic(statistic)
        check_monotone(chosen)
        fields = {"counts": counts, "functional": chosen, "statistic": designated,
                  "alpha": checked_alpha(alpha, designated.largest_alpha),
                  "domain": Edge() if counts.two_classes and domain == Simplex() else domain}
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @property
    def tail_set(self) -> TailSet:
        """W, the outcomes that are at least as much evidence as the observation."""
        return self.family.tail_set

    @cached_property
    def family(self) -> TestFamily:
        """The tests of all levels that the observation gives."""
        counts, statistic = self.counts, self.statistic
        tail_set = statistic.tail_set(counts, self.functional, self.alpha)
        if tail_set.n != counts.n or not tail_set.contains(counts.x1, counts.x2):
            raise InvalidInputError(f"The statistic {statistic.name!r} leaves the observation {counts.x1, counts.x2} "
                                    f"out of its own tail set, for n = {counts.n}: that would reject everything.")
        return TestFamily(tail_set, self.functional, self.domain, self.alpha)

    def worst_case(self, level: Real) -> WorstCaseProblem:
        """The inner problem at `level`: the q with g(q) <= level under which the observation is least
        surprising.

        Raises:
            InvalidInputError: a level that no q of the domain has.
        """
        number = as_real(level)
        if number is None:
            raise InvalidInputError(f"A level must be a number; found {shown(level)}.")
        return WorstCaseProblem(self.family, number)

    def p_value(self, level: Real) -> PValue:
        """The exact p-value of "g(p) <= level" on this statistic, Pi(level): proven from above, attained from below.

        It grows with the level, and the bound is the largest level at which it is at most alpha. alpha itself enters
        through the statistic alone, which must be fixed before the votes are seen.

        Raises:
            InvalidInputError: a level that no q of the domain has.
        """
        number = as_real(level)
        if number is None or math.isnan(number):
            raise InvalidInputError(f"A level must be a number; found {shown(level)}.")
        return proven_p_value(self.family, number)

    def curve(self, levels: Iterable[Real]) -> tuple[PValue, ...]:
        """The p-values of several levels, for a plot of Pi(L); errors as in `p_value`."""
        return tuple(self.p_value(level) for level in iterated(levels, "levels"))

    def plug_in(self) -> float:
        """g at the observed shares, the counts clamped to [1/2, n - 1/2] so that it is finite."""
        counts = self.counts
        x1, x2 = (min(max(x, 0.5), counts.n - 0.5) / counts.n for x in (counts.x1, counts.x2))
        return float(self.functional.value(np.array(x1), np.array(x2)))

    def _guess(self) -> float:
        """A level near the bound: g at the two-way Clopper–Pearson limits, clamped to where g is finite."""
        counts, half = self.counts, self.alpha / 2.0
        low = max(float(clopper_pearson_lower(counts.x1, counts.n, half)), 0.01 / counts.n)
        high = min(float(clopper_pearson_upper(counts.x2, counts.n, half)), 1.0 - 0.01 / counts.n)
        if counts.two_classes:
            low = max(float(clopper_pearson_lower(counts.x1, counts.n, self.alpha)), 0.01 / counts.n)
            high = 1.0 - low
        return float(self.functional.value(np.array(low), np.array(high)))

    def solve(self, solver: SolverLike = "scipy", budget: Budget = Budget(), throw: bool = True, seed: Whole = 0
              ) -> Bound:
        """The proven lower bound: any solver may propose, rsopt proves (see `rsopt.lower_bound`).

        Args:
            solver: name, class or instance.
            budget: limits of each of the solver's searches.
            throw: whether a failing solver raises; otherwise the failure is noted in the message and the proof goes on.
            seed: seeds the solver's randomness.

        Raises:
            UnknownNameError, MissingDependencyError: the solver cannot be had.
            InvalidInputError: a solver, budget or seed that is none.
            SolverFailedError, RefusedError: only with `throw`.
        """
        started = time.perf_counter()
        proposer = as_solver(solver)
        found = invert(self.family, proposer, guess=self._guess(), plug_in=self.plug_in(),
                       budget=checked_budget(budget), throw=throw, seed=checked_seed(seed))
        return Bound(
            lower=found.lower, lower_at_most=found.at_most, searched=found.searched, proven=True, method="exact",
            functional=self.functional, statistic=self.statistic.name, alpha=self.alpha, solver=repr(proposer),
            counts=self.counts, proof=self.certificate_of(found.mesh, found.lower, found.witness),
            evaluations=found.evaluations, seconds=time.perf_counter() - started,
            message=f"{found.notes} {obligation(self.functional)}".strip())

    def certificate_of(self, mesh: Mesh | None, level: float, witness: Witness | None = None) -> Certificate | None:
        """The certificate of a level that a mesh proves; None for what a file cannot name.

        Args:
            mesh: the proof; None where the level is the least value of g, which needs none.
            level: that was proven.
            witness: where the tail reaches alpha, if that is known.
        """
        functional, domain = self.functional, self.domain
        if type(self.statistic) not in STATISTICS.values():
            return None
        flips = None if functional.flips is None else FlippedBits(*functional.flips)
        if flips is None and type(functional) not in FUNCTIONALS.values():
            return None
        if flips is not None and not (flips.fits and self.statistic.name in FLIP_STATISTICS):
            return None
        observed = self.statistic.value(self.counts, functional, self.alpha)
        return Certificate(
            n=self.counts.n, x1=self.counts.x1, x2=self.counts.x2, alpha=self.alpha, functional=functional.name,
            order=functional.order, statistic=self.statistic.name,
            observed=observed if math.isfinite(observed) else None,
            third_cell=domain.third_cell, least_q1=domain.least_q1,
            lower=level if mesh is not None else -math.inf, lower_at_most=witness.level if witness else None,
            witness=witness.q if witness else None, cuts=() if mesh is None else tuple(mesh.cuts.tolist()),
            kinds=() if mesh is None else mesh.runs(), flips=flips)

    def __str__(self) -> str:
        counts, size = self.counts, self.tail_set.size()
        named = repr(self.functional) if self.functional.smooth else self.functional.name
        return "\n".join([
            f"Lower confidence bound (equation 8) for class {counts.top} against its runner-up {counts.runner_up}",
            f"  find        LCB = sup {{ L : Pi(L) <= {self.alpha:g} }}",
            f"  with        Pi(L) = sup {{ P_q(X in W) : {self.functional.formula} <= L, q in the "
            f"{self.domain.name} }}",
            f"  functional  {named}",
            f"  statistic   {self.statistic.name}: W = {{ x : T(x) >= T(x_obs) }} has {size:,} outcomes",
            f"  observed    x1 = {counts.x1:,}, x2 = {counts.x2:,}, other = {counts.n - counts.x1 - counts.x2:,}, "
            f"n = {counts.n:,}, {len(counts.votes)} classes"])
