"""Runs on many workers: the result of the plain run, bit for bit, whoever did what and whoever died."""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import pytest
import torch
from keyed_crew import BenchCrew, KeyedRecipe, image, rows_of, untimed
from small_net import IMAGES, SEED, Net, classifier
from small_run import CHUNK, LABELS, TASK, left_behind, work

from rsopt.errors import InvalidInputError, ModelError, WorkerError
from rsopt.question import Question
from rsopt.runs.rows import Row
from rsopt.runs.task import Task
from rsopt.runs.work import ChunkDone, InputFailed, SampleRequest
from rsopt.runs.workers.crew import BACKLOG, CHUNKS_PER_UNIT, INPUTS_PER_WORKER, CrewExecutor
from rsopt.runs.workers.executors import Workers, executor
from rsopt.runs.workers.processes import ProcessCrew
from rsopt.runs.workers.recipe import ModelRecipe
from rsopt.sequential.policy import FixedSamples


@pytest.fixture(scope="module")
def plain_rows(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Row]:
    return {row.idx: row for row in untimed(work(tmp_path_factory.mktemp("rows")))}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("plain")
    work(folder)
    return left_behind(folder)


@pytest.mark.parametrize(("size", "provers"), [(1, 0), (2, 0), (7, 0), (2, 1), (5, 3)])
def test_any_number_of_workers_in_any_order(size: int, provers: int, plain: dict[str, object], tmp_path: Path) -> None:
    for seed in range(3):
        with CrewExecutor(BenchCrew(KeyedRecipe(), size, seed, provers=provers), image) as executor:
            work(tmp_path / str(seed), executor)
        assert left_behind(tmp_path / str(seed)) == plain


def test_workers_may_die_at_any_moment(plain: dict[str, object], tmp_path: Path) -> None:
    chance = random.Random(5)
    for seed in range(12):
        fate = tuple(chance.sample(range(25), chance.randrange(1, 8)))
        crew = BenchCrew(KeyedRecipe(), 3, seed, fate)
        with CrewExecutor(crew, image) as executor:
            work(tmp_path / str(seed), executor)
        assert left_behind(tmp_path / str(seed)) == plain
        assert crew.starts == 3 + sum(unit < len(crew.units) for unit in fate)


def test_provers_prove_and_samplers_sample(tmp_path: Path) -> None:
    crew = BenchCrew(KeyedRecipe(), 3, provers=1)
    with CrewExecutor(crew, image) as executor:
        work(tmp_path, executor)
    for worker, unit in crew.units:
        kinds = {type(piece.request).__name__ for piece in pickle.loads(unit)}
        assert kinds == ({"ProofRequest"} if worker == 2 else {"SampleRequest"})


def test_a_refused_input_fails_alone_with_its_lowest_chunk(plain_rows: dict[int, Row], tmp_path: Path) -> None:
    """Chunks 1 and 3 of input 3 fail. Whichever is found first, the one that a plain run finds is told."""
    recipe = KeyedRecipe(failing=((3, 1), (3, 3)))
    found = []
    for seed in range(8):
        with CrewExecutor(BenchCrew(recipe, 4, seed), image) as executor:
            found.append({row.idx: row for row in untimed(rows_of(tmp_path / str(seed), executor))})
    assert found[0][3].error == "Input 3: the model returned NaN (chunk 1)."
    assert all(rows == {**plain_rows, 3: found[0][3]} for rows in found)


def test_a_refused_input_stops_the_run_where_that_is_asked(tmp_path: Path) -> None:
    with (CrewExecutor(BenchCrew(KeyedRecipe(failing=((3, 1),)), 2), image) as executor,
          pytest.raises(ModelError, match="Input 3: the model returned NaN")):
        work(tmp_path, executor)


def test_an_input_that_cannot_be_had_fails_alone(tmp_path: Path) -> None:
    def broken(idx: int) -> object:
        if idx == 7:
            raise InvalidInputError("Input 7 is a broken file.")
        return image(idx)

    with CrewExecutor(BenchCrew(KeyedRecipe(), 2), broken) as executor:
        rows = rows_of(tmp_path, executor)
    assert {row.idx: row.error for row in rows} == {0: "", 3: "", 7: "Input 7 is a broken file.", 8: ""}


def test_an_error_inside_the_model_ends_the_run_and_says_where(tmp_path: Path) -> None:
    with (CrewExecutor(BenchCrew(KeyedRecipe(raising=(7,)), 2), image) as executor,
          pytest.raises(ZeroDivisionError, match="inside the model at input 7") as raised):
        work(tmp_path, executor)
    (note,) = raised.value.__notes__
    assert "Raised in a worker on" in note
    assert "keyed_crew.py" in note


def test_an_input_that_kills_every_worker_is_blamed_alone(plain_rows: dict[int, Row], tmp_path: Path) -> None:
    """A whole unit dies with it, so the others of the unit must be cleared of the suspicion."""

    class Fatal(BenchCrew):
        def events(self, *, block: bool) -> list[object]:
            for number, (_, unit) in enumerate(self.units):
                if any(piece.request.idx == 3 for piece in pickle.loads(unit)) and number not in self._fate:
                    self._fate = (*self._fate, number)
            return super().events(block=block)

    crew = Fatal(KeyedRecipe(), 2)
    with CrewExecutor(crew, image) as executor:
        rows = {row.idx: row for row in untimed(rows_of(tmp_path, executor))}
    assert rows[3].error == "Input 3: 3 workers died of it one after the other; the last one: struck by fate."
    assert rows == {**plain_rows, 3: rows[3]}


def test_workers_that_die_whatever_they_get_end_the_run(tmp_path: Path) -> None:
    with (CrewExecutor(BenchCrew(KeyedRecipe(), 2, fate=tuple(range(100))), image) as executor,
          pytest.raises(WorkerError, match="10 workers in a row died before any had finished anything; the last one: "
                                           "struck by fate")):
        rows_of(tmp_path, executor)


def test_workers_that_would_sample_differently_are_refused() -> None:
    crew = CrewExecutor(BenchCrew(KeyedRecipe(threads={1: 4}), 2), image)
    with pytest.raises(WorkerError, match=r"threads is \d on .* and \d on .*Use workers that are alike"):
        run_to_readiness(crew)


def test_processors_that_compute_differently_are_flagged(caplog: pytest.LogCaptureFixture) -> None:
    import dataclasses

    class Mixed(BenchCrew):
        def start(self, worker: int) -> None:
            super().start(worker)
            ready = self._open.pop()
            self._open.append(dataclasses.replace(ready, conditions=dataclasses.replace(
                ready.conditions, arithmetic=str(worker), host=f"host{worker}")))

    run_to_readiness(CrewExecutor(Mixed(KeyedRecipe(), 2), image))
    assert "compute differently. Every result is valid, but its last digits depend on who computed it" in caplog.text


def run_to_readiness(executor: CrewExecutor) -> None:
    """Until every worker has said under which conditions it computes."""
    with executor:
        executor.submit(SampleRequest(0, 1, 0, 20 * CHUNK))
        for _ in range(20):
            executor.wait()


def test_what_is_held_does_not_grow_with_what_is_queued() -> None:
    """A request for 10 million samples is cut as it goes; every worker has one unit at a time."""
    fetched = []

    def noted(idx: int) -> object:
        fetched.append(idx)
        return image(idx)

    crew = BenchCrew(KeyedRecipe(), 3)
    with CrewExecutor(crew, noted) as executor:
        assert executor.capacity == 3 * INPUTS_PER_WORKER
        for idx in LABELS:
            executor.submit(SampleRequest(idx, 1, 0, 10_000_000))
        chunks = [executor.wait() for _ in range(500)]
        assert all(isinstance(done, ChunkDone) for done in chunks)
        assert len({(done.idx, done.chunk) for done in chunks}) == 500
        held = len(executor._samples) + sum(len(unit) for unit in executor._units.values())
        results = len(executor._done)
    assert held <= len(LABELS) + crew.size
    assert results <= BACKLOG + crew.size * CHUNKS_PER_UNIT
    assert crew.most_in_hand <= crew.size
    assert fetched == [0]


def test_a_dropped_input_is_not_worked_on_any_more() -> None:
    crew = BenchCrew(KeyedRecipe(failing=((0, 0),)), 2)
    with CrewExecutor(crew, image) as executor:
        executor.submit(SampleRequest(0, 1, 0, 100 * CHUNK))
        executor.submit(SampleRequest(3, 1, 0, 2 * CHUNK))
        seen = []
        while sum(isinstance(done, ChunkDone) and done.idx == 3 for done in seen) < 2:
            seen.append(executor.wait())
            if isinstance(seen[-1], InputFailed):
                executor.forget(seen[-1].idx)
    assert sum(isinstance(done, InputFailed) for done in seen) == 1
    assert sum(done.idx == 0 for done in seen) < 50


@pytest.mark.parametrize("workers", [1, 3])
def test_processes(workers: int, plain: dict[str, object], tmp_path: Path) -> None:
    with CrewExecutor(ProcessCrew(KeyedRecipe(), samplers=workers), image) as executor:
        work(tmp_path, executor)
    assert left_behind(tmp_path) == plain


def test_a_killed_process_costs_one_chunk(plain: dict[str, object], tmp_path: Path) -> None:
    """The victim had one chunk in hand: of all that was begun, that chunk alone was begun twice."""
    once, log = tmp_path / "once", tmp_path / "log"
    once.touch()
    recipe = KeyedRecipe(once=once, log=log, pace=0.3)
    with CrewExecutor(ProcessCrew(recipe, samplers=2), image) as executor:
        work(tmp_path / "run", executor)
    assert left_behind(tmp_path / "run") == plain
    begun = log.read_text().splitlines()
    chunks = len(LABELS) * (-(-60 // CHUNK) + -(-220 // CHUNK))
    assert len(begun) == chunks + 1
    assert len(set(begun)) == chunks


def test_an_input_that_kills_processes_fails_alone(plain_rows: dict[int, Row], tmp_path: Path) -> None:
    recipe = KeyedRecipe(deadly=(7,))
    with CrewExecutor(ProcessCrew(recipe, samplers=2, provers=1), image) as executor:
        rows = {row.idx: row for row in untimed(rows_of(tmp_path, executor))}
    assert "3 workers died of it one after the other" in rows[7].error
    assert "ended with signal SIGKILL" in rows[7].error
    assert rows == {**plain_rows, 7: rows[7]}


def test_a_bench_that_cannot_be_opened_is_told() -> None:
    class Hollow:
        def __reduce__(self):
            return (hollow, ())

    with pytest.raises(FileNotFoundError, match="no weights here") as raised, \
            CrewExecutor(ProcessCrew(Hollow(), samplers=2), image):
        pass
    assert "Raised in a worker on" in raised.value.__notes__[0]


def hollow() -> None:
    raise FileNotFoundError("no weights here")


def test_a_crew_needs_a_worker() -> None:
    with pytest.raises(InvalidInputError, match="at least one worker that samples; found 0"):
        ProcessCrew(KeyedRecipe(), samplers=0)
    with pytest.raises(InvalidInputError, match="at least one worker; found 0"):
        Workers(0)


def test_what_cannot_be_sent_or_placed_is_told() -> None:
    class Local(Net):
        pass

    with pytest.raises(InvalidInputError, match=r"cannot be sent to other processes: .*Define its classes"):
        ModelRecipe.of(classifier(Local()), SEED)
    with pytest.raises(InvalidInputError, match="There is no device 'quux'"):
        ModelRecipe.of(classifier(), SEED, device="quux")
    absent = next(kind for kind in ("xpu", "cuda") if not torch.get_device_module(kind).device_count())
    with (pytest.raises(InvalidInputError, match=f"sample on a device of type '{absent}', and sees none"),
          executor(classifier(), SEED, IMAGES.__getitem__, Workers(2, device=f"{absent}:0"))):
        pass


def test_looks_that_continue_are_spread_too(tmp_path: Path) -> None:
    """Several looks an input, their chunks between whole ones: the plain result again."""
    from dataclasses import dataclass

    from rsopt.sequential.policy import PlannedLook

    @dataclass(frozen=True)
    class Twice(FixedSamples):
        def next_look(self, taken):
            return (PlannedLook(100, 0.004), PlannedLook(250, 0.006), None)[len(taken)]

    task = Task(Question(0.5), Twice(250, 0.01), n0=TASK.n0)
    work(tmp_path / "plain", task=task)
    with CrewExecutor(BenchCrew(KeyedRecipe(), 3, seed=2, fate=(2, 5)), image) as executor:
        work(tmp_path / "crew", executor, task=task)
    assert left_behind(tmp_path / "crew") == left_behind(tmp_path / "plain")
