"""What spreading a run over workers gains and costs.

``python tests/benchmarks/bench_cluster.py`` prints: samples a second by one and by two Ray actors and processes on a
compute-bound network of one thread, by the clock and by processor time; the share of the workers' time that
scheduling takes at chunks of one second and of a tenth; and what the process that runs the crew holds in memory with
1,000 and with 100,000 inputs queued. Run it with OMP_NUM_THREADS=1 and RAY_worker_niceness=0 (Ray's workers step back
otherwise). ``pytest --benchmark-only tests/benchmarks/bench_cluster.py`` times single steps.
"""

from __future__ import annotations

import logging
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from keyed_crew import BenchCrew, KeyedRecipe
from keyed_crew import image as keyed_image
from places import SUPPORT
from small_run import CHUNK, facts
from torch import nn

from rsopt.question import Question
from rsopt.runs.folder import STORE
from rsopt.runs.run import Run
from rsopt.runs.store import Store
from rsopt.runs.task import Task
from rsopt.runs.work import ChunkDone, SampleRequest
from rsopt.runs.workers.cluster import RayCrew
from rsopt.runs.workers.crew import Crew, CrewExecutor, Event, Ready
from rsopt.runs.workers.processes import ProcessCrew
from rsopt.runs.workers.recipe import ModelRecipe
from rsopt.sequential.policy import FixedSamples
from rsopt.smoothing import SmoothedClassifier

SIZE = 32


def network() -> nn.Module:
    """A convolutional network whose passes keep one core busy."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(64, 64, 3, padding=1, stride=2), nn.ReLU(), nn.Flatten(),
                         nn.Linear(64 * (SIZE // 2) ** 2, 10))


def recipe(chunk: int) -> ModelRecipe:
    """The network in chunks of `chunk`, one thread a worker."""
    torch.set_num_threads(1)
    return ModelRecipe.of(SmoothedClassifier(network(), 0.25, 10, chunk=chunk, batch=chunk, progress=False), 1)


def image(idx: int) -> torch.Tensor:
    """Any image."""
    return torch.full((3, SIZE, SIZE), 0.5)


@contextmanager
def local_ray() -> Iterator[None]:
    """Ray on this machine, with room for two workers."""
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
             runtime_env={"env_vars": {"PYTHONPATH": str(SUPPORT)}})
    yield
    ray.shutdown()


class Watched:
    """A crew whose processes are known."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self.samplers, self.size = crew.samplers, crew.size
        self.start, self.give, self.close = crew.start, crew.give, crew.close
        self.pids: set[int] = set()

    def events(self, *, block: bool) -> list[Event]:
        """The events of the crew."""
        found = self._crew.events(block=block)
        self.pids |= {event.conditions.pid for event in found if isinstance(event, Ready)}
        return found

    def processor_seconds(self) -> float:
        """What the workers have used so far."""
        fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids)
        return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Work:
    """What a warm crew did.

    Attributes:
        workers: how many.
        wall: seconds that passed.
        spent: seconds that the workers say their chunks took, waiting for a processor included.
        processor: processor seconds of the workers.
        scheduling: processor seconds of the process that runs the crew.
        chunks, samples: what was done.
    """

    workers: int
    wall: float
    spent: float
    processor: float
    scheduling: float
    chunks: int
    samples: int

    @property
    def idle(self) -> float:
        """Share of the workers' time without a chunk in hand."""
        return 1.0 - self.spent / (self.workers * self.wall)


def work(kind: str, workers: int, chunk: int, chunks: int) -> Work:
    """So many chunks of `chunk` samples, all workers under way before the clock starts."""
    crew = Watched((RayCrew if kind == "Ray" else ProcessCrew)(recipe(chunk), samplers=workers))
    with CrewExecutor(crew, image) as executor:
        # One warm chunk a worker and more, so that the crew is complete and knows how long a chunk takes.
        executor.submit(SampleRequest(1_000_000, 1, 0, 4 * workers * chunk))
        seen = 0
        while seen < 4 * workers or len(crew.pids) < workers:
            if seen < 4 * workers:
                seen += isinstance(executor.wait(), ChunkDone)
            else:
                executor._listen(block=True)
        for idx in range(4):
            executor.submit(SampleRequest(idx, 1, 0, -(-chunks // 4) * chunk))
        before, own, start = crew.processor_seconds(), time.process_time(), time.perf_counter()
        done = [executor.wait() for _ in range(4 * -(-chunks // 4))]
        wall = time.perf_counter() - start
        parts = [part for part in done if isinstance(part, ChunkDone)]
        return Work(workers, wall, sum(part.seconds for part in parts), crew.processor_seconds() - before,
                    time.process_time() - own, len(parts), sum(part.rows for part in parts))


def throughput(kind: str, rounds: int = 5) -> None:
    """Prints what two workers do beside one: by the clock, and by the processor time they were given.

    Other programs on the machine take processor time from two workers more than from one. So the second figure takes
    what a processor second yields, which they do not change, and the share of the time that workers have a chunk in
    hand: two workers on two free cores do twice (yield, two beside one) times (busy share, two beside one).
    """
    pairs = [(work(kind, 1, 64, 40), work(kind, 2, 64, 80)) for _ in range(rounds)]
    clock = [(two.samples / two.wall) / (one.samples / one.wall) for one, two in pairs]
    yields = [(two.samples / two.processor) / (one.samples / one.processor) for one, two in pairs]
    busy = [(1.0 - two.idle) / (1.0 - one.idle) for one, two in pairs]
    given = [two.processor / two.wall for _, two in pairs]
    print(f"{kind}, two workers beside one: {statistics.median(clock):.2f} times by the clock (rounds "
          f"{', '.join(f'{value:.2f}' for value in clock)}), while the machine gave the two "
          f"{statistics.median(given):.2f} processors; "
          f"{statistics.median(2.0 * y * b for y, b in zip(yields, busy, strict=True)):.2f} times by processor time "
          f"(of one worker's: samples a processor second {statistics.median(yields):.3f}, busy share "
          f"{statistics.median(busy):.3f})")


def overhead(kind: str, seconds: float) -> None:
    """Prints how much of a worker's time is not spent on chunks, at chunks of about `seconds` of processor time."""
    chunk = 64
    for _ in range(2):
        once = work("Processes", 1, chunk, 8)
        # The time a sample takes depends on the size of its chunk: hence twice.
        chunk = max(1, int(once.samples * seconds / once.processor))
    found = work(kind, 1, chunk, 24 if seconds >= 0.5 else 120)
    print(f"{kind}: {found.chunks} chunks of {found.processor / found.chunks:.2f} s of processor time on one worker: "
          f"scheduling takes {found.idle / (1.0 - found.idle):.2%} of their time by the clock, and the process that "
          f"runs the crew {found.scheduling / found.processor:.2%} of their processor time")


class Unlogged(BenchCrew):
    """Workers in this process, without the log of their units that tests ask for."""

    def give(self, worker: int, unit: bytes) -> None:
        """As in the crew, and forgotten."""
        super().give(worker, unit)
        self.units.clear()


class Enough(Exception):
    """The run has shown what it holds."""


def held(queued: int, finished: int) -> None:
    """Prints by how much a run with so many inputs queued has grown at most, until `finished` of them are done."""
    sizes = []

    class Stopping(CrewExecutor):
        seen = 0

        def wait(self) -> Any:
            # Three pieces of work an input: a chunk to choose the class, a chunk to bound it, and the proof.
            type(self).seen += 1
            if self.seen % 100 == 0:
                sizes.append(resident())
            if self.seen == 3 * finished:
                raise Enough
            return super().wait()

    before = resident()
    task = Task(Question(0.5), FixedSamples(CHUNK, 0.01), n0=CHUNK)
    labels = dict.fromkeys(range(queued), 0)
    with (tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / STORE, facts()) as store,
          Stopping(Unlogged(uniform(), 2), keyed_image) as executor):
        start = time.perf_counter()
        with suppress(Enough):
            Run(labels, task, executor, store).rows()
        wall = time.perf_counter() - start
    print(f"{queued:,} inputs queued, {finished:,} of them done: the process that runs the crew grew by "
          f"{max(sizes) - before:.1f} MiB at most, by {sizes[len(sizes) // 4] - before:.1f} MiB in the first quarter; "
          f"{1e3 * wall / finished:.1f} ms an input, proofs included")


def uniform() -> KeyedRecipe:
    """Samples for any input."""
    import small_run

    class AnyShares(dict):
        def __missing__(self, key: int) -> tuple[float, ...]:
            return (0.7, 0.2, 0.06, 0.04)

    small_run.SHARES = AnyShares()
    return KeyedRecipe()


def resident() -> float:
    """Resident memory of this process, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


@pytest.fixture(scope="module")
def ready() -> Iterator[CrewExecutor]:
    with CrewExecutor(ProcessCrew(KeyedRecipe(), samplers=1), keyed_image) as executor:
        yield executor


def test_round_trip_of_a_unit(benchmark: Any, ready: CrewExecutor) -> None:
    def one() -> None:
        ready.submit(SampleRequest(0, 1, 0, CHUNK))
        assert isinstance(ready.wait(), ChunkDone)

    benchmark(one)


def test_a_chunk_among_many(benchmark: Any, ready: CrewExecutor) -> None:
    def many() -> None:
        ready.submit(SampleRequest(0, 1, 0, 500 * CHUNK))
        for _ in range(500):
            ready.wait()

    benchmark(many)


def main() -> None:
    """Prints all figures, or those that are named: ray, processes, memory."""
    asked = sys.argv[1:] or ["ray", "processes", "memory"]
    if "ray" in asked:
        with local_ray():
            throughput("Ray")
            overhead("Ray", 1.0)
            overhead("Ray", 0.1)
    if "processes" in asked:
        throughput("Processes")
        overhead("Processes", 1.0)
        overhead("Processes", 0.1)
    if "memory" in asked:
        for queued, finished in ((1_000, 900), (1_000, 900), (100_000, 5_000)):
            held(queued, finished)


if __name__ == "__main__":
    main()
