"""What a run's store holds: one frozen dataclass a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

Votes = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

SELECTION = 0
ESTIMATION = 1
LIKENESS = 3
"""What samples are for, as it is stored: `rsopt.smoothing.Stream` as a number, for readers without torch."""


@dataclass(frozen=True)
class Fact:
    """Something that every session of a run must agree on, as JSON: model, data, options, versions."""

    TABLE: ClassVar[str] = "facts"
    KEY: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    value: str


@dataclass(frozen=True)
class Session:
    """One process that worked on the run: for the reader, nothing is computed from it."""

    TABLE: ClassVar[str] = "sessions"
    KEY: ClassVar[tuple[str, ...]] = ("session",)

    session: int
    started: str
    host: str
    pid: int
    versions: str


@dataclass(frozen=True)
class Chunk:
    """One finished chunk of an unfinished input. Votes are kept until their look is complete, score rows longer.

    Attributes:
        idx: number of the input.
        stream: what the samples are for, `SELECTION` or `ESTIMATION`.
        chunk: number of the chunk.
        rows: samples in it.
        payload: int64 votes (K,) or float32 score rows (rows, K), little endian.
        seconds: time it took.
    """

    TABLE: ClassVar[str] = "chunks"
    KEY: ClassVar[tuple[str, ...]] = ("idx", "stream", "chunk")

    idx: int
    stream: int
    chunk: int
    rows: int
    payload: bytes
    seconds: float


@dataclass(frozen=True)
class Look:
    """All samples of one stream up to n: the counts a decision was taken on.

    Attributes:
        idx: number of the input.
        stream: what the samples are for.
        look: number of the look, from 0.
        n: samples so far, those of earlier looks included.
        alpha: error of the bounds on this look, what the policy spends on it less its share of the total variation of
            the draws; 0 for the selection of a class, which spends none.
        votes: int64 votes (K,) so far, little endian.
        seconds: sampling time since the look before.
    """

    TABLE: ClassVar[str] = "looks"
    KEY: ClassVar[tuple[str, ...]] = ("idx", "stream", "look")

    idx: int
    stream: int
    look: int
    n: int
    alpha: float
    votes: bytes
    seconds: float

    @property
    def counts(self) -> Votes:
        """Votes per class, int64 (K,)."""
        return unpack_votes(self.votes)


@dataclass(frozen=True)
class BoundRow:
    """One bound on one look: `rsopt` itself or a baseline.

    Attributes:
        idx: number of the input.
        look: number of the look.
        method: "rsopt", "two-way-clopper-pearson", "cohen", "melded" (conjectured), or a soft method.
        alpha: probability that the bound is wrong.
        lower: the bound; -inf for none.
        lower_at_most: a value that the exact bound cannot exceed; `lower` itself for closed forms.
        radius: certified radius, in the norm and units of the noise; 0 for an abstention. That of the melded limit is
            what it would be if the conjecture held.
    """

    TABLE: ClassVar[str] = "bounds"
    KEY: ClassVar[tuple[str, ...]] = ("idx", "look", "method")

    idx: int
    look: int
    method: str
    alpha: float
    lower: float
    lower_at_most: float
    radius: float


@dataclass(frozen=True)
class CertificateRow:
    """The proof of one bound: zlib-compressed JSON."""

    TABLE: ClassVar[str] = "certificates"
    KEY: ClassVar[tuple[str, ...]] = ("idx", "look", "method")

    idx: int
    look: int
    method: str
    body: bytes


@dataclass(frozen=True)
class InputOutcome:
    """A finished input.

    Attributes:
        idx: number of the input.
        label: its known label, or None.
        top: the class that is certified.
        chosen: "label" or "selection", how `top` was chosen.
        looks: looks at the estimation samples.
        best: the look whose bound is reported.
        bounds: bounds stored for it, so that a lost one is noticed.
        seconds: sampling and proving time.
        error: why it failed; "" for a result.
    """

    TABLE: ClassVar[str] = "outcomes"
    KEY: ClassVar[tuple[str, ...]] = ("idx",)

    idx: int
    label: int | None
    top: int | None
    chosen: str
    looks: int
    best: int
    bounds: int
    seconds: float
    error: str


RECORDS: tuple[type[Fact | Session | Chunk | Look | BoundRow | CertificateRow | InputOutcome], ...] = (
    Fact, Session, Chunk, Look, BoundRow, CertificateRow, InputOutcome)


def pack_scores(rows: Scores) -> bytes:
    """Score rows (rows, K) as little-endian float32."""
    return np.ascontiguousarray(rows, dtype="<f4").tobytes()


def unpack_scores(payload: bytes, rows: int) -> Scores:
    """Score rows from little-endian float32, float32 (rows, K)."""
    return np.frombuffer(payload, dtype="<f4").reshape(rows, -1).astype(np.float32)


def pack_votes(votes: Votes) -> bytes:
    """Votes as little-endian int64."""
    return np.ascontiguousarray(votes, dtype="<i8").tobytes()


def unpack_votes(payload: bytes) -> Votes:
    """Votes from little-endian int64, int64 (K,)."""
    return np.frombuffer(payload, dtype="<i8").astype(np.int64)
