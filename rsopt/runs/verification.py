"""Proofs handed to the checker of their kind, and what a run reports held against its own proofs."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rsopt import proof_file
from rsopt.checks.certificate import check_certificate
from rsopt.checks.transcript import check_transcript
from rsopt.counts import Counts
from rsopt.errors import UnknownNameError
from rsopt.methods import OWN, SOFT_METHODS
from rsopt.radius import probit_radius, smoothed_margin_radius
from rsopt.runs.folder import STORE
from rsopt.runs.records import ESTIMATION, BoundRow, CertificateRow, InputOutcome, Look
from rsopt.runs.rows import best_bounds
from rsopt.runs.store import Store
from rsopt.scores.lower_bound_scores import PROVEN

ARITHMETICS = ("double", "arb")


def check_text(text: str, arithmetic: str = "double") -> str:
    """Checks one proof, and says in a line what it proves.

    Args:
        text: JSON of a certificate of a bound on votes, or of a transcript of a bound on scores.
        arithmetic: "double" or "arb", for certificates; a transcript has one arithmetic only.

    Raises:
        CertificateError: the proof does not hold, or the text is none.
        UnknownNameError: an unknown arithmetic.
        MissingDependencyError: "arb" without python-flint.
    """
    if arithmetic not in ARITHMETICS:
        raise UnknownNameError.of("arithmetic", arithmetic, list(ARITHMETICS))
    content = proof_file.parsed(text, "It")
    if str(content.get("format")).startswith("rsopt score transcript"):
        proven = check_transcript(content)
        return (f"{proven.functional} of the mean scores of class {proven.top} on {proven.n:,} rows is at least "
                f"{proven.lower:.6f} at alpha {proven.alpha:g} ({proven.method}, rivals or groups: {proven.rivals})")
    report = check_certificate(content, arithmetic)
    look = "" if report.look is None else (f"look {report.look.number} of {report.look.of}, at alpha "
                                           f"{report.look.alpha:g} for all of them; ")
    return (f"{content['functional']} at votes {content['x1']:,} against {content['x2']:,} of {content['n']:,} is at "
            f"least {report.lower:.6f} at alpha {report.alpha:g} ({look}pieces: {report.pieces}, tail at most "
            f"{report.tail_at_most:.6g}, {report.arithmetic} arithmetic)")


def claims_without_proof(path: Path) -> list[str]:
    """For the folder of a run, what it reports and its proofs do not give (`unproven_claims`); otherwise nothing.

    A proof that holds does not prove a larger number.

    Raises:
        StorageError: something cannot be read.
    """
    if not (path / STORE).is_file():
        return []
    with Store.read(path / STORE) as store:
        return list(unproven_claims(store))


def unproven_claims(store: Store) -> Iterator[str]:
    """A sentence for each reported bound or radius that the proof beside it does not give, or that has none.

    Whether the proofs themselves hold is for their checkers. Two classes have closed forms, which need no proof, and
    so do abstentions.

    Raises:
        StorageError: a record is damaged.
    """
    facts = store.facts
    sigma = float(facts["sigma"])
    proven = {OWN, *(SOFT_METHODS if (facts.get("scores") or {}).get("method") in PROVEN else ())}
    for outcome in store.all(InputOutcome):
        looks = {look.look: look for look in store.of_input(Look, outcome.idx) if look.stream == ESTIMATION}
        proofs = {(row.look, row.method): row for row in store.of_input(CertificateRow, outcome.idx)}
        for method, bound in best_bounds(store.of_input(BoundRow, outcome.idx)).items():
            where = f"input {outcome.idx}, {method}"
            proof = proofs.pop((bound.look, method), None)
            if proof is None:
                if method in proven and bound.radius > 0.0 and looks[bound.look].counts.size > 2:
                    yield f"{where}: radius {bound.radius:.6g} is reported and no proof is stored."
                continue
            try:
                difference = _difference(json.loads(zlib.decompress(proof.body)), bound, looks[bound.look], outcome.top,
                                         sigma)
            except (KeyError, TypeError, ValueError, zlib.error) as error:
                difference = f"the proof is incomplete or malformed: {error!r}"
            if difference:
                yield f"{where}: {difference}."
        for look, method in proofs:
            yield f"input {outcome.idx}, {method}: the proof is of look {look}, which is not the one reported."


def _difference(proof: dict[str, Any], bound: BoundRow, look: Look, top: int | None, sigma: float) -> str | None:
    """What is reported and not what the proof states, or None."""
    lower = -math.inf if proof["lower"] is None else proof["lower"]
    if not bound.lower <= lower:
        return f"{bound.lower:.6g} is reported, and the proof is of {lower:.6g}"
    if not proof["alpha"] <= bound.alpha:
        return f"alpha {bound.alpha:g} is reported, and the proof is at {proof['alpha']:g}"
    if proof["n"] != look.n or proof.get("top", top) != top:
        return f"class {top} on {look.n} samples is reported, and the proof is of another class or number"
    if bound.method == OWN and top is not None:
        votes = Counts(tuple(look.counts.tolist()), top)
        if (proof["x1"], proof["x2"]) != (votes.x1, votes.x2):
            return f"the votes are {votes.x1} against {votes.x2}, and the proof is of {proof['x1']} and {proof['x2']}"
    radius = (smoothed_margin_radius if proof["functional"] == "margin" else probit_radius)(bound.lower, sigma)
    return f"radius {bound.radius:.6g} is reported, and the bound gives {radius:.6g}" if bound.radius > radius else None
