"""What spreading a run over workers gains and costs.

``python tests/bench_cluster.py`` prints: samples a second by one and by two Ray actors and processes on a compute-bound
network of one thread; the share of the workers' time that scheduling takes at chunks of one second and of a tenth; and
what the process that runs the crew holds in memory with 1,000 and with 100,000 inputs queued.
``pytest --benchmark-only tests/bench_cluster.py`` times single steps.
"""

from __future__ import annotations

import logging
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from keyed_crew import BenchCrew, KeyedRecipe
from keyed_crew import image as keyed_image
from small_run import CHUNK, facts
from torch import nn

from rsopt.certify import STORE
from rsopt.runs.policy import FixedSamples
from rsopt.runs.run import Run, Task
from rsopt.runs.work import ChunkDone, SampleRequest
from rsopt.smoothing import SmoothedClassifier
from rsopt.store import Store
from rsopt.workers.cluster import RayCrew
from rsopt.workers.crew import Crew, CrewExecutor
from rsopt.workers.processes import ProcessCrew
from rsopt.workers.recipe import ModelRecipe

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
             runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parent)}})
    yield
    ray.shutdown()


def all_ready(executor: CrewExecutor, crew: Crew) -> None:
    """Waits until every worker has joined and done something."""
    executor.submit(SampleRequest(1_000_000, 1, 0, 4 * crew.size * executor.chunk))
    seen = 0
    while len(executor._hosts) < crew.size or seen < 4 * crew.size:
        seen += isinstance(executor.wait(), ChunkDone) if seen < 4 * crew.size else 0
        if seen == 4 * crew.size and len(executor._hosts) < crew.size:
            executor._listen(block=True)


def worked(crew: Crew, chunks: int) -> tuple[float, float, int]:
    """(wall seconds, seconds that the workers say the chunks took, samples) of so many chunks on a warm crew."""
    with CrewExecutor(crew, image) as executor:
        all_ready(executor, crew)
        for idx in range(4):
            executor.submit(SampleRequest(idx, 1, 0, chunks // 4 * executor.chunk))
        start = time.perf_counter()
        done = [executor.wait() for _ in range(4 * (chunks // 4))]
        wall = time.perf_counter() - start
        return wall, sum(part.seconds for part in done), sum(part.rows for part in done)


def throughput(kind: str, rounds: int = 3) -> None:
    """Prints samples a second by one and two workers, the median over alternating rounds."""
    speeds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers, found in speeds.items():
            crew: Crew = (RayCrew if kind == "Ray" else ProcessCrew)(recipe(64), samplers=workers)
            wall, _, samples = worked(crew, 80 * workers)
            found.append(samples / wall)
    one, two = (statistics.median(speeds[workers]) for workers in (1, 2))
    print(f"{kind}: {one:,.0f} samples/s by one worker, {two:,.0f} by two: {two / one:.2f} times; rounds "
          f"{', '.join(f'{b / a:.2f}' for a, b in zip(speeds[1], speeds[2], strict=True))}")


def overhead(kind: str, seconds: float) -> None:
    """Prints how much of a worker's time is not spent on chunks, at chunks of about `seconds`."""
    _, spent, rows = worked(ProcessCrew(recipe(64), samplers=1), 8)
    crew: Crew = (RayCrew if kind == "Ray" else ProcessCrew)(recipe(max(1, int(rows * seconds / spent))), samplers=1)
    chunks = 24 if seconds >= 0.5 else 120
    wall, spent, _ = worked(crew, chunks)
    print(f"{kind}: {chunks} chunks of {spent / chunks:.2f} s on one worker: scheduling takes "
          f"{100 * (wall - spent) / spent:.2f}% of their time")


class Enough(Exception):
    """The run has shown what it holds."""


def held(queued: int, marks: tuple[int, int]) -> None:
    """Prints by how much a run with so many inputs queued grows between two numbers of inputs worked on."""
    sizes = []

    class Stopping(CrewExecutor):
        seen = 0

        def wait(self) -> Any:
            # Three pieces of work an input: a chunk to choose the class, a chunk to bound it, and the proof.
            type(self).seen += 1
            if self.seen in (3 * marks[0], 3 * marks[1]):
                sizes.append(resident())
            if self.seen == 3 * marks[1]:
                raise Enough
            return super().wait()

    before = resident()
    task = Task(sigma=0.5, policy=FixedSamples(CHUNK, 0.01), n0=CHUNK)
    labels = dict.fromkeys(range(queued), 0)
    with (tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / STORE, facts()) as store,
          Stopping(BenchCrew(uniform(), 2), keyed_image) as executor):
        start = time.perf_counter()
        with suppress(Enough):
            Run(labels, task, executor, store).rows()
        wall = time.perf_counter() - start
    print(f"{queued:,} inputs queued: {sizes[0] - before:.1f} MiB after {marks[0]:,} of them, "
          f"{sizes[1] - before:.1f} MiB after {marks[1]:,}; {1e3 * wall / marks[1]:.1f} ms an input, proofs included")


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
    """Prints all figures."""
    with local_ray():
        throughput("Ray")
        overhead("Ray", 1.0)
        overhead("Ray", 0.1)
    throughput("Processes")
    overhead("Processes", 1.0)
    overhead("Processes", 0.1)
    held(1_000, (100, 900))
    for queued in (1_000, 100_000):
        held(queued, (100, 900))


if __name__ == "__main__":
    main()
