"""Bounds on the votes of one look, and on the scores behind them, with their proofs."""

from __future__ import annotations

import json
import math
import time

from rsopt import baselines
from rsopt.bounding import lower_bound
from rsopt.counts import Counts
from rsopt.methods import OWN, soft_methods
from rsopt.runs.work import MethodBound, ProofDone, ProofRequest, ScoreRows
from rsopt.scores.lower_bound_scores import lower_bound_scores


def prove(request: ProofRequest) -> ProofDone:
    """Proves our bound on the votes and computes the baselines beside it, and the bounds on scores where asked.

    Raises:
        RsoptError: as raised by `rsopt.lower_bound`.
    """
    start = time.perf_counter()
    bounds: list[MethodBound] = []
    proofs: dict[str, str] = {}
    if not request.votes_proven:
        _prove_votes(request, bounds, proofs)
    if request.scores is not None:
        _prove_scores(request, request.scores, bounds, proofs)
    return ProofDone(request.idx, request.look, tuple(bounds), proofs, time.perf_counter() - start)


def _prove_votes(request: ProofRequest, bounds: list[MethodBound], proofs: dict[str, str]) -> None:
    """Adds our bound with its certificate, and the baselines."""
    asked, votes = request.question, Counts(request.votes, request.top)
    own = lower_bound(votes, functional=asked.functional, statistic=asked.statistic, alpha=asked.alpha,
                      solver=asked.solver)
    at_most = own.lower if math.isnan(own.lower_at_most) else own.lower_at_most
    bounds.append(MethodBound(OWN, own.lower, at_most, asked.radius(own.lower)))
    if own.proof is not None:
        proofs[OWN] = own.proof.to_json()
    for name, baseline in baselines.BY_NAME.items():
        other = baseline(votes, functional=asked.functional, alpha=asked.alpha)
        bounds.append(MethodBound(name, other.lower, other.lower, asked.radius(other.lower)))


def _prove_scores(request: ProofRequest, scores: ScoreRows, bounds: list[MethodBound], proofs: dict[str, str]) -> None:
    """Adds the bounds on scores, with the transcript or the certificate of each that has one."""
    asked = request.question
    for name, functional in soft_methods(asked.noise).items():
        soft = lower_bound_scores(scores.rows, top=request.top, functional=functional, method=scores.method,
                                  alpha=asked.alpha, selection=scores.selection, seed=scores.seed)
        bounds.append(MethodBound(name, soft.lower, soft.lower, soft.radius(asked.noise)))
        if soft.proof is not None:
            proofs[name] = soft.proof.to_json()
        elif soft.evidence is not None:
            proofs[name] = json.dumps(soft.transcript.to_dict(), separators=(",", ":"))
