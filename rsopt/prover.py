"""The proof that Pi(L) <= alpha at one level: rsopt's own branch and bound over the level curve (fact 6)."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsopt.family import TestFamily
from rsopt.kernels import mesh as mesh_kernel

Array = npt.NDArray[np.float64]

# The proof aims a little below alpha, so that a checker with other arithmetic and its own slack can follow it.
HEADROOM = 2e-6


class ProofStatus(enum.Enum):
    """How a proof attempt ended."""

    PROVED = "The tail is proven to stay at or below alpha on the whole curve."
    WITNESS = "A point of the curve reaches alpha: the level is too high. Lower it."
    EXHAUSTED = "The evaluations ran out, or the slack is within rounding. Lower the level or allow more evaluations."


@dataclass(frozen=True, eq=False)
class Mesh:
    """A partition of the level curve and the bound that covers each piece.

    Attributes:
        cuts: increasing q2, shape (k + 1,); empty if the curve does not meet the domain.
        kinds: `mesh_kernel.CORNER` or `mesh_kernel.CONVEX` for each piece, shape (k,).
    """

    cuts: Array
    kinds: npt.NDArray[np.int8]

    def runs(self) -> tuple[tuple[str, int], ...]:
        """The kinds by name, run-length coded as (name, count)."""
        runs: list[tuple[str, int]] = []
        for kind in self.kinds.tolist():
            name = "corner" if kind == mesh_kernel.CORNER else "convex"
            before = runs.pop()[1] if runs and runs[-1][0] == name else 0
            runs.append((name, before + 1))
        return tuple(runs)


@dataclass(frozen=True, eq=False)
class Proof:
    """The outcome of one attempt.

    Attributes:
        status: how it ended.
        mesh: the pieces, if proven.
        stuck_at: the q2 of the witness, or where the attempt ended; NaN if proven.
        evaluations: tail evaluations spent.
    """

    status: ProofStatus
    mesh: Mesh | None
    stuck_at: float
    evaluations: int


_EMPTY = Mesh(np.zeros(0), np.zeros(0, np.int8))
_STATUS = {mesh_kernel.PROVED: ProofStatus.PROVED, mesh_kernel.WITNESS: ProofStatus.WITNESS,
           mesh_kernel.EXHAUSTED: ProofStatus.EXHAUSTED}


def prove_level(family: TestFamily, level: float, limit: int = 2_000_000) -> Proof:
    """Try to prove Pi(level) = sup { P_q(W) : q in domain, g(q) <= level } <= alpha.

    Compiled links use the convex pieces (fact 5), all other functionals corner pieces only (fact 4).

    Args:
        family: tail set, functional, domain and alpha.
        level: L.
        limit: most tail evaluations to spend.

    Returns:
        a `Proof`; its status says whether the bound L stands.
    """
    if family.tail_set.top_row < 0:
        return Proof(ProofStatus.PROVED, _EMPTY, math.nan, 0)
    if level > family.top:
        # No q has this level and every q lies below it: an empty curve that proves nothing.
        return Proof(ProofStatus.EXHAUSTED, None, math.nan, 0)
    segment = family.segment(level)
    if segment is None:
        return Proof(ProofStatus.PROVED, _EMPTY, math.nan, 0)
    log_alpha = math.log(family.alpha) - HEADROOM
    f = family.functional.compiled
    if f is None:
        return _prove_by_corners(family, level, segment, log_alpha, limit)
    found = mesh_kernel.prove(family.tail_set.compiled, mesh_kernel.Curve(f, float(level), *segment), log_alpha, limit)
    if found.status == mesh_kernel.PROVED:
        return Proof(ProofStatus.PROVED, Mesh(found.cuts, found.kinds), math.nan, found.evaluations)
    return Proof(_STATUS[found.status], None, float(found.cuts[0]), found.evaluations)


def _prove_by_corners(family: TestFamily, level: float, segment: tuple[float, float], log_alpha: float, limit: int
                      ) -> Proof:
    """First-order pieces only, which every functional admits: the step adapts to what the last ones allowed."""
    slack = mesh_kernel.rounding_slack(family.tail_set.n)

    def upper(q1: float, q2: float) -> float:
        q = (q1, q2, max(1.0 - q1 - q2, 0.0))
        return float(family.tail_set.log_probability(q, 1e-7)) + slack

    def q1_at(q2: float) -> float:
        return min(float(family.functional.curve(level, np.array(q2))), 1.0 - q2)

    start, end = segment
    cuts, step, used = [start], max(end - start, 1e-300), 0
    while cuts[-1] < end:
        here = cuts[-1]
        there = min(here + step, end)
        used += 1
        if upper(q1_at(there), here) <= log_alpha:
            cuts.append(there)
            step *= 2.0
            continue
        step = 0.5 * (there - here)
        if used >= limit or here + step <= here * (1.0 + 1e-13):
            reached = upper(q1_at(here), here) - slack >= log_alpha
            return Proof(ProofStatus.WITNESS if reached else ProofStatus.EXHAUSTED, None, here, used)
    kinds = np.full(len(cuts) - 1, mesh_kernel.CORNER, np.int8)
    if len(cuts) == 1:
        if upper(q1_at(start), start) > log_alpha:
            return Proof(ProofStatus.WITNESS, None, start, used + 1)
        cuts.append(end)
        kinds = np.zeros(1, np.int8)
    return Proof(ProofStatus.PROVED, Mesh(np.array(cuts), kinds), math.nan, used)
