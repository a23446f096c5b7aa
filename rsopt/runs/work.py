"""The units of work of a run and who carries them out: samples of an input, and proofs of bounds on its votes."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

SELECTION = 0
ESTIMATION = 1
LIKENESS = 3

OWN = "rsopt"
CLOPPER_PEARSON = "two-way-clopper-pearson"
COHEN = "cohen"
METHODS = (OWN, CLOPPER_PEARSON, COHEN)
SOFT_MARGIN = "soft-margin"
SOFT_PROBIT = "soft-probit"
SOFT_METHODS = (SOFT_PROBIT, SOFT_MARGIN)


@dataclass(frozen=True)
class SampleRequest:
    """Chunks `first` to the last one of `n` samples, of one input and stream.

    Attributes:
        idx: number of the input; keys the noise.
        stream: `SELECTION` or `ESTIMATION`; for `LIKENESS` the chunk comes back as the model's own scores.
        first: chunks before this one are not wanted.
        n: samples in all, those before `first` included.
    """

    idx: int
    stream: int
    first: int
    n: int


@dataclass(frozen=True, eq=False)
class ChunkDone:
    """One finished chunk: `payload` as in `rsopt.runs.records.Chunk`."""

    idx: int
    stream: int
    chunk: int
    rows: int
    payload: bytes
    seconds: float


@dataclass(frozen=True)
class ProofRequest:
    """Bounds to be proven on the votes of one look.

    Attributes:
        idx, look: which look of which input.
        votes: votes per class.
        top: the certified class.
        alpha: error of this look, for every bound: whoever looks more than once has to share out the error.
        sigma: noise level, for the radius.
        functional, order, statistic, solver: as in `rsopt.lower_bound`.
        scores: the score rows, where bounds on soft outputs are wanted too.
        votes_proven: the bounds on votes are there already; only those on the scores are wanted.
    """

    idx: int
    look: int
    votes: tuple[int, ...]
    top: int
    alpha: float
    sigma: float
    functional: str
    order: int | None
    statistic: str
    solver: str
    scores: ScoreRows | None = None
    votes_proven: bool = False


@dataclass(frozen=True, eq=False)
class ScoreRows:
    """The score rows behind the votes of a look, for bounds on soft outputs.

    Attributes:
        rows: estimation rows, float32 (n, K), in the order they were drawn.
        selection: selection rows, float32 (n0, K); None in label mode.
        method: name of the bound, as in `rsopt.lower_bound_scores`.
        seed: of the votes drawn from the rows, by the method that draws any.
    """

    rows: npt.NDArray[np.float32]
    selection: npt.NDArray[np.float32] | None
    method: str
    seed: int


@dataclass(frozen=True)
class MethodBound:
    """A bound of one method and its radius; fields as in `rsopt.runs.records.BoundRow`."""

    method: str
    lower: float
    lower_at_most: float
    radius: float


@dataclass(frozen=True)
class ProofDone:
    """The bounds on one look: ours first, then the baselines, then those on soft outputs.

    `proofs` are JSON by method: the certificate of ours, unless it is a closed form, and those of soft bounds.
    """

    idx: int
    look: int
    bounds: tuple[MethodBound, ...]
    proofs: dict[str, str]
    seconds: float


@dataclass(frozen=True)
class InputFailed:
    """An input that cannot be certified; `error` is the reason, raised again where the run stops on failures."""

    idx: int
    error: Exception


Request = SampleRequest | ProofRequest
Done = ChunkDone | ProofDone | InputFailed


class Executor(Protocol):
    """Carries out requests, here or elsewhere, in any order.

    What it returns for a key (input, stream, chunk) must not depend on the order or on who did it. A chunk that was
    asked for once more may be returned twice.
    """

    @property
    def chunk(self) -> int:
        """Samples per chunk."""
        ...

    @property
    def capacity(self) -> int:
        """How many inputs are worth having under way at a time."""
        ...

    def submit(self, request: Request) -> None:
        """Queues a request."""
        ...

    def wait(self) -> Done:
        """The next finished piece of work. Called only while requests are outstanding."""
        ...

    def forget(self, idx: int) -> None:
        """Drops what is queued for an input."""
        ...


def prove(request: ProofRequest) -> ProofDone:
    """Proves our bound on the votes and computes the baselines beside it.

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
    import rsopt

    own = rsopt.lower_bound(request.votes, top=request.top, functional=request.functional, order=request.order,
                            statistic=request.statistic, alpha=request.alpha, solver=request.solver)
    at_most = own.lower if math.isnan(own.lower_at_most) else own.lower_at_most
    bounds.append(MethodBound(OWN, own.lower, at_most, own.radius(sigma=request.sigma)))
    if own.certificate is not None:
        proofs[OWN] = own.certificate.to_json()
    baselines = {CLOPPER_PEARSON: rsopt.baselines.two_way_clopper_pearson, COHEN: rsopt.baselines.cohen}
    for name, baseline in baselines.items():
        other = baseline(request.votes, top=request.top, functional=request.functional, order=request.order,
                         alpha=request.alpha)
        bounds.append(MethodBound(name, other.lower, other.lower, other.radius(sigma=request.sigma)))


def _prove_scores(request: ProofRequest, scores: ScoreRows, bounds: list[MethodBound], proofs: dict[str, str]) -> None:
    """Adds both bounds on scores, with the transcript or the certificate of each that has one."""
    import rsopt

    for name, functional in ((SOFT_PROBIT, "probit"), (SOFT_MARGIN, "margin")):
        soft = rsopt.lower_bound_scores(scores.rows, top=request.top, functional=functional, method=scores.method,
                                        alpha=request.alpha, selection=scores.selection, seed=scores.seed)
        bounds.append(MethodBound(name, soft.lower, soft.lower, soft.radius(sigma=request.sigma)))
        if soft.certificate is not None:
            proofs[name] = soft.certificate.to_json()
        elif soft.evidence is not None:
            proofs[name] = json.dumps(soft.transcript.to_dict(), separators=(",", ":"))
