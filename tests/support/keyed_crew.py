"""Crews for the small run: a recipe whose samples are a function of their key, and a crew without processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from small_run import CHUNK, LABELS, TASK, chunk_votes, facts

from rsopt.errors import ModelError
from rsopt.runs.folder import STORE
from rsopt.runs.records import pack_votes
from rsopt.runs.rows import Row
from rsopt.runs.run import Run
from rsopt.runs.store import Store
from rsopt.runs.work import ChunkDone, Executor, SampleRequest
from rsopt.runs.workers.crew import Answered, Event, Lost, Ready
from rsopt.runs.workers.worker import Place, Worker


@dataclass(frozen=True)
class KeyedRecipe:
    """Samples by key, with what may go wrong.

    Attributes:
        failing: (input, chunk) that the model refuses.
        raising: inputs at which the model raises an error of its own.
        deadly: inputs whose estimation kills the process that tries it.
        once: a worker dies at its first chunk as long as this file is there, and removes it.
        pace: seconds that a chunk takes.
        threads: what the workers with these numbers say they compute with.
        log: every chunk that was begun is noted in this file.
    """

    failing: tuple[tuple[int, int], ...] = ()
    raising: tuple[int, ...] = ()
    deadly: tuple[int, ...] = ()
    once: Path | None = None
    pace: float = 0.0
    threads: dict[int, int] = field(default_factory=dict)
    log: Path | None = None

    @contextmanager
    def open(self, place: Place) -> Iterator[KeyedBench]:
        yield KeyedBench(self, place.number)


@dataclass(frozen=True)
class KeyedBench:
    recipe: KeyedRecipe
    number: int

    @property
    def sampling(self) -> dict[str, object]:
        return {"chunk": CHUNK, "threads": self.recipe.threads.get(self.number, 1)}

    def chunks(self, request: SampleRequest, image: np.ndarray) -> Iterator[ChunkDone]:
        recipe = self.recipe
        for chunk in range(request.first, -(-request.n // CHUNK)):
            key = (request.idx, request.stream, chunk)
            if recipe.log is not None:
                with recipe.log.open("a") as file:
                    file.write(" ".join(map(str, key)) + "\n")
            if recipe.once is not None and _removed(recipe.once):
                os.kill(os.getpid(), signal.SIGKILL)
            if request.stream == 1 and request.idx in recipe.deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            if request.idx in recipe.raising:
                raise ZeroDivisionError(f"inside the model at input {request.idx}")
            time.sleep(recipe.pace)
            if request.stream == 1 and (request.idx, chunk) in recipe.failing:
                raise ModelError(f"Input {request.idx}: the model returned NaN (chunk {chunk}).")
            assert image.item() == request.idx
            rows = min(CHUNK, request.n - chunk * CHUNK)
            yield ChunkDone(*key, rows, pack_votes(chunk_votes(*key, rows)), 0.001)


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def image(idx: int) -> np.ndarray:
    """The input of the small run: its own number."""
    return np.array([float(idx)], dtype=np.float32)


class BenchCrew:
    """A crew in this process, whose workers answer in a seeded order and die when `fate` says so.

    Args:
        recipe: what is sampled.
        size: workers.
        seed: order of the answers.
        fate: units (counted from 0) at which the worker dies instead of answering.
        provers: how many of the workers only prove.
    """

    def __init__(self, recipe: KeyedRecipe, size: int, seed: int = 0, fate: tuple[int, ...] = (),
                 provers: int = 0) -> None:
        self.size = size
        self.samplers = size - provers
        self.units: list[tuple[int, bytes]] = []
        self.starts = 0
        self.most_in_hand = 0
        self._recipe = recipe
        self._fate = fate
        self._order = np.random.default_rng(seed)
        self._open: list[Event | tuple[int, bytes, int]] = []
        self._workers: dict[int, Worker] = {}

    def start(self, worker: int) -> None:
        self.starts += 1
        self._workers[worker] = Worker(self._recipe, Place(worker, worker < self.samplers))
        self._open.append(Ready(worker, self._workers[worker].conditions()))

    def give(self, worker: int, unit: bytes) -> None:
        self._open.append((worker, unit, len(self.units)))
        self.units.append((worker, unit))
        self.most_in_hand = max(self.most_in_hand, len(self._open))

    def events(self, *, block: bool) -> list[Event]:
        if not self._open:
            assert not block, "waits for ever: nothing is under way"
            return []
        event = self._open.pop(int(self._order.integers(len(self._open))))
        if not isinstance(event, tuple):
            return [event]
        worker, unit, number = event
        if number in self._fate:
            return [Lost(worker, "struck by fate")]
        return [Answered(worker, self._workers[worker].carry_out(unit))]

    def close(self) -> None:
        for worker in self._workers.values():
            worker.__exit__()


def rows_of(folder: Path, executor: Executor, *, labels: dict[int, int] | None = None) -> list[Row]:
    """The small run in `folder` where inputs may fail, without what it leaves behind."""
    labels = LABELS if labels is None else labels
    with Store.open(folder / STORE, {**facts(TASK), "inputs": len(labels)}) as store:
        return Run(labels, TASK, executor, store, stop_on_failure=False).rows()


def untimed(rows: list[Row]) -> list[Row]:
    """Rows without the one thing that differs from run to run."""
    return [replace(row, seconds=0.0) for row in rows]
