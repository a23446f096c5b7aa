"""A temperature chosen on selection samples: stored, resumed, the same for workers, and refused without samples."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_net import CLASSES, IMAGES, LABELS, SEED, SIGMA, Net

from rsopt.certify import STORE, Inputs, certify
from rsopt.errors import InvalidInputError
from rsopt.runs.policy import FixedSamples
from rsopt.runs.rows import Row
from rsopt.runs.run import SoftOutputs, Task
from rsopt.smoothing import SmoothedClassifier
from rsopt.soft import temperature
from rsopt.soft.temperature import TEMPERATURES
from rsopt.store import Store
from rsopt.workers.executors import ALONE, Workers

AUTO = SoftOutputs("softmax", candidates=TEMPERATURES)


def run(output: Path, soft: SoftOutputs = AUTO, n0: int | None = 50, inputs: int = 3,
        workers: Workers = ALONE) -> list[Row]:
    classifier = SmoothedClassifier(Net(), SIGMA, CLASSES, chunk=50, batch=100, progress=False)
    task = Task(SIGMA, FixedSamples(200, 0.01), n0=n0, soft=soft)
    data = Inputs(IMAGES, list(LABELS.values()), list(range(inputs)))
    return certify(classifier, data, task, seed=SEED, output=output, workers=workers)


def stored(output: Path) -> dict:
    with Store.read(output / STORE) as store:
        return store.facts["scores"]


def bounds(rows: list[Row]) -> list[dict]:
    return [{name: bound.lower for name, bound in row.bounds.items()} for row in rows]


def test_the_choice_is_stored_and_gives_the_bounds_of_that_temperature(tmp_path: Path) -> None:
    rows = run(tmp_path / "auto")
    facts = stored(tmp_path / "auto")
    assert facts["candidates"] == list(TEMPERATURES)
    assert facts["temperature"] in TEMPERATURES
    assert bounds(rows) == bounds(run(tmp_path / "given", SoftOutputs("softmax", facts["temperature"])))
    assert bounds(rows) == bounds(run(tmp_path / "workers", workers=Workers(2)))
    assert stored(tmp_path / "workers") == facts


def test_a_resumed_run_keeps_the_stored_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the temperature was chosen again")

    monkeypatch.setattr(temperature, "choose_temperature", refuse)
    assert bounds(run(tmp_path)) == bounds(first)


def test_a_choice_without_selection_samples_or_temperature_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="draws none"):
        run(tmp_path, n0=None)
    with pytest.raises(InvalidInputError, match="has none to choose"):
        run(tmp_path, SoftOutputs("sparsemax", candidates=TEMPERATURES))
