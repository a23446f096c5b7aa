"""Exact bounds for votes that somebody else counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from rsopt.counts import Counts
from rsopt.methods import OWN
from rsopt.processes import mapped
from rsopt.question import Question
from rsopt.runs.logs import LoggedInput
from rsopt.runs.proving import prove
from rsopt.runs.rows import Row
from rsopt.runs.work import ProofDone, ProofRequest


def recertify(inputs: Sequence[LoggedInput], question: Question, *, jobs: int = 1,
              advanced: Callable[[int], None] = lambda lines: None) -> tuple[list[Row], dict[str, str]]:
    """Proves the bounds of a log's lines; equal votes are proven once.

    Args:
        inputs: the lines, as read by `rsopt.runs.logs.read_log`.
        question: what is bounded, and at which error.
        jobs: processes to use.
        advanced: is told how many lines were finished.

    Returns:
        (rows, certificates): one row a line, in their order, and the certificates by the input's number in six digits.

    Raises:
        InvalidInputError: votes without meaning.
        RsoptError: as raised by `rsopt.lower_bound`.
    """
    requests: dict[tuple[int, int, int, bool], ProofRequest] = {}
    keys = []
    for place, line in enumerate(inputs):
        votes = Counts(line.counts, line.top) if line.counts else None
        key = None if votes is None else votes.reduced
        keys.append(key)
        if key is not None and key not in requests:
            requests[key] = ProofRequest(place, 0, line.counts, line.top, question)
    proofs: dict[tuple[int, int, int, bool], ProofDone] = {}
    waiting = Counter(keys)
    for key, proof in zip(requests, mapped(prove, list(requests.values()), jobs), strict=True):
        proofs[key] = proof
        advanced(waiting[key])
    certificates = {f"{line.idx:06d}": proofs[key].proofs[OWN] for line, key in zip(inputs, keys, strict=True)
                    if key is not None and OWN in proofs[key].proofs}
    rows = [_row(line, None if key is None else proofs[key]) for line, key in zip(inputs, keys, strict=True)]
    return rows, certificates


def _row(line: LoggedInput, proof: ProofDone | None) -> Row:
    bounds = {} if proof is None else {bound.method: bound for bound in proof.bounds}
    votes = Counts(line.counts, line.top) if line.counts else None
    return Row(
        line.idx, line.label, line.predicted, "log", n0=0, n=0 if votes is None else votes.n,
        x1=0 if votes is None else votes.x1, x2=0 if votes is None else votes.x2,
        counts=() if line.merged else line.counts, bounds=bounds, seconds=0.0 if proof is None else proof.seconds)
