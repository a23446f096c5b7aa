"""Runs on Ray actors with a real network: the plain result, bit for bit, whatever happens to the actors."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from keyed_crew import untimed
from places import SUPPORT
from small_net import IMAGES, LABELS, SEED, TASK, Net, classifier

from rsopt.errors import InvalidInputError, WorkerError
from rsopt.runs.folder import STORE
from rsopt.runs.rows import Row
from rsopt.runs.run import Run
from rsopt.runs.store import Store
from rsopt.runs.work import Executor
from rsopt.runs.workers.cluster import RayCrew, connected
from rsopt.runs.workers.crew import CrewExecutor
from rsopt.runs.workers.executors import Workers, executor
from rsopt.runs.workers.recipe import ModelRecipe
from rsopt.smoothing import SmoothedClassifier


@pytest.fixture(scope="module", autouse=True)
def ray() -> Iterator[None]:
    """A cluster of one machine, with room for two workers, that knows the modules of these tests."""
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
             runtime_env={"env_vars": {"PYTHONPATH": str(SUPPORT)}})
    yield
    ray.shutdown()


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rows_of(folder: Path, worker: Executor) -> list[Row]:
    with Store.open(folder / STORE, TASK.facts()) as store:
        return untimed(Run(LABELS, TASK, worker, store, stop_on_failure=False).rows())


def plain(folder: Path, model: SmoothedClassifier | None = None,
          image: Callable[[int], torch.Tensor] = IMAGES.__getitem__) -> list[Row]:
    with executor(model or classifier(), SEED, image) as local:
        return rows_of(folder, local)


def test_one_actor(tmp_path: Path) -> None:
    expected = plain(tmp_path / "plain")
    assert len({row.counts for row in expected}) == len(LABELS)
    assert any(row.radius() > 0 for row in expected)
    with executor(classifier(), SEED, IMAGES.__getitem__, Workers(1, "ray")) as spread:
        assert spread.sampling == classifier().provenance(SEED).as_dict()
        assert rows_of(tmp_path / "ray", spread) == expected


def test_deaths_poison_and_want_of_room(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Three actors where two have room; one is killed at work; the network answers one input with NaN, one is NaN."""
    images, once = IMAGES.clone(), tmp_path / "once"
    images[2] += 10.0
    images[5, 0, 0, 0] = torch.nan
    expected = plain(tmp_path / "plain", classifier(Net(once)), images.__getitem__)
    assert {row.idx for row in expected if row.error} == {2, 5}
    healthy = plain(tmp_path / "healthy")
    assert [row for row in expected if not row.error] == [row for row in healthy if row.idx not in (2, 5)]
    with executor(classifier(Net(once)), SEED, images.__getitem__, Workers(3, "ray")) as spread:
        once.touch()
        assert rows_of(tmp_path / "ray", spread) == expected
    assert not once.exists()
    assert caplog.text.count("was lost") == 1
    assert "room for 2 workers; 3 were asked for" in caplog.text


def test_a_run_may_change_its_workers(tmp_path: Path) -> None:
    """Begun on two processes, gone on with on a cluster, finished without either."""

    class Enough(Exception):
        pass

    def halt(after: int) -> Callable[[int], torch.Tensor]:
        def image(idx: int) -> torch.Tensor:
            if idx >= after:
                raise Enough
            return IMAGES[idx]
        return image

    expected = plain(tmp_path / "plain")
    folder = tmp_path / "changing"
    for workers, after in ((Workers(2), 3), (Workers(cluster="ray"), 6)):
        with pytest.raises(Enough), executor(classifier(), SEED, halt(after), workers) as spread:
            rows_of(folder, spread)
    assert plain(folder) == expected


def test_no_room_at_all() -> None:
    recipe = ModelRecipe.of(classifier(), SEED)
    with pytest.raises(WorkerError, match="no room for a worker: it needs 5 CPU and 0 GPU; there are 2 CPU and 0 GPU"):
        RayCrew(recipe, processors=5)
    with pytest.raises(WorkerError, match="needs 1 CPU and 1 GPU; there are 2 CPU and 0 GPU"):
        RayCrew(recipe, accelerators=1)
    with pytest.raises(InvalidInputError, match="at least one worker that samples; found 0"):
        RayCrew(recipe, samplers=0)


@pytest.mark.parametrize("address", ["", "ray:", "ray://", "head:6379", "dask"])
def test_addresses_of_another_form(address: str) -> None:
    with pytest.raises(InvalidInputError, match="A cluster is 'ray' or 'ray://HOST:PORT'"), connected(address):
        pass


def test_a_model_that_cannot_be_loaded_there_is_told() -> None:
    crew = RayCrew(ModelRecipe(b"no model", SEED, "cpu", 1, "highest", tf32=False), samplers=1)
    with pytest.raises(pickle.UnpicklingError) as raised, CrewExecutor(crew, IMAGES.__getitem__):
        pass
    assert "Raised in a worker on" in raised.value.__notes__[0]
