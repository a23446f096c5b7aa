"""The executor of many workers: it hands out units of work, few at a time, and loses nothing when a worker dies."""

from __future__ import annotations

import logging
import pickle
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from heapq import heapify, heappop, heappush
from types import TracebackType
from typing import Any, Protocol

from rsopt.errors import InvalidInputError, ModelError, WorkerError
from rsopt.runs.work import Done, InputFailed, ProofRequest, Request, SampleRequest
from rsopt.runs.workers.worker import Answer, Conditions, Piece

LOG = logging.getLogger("rsopt")

UNIT_SECONDS = 0.25
"""A unit is made this long, or one piece: short beside what a lost worker costs, long beside a message."""
CHUNKS_PER_UNIT = 256
BACKLOG = 1024
"""While so many results wait to be taken, no more units are given out: the run cannot keep up with its workers."""
INPUTS_PER_WORKER = 32
DEATHS_PER_INPUT = 3
DEATHS_IN_A_ROW = 10


@dataclass(frozen=True)
class Ready:
    """A worker has opened its bench."""

    worker: int
    conditions: Conditions


@dataclass(frozen=True)
class Answered:
    """A worker has carried out its unit; `answer` as `Worker.carry_out` returned it."""

    worker: int
    answer: bytes


@dataclass(frozen=True)
class Refused:
    """A worker cannot open its bench."""

    worker: int
    error: Exception


@dataclass(frozen=True)
class Lost:
    """A worker is gone, and with it the unit it had."""

    worker: int
    reason: str


Event = Ready | Answered | Refused | Lost


class Crew(Protocol):
    """Workers somewhere: processes here, or actors on a cluster. They are numbered from 0."""

    @property
    def size(self) -> int:
        """How many."""
        ...

    @property
    def samplers(self) -> int:
        """Workers below this number hold the model; the others only prove. Without others, these prove as well."""
        ...

    def start(self, worker: int) -> None:
        """Begins to start a worker, for the first time or anew; `Ready`, `Refused` or `Lost` will tell."""
        ...

    def give(self, worker: int, unit: bytes) -> None:
        """Hands a unit to a worker that has none."""
        ...

    def events(self, *, block: bool) -> list[Event]:
        """What has happened; with `block` waits until something does."""
        ...

    def close(self) -> None:
        """Ends all workers, whatever they are doing."""
        ...


class CrewExecutor:
    """Samples and proves on a crew of workers; a context manager.

    Results are those of `LocalExecutor`: work is keyed by (input, stream, chunk), workers that differ in anything that
    samples or bounds depend on are refused, and of the failures of an input the one of its lowest chunk is told.
    A worker has one unit at a time, made when it asks for one: however many inputs there are, what is held here are
    the requests of `capacity` inputs and a bounded number of results.

    Args:
        crew: the workers.
        image: number of an input -> the input, without a batch dimension.
    """

    def __init__(self, crew: Crew, image: Callable[[int], Any]) -> None:
        self._crew = crew
        self._image = lru_cache(maxsize=8)(image)
        self._hosts: dict[int, str] = {}
        self._known: dict[bool, Conditions] = {}
        self._units: dict[int, tuple[Piece, ...]] = {}
        self._samples: list[tuple[int, int, SampleRequest]] = []
        self._proofs: deque[ProofRequest] = deque()
        self._done: deque[Done] = deque()
        self._failed: dict[int, tuple[int, InputFailed]] = {}
        self._dropped: set[int] = set()
        self._deaths: Counter[int] = Counter()
        self._deaths_in_a_row = 0
        self._cost: dict[type[Request], float] = {SampleRequest: UNIT_SECONDS, ProofRequest: UNIT_SECONDS}

    def __enter__(self) -> CrewExecutor:
        """Starts the workers and waits for the first that samples."""
        try:
            for worker in range(self._crew.size):
                self._crew.start(worker)
            while True not in self._known:
                self._listen(block=True)
        except BaseException:
            self._crew.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._crew.close()

    @property
    def sampling(self) -> dict[str, object]:
        """What the samples depend on, the same for all workers, as JSON values."""
        return self._known[True].sampling

    @property
    def chunk(self) -> int:
        """Samples per chunk."""
        chunk = self.sampling["chunk"]
        assert isinstance(chunk, int)
        return chunk

    @property
    def capacity(self) -> int:
        """Inputs under way: enough that units can be filled from them even where each asks for one short chunk."""
        return INPUTS_PER_WORKER * self._crew.size

    def submit(self, request: Request) -> None:
        """Queues a request. Samples of the inputs with the lowest numbers come first, so that inputs get finished."""
        if isinstance(request, ProofRequest):
            self._proofs.append(request)
        else:
            heappush(self._samples, (request.idx, request.first, request))

    def forget(self, idx: int) -> None:
        """Drops what is queued for an input; what a worker has in hand for it is not waited for."""
        self._dropped.add(idx)
        self._failed.pop(idx, None)
        self._deaths.pop(idx, None)
        self._samples = [entry for entry in self._samples if entry[0] != idx]
        heapify(self._samples)
        self._proofs = deque(request for request in self._proofs if request.idx != idx)

    def wait(self) -> Done:
        """The next finished piece of work.

        Raises:
            WorkerError: workers differ, or die whatever they are given.
            Exception: what a model or a solver raised in a worker.
        """
        while True:
            self._assign()
            self._listen(block=not self._done)
            self._tell_failures()
            if self._done:
                self._assign()
                return self._done.popleft()

    def _listen(self, *, block: bool) -> None:
        for event in self._crew.events(block=block):
            if isinstance(event, Ready):
                self._admit(event)
            elif isinstance(event, Answered):
                self._take(event)
            elif isinstance(event, Lost):
                self._replace(event)
            else:
                raise event.error

    def _admit(self, ready: Ready) -> None:
        mine = ready.conditions
        for other in self._known.values():
            if different := mine.differences(other):
                raise WorkerError("Workers on different machines would draw or prove different results: "
                                  f"{'; '.join(different)}. Use workers that are alike.")
            if mine.arithmetic != other.arithmetic:
                LOG.warning("The processors of %s and %s compute differently. Every result is valid, but its last "
                            "digits depend on who computed it.", mine.host, other.host)
        self._known.setdefault(bool(mine.sampling), mine)
        self._hosts[ready.worker] = mine.host

    def _take(self, answered: Answered) -> None:
        answer: Answer = pickle.loads(answered.answer)
        unit = self._units.pop(answered.worker)
        if answer.error is not None:
            raise answer.error
        self._deaths_in_a_row = 0
        done = [finished for piece in answer.done for finished in piece]
        if done:
            kind = type(unit[0].request)
            self._cost[kind] = 0.5 * (self._cost[kind] + answer.seconds / len(done))
        for piece, finished in zip(unit, answer.done, strict=True):
            self._deaths.pop(piece.request.idx, None)
            for part in finished:
                if isinstance(part, InputFailed):
                    self._fail(piece.request, part, after=len(finished) - 1)
                else:
                    self._done.append(part)

    def _replace(self, lost: Lost) -> None:
        unit = self._units.pop(lost.worker, ())
        host = self._hosts.pop(lost.worker, "its machine")
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= DEATHS_IN_A_ROW:
            raise WorkerError(f"{DEATHS_IN_A_ROW} workers in a row died before any had finished anything; the last "
                              f"one: {lost.reason}. Look at the memory they need and at their machines.")
        LOG.warning("Worker %d on %s was lost (%s); what it had in hand is done again.", lost.worker, host, lost.reason)
        self._crew.start(lost.worker)
        alone = len({piece.request.idx for piece in unit}) == 1
        for piece in unit:
            request = piece.request
            # Among several inputs any may be the cause: an entry here has each tried alone before one is blamed.
            self._deaths[request.idx] += 1 if alone and piece is unit[0] else 0
            if self._deaths[request.idx] < DEATHS_PER_INPUT:
                self.submit(request)
            else:
                self._fail(request, InputFailed(request.idx, ModelError(
                    f"Input {request.idx}: {DEATHS_PER_INPUT} workers died of it one after the other; the last one: "
                    f"{lost.reason}.")), after=0)

    def _fail(self, request: Request, failed: InputFailed, *, after: int) -> None:
        chunk = request.first + after if isinstance(request, SampleRequest) else 0
        known = self._failed.get(request.idx)
        if request.idx not in self._dropped and (known is None or chunk < known[0]):
            self._failed[request.idx] = (chunk, failed)

    def _tell_failures(self) -> None:
        """Tells the failure of an input once no chunk before it is open: otherwise luck would choose among several."""
        for idx, (chunk, failed) in list(self._failed.items()):
            self._samples = [entry for entry in self._samples if entry[0] != idx or entry[1] < chunk]
            heapify(self._samples)
            in_hand = [piece.request for unit in self._units.values() for piece in unit]
            before = [request for request in (*in_hand, *(entry[2] for entry in self._samples))
                      if request.idx == idx and isinstance(request, SampleRequest) and request.first < chunk]
            if not before:
                del self._failed[idx]
                self._done.append(failed)

    def _assign(self) -> None:
        for worker in self._hosts if len(self._done) < BACKLOG else ():
            if worker not in self._units and (unit := self._unit(worker)):
                self._units[worker] = unit
                self._crew.give(worker, pickle.dumps(unit, pickle.HIGHEST_PROTOCOL))

    def _unit(self, worker: int) -> tuple[Piece, ...]:
        samples = worker < self._crew.samplers
        if self._proofs and (not samples or self._crew.samplers == self._crew.size):
            share = -(-len(self._proofs) // self._crew.size)
            return tuple(Piece(self._proofs.popleft()) for _ in range(min(share, self._room(ProofRequest))))
        unit: list[Piece] = []
        room = self._room(SampleRequest)
        while samples and self._samples and room > 0:
            suspect = self._samples[0][0] in self._deaths
            if suspect and unit:
                break
            chunks, pieces = self._piece(room)
            unit += pieces
            room -= chunks
            if suspect:
                break
        return tuple(unit)

    def _piece(self, room: int) -> tuple[int, list[Piece]]:
        """The next request, cut to `room` chunks, with their number; no piece where its input cannot be had."""
        _, _, request = heappop(self._samples)
        end = min(request.first + room, -(-request.n // self.chunk))
        if request.n > end * self.chunk:
            self.submit(replace(request, first=end))
            request = replace(request, n=end * self.chunk)
        try:
            image = self._image(request.idx)
        except (ModelError, InvalidInputError) as error:
            self._fail(request, InputFailed(request.idx, error), after=0)
            return 0, []
        image = image.detach().cpu() if hasattr(image, "detach") else image
        return end - request.first, [Piece(request, image)]

    def _room(self, kind: type[Request]) -> int:
        return max(1, min(CHUNKS_PER_UNIT, int(UNIT_SECONDS / self._cost[kind])))
