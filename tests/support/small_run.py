"""A run that needs no model: votes are a function of their key, everything else is the real thing."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np

from rsopt.question import Question
from rsopt.runs.export import write_table
from rsopt.runs.folder import CERTIFICATES, STORE, TABLE
from rsopt.runs.proofs import save_proofs, stored_certificates
from rsopt.runs.proving import prove
from rsopt.runs.records import pack_votes
from rsopt.runs.rows import Row
from rsopt.runs.run import Run, Watcher
from rsopt.runs.store import Store
from rsopt.runs.task import Task
from rsopt.runs.work import ChunkDone, Done, ProofRequest, Request, SampleRequest
from rsopt.sequential.policy import FixedSamples

SIGMA = 0.5
CHUNK = 50
TASK = Task(Question(SIGMA), FixedSamples(220, 0.01), n0=60)
LABELS = {0: 0, 3: 2, 7: 1, 8: 3}
SHARES = {0: (0.9, 0.05, 0.03, 0.02), 3: (0.1, 0.1, 0.7, 0.1), 7: (0.3, 0.25, 0.25, 0.2), 8: (0.0, 0.0, 0.01, 0.99)}


def chunk_votes(idx: int, stream: int, chunk: int, rows: int) -> np.ndarray:
    """Votes of a chunk, int64 (4,): a function of its key and its size alone."""
    draws = np.random.Generator(np.random.Philox(key=[idx * 1000 + stream * 100 + chunk, 5])).random(CHUNK)[:rows]
    return np.bincount(np.searchsorted(np.cumsum(SHARES[idx])[:-1], draws, side="right"), minlength=4)


class KeyedExecutor:
    """Samples by key. With `shuffle` several inputs are under way and finish in another order."""

    chunk = CHUNK

    def __init__(self, shuffle: int | None = None) -> None:
        self.capacity = 1 if shuffle is None else 3
        self.drawn = 0
        self._ready: deque[Request | ChunkDone] = deque()
        self._shuffle = None if shuffle is None else np.random.default_rng(shuffle)

    def submit(self, request: Request) -> None:
        if isinstance(request, ProofRequest):
            self._ready.append(request)
            return
        for chunk in range(request.first, -(-request.n // CHUNK)):
            rows = min(CHUNK, request.n - chunk * CHUNK)
            votes = chunk_votes(request.idx, request.stream, chunk, rows)
            self._ready.append(ChunkDone(request.idx, request.stream, chunk, rows, pack_votes(votes), 0.001))

    def forget(self, idx: int) -> None:
        self._ready = deque(done for done in self._ready if done.idx != idx)

    def wait(self) -> Done:
        if self._shuffle is not None:
            self._ready.rotate(int(self._shuffle.integers(len(self._ready))))
        done = self._ready.popleft()
        if isinstance(done, ProofRequest):
            return prove(done)
        assert not isinstance(done, SampleRequest)
        self.drawn += done.rows
        return done


def facts(task: Task = TASK) -> dict[str, object]:
    """The facts of such a run."""
    return {"model": "keyed votes", "data": "none", "inputs": len(LABELS), **task.facts()}


def work(folder: Path, executor: KeyedExecutor | None = None, watcher: Watcher | None = None,
         task: Task = TASK) -> list[Row]:
    """Does the run in `folder`, from wherever it stands, with all that a run leaves behind."""
    with Store.open(folder / STORE, facts(task)) as store:
        rows = Run(LABELS, task, executor or KeyedExecutor(), store, watcher=watcher).rows()
        write_table(folder / TABLE, rows)
        save_proofs(folder / CERTIFICATES, stored_certificates(store))
    return rows


class Halted(Exception):
    """Raised where a run is to end before its time."""


class HaltingExecutor(KeyedExecutor):
    """Ends a run once two inputs have all of their samples, the first of which is proven."""

    def wait(self) -> Done:
        if self.drawn == 2 * 280:
            raise Halted
        return super().wait()


def left_behind(folder: Path) -> dict[str, list[dict[str, str]] | str]:
    """Everything in the folder that a reader sees, without the times."""
    import csv

    with (folder / TABLE).open() as file:
        table = [{name: cell for name, cell in line.items() if name != "time"}
                 for line in csv.DictReader(file, delimiter="\t")]
    proofs = {path.name: path.read_text() for path in sorted((folder / CERTIFICATES).glob("*"))}
    return {"table": table, **proofs}
