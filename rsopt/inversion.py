"""The outer search: from a solver's worst cases to a proven lower confidence bound (equation 8, Lemma 1)."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rsopt.bound import Bound
from rsopt.certificate import Certificate
from rsopt.errors import RsoptError, SolverFailedError
from rsopt.functionals import FUNCTIONALS, Functional
from rsopt.kernels import mesh as mesh_kernel
from rsopt.problem import LowerBoundProblem
from rsopt.prover import Mesh, Proof, ProofStatus, prove_level
from rsopt.registry import as_solver
from rsopt.solver import Budget, Solver
from rsopt.statistics import STATISTICS, clopper_pearson_lower, clopper_pearson_upper
from rsopt.witness import Witness, descend

Array = npt.NDArray[np.float64]

# Share of the width given up at once for the proof. A smaller share means a longer proof: at 0.0025 it costs about as
# much as everything before it. Where the proof turns out short, it is repeated with a tenth of the gap (`_tightened`).
GAP = 0.0025
SMALLEST_GAP = 2e-6

# Most tail evaluations of a repeated proof; fewer for large n, where each costs more.
REPEAT = 600

# Above this multiple of alpha the level is too high for certain and the solver may stop (Lemma 1). More than 1, so
# that the last levels, where the tail is close to alpha, are searched in full and the next step is well aimed.
EARLY = 2.0

MOST_LEVELS = 25
MOST_ATTEMPTS = 60


@dataclass
class _Outer:
    """State of one inversion: the problem, the scale of its levels, and what has been spent and seen."""

    problem: LowerBoundProblem
    solver: Solver
    budget: Budget
    throw: bool
    rng: np.random.Generator
    guess: float
    width: float
    evaluations: int = 0
    notes: str = ""

    @property
    def bottom(self) -> float:
        return float(self.problem.functional.range[0])

    @property
    def top(self) -> float:
        return float(self.problem.functional.range[1])


def clamped_plug_in(problem: LowerBoundProblem) -> float:
    """g at the observed shares, the counts clamped to [1/2, n - 1/2] so that it is finite."""
    counts = problem.counts
    x1, x2 = (min(max(x, 0.5), counts.n - 0.5) / counts.n for x in (counts.x1, counts.x2))
    return float(problem.functional.value(np.array(x1), np.array(x2)))


def _first_guess(problem: LowerBoundProblem) -> float:
    """A level near the bound: g at the two-way Clopper–Pearson limits, clamped to where g is finite."""
    counts, half = problem.counts, problem.alpha / 2.0
    low = max(float(clopper_pearson_lower(counts.x1, counts.n, half)), 0.01 / counts.n)
    high = min(float(clopper_pearson_upper(counts.x2, counts.n, half)), 1.0 - 0.01 / counts.n)
    if counts.two_classes:
        low = max(float(clopper_pearson_lower(counts.x1, counts.n, problem.alpha)), 0.01 / counts.n)
        high = 1.0 - low
    return float(problem.functional.value(np.array(low), np.array(high)))


def solve_lower_bound(problem: LowerBoundProblem, *, solver: str | Solver = "scipy",
                      budget: Budget = Budget(), throw: bool = True, seed: int = 0) -> Bound:
    """Search the largest level with Pi(L) <= alpha with any solver, then prove a level at or just below it.

    The solver's worst cases steer a secant search in the level on the normal scale, where the tail of a good statistic
    is nearly linear. The point it ends at is moved to the least level of its basin (a witness), and the mesh proof is
    tried just below. A proof that meets a point above alpha hands that point back as a better witness; one that runs
    out backs off. So a solver that fails, lies or misses the worst basin costs time or tightness, never validity.

    Args:
        problem: the observation, functional, statistic, alpha and domain.
        solver: name or instance.
        budget: limits of each of the solver's searches.
        throw: whether a failing solver raises; otherwise the failure is noted in the message and the proof goes on.
        seed: seeds the solver's randomness.

    Returns:
        a `Bound` with its certificate.

    Raises:
        SolverFailedError, RefusedError: only with `throw`.
    """
    started = time.perf_counter()
    proposer = as_solver(solver)
    guess = _first_guess(problem)
    width = max(abs(clamped_plug_in(problem) - guess), 1e-12)
    outer = _Outer(problem, proposer, budget, throw, np.random.default_rng(seed), guess, width)
    if _no_evidence(outer):
        witness, lower, mesh, searched = None, outer.bottom, None, outer.bottom
        at_most = outer.bottom
    else:
        searched, q = _search(outer)
        witness, lower, mesh = _prove(outer, searched, q)
        at_most = witness.level if witness else outer.top
    certificate = _certificate(problem, lower, witness, mesh)
    return Bound(
        lower=lower, lower_at_most=at_most, searched=searched, certified=True,
        method="exact", functional=problem.functional, statistic=problem.statistic.name, alpha=problem.alpha,
        solver=repr(proposer), counts=problem.counts, certificate=certificate, evaluations=outer.evaluations,
        seconds=time.perf_counter() - started, message=outer.notes.strip())


def _no_evidence(outer: _Outer) -> bool:
    """Whether nulls of every level make the tail certain, so that the exact bound is the least value of g.

    (0, n) in W means that W is the whole space. Where g has no least value, every level curve comes arbitrarily close
    to q = (0, 0, 1), under which the outcome (0, 0) is certain.
    """
    tail_set = outer.problem.tail_set
    assert outer.problem.domain is not None
    if tail_set.contains(0, tail_set.n):
        return True
    return outer.bottom == -math.inf and outer.problem.domain.third_cell and tail_set.contains(0, 0)


def _search(outer: _Outer) -> tuple[float, Array | None]:
    """The level at which the solver's worst case meets alpha, and its point there (None if it never gave one)."""
    aim = float(special.ndtri(outer.problem.alpha))
    spread = outer.width / max(-aim, 0.5)
    level = min(max(outer.guess, outer.bottom), outer.top)
    rejected, kept = -math.inf, math.inf  # levels with a tail below and above alpha, by the solver's word
    point: Array | None = None
    best_point: Array | None = None
    before: tuple[float, float] | None = None
    for _ in range(MOST_LEVELS):
        found = _worst_case(outer, level, point)
        if found is None:
            return outer.guess, best_point
        point, tail = found
        score = float(special.ndtri(min(max(tail, 1e-300), 1.0 - 1e-16)))
        if tail >= outer.problem.alpha:
            kept = min(kept, level)
        else:
            rejected = max(rejected, level)
        if abs(score - aim) < 0.02 or best_point is None or tail >= outer.problem.alpha:
            best_point = point
        if before is not None and before[0] != level and (score - before[1]) / (level - before[0]) > 0.0:
            spread = (level - before[0]) / (score - before[1])
        before = (level, score)
        step = (aim - score) * spread
        if abs(step) <= 5e-4 * outer.width or kept - rejected <= 5e-4 * outer.width:
            best_point = point
            level = level + step if rejected <= level + step <= kept else level
            break
        ahead = level + max(min(step, 4.0 * outer.width), -64.0 * outer.width)
        if not rejected < ahead < kept:
            ahead = 0.5 * (rejected + kept) if math.isfinite(rejected + kept) else level + math.copysign(
                2.0 * abs(level - before[0]) + outer.width, step)
        ahead = min(max(ahead, outer.bottom), outer.top)
        if ahead == level or ahead < -60.0:
            level = ahead
            break
        level = ahead
    return min(max(level, outer.bottom), outer.top), best_point


def _worst_case(outer: _Outer, level: float, start: Array | None) -> tuple[Array, float] | None:
    """The solver's point at `level` and its tail; None if it failed and failures are only noted."""
    try:
        worst = outer.problem.worst_case(level)
    except RsoptError:
        # No q of the domain has this level: the tail over the empty set is 0.
        return (start if start is not None else np.array([1.0, 0.0, 0.0])), 0.0
    try:
        result = worst.solve(outer.solver, outer.budget, stop_at=EARLY * outer.problem.alpha, start=start,
                             rng=outer.rng)
    except SolverFailedError as error:
        if outer.throw:
            raise
        outer.notes += f" The solver failed at level {level:.6g}: {error}"
        return None
    outer.evaluations += result.evaluations
    return result.point, result.tail_attained


def _prove(outer: _Outer, searched: float, q: Array | None) -> tuple[Witness | None, float, Mesh | None]:
    """A witness and the level proven below it; (witness, lower, mesh), mesh None where lower needs no proof."""
    problem = outer.problem
    assert problem.domain is not None
    witness = _descend(outer, searched, float(q[1])) if q is not None else None
    gap = GAP
    level = (witness.level if witness else searched) - gap * _width(outer, witness.level if witness else searched)
    kept: tuple[float, Proof] | None = None
    for attempt in range(MOST_ATTEMPTS):
        if kept is not None and level <= kept[0]:
            return witness, kept[0], kept[1].mesh
        if level <= outer.bottom or level < -60.0:
            return witness, outer.bottom, None
        proof = prove_level(problem.tail_set, problem.functional, problem.domain, level, problem.alpha)
        outer.evaluations += proof.evaluations
        if proof.status is ProofStatus.PROVED:
            if witness is None:
                # Without a witness the level may be far too low: look for one above before settling.
                witness = _witness_above(outer, level)
                if witness is not None and witness.level - level > 4.0 * gap * _width(outer, witness.level):
                    kept = (level, proof)
                    level = witness.level - gap * _width(outer, witness.level)
                    continue
            if attempt:
                outer.notes += (f" The proof needed {attempt + 1} attempts and gave up "
                                f"{max(searched - level, 0.0):.3g} against the solver's {searched:.6g}.")
            return _tightened(outer, witness, level, proof, gap)
        if proof.status is ProofStatus.WITNESS:
            better = _descend(outer, level, proof.stuck_at)
            if better is not None and (witness is None or better.level < witness.level):
                witness = better
            level = min(level, witness.level if witness else level)
        if attempt >= 2 or proof.status is ProofStatus.EXHAUSTED:
            gap *= 1.7
        level -= gap * _width(outer, level)
    return witness, outer.bottom, None


def _tightened(outer: _Outer, witness: Witness | None, level: float, proof: Proof, gap: float
               ) -> tuple[Witness | None, float, Mesh | None]:
    """Repeat a short proof closer to the witness, while it stays short; (witness, lower, mesh).

    The pieces of a mesh shrink with the square root of the gap, so a tenth of it costs about 3.2 times as much.
    """
    problem = outer.problem
    assert problem.domain is not None
    most = REPEAT / (1.0 + math.sqrt(problem.counts.n) / 100.0)
    while witness is not None and gap > SMALLEST_GAP and 3.2 * proof.evaluations <= most:
        gap = max(0.1 * gap, SMALLEST_GAP)
        closer = witness.level - gap * _width(outer, witness.level)
        if closer <= level:
            break
        repeated = prove_level(problem.tail_set, problem.functional, problem.domain, closer, problem.alpha,
                               limit=int(2.0 * most))
        outer.evaluations += repeated.evaluations
        if repeated.status is ProofStatus.WITNESS:
            better = _descend(outer, closer, repeated.stuck_at)
            witness = better if better is not None and level <= better.level < witness.level else witness
        if repeated.status is not ProofStatus.PROVED:
            break
        level, proof = closer, repeated
    return witness, level, proof.mesh


def _width(outer: _Outer, level: float) -> float:
    """Plug-in at clamped counts minus the bound: what a gap is a share of."""
    return max(abs(clamped_plug_in(outer.problem) - level), 1e-9)


def _descend(outer: _Outer, level: float, q2: float) -> Witness | None:
    """The least level near (level, q2) whose tail reaches alpha, as a witness; None if there is none nearby."""
    witness, used = descend(outer.problem, level, q2, step=0.02 * outer.width)
    outer.evaluations += used
    return witness


def _witness_above(outer: _Outer, level: float) -> Witness | None:
    """A witness found by rsopt's own search of a level somewhat higher; for solvers that returned nothing."""
    problem = outer.problem
    assert problem.domain is not None
    for _ in range(40):
        level += 0.25 * outer.width
        if level >= outer.top:
            return None
        proof = prove_level(problem.tail_set, problem.functional, problem.domain, level, problem.alpha)
        outer.evaluations += proof.evaluations
        if proof.status is ProofStatus.WITNESS:
            return _descend(outer, level, proof.stuck_at)
    return None


def _certificate(problem: LowerBoundProblem, lower: float, witness: Witness | None, mesh: Mesh | None
                 ) -> Certificate | None:
    """The certificate, or None for functionals and statistics that a file cannot name."""
    functional: Functional = problem.functional
    assert problem.domain is not None
    if type(functional) not in FUNCTIONALS.values() or type(problem.statistic) not in STATISTICS.values():
        return None
    cuts = () if mesh is None else tuple(mesh.cuts.tolist())
    observed = problem.statistic.value(problem.counts, functional, problem.alpha)
    runs: list[tuple[str, int]] = []
    for kind in () if mesh is None else mesh.kinds.tolist():
        name = "corner" if kind == mesh_kernel.CORNER else "convex"
        if runs and runs[-1][0] == name:
            runs[-1] = (name, runs[-1][1] + 1)
        else:
            runs.append((name, 1))
    return Certificate(
        n=problem.counts.n, x1=problem.counts.x1, x2=problem.counts.x2, alpha=problem.alpha, functional=functional.name,
        order=getattr(functional, "order", None), statistic=problem.statistic.name,
        observed=observed if math.isfinite(observed) else None,
        third_cell=problem.domain.third_cell, least_q1=problem.domain.least_q1,
        lower=lower if mesh is not None else -math.inf, lower_at_most=witness.level if witness else None,
        witness=witness.q if witness else None, cuts=cuts, kinds=tuple(runs))
