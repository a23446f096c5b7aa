"""A run is gone on with by the model that began it: whatever decides is noticed, whatever does not is not."""

from __future__ import annotations

import sqlite3
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_net import CLASSES, IMAGES, LABELS, SEED, SIGMA
from torch import nn

from rsopt.errors import StorageError
from rsopt.question import Question
from rsopt.runs.certify import STORE, Inputs, certify
from rsopt.runs.task import Task
from rsopt.runs.workers.executors import Workers
from rsopt.sequential.policy import FixedSamples
from rsopt.smoothing import SmoothedClassifier
from rsopt.smoothing.likeness import Answers, Likeness
from rsopt.smoothing.rounding import rounding_allowance

TASK = Task(Question(SIGMA), FixedSamples(150, 0.01), n0=50)
INPUTS = Inputs(IMAGES, list(LABELS.values()), [1, 3])


class Forest:
    """Stands for what lies outside of torch: a session of another runtime, a forest."""

    def __init__(self, seed: int) -> None:
        self.weights = np.random.default_rng(seed).standard_normal((36, CLASSES)).astype(np.float32)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1) @ self.weights


class Net(nn.Module):
    """Everything that decides, and some things that do not, are plain attributes."""

    def __init__(self, *, slope: float = 0.1, stride: int = 1, mean: float = 0.5, seed: int = 0,
                 path: str = "weights.pt") -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.first.stride = (stride, stride)
        self.activation = nn.LeakyReLU(slope)
        self.head = nn.Linear(8, CLASSES)
        self.mean, self.path = mean, path
        self.forest = Forest(seed)
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        features = self.activation(self.first((x - self.mean) / 0.25)).mean(dim=(2, 3))
        return self.head(features) + torch.from_numpy(self.forest.predict(x.numpy()))


class Renamed(Net):
    """The same, with another forward of the same answers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + 0.0


def work(folder: Path, model: nn.Module, **options: object) -> list:
    classifier = SmoothedClassifier(model, SIGMA, CLASSES, chunk=50, batch=50, progress=False)
    return certify(classifier, INPUTS, TASK, seed=SEED, output=folder, **options)


def changes(folder: Path, model: nn.Module) -> str:
    with pytest.raises(StorageError) as error:
        work(folder, model)
    text = str(error.value)
    assert text.startswith(f"{folder / STORE} was begun with another model. The weights are the same, but ")
    assert text.endswith(". Go on with the model that began it, or choose another output folder.")
    return text


@pytest.mark.parametrize("changed", [{"slope": 0.2}, {"stride": 2}, {"mean": 0.485}])
def test_another_attribute_that_decides_is_another_model(tmp_path, changed):
    work(tmp_path, Net())
    text = changes(tmp_path, Net(**changed))
    assert "attributes of its modules are others; its scores for 8 noisy copies of the first input differ by up" in text


def test_what_lies_outside_of_torch_is_known_by_its_answers(tmp_path):
    work(tmp_path, Net())
    text = changes(tmp_path, Net(seed=1))
    assert "but its scores for 8 noisy copies of the first input differ by up to " in text
    assert "attributes" not in text


def test_another_code_is_another_model_even_if_it_answers_the_same(tmp_path):
    work(tmp_path, Net())
    other = Net()
    other.__class__ = Renamed
    with pytest.raises(StorageError, match=r"holds another run: the model has other weights or layers"):
        work(tmp_path, other)  # the name of the class is part of the fingerprint
    Renamed.__qualname__ = Net.__qualname__
    assert "but the code of its modules is another." in changes(tmp_path, other)


def test_counters_and_paths_are_no_other_model(tmp_path):
    model = Net()
    rows = work(tmp_path, model)
    assert model.calls > 0
    assert work(tmp_path, model) == rows
    assert work(tmp_path, Net(path="/elsewhere/weights.pt")) == rows


def test_other_options_are_told_before_the_model(tmp_path):
    work(tmp_path, Net())
    classifier = SmoothedClassifier(Net(slope=0.2), 0.5, CLASSES, chunk=50, progress=False)
    told = r"holds another run: sigma is 0\.25 there and 0\.5 here\. "
    with pytest.raises(StorageError, match=told):
        certify(classifier, INPUTS, replace(TASK, question=Question(0.5)), seed=SEED, output=tmp_path)


def test_a_run_goes_on_with_any_number_of_threads_and_workers(tmp_path):
    before = torch.get_num_threads()
    seen = []

    class Watching(Net):
        def forward(self, x):
            seen.append(torch.get_num_threads())
            return super().forward(x)

    try:
        torch.set_num_threads(2)
        rows = work(tmp_path, Watching())
        torch.set_num_threads(1)
        seen.clear()
        assert work(tmp_path, Watching()) == rows
        assert set(seen) == {2}
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    apart = tmp_path / "apart"
    plain = work(apart, Net())
    assert work(apart, Net(), workers=Workers(2)) == plain


def test_a_store_of_before_goes_on(tmp_path):
    rows = work(tmp_path, Net())
    with sqlite3.connect(tmp_path / STORE) as database:
        database.execute("DELETE FROM facts WHERE name LIKE 'model.%'")
    assert work(tmp_path, Net(slope=0.2)) == rows


def test_a_first_input_that_fails_hides_nothing_and_ends_nothing(tmp_path):
    class Picky(Net):
        def forward(self, x):
            return torch.where(x.mean(dim=(1, 2, 3))[:, None] > self.limit, torch.nan, super().forward(x))

    def made(limit: float, slope: float = 0.1) -> Picky:
        model = Picky(slope=slope)
        model.limit = limit
        return model

    rows = work(tmp_path, made(-1.0), stop_on_failure=False)
    assert [bool(row.error) for row in rows] == [True, True]
    assert work(tmp_path, made(-1.0), stop_on_failure=False) == rows
    assert "but attributes of its modules are others." in changes(tmp_path, made(5.0))


def scores(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((50, 4)).astype(np.float32)


def test_answers_survive_a_line():
    masked = np.where(np.eye(4, dtype=np.float32) > 0, np.float32(1.0), np.float32(-np.inf))
    for table in (scores(), np.full((5, 3), np.nan, np.float32), masked):
        found = Answers.of(table)
        assert Answers.read(found.text()) == found
        assert "\n" not in found.text()


def test_rounding_makes_no_other_model_unless_something_else_changed():
    allowance = rounding_allowance([torch.float32], reduced=False)
    net = Net()
    known, rounded, other = (Likeness.of(net, table) for table in (scores(), scores() * (1 + 1e-6), scores() * 1.01))
    assert known.answers != rounded.answers
    assert rounded.changes(known, allowance) == []
    assert len(other.changes(known, allowance)) == 1
    net.mean = 0.6
    moved = Likeness.of(net, scores() * np.float32(1 + 1e-6))
    assert moved.changes(known, allowance)[0] == "attributes of its modules are others"
    assert Likeness.of(net, scores()).changes(known, allowance) == []


def code(body: str) -> str:
    """Digest of a class with this forward."""
    names: dict[str, object] = {"nn": nn}
    exec("class Made(nn.Module):\n    def forward(self, x):\n" + textwrap.indent(body, 8 * " "), names)
    made = names["Made"]
    assert isinstance(made, type)
    return Likeness.of(made(), None).code


def test_code_is_what_runs_not_how_it_is_written():
    plain = code("return (x - 0.5) / 0.25")
    assert code('"""Normalises."""\n# For sure.\n\nreturn (x - 0.5) / 0.25') == plain
    assert code("return (x - 0.5) / 0.2") != plain
    assert code("return x.sub(0.5) / 0.25") != plain
    assert code("return [y for y in x if y in {'a', 'b'}]") == code("return [y for y in x if y in {'b', 'a'}]")
    held = Net()
    held.after = lambda s: s + 1
    moved = Net()
    moved.after = lambda s: s + 2
    assert Likeness.of(held, None).code != Likeness.of(moved, None).code
