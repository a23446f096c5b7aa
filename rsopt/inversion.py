"""The outer search: from a solver's worst cases to a proven lower confidence bound (equation 8, Lemma 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import special

from rsopt.errors import RsoptError, SolverFailedError
from rsopt.family import TestFamily
from rsopt.prover import Mesh, Proof, ProofStatus, prove_level
from rsopt.search import Search
from rsopt.solver import Budget, Solver
from rsopt.witness import Witness, descend
from rsopt.worst_case import WorstCaseProblem

Array = npt.NDArray[np.float64]

# Share of the width given up at once for the proof. A smaller share means a longer proof: at 0.0025 it costs about as
# much as everything before it. Where the proof turns out short, it is repeated with a tenth of the gap (`_tightened`).
GAP = 0.0025
SMALLEST_GAP = 2e-6

# Most tail evaluations of a repeated proof; fewer for large n, where each costs more.
REPEAT = 700

# Above this multiple of alpha the level is too high for certain and the solver may stop (Lemma 1). More than 1, so
# that the last levels, where the tail is close to alpha, are searched in full and the next step is well aimed.
EARLY = 2.0

MOST_LEVELS = 25
MOST_ATTEMPTS = 60

# The search ends where its next step, or what is left between its brackets, is this share of the width. The step is
# taken all the same, and the descent to a witness does the rest.
CLOSE = 5e-3

# A worst case within this many standard scores of alpha is a good start for the witness.
NEAR = 0.02

# Longest steps of the search, in widths. Down is farther: below a level where every null is rejected nothing is lost.
UP, DOWN = 4.0, 64.0

# Levels below this certify nothing by any functional, and the probit has no doubles there.
LOWEST = -60.0

# First step of the descent to a witness, in widths, and the steps upwards in search of one.
DESCENT, ASCENT = 0.02, 0.25


@dataclass(frozen=True)
class Inversion:
    """What an inversion found.

    Attributes:
        lower: the level proven, or the least value of g, which needs no proof.
        at_most: g at the witness: no larger value is the exact bound.
        searched: where the solver alone ended.
        witness: the null whose tail reaches alpha; None if none was needed or found.
        mesh: the proof of `lower`; None where it needs none.
        evaluations: tail probabilities computed.
        notes: what happened on the way, in words.
    """

    lower: float
    at_most: float
    searched: float
    witness: Witness | None
    mesh: Mesh | None
    evaluations: int
    notes: str


def invert(family: TestFamily, solver: Solver, *, guess: float, plug_in: float, budget: Budget, throw: bool,
           seed: int) -> Inversion:
    """Search the largest level with Pi(L) <= alpha with any solver, then prove a level at or just below it.

    The solver's worst cases steer a secant search in the level on the normal scale, where the tail of a good statistic
    is nearly linear. The point it ends at is moved to the least level of its basin (a witness), and the mesh proof is
    tried just below. A proof that meets a point above alpha hands that point back as a better witness; one that runs
    out backs off. So a solver that fails, lies or misses the worst basin costs time or tightness, never validity.

    Args:
        family: the tests of all levels.
        solver: proposes worst cases.
        guess: a level near the bound.
        plug_in: g at the observed shares; its distance from the bound is the width, the scale of levels.
        budget: limits of each of the solver's searches.
        throw: whether a failing solver raises; otherwise the failure is noted and the proof goes on.
        seed: seeds the solver's randomness.

    Raises:
        SolverFailedError, RefusedError: only with `throw`.
    """
    if _no_evidence(family):
        return Inversion(family.bottom, family.bottom, family.bottom, None, None, 0, "")
    outer = _Inverting(family, solver, budget, throw, np.random.default_rng(seed), guess, plug_in)
    searched, q = outer.search()
    witness, lower, mesh = outer.prove(searched, q)
    return Inversion(lower, witness.level if witness else family.top, searched, witness, mesh, outer.evaluations,
                     outer.notes.strip())


def _no_evidence(family: TestFamily) -> bool:
    """Whether nulls of every level make the tail certain, so that the exact bound is the least value of g.

    (0, n) in W means that W is the whole space. Where g has no least value, every level curve comes arbitrarily close
    to q = (0, 0, 1), under which the outcome (0, 0) is certain.
    """
    if family.tail_set.contains(0, family.tail_set.n):
        return True
    return family.bottom == -math.inf and family.domain.third_cell and family.tail_set.contains(0, 0)


@dataclass
class _Secant:
    """The search for the level whose tail is alpha, by standard scores ndtri(tail).

    Attributes:
        aim: the score of alpha.
        spread: levels a standard score, by the last two levels seen.
        rejected, kept: the highest level with a tail below alpha and the lowest above, by the solver's word.
        last: (level, score) seen last.
    """

    aim: float
    spread: float
    rejected: float = -math.inf
    kept: float = math.inf
    last: tuple[float, float] | None = None

    def see(self, level: float, score: float, reached: bool) -> float:
        """Take in the score of a level; the step in the level that should meet the aim."""
        if reached:
            self.kept = min(self.kept, level)
        else:
            self.rejected = max(self.rejected, level)
        if self.last is not None and self.last[0] != level and (score - self.last[1]) / (level - self.last[0]) > 0.0:
            self.spread = (level - self.last[0]) / (score - self.last[1])
        self.last = (level, score)
        return (self.aim - score) * self.spread

    def beyond(self, level: float, step: float, width: float) -> float:
        """The next level: the step, cut to UP or DOWN widths; where it leaves the bracket, its middle or far ahead."""
        ahead = level + max(min(step, UP * width), -DOWN * width)
        if self.rejected < ahead < self.kept:
            return ahead
        if math.isfinite(self.rejected + self.kept):
            return 0.5 * (self.rejected + self.kept)
        return level + math.copysign(width, step)


@dataclass
class _Inverting:
    """One inversion under way: its family, the scale of its levels, and what has been spent and seen."""

    family: TestFamily
    solver: Solver
    budget: Budget
    throw: bool
    rng: np.random.Generator
    guess: float
    plug_in: float
    evaluations: int = 0
    notes: str = ""
    width: float = field(init=False)

    def __post_init__(self) -> None:
        self.width = max(abs(self.plug_in - self.guess), 1e-12)

    def search(self) -> tuple[float, Array | None]:
        """The level at which the solver's worst case meets alpha, and its point there (None if it never gave one)."""
        family = self.family
        aim = float(special.ndtri(family.alpha))
        secant = _Secant(aim, self.width / max(-aim, 0.5))
        level = self._clamped(self.guess)
        point: Array | None = None
        best: Array | None = None
        for _ in range(MOST_LEVELS):
            found = self._worst_case(level, point)
            if found is None:
                return self.guess, best
            point, tail = found
            score = float(special.ndtri(min(max(tail, 1e-300), 1.0 - 1e-16)))
            reached = tail >= family.alpha
            if abs(score - aim) < NEAR or best is None or reached:
                best = point
            step = secant.see(level, score, reached)
            if abs(step) <= CLOSE * self.width or secant.kept - secant.rejected <= CLOSE * self.width:
                best = point
                level = level + step if secant.rejected <= level + step <= secant.kept else level
                break
            ahead = self._clamped(secant.beyond(level, step, self.width))
            if ahead == level or ahead < LOWEST:
                level = ahead
                break
            level = ahead
        return self._clamped(level), best

    def _worst_case(self, level: float, start: Array | None) -> tuple[Array, float] | None:
        """The solver's point at `level` and its tail; None if it failed and failures are only noted."""
        try:
            worst = WorstCaseProblem(self.family, level)
        except RsoptError:
            # No q of the domain has this level: the tail over the empty set is 0.
            return (start if start is not None else np.array([1.0, 0.0, 0.0])), 0.0
        try:
            result = Search(worst, self.solver, self.budget, EARLY * self.family.alpha, start, self.rng, True).run()
        except SolverFailedError as error:
            if self.throw:
                raise
            self.notes += f" The solver failed at level {level:.6g}: {error}"
            return None
        self.evaluations += result.evaluations
        return result.point, result.tail_attained

    def prove(self, searched: float, q: Array | None) -> tuple[Witness | None, float, Mesh | None]:
        """A witness and the level proven below it; (witness, lower, mesh), mesh None where lower needs no proof."""
        bottom = self.family.bottom
        witness = self._descend(searched, float(q[1])) if q is not None else None
        gap = GAP
        level = self._below(witness.level if witness else searched, gap)
        kept: tuple[float, Proof] | None = None
        for attempt in range(MOST_ATTEMPTS):
            if kept is not None and level <= kept[0]:
                return witness, kept[0], kept[1].mesh
            if level <= bottom or level < LOWEST:
                return witness, bottom, None
            proof = self._proof(level)
            if proof.status is ProofStatus.PROVED:
                if witness is None:
                    # Without a witness the level may be far too low: look for one above before settling.
                    witness = self._witness_above(level)
                    if witness is not None and witness.level - level > 4.0 * gap * self._width(witness.level):
                        kept = (level, proof)
                        level = self._below(witness.level, gap)
                        continue
                if attempt:
                    self.notes += (f" The proof needed {attempt + 1} attempts and gave up "
                                   f"{max(searched - level, 0.0):.3g} against the solver's {searched:.6g}.")
                return self._tightened(witness, level, proof, gap)
            if proof.status is ProofStatus.WITNESS:
                better = self._descend(level, proof.stuck_at)
                if better is not None and (witness is None or better.level < witness.level):
                    witness = better
                level = min(level, witness.level if witness else level)
            if attempt >= 2 or proof.status is ProofStatus.EXHAUSTED:
                gap *= 1.7
            level = self._below(level, gap)
        return witness, bottom, None

    def _tightened(self, witness: Witness | None, level: float, proof: Proof, gap: float
                   ) -> tuple[Witness | None, float, Mesh | None]:
        """Repeat a short proof closer to the witness, while it stays short; (witness, lower, mesh).

        The pieces of a mesh shrink with the square root of the gap, so a tenth of it costs about 3.2 times as much.
        """
        most = REPEAT / (1.0 + math.sqrt(self.family.tail_set.n) / 100.0)
        while witness is not None and gap > SMALLEST_GAP and 3.2 * proof.evaluations <= most:
            gap = max(0.1 * gap, SMALLEST_GAP)
            closer = self._below(witness.level, gap)
            if closer <= level:
                break
            repeated = self._proof(closer, limit=int(2.0 * most))
            if repeated.status is ProofStatus.WITNESS:
                better = self._descend(closer, repeated.stuck_at)
                witness = better if better is not None and level <= better.level < witness.level else witness
            if repeated.status is not ProofStatus.PROVED:
                break
            level, proof = closer, repeated
        return witness, level, proof.mesh

    def _witness_above(self, level: float) -> Witness | None:
        """A witness found by rsopt's own search of a level somewhat higher; for solvers that returned nothing."""
        for _ in range(40):
            level += ASCENT * self.width
            if level >= self.family.top:
                return None
            proof = self._proof(level)
            if proof.status is ProofStatus.WITNESS:
                return self._descend(level, proof.stuck_at)
        return None

    def _proof(self, level: float, limit: int = 2_000_000) -> Proof:
        proof = prove_level(self.family, level, limit)
        self.evaluations += proof.evaluations
        return proof

    def _descend(self, level: float, q2: float) -> Witness | None:
        """The least level near (level, q2) whose tail reaches alpha, as a witness; None if there is none nearby."""
        witness, used = descend(self.family, level, q2, step=DESCENT * self.width)
        self.evaluations += used
        return witness

    def _below(self, level: float, gap: float) -> float:
        """A level below `level` by a share of the width there."""
        return level - gap * self._width(level)

    def _width(self, level: float) -> float:
        """Plug-in minus `level`: what a gap is a share of."""
        return max(abs(self.plug_in - level), 1e-9)

    def _clamped(self, level: float) -> float:
        return min(max(level, self.family.bottom), self.family.top)
