"""A run: inputs are sampled, proven and stored one piece of work at a time, from wherever it stood."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from rsopt.errors import InvalidInputError
from rsopt.methods import OWN
from rsopt.runs.records import (
    ESTIMATION,
    SELECTION,
    BoundRow,
    CertificateRow,
    Chunk,
    InputOutcome,
    Look,
    Votes,
    pack_votes,
    unpack_scores,
    unpack_votes,
)
from rsopt.runs.rows import Row, best_bounds, looks_taken, stored_rows
from rsopt.runs.store import Store
from rsopt.runs.task import Task
from rsopt.runs.work import ChunkDone, Executor, InputFailed, ProofDone, ProofRequest, SampleRequest, ScoreRows


class Watcher:
    """Is told what happens during a run; does nothing by itself."""

    def resumed(self, rows: list[Row], samples: int) -> None:
        """Rows that an earlier session finished, and samples it drew for unfinished inputs."""

    def sampled(self, samples: int) -> None:
        """So many samples were drawn and stored."""

    def finished(self, row: Row) -> None:
        """An input was finished and stored."""


@dataclass
class _Progress:
    """Where an input stands. `missing` counts the chunks that the current look still waits for."""

    selection: Look | None = None
    looks: list[Look] = field(default_factory=list)
    bounds: list[BoundRow] = field(default_factory=list)
    proofs: list[CertificateRow] = field(default_factory=list)
    missing: set[int] = field(default_factory=set)
    planned: tuple[int, int, float] = (SELECTION, 0, 0.0)
    proving: float = 0.0
    scored: bool = False


class Run:
    """Certifies inputs under one task, going on from whatever the store holds.

    Args:
        labels: number of each input -> its known label, or None.
        task: what is certified.
        executor: who samples and proves.
        store: where everything is kept; opened with the facts of this very task, model and data.
        stop_on_failure: raise when the model cannot take an input; otherwise the input is stored as failed.
    """

    def __init__(self, labels: Mapping[int, int | None], task: Task, executor: Executor, store: Store, *,
                 stop_on_failure: bool = True, watcher: Watcher | None = None) -> None:
        if task.n0 is None and (missing := [idx for idx, label in labels.items() if label is None]):
            raise InvalidInputError(f"Input {missing[0]} has no label. Give n0, and the class is chosen on n0 separate "
                                    "samples.")
        first = task.policy.next_look([])
        if first is not None and first.n % executor.chunk and first.n < task.policy.most_samples:
            raise InvalidInputError(f"The stopping policy's first look is at {first.n} samples; looks before the last "
                                    f"must be whole chunks, and a chunk is {executor.chunk} samples here.")
        self._labels = labels
        self._task = task
        self._executor = executor
        self._store = store
        self._stop_on_failure = stop_on_failure
        self._watcher = watcher or Watcher()
        self._active: dict[int, _Progress] = {}

    def rows(self) -> list[Row]:
        """Works until every input is finished, and returns the table in the order of the inputs.

        Raises:
            ModelError, InvalidInputError: the model cannot take an input, and the run stops on failures.
            StorageError: the store cannot be written; what was stored before stays.
            RsoptError: as raised by `rsopt.lower_bound`.
        """
        done = stored_rows(self._store)
        finished = {row.idx for row in done}
        waiting = iter([idx for idx in self._labels if idx not in finished])
        self._watcher.resumed(done, sum(chunk.rows for chunk in self._store.all(Chunk))
                              + sum(look.n for look in self._store.all(Look) if look.idx not in finished))
        while self._fill(waiting):
            self._handle(self._executor.wait())
        return stored_rows(self._store)

    def _fill(self, waiting: Iterator[int]) -> bool:
        while len(self._active) < self._executor.capacity:
            idx = next(waiting, None)
            if idx is None:
                break
            self._active[idx] = self._restored(idx)
            self._advance(idx)
        return bool(self._active)

    def _restored(self, idx: int) -> _Progress:
        """Where an earlier session left an input. Bounds are cheap beside samples: they are proven again."""
        looks = self._store.of_input(Look, idx)
        return _Progress(selection=next((look for look in looks if look.stream == SELECTION), None),
                         looks=[look for look in looks if look.stream == ESTIMATION])

    def _handle(self, done: ChunkDone | ProofDone | InputFailed) -> None:
        if done.idx not in self._active:
            return
        if isinstance(done, InputFailed):
            self._fail(done)
        elif isinstance(done, ProofDone):
            self._keep_proof(done)
            self._advance(done.idx)
        else:
            self._keep_chunk(done)

    def _advance(self, idx: int) -> None:
        """Asks for what the input needs next: samples, a proof, or nothing more."""
        state, task = self._active[idx], self._task
        if task.n0 is not None and state.selection is None:
            return self._ask(idx, SELECTION, task.n0, 0.0)
        proven = [bound for bound in state.bounds if bound.method == OWN]
        if len(proven) < len(state.looks):
            return self._prove(idx, state.looks[len(proven)])
        taken = looks_taken(state.looks, proven, self._top(idx))
        planned = task.policy.next_look(taken)
        if planned is None:
            if task.soft is None or state.scored:
                return self._finish(idx)
            # Bounds on scores take long, and the last look holds all rows: the others are not worth it.
            return self._prove(idx, state.looks[-1], votes_proven=True)
        if taken and (planned.n <= taken[-1].n or taken[-1].n % self._executor.chunk):
            raise InvalidInputError(f"The stopping policy planned a look at {planned.n} samples after one at "
                                    f"{taken[-1].n}; looks must grow, in whole chunks of {self._executor.chunk}.")
        self._ask(idx, ESTIMATION, planned.n, task.error_of(planned.alpha))

    def _prove(self, idx: int, look: Look, *, votes_proven: bool = False) -> None:
        """Requests the bounds on a look, those on scores only where it is the last one."""
        state, task = self._active[idx], self._task
        last = votes_proven or look.n == task.policy.most_samples
        state.scored = last
        self._executor.submit(ProofRequest(
            idx, look.look, tuple(look.counts.tolist()), self._top(idx), task.question.at(look.alpha),
            self._scores(idx, look.n) if last else None, votes_proven))

    def _ask(self, idx: int, stream: int, n: int, alpha: float) -> None:
        """Requests the chunks up to n that are not stored yet, one request for each gap."""
        state, size = self._active[idx], self._executor.chunk
        begin = state.looks[-1].n // size if stream == ESTIMATION and state.looks else 0
        wanted = set(range(begin, -(-n // size)))
        state.planned = (stream, n, alpha)
        state.missing = wanted - {chunk.chunk for chunk in self._store.of_input(Chunk, idx) if chunk.stream == stream}
        if not state.missing:
            return self._complete_look(idx)
        for first in sorted(state.missing):
            if first - 1 not in state.missing:
                last = first
                while last + 1 in state.missing:
                    last += 1
                self._executor.submit(SampleRequest(idx, stream, first, min(n, (last + 1) * size)))

    def _keep_chunk(self, done: ChunkDone) -> None:
        state = self._active[done.idx]
        if done.stream != state.planned[0] or done.chunk not in state.missing:
            return
        self._store.add(Chunk(done.idx, done.stream, done.chunk, done.rows, done.payload, done.seconds))
        state.missing.discard(done.chunk)
        self._watcher.sampled(done.rows)
        if not state.missing:
            self._complete_look(done.idx)

    def _complete_look(self, idx: int) -> None:
        state = self._active[idx]
        stream, n, alpha = state.planned
        before = state.looks if stream == ESTIMATION else []
        begin = before[-1].n // self._executor.chunk if before else 0
        chunks = [chunk for chunk in self._store.of_input(Chunk, idx)
                  if chunk.stream == stream and chunk.chunk >= begin]
        votes: Votes = np.stack([self._votes(chunk) for chunk in chunks]).sum(axis=0)
        if before:
            votes += before[-1].counts
        look = Look(idx, stream, len(before), n, alpha, pack_votes(votes), sum(chunk.seconds for chunk in chunks))
        self._store.add_look(look, keep_chunks=self._task.soft is not None)
        if stream == SELECTION:
            state.selection = look
        else:
            state.looks.append(look)
        self._advance(idx)

    def _votes(self, chunk: Chunk) -> Votes:
        if self._task.soft is None:
            return unpack_votes(chunk.payload)
        rows = unpack_scores(chunk.payload, chunk.rows)
        return np.bincount(rows.argmax(axis=1), minlength=rows.shape[1])

    def _scores(self, idx: int, n: int) -> ScoreRows | None:
        soft = self._task.soft
        if soft is None:
            return None
        chunks = self._store.of_input(Chunk, idx)
        rows = {stream: np.concatenate([unpack_scores(chunk.payload, chunk.rows) for chunk in chunks
                                        if chunk.stream == stream])
                for stream in {chunk.stream for chunk in chunks}}
        return ScoreRows(rows[ESTIMATION][:n], rows.get(SELECTION), soft.method, soft.draw_seed(idx))

    def _top(self, idx: int) -> int:
        selection, label = self._active[idx].selection, self._labels[idx]
        if selection is not None:
            return int(selection.counts.argmax())
        assert label is not None, "label mode was checked to have labels"
        return label

    def _keep_proof(self, done: ProofDone) -> None:
        state = self._active[done.idx]
        alpha = state.looks[done.look].alpha
        state.bounds += [BoundRow(done.idx, done.look, bound.method, alpha, bound.lower, bound.lower_at_most,
                                  bound.radius) for bound in done.bounds]
        state.proofs += [CertificateRow(done.idx, done.look, method, zlib.compress(text.encode()))
                         for method, text in done.proofs.items()]
        state.proving += done.seconds

    def _finish(self, idx: int) -> None:
        state = self._active.pop(idx)
        best = best_bounds(state.bounds)
        sampling = sum(look.seconds for look in (*state.looks, *([state.selection] if state.selection else [])))
        label = self._labels[idx]
        top = int(state.selection.counts.argmax()) if state.selection is not None else label
        outcome = InputOutcome(idx, label, top, "label" if state.selection is None else "selection", len(state.looks),
                               best[OWN].look, len(state.bounds), sampling + state.proving, "")
        shown = [proof for proof in state.proofs if proof.look == best[proof.method].look]
        self._store.finish(outcome, state.bounds, shown)
        self._announce(idx)

    def _fail(self, failed: InputFailed) -> None:
        if self._stop_on_failure:
            raise failed.error
        del self._active[failed.idx]
        self._executor.forget(failed.idx)
        self._store.finish(InputOutcome(failed.idx, self._labels[failed.idx], None, "", 0, 0, 0, 0.0,
                                        str(failed.error)), [], [])
        self._announce(failed.idx)

    def _announce(self, idx: int) -> None:
        self._store.checkpoint()
        (row,) = stored_rows(self._store, idx)
        self._watcher.finished(row)
