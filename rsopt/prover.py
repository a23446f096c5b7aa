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

_RTOL = 1e-7


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
    """First-order pieces only, which every functional admits: pieces that are too long are cut, all in one go.

    Each piece is cut into about as many parts as its excess over the slack at its ends asks for.
    """
    slack = mesh_kernel.rounding_slack(family.tail_set.n)

    def q1_at(q2: Array) -> Array:
        return np.minimum(family.functional.curve(level, q2), 1.0 - q2)

    def upper(q1: Array, q2: Array) -> Array:
        q = np.stack([q1, q2, np.maximum(1.0 - q1 - q2, 0.0)], axis=-1)
        return family.tail_set.log_probability(q, _RTOL) + slack

    start, end = segment
    left, right = np.array([start]), np.array([end])
    proven, used = [np.array([start, end])], 0
    while left.size:
        q1 = q1_at(right)
        over = upper(q1, left) - log_alpha
        here = upper(q1, right) - log_alpha
        used += 2 * left.size
        worst = int(here.argmax())
        if here[worst] - slack >= 0.0:
            return Proof(ProofStatus.WITNESS, None, float(right[worst]), used)
        failed = over > 0.0
        proven.append(left[~failed])
        left, right, over, here = left[failed], right[failed], over[failed], here[failed]
        if left.size and (used >= limit or np.any(here >= 0.0) or np.any(right <= left * (1.0 + 1e-13))):
            return Proof(ProofStatus.EXHAUSTED, None, float(right[int(here.argmax())]), used)
        # The excess over the tail at the end itself is about linear in the length of the piece.
        parts = np.clip(np.ceil(1.2 * (over - here) / -here), 2, 64).astype(int) if left.size else np.zeros(0, int)
        steps = np.concatenate([np.arange(k) for k in parts]) if left.size else np.zeros(0)
        first, length = np.repeat(left, parts), np.repeat((right - left) / parts, parts)
        left, right = first + steps * length, np.where(steps + 1 == np.repeat(parts, parts), np.repeat(right, parts),
                                                       first + (steps + 1) * length)
    cuts = np.unique(np.concatenate(proven))
    cuts = cuts if cuts.size > 1 else np.array([start, end])
    return Proof(ProofStatus.PROVED, Mesh(cuts, np.full(cuts.size - 1, mesh_kernel.CORNER, np.int8)), math.nan, used)
