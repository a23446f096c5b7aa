"""What a worker of a run does, in whatever process it lives: it opens a bench and carries out units of work."""

from __future__ import annotations

import os
import pickle
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import metadata
from traceback import format_exception
from typing import Any, Protocol

import numpy as np

from rsopt.errors import InvalidInputError, ModelError
from rsopt.question import Question
from rsopt.runs.proving import prove
from rsopt.runs.work import ChunkDone, Done, InputFailed, ProofRequest, Request, SampleRequest

PACKAGES = ("rsopt", "numpy", "scipy", "numba")


@dataclass(frozen=True)
class Place:
    """Where a worker stands in its crew.

    Attributes:
        number: its number, from 0; workers on one machine share out the accelerators by it.
        samples: whether it holds the model; otherwise it only proves.
    """

    number: int
    samples: bool


class Bench(Protocol):
    """The model of a worker, ready to be sampled."""

    @property
    def sampling(self) -> dict[str, object]:
        """What the samples depend on, as JSON values; holds "chunk", the samples per chunk."""
        ...

    def chunks(self, request: SampleRequest, image: Any) -> Iterator[ChunkDone]:
        """The chunks of a request in their order.

        Raises:
            ModelError, InvalidInputError: the model cannot take this input.
        """
        ...


class Recipe(Protocol):
    """Makes a bench in the process of a worker; travels there pickled."""

    def open(self, place: Place) -> AbstractContextManager[Bench]:
        """The bench of the worker at `place`."""
        ...


@dataclass(frozen=True)
class Conditions:
    """Under which a worker computes.

    Attributes:
        sampling: what its samples depend on; empty for a worker that only proves.
        packages: versions of what computes noise and bounds.
        arithmetic: digest of some noise and of a bound: processors of different make may differ in last digits.
        host, pid: the process, for messages.
    """

    sampling: dict[str, object]
    packages: dict[str, str]
    arithmetic: str
    host: str = field(default_factory=platform.node)
    pid: int = field(default_factory=os.getpid)

    def differences(self, other: Conditions) -> list[str]:
        """One phrase for each thing that makes results of the two differ; empty where they may be mixed."""
        pairs: list[tuple[Mapping[str, object], Mapping[str, object]]] = [(self.packages, other.packages)]
        if self.sampling and other.sampling:
            pairs.append((self.sampling, other.sampling))
        return [f"{name} is {mine.get(name)!r} on {self.host} and {theirs.get(name)!r} on {other.host}"
                for mine, theirs in pairs for name in sorted({*mine, *theirs}) if mine.get(name) != theirs.get(name)]


@dataclass(frozen=True, eq=False)
class Piece:
    """A request with the input that it needs: None for a proof."""

    request: Request
    image: Any = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a unit.

    Attributes:
        done: what was finished, piece by piece. An input that failed ends its piece with `InputFailed`.
        error: an error of somebody else's code, which ends the run; later pieces are then missing.
        seconds: how long the worker worked.
    """

    done: tuple[tuple[Done, ...], ...]
    error: Exception | None
    seconds: float


class Worker:
    """Carries out units of work, which come and go as bytes."""

    def __init__(self, recipe: Recipe, place: Place) -> None:
        self._stack = ExitStack()
        self._bench = self._stack.enter_context(recipe.open(place)) if place.samples else None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def conditions(self) -> Conditions:
        """Under which this worker computes."""
        return Conditions({} if self._bench is None else self._bench.sampling,
                          {name: metadata.version(name) for name in PACKAGES}, _arithmetic())

    def carry_out(self, unit: bytes) -> bytes:
        """A pickled tuple of pieces in, a pickled answer out. Never raises for what a piece does."""
        pieces: tuple[Piece, ...] = pickle.loads(unit)
        start = time.perf_counter()
        done: list[tuple[Done, ...]] = []
        error: Exception | None = None
        for piece in pieces:
            try:
                done.append(tuple(self._carried_out(piece)))
            except Exception as raised:
                # Any error of a model or a solver: it is raised again where the run is, which this process cannot do.
                error = portable(raised)
                break
        return pickle.dumps(Answer(tuple(done), error, time.perf_counter() - start), pickle.HIGHEST_PROTOCOL)

    def _carried_out(self, piece: Piece) -> Iterator[Done]:
        request = piece.request
        if isinstance(request, ProofRequest):
            yield prove(request)
            return
        assert self._bench is not None, "samples are asked of workers that sample"
        try:
            yield from self._bench.chunks(request, piece.image)
        except (ModelError, InvalidInputError) as refused:
            yield InputFailed(request.idx, refused)


def _arithmetic() -> str:
    """The functions behind noise and proofs, evaluated: NumPy and the compilers choose them by the processor."""
    points = np.linspace(0.001, 6.25, 1 << 14, dtype=np.float32)
    digest = sha256(b"".join(function(points).tobytes() for function in (np.log, np.sqrt, np.cos, np.sin)))
    proof = prove(ProofRequest(0, 0, (830, 120, 50), 0, Question(1.0)))
    digest.update(repr([(bound.lower, bound.radius) for bound in proof.bounds]).encode())
    return digest.hexdigest()[:16]


def portable(error: Exception) -> Exception:
    """The error itself where it survives the way to another process, else one that tells the same."""
    told = f"Raised in a worker on {platform.node()}, process {os.getpid()}:\n{''.join(format_exception(error))}"
    error.__cause__ = None
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        # Errors of any make, whose own way of being pickled may fail in any manner.
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(told)
    return error
