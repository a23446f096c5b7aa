"""The units of work of a run, samples of an input and proofs of bounds on its votes, and what is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rsopt.question import Question


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
        question: what is asked, at the error of this look: whoever looks more than once has to share out the error.
        scores: the score rows, where bounds on soft outputs are wanted too.
        votes_proven: the bounds on votes are there already; only those on the scores are wanted.
    """

    idx: int
    look: int
    votes: tuple[int, ...]
    top: int
    question: Question
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
