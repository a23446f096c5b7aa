"""The executor of this process: one input at a time, chunk by chunk."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING

from rsopt.errors import InvalidInputError, ModelError
from rsopt.runs.model_failures import told_of_input
from rsopt.runs.proving import prove
from rsopt.runs.records import pack_scores, pack_votes
from rsopt.runs.work import ChunkDone, Done, InputFailed, ProofRequest, Request, SampleRequest

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from rsopt.smoothing import Sampler, SimplexMap


class LocalExecutor:
    """Samples and proves in the calling process.

    Args:
        sampler: an open sampler (inside its ``with`` block).
        image: number of an input -> the input, without a batch dimension.
        simplex: for a run on soft outputs, the map from the model's outputs into the simplex.
    """

    capacity = 1

    def __init__(self, sampler: Sampler, image: Callable[[int], Tensor], simplex: SimplexMap | None = None) -> None:
        self._simplex = simplex
        self._sampler = sampler
        self._image = image
        self._queue: deque[Request] = deque()
        self._current: Generator[ChunkDone, None, None] | None = None
        self._current_idx = -1

    @property
    def sampling(self) -> dict[str, object]:
        """What the samples depend on, as JSON values."""
        return dict(self._sampler.provenance.as_dict())

    @property
    def chunk(self) -> int:
        """Samples per chunk."""
        return self._sampler.provenance.chunk

    def submit(self, request: Request) -> None:
        """Queues a request; first come, first served."""
        self._queue.append(request)

    def forget(self, idx: int) -> None:
        """Drops what is queued for an input."""
        self._queue = deque(request for request in self._queue if request.idx != idx)
        if self._current_idx == idx:
            self._current = None

    def wait(self) -> Done:
        """Does the next piece of work. An input that the model cannot take comes back as `InputFailed`."""
        while True:
            if self._current is None:
                request = self._queue.popleft()
                if isinstance(request, ProofRequest):
                    return prove(request)
                self._current, self._current_idx = self._chunks(request), request.idx
            try:
                return next(self._current)
            except StopIteration:
                self._current = None
            except (ModelError, InvalidInputError) as error:
                self._current = None
                return InputFailed(self._current_idx, error)

    def _chunks(self, request: SampleRequest) -> Generator[ChunkDone, None, None]:
        yield from drawn(self._sampler, request, self._image(request.idx), self._simplex)


def drawn(sampler: Sampler, request: SampleRequest, image: ArrayLike | Tensor,
          simplex: SimplexMap | None = None) -> Generator[ChunkDone, None, None]:
    """The chunks of a request in their order, by an open sampler: votes, or score rows with a `simplex` map.

    Errors as in `Sampler.iter_counts` and `Sampler.iter_scores`; what the model itself raises is a ModelError.
    """
    started = time.perf_counter()
    chunks = _payloads(sampler, request, image, simplex)
    while True:
        with told_of_input(request.idx):
            found = next(chunks, None)
        if found is None:
            return
        chunk, rows, payload = found
        now = time.perf_counter()
        yield ChunkDone(request.idx, request.stream, chunk, rows, payload, now - started)
        started = now


def _payloads(sampler: Sampler, request: SampleRequest, image: ArrayLike | Tensor,
              simplex: SimplexMap | None) -> Iterator[tuple[int, int, bytes]]:
    from rsopt.smoothing import Stream

    stream = Stream(request.stream)
    if stream is Stream.LIKENESS:
        rows = sampler.answers(image, request.idx)
        yield 0, len(rows), pack_scores(rows)
        return
    if simplex is None:
        for done in sampler.iter_counts(image, request.idx, request.n, stream=stream, first_chunk=request.first):
            yield done.chunk, done.rows, pack_votes(done.counts)
        return
    for block in sampler.iter_scores(image, request.idx, request.n, simplex, stream=stream, first_chunk=request.first):
        yield block.chunk, len(block.rows), pack_scores(block.rows)
