"""rsopt's own prover as a solver: the only one whose worst case comes with a proof that nothing is worse."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from rsopt.domain import Domain
from rsopt.prover import HEADROOM, ProofStatus, prove_level
from rsopt.solver import Budget, Claim, Proposal, Stop
from rsopt.solving.forms import BlackBox, Form
from rsopt.solving.polish import polished
from rsopt.solving.starts import starting_points

Array = npt.NDArray[np.float64]

# Tails that double precision holds with full relative accuracy start a little above this.
_NOTHING = 1e-290


@dataclass(frozen=True)
class BranchAndBound:
    """Prove that the best known tail, raised a little, is an upper bound; a witness against it is the new
    best.

    Attributes:
        tolerance: relative gap between the tail attained and the tail proven that is tried first.
        loosest: the gap at which it gives up; in between the gap is taken ten times larger whenever a proof
            runs out.
        nodes: most tail evaluations of one proof.
    """

    tolerance: float = 1e-6
    loosest: float = 0.1
    nodes: int = 20_000
    accepts: ClassVar[tuple[type[BlackBox]]] = (BlackBox,)
    proves: ClassVar[Claim] = Claim.GLOBAL

    def refuses(self, form: Form, domain: Domain) -> str | None:
        """None: it takes every problem; functionals without a link are proven by corners alone, which is slow."""
        return None

    def propose(self, form: BlackBox, domain: Domain, budget: Budget, *, stop_at: float | None, start: Array | None,
                rng: np.random.Generator) -> Proposal:
        """Survey, polish, prove; on a witness polish there and prove again."""
        curve, meter = form.curve, form.meter
        q, tail = max((polished(curve, point) for point in starting_points(curve, meter, start, 3)),
                      key=lambda found: found[1])
        meter.witness(q)
        if tail < _NOTHING:
            return Proposal(q, Stop.CONVERGED, Claim.LOCAL, meter.best, message="the tail is too small to prove about")
        # Corner bounds alone are of first order: their number of nodes grows like one over the gap.
        first_order = curve.functional.compiled is None
        gap, proofs, nodes = max(self.tolerance, 1e-2) if first_order else self.tolerance, 0, 0
        while gap <= self.loosest:
            target = tail * (1.0 + gap)
            if target >= 1.0:
                return Proposal(q, Stop.CONVERGED, Claim.GLOBAL, math.log(tail), tail_at_most=1.0,
                                message="the tail attained is 1 to within the tolerance")
            proof = prove_level(replace(curve.family, alpha=target * math.exp(HEADROOM)), curve.level, self.nodes)
            meter.spend(proof.evaluations)
            proofs, nodes = proofs + 1, nodes + proof.evaluations
            if proof.status is ProofStatus.PROVED:
                return Proposal(q, Stop.CONVERGED, Claim.GLOBAL, math.log(tail), tail_at_most=target,
                                message=f"{proofs} proofs, {nodes:,} nodes, gap {gap:.0e}")
            better, better_tail = polished(curve, np.array([0.0, proof.stuck_at, 1.0 - proof.stuck_at]))
            if better_tail > tail * (1.0 + 0.1 * gap):
                q, tail = better, better_tail
                meter.witness(q)
            else:
                gap *= 10.0
        return Proposal(q, Stop.STALLED, Claim.LOCAL, math.log(tail), message=f"no proof within {nodes:,} nodes")
