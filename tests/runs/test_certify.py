"""Model and data in, certified table out."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from linear_model import ANSWERS, POINTS, Linear, Odd, classifier, inputs
from small_run import CHUNK, LABELS, SIGMA, TASK, KeyedExecutor, chunk_votes, facts, left_behind, work

import rsopt
from rsopt.errors import InvalidInputError, ModelError, RsoptError, StorageError, UnknownNameError
from rsopt.methods import CLOPPER_PEARSON, COHEN, OWN, SOFT_MARGIN, SOFT_PROBIT
from rsopt.noise import Gaussian
from rsopt.question import Question
from rsopt.runs.certify import certify
from rsopt.runs.folder import CERTIFICATES, STORE, TABLE
from rsopt.runs.inputs import Inputs
from rsopt.runs.proofs import stored_certificates, stored_proofs
from rsopt.runs.records import InputOutcome, Look
from rsopt.runs.run import Run
from rsopt.runs.soft_outputs import SoftOutputs
from rsopt.runs.store import Store
from rsopt.runs.task import Task
from rsopt.runs.verification import check_text
from rsopt.runs.work import InputFailed
from rsopt.runs.workers.executors import ALONE, Workers
from rsopt.sequential.policy import FixedSamples, LookResult, PlannedLook
from rsopt.smoothing import SmoothedClassifier, Softmax, Stream


def lines(folder: Path) -> list[dict[str, str]]:
    with (folder / TABLE).open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_rows_are_the_bounds_on_the_sampled_votes(tmp_path: Path) -> None:
    task = Task(Question(SIGMA), FixedSamples(300, 0.01), n0=50)
    model = classifier()
    rows = certify(model, inputs(), task, seed=3, output=tmp_path)
    for idx, row in enumerate(rows):
        selected = model.counts(POINTS[idx], 50, 3, index=idx, stream=Stream.SELECTION)
        votes = model.counts(POINTS[idx], 300, 3, index=idx)
        bound = rsopt.lower_bound(votes, top=int(selected.argmax()), alpha=0.01)
        assert (row.idx, row.top, row.n0, row.n) == (idx, int(selected.argmax()), 50, 300)
        assert row.counts == tuple(votes.tolist())
        assert row.bounds[OWN].lower == bound.lower
        assert row.radius() == bound.radius(sigma=SIGMA)
        for method, baseline in ((COHEN, rsopt.baselines.cohen),
                                 (CLOPPER_PEARSON, rsopt.baselines.two_way_clopper_pearson)):
            assert row.radius(method) == baseline(votes, top=row.top, alpha=0.01).radius(sigma=SIGMA)
    assert rows[0].correct()
    assert rows[0].chosen == "selection"


def test_table_reads_like_cohens_logs(tmp_path: Path) -> None:
    rows = certify(classifier(), inputs([0, 1, 1, 2]), Task(Question(SIGMA), FixedSamples(300, 0.01), n0=50), seed=3,
                   output=tmp_path)
    head = (tmp_path / TABLE).read_text().splitlines()[0].split("\t")
    assert head[:6] == ["idx", "label", "predict", "radius", "correct", "time"]
    for row, line in zip(rows, lines(tmp_path), strict=True):
        certified = row.radius() > 0.0
        assert int(line["predict"]) == (row.top if certified else -1)
        assert int(line["correct"]) == int(certified and row.top == row.label)
        assert float(line["radius"]) == row.radius()
        assert line["time"].count(":") == 2
        assert [int(vote) for vote in line["counts"].split(",")] == list(row.counts)
    assert int(lines(tmp_path)[1]["correct"]) == 0


def test_label_mode_certifies_the_label_and_draws_no_selection(tmp_path: Path) -> None:
    task = Task(Question(SIGMA), FixedSamples(300, 0.01))
    rows = certify(classifier(), inputs([0, 1, 1, 2]), task, seed=3, output=tmp_path)
    assert [row.top for row in rows] == [0, 1, 1, 2]
    assert {row.chosen for row in rows} == {"label"}
    assert {row.n0 for row in rows} == {0}
    assert rows[1].abstain
    assert not rows[1].correct()


def test_an_input_gets_the_same_samples_whatever_is_certified_beside_it(tmp_path: Path) -> None:
    task = Task(Question(SIGMA), FixedSamples(300, 0.01), n0=50)
    every = certify(classifier(), inputs(), task, seed=3, output=tmp_path / "all")
    some = certify(classifier(), inputs(chosen=[3, 1]), task, seed=3, output=tmp_path / "some")
    assert [row.counts for row in some] == [every[1].counts, every[3].counts]


def test_soft_outputs_are_bounded_beside_the_votes(tmp_path: Path) -> None:
    plain, soft = Task(Question(SIGMA), FixedSamples(300, 0.01), n0=50), SoftOutputs("softmax", 0.3)
    votes = certify(classifier(), inputs(), plain, seed=3, output=tmp_path / "votes")
    rows = certify(classifier(), inputs(), Task(Question(SIGMA), FixedSamples(300, 0.01), n0=50, soft=soft), seed=3,
                   output=tmp_path / "soft")
    with classifier().sampler(3) as sampler:
        blocks = [np.concatenate([block.rows for block in sampler.iter_scores(
            POINTS[0], 0, n, Softmax(0.3), stream=stream)]) for n, stream in ((300, Stream.ESTIMATION),
                                                                              (50, Stream.SELECTION))]
    for method, functional in ((SOFT_PROBIT, "probit"), (SOFT_MARGIN, "margin")):
        bound = rsopt.lower_bound_scores(blocks[0], top=0, functional=functional, alpha=0.01, selection=blocks[1])
        assert rows[0].bounds[method].lower == bound.lower
        assert rows[0].radius(method) == bound.radius(sigma=SIGMA) > 0.0
    assert [row.counts for row in rows] == [row.counts for row in votes]
    assert [row.radius() for row in rows] == [row.radius() for row in votes]
    line = lines(tmp_path / "soft")[0]
    assert float(line["soft_probit_radius"]) == rows[0].radius(SOFT_PROBIT)
    assert float(line["soft_margin_lower"]) == rows[0].bounds[SOFT_MARGIN].lower
    assert "soft_probit_radius" not in lines(tmp_path / "votes")[0]
    with Store.read(tmp_path / "soft" / STORE) as store:
        proofs = dict(stored_proofs(store))
        assert set(dict(stored_certificates(store))) == {name for name in proofs if "-" not in name}
    for name, text in proofs.items():
        assert ("mean scores" in check_text(text)) == ("-soft-" in name)


class Failing(Linear):
    """Returns NaN far to the left."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x[:, :1] < -2.0, math.nan, super().forward(x))


def test_an_input_that_the_model_cannot_take_stops_the_run_or_is_a_row(tmp_path: Path) -> None:
    points = torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.2, 0.1]])
    model = SmoothedClassifier(Failing(), 0.3, 3, chunk=50, batch=50, progress=False)
    data, task = Inputs(points, [0, 1, 0], [0, 1, 2]), Task(Question(0.3), FixedSamples(200, 0.01), n0=50)
    with pytest.raises(ModelError, match=r"Input 1: the model returned NaN or infinite scores"):
        certify(model, data, task, seed=0, output=tmp_path)
    with Store.read(tmp_path / STORE) as store:
        assert [outcome.idx for outcome in store.all(InputOutcome)] == [0]
    rows = certify(model, data, task, seed=0, output=tmp_path, stop_on_failure=False)
    assert [row.error[:7] for row in rows] == ["", "Input 1", ""]
    assert rows[0].correct()
    failed = lines(tmp_path)[1]
    assert (failed["predict"], failed["radius"], failed["correct"], failed["lower"]) == ("-1", "0.0", "0", "")
    assert failed["error"].startswith("Input 1: the model returned NaN")


@pytest.mark.parametrize(("change", "difference"), [
    ({"seed": 4}, "seed is 3 there and 4 here"),
    ({"chunk": 32}, "chunk is 64 there and 32 here"),
    ({"labels": [0, 0, 1, 1]}, "the inputs or their labels are others"),
    ({"chosen": [0, 1]}, "inputs is 4 there and 2 here"),
    ({"weight": 1.5}, "the model has other weights or layers"), ({"n": 301}, "n is 300 there and 301 here")])
def test_a_run_of_something_else_is_refused(change: dict[str, object], difference: str, tmp_path: Path) -> None:
    def begin(seed=3, chunk=64, labels=ANSWERS, chosen=range(4), weight=1.0, n=300):
        model = classifier(chunk)
        with torch.no_grad():
            model.model.weight[0, 0] = weight
        return certify(model, inputs(labels, chosen), Task(Question(SIGMA), FixedSamples(n, 0.01), n0=50), seed=seed,
                       output=tmp_path)

    begin()
    with pytest.raises(StorageError) as refused:
        begin(**change)
    assert difference in str(refused.value)


class TaylorOnly(Gaussian):
    """Gaussian noise that takes one functional only."""

    @property
    def functionals(self) -> tuple[str, ...]:
        return ("taylor-probit",)


@pytest.mark.parametrize(("build", "kind", "text"), [
    (lambda: Task(Question(SIGMA), FixedSamples(0)), InvalidInputError, "n must be a whole number of samples"),
    (lambda: Task(Question(SIGMA), FixedSamples(10_000_001)), InvalidInputError, "from 1 to 10,000,000"),
    (lambda: Task(Question(SIGMA), FixedSamples(10, 0.5)), InvalidInputError, "alpha must lie strictly between"),
    (lambda: Task(Question(SIGMA), FixedSamples(10), n0=0), InvalidInputError, "n0 must be at least 1"),
    (lambda: Task(Question(SIGMA, "probat"), FixedSamples(10)), UnknownNameError, "Did you mean 'probit'?"),
    (lambda: Task(Question(SIGMA, statistic="x"), FixedSamples(10)), UnknownNameError, "no statistic named 'x'"),
    (lambda: Task(Question(SIGMA, solver="x"), FixedSamples(10)), UnknownNameError, "no solver named 'x'"),
    (lambda: Task(Question(SIGMA), FixedSamples(10, 0.45)), InvalidInputError, "the largest this statistic supports"),
    (lambda: Task(Question(TaylorOnly(SIGMA)), FixedSamples(10), soft=SoftOutputs("softmax")), InvalidInputError,
     "Bounds on scores are of 'margin', 'probit', 'laplace', 'logit', and none of them gives a radius under"),
    (lambda: inputs([0, 1]), InvalidInputError, "There are 4 images and 2 labels."),
    (lambda: inputs(chosen=[]), InvalidInputError, "There are no inputs to certify."),
    (lambda: inputs(chosen=[4]), InvalidInputError, "Input 4 was asked for; the data set has 4")])
def test_what_has_no_meaning_is_refused_before_sampling(build, kind: type[RsoptError], text: str) -> None:
    with pytest.raises(kind) as refused:
        build()
    assert text in str(refused.value)


@pytest.mark.parametrize(("labels", "task", "text"), [
    ([0, 0, 1, 3], Task(Question(SIGMA), FixedSamples(10)), "Input 3 has label 3, which is no class: there are 3"),
    ([0, None, 1, 2], Task(Question(SIGMA), FixedSamples(10)), "Input 1 has no label. Give n0"),
    (ANSWERS, Task(Question(0.25), FixedSamples(10)), "The task has Gaussian noise, sigma 0.25, and the "
     "classifier has Gaussian noise, sigma 0.5 for input"),
    (ANSWERS, Task(Question(SIGMA), FixedSamples(10), soft=SoftOutputs("maxsoft")), "no simplex map named 'maxsoft'"),
    (ANSWERS, Task(Question(SIGMA), FixedSamples(10), soft=SoftOutputs("sparsemax", 2.0)), "temperature belongs to")])
def test_inputs_and_tasks_that_do_not_fit(labels, task: Task, text: str, tmp_path: Path) -> None:
    with pytest.raises(RsoptError) as refused:
        certify(classifier(), inputs(labels), task, seed=0, output=tmp_path)
    assert text in str(refused.value)


@dataclass(frozen=True)
class Doubling:
    """Looks at 100, 200 and 400 samples, a third of the error each, until a radius is reached."""

    radius: float
    alpha: float = 0.01
    most_samples: int = 400
    question: None = None

    def next_look(self, taken: Sequence[LookResult]) -> PlannedLook | None:
        if len(taken) == 3 or any(look.radius >= self.radius for look in taken):
            return None
        return PlannedLook(100 * 2 ** len(taken), self.alpha / 3.0)

    def facts(self) -> dict[str, object]:
        return {"policy": "doubling", "radius": self.radius, "alpha": self.alpha, "n": self.most_samples}


def test_several_looks_report_the_best_and_resume_in_the_middle(tmp_path: Path) -> None:
    task = Task(Question(SIGMA), Doubling(0.5), n0=60)

    class Dying(KeyedExecutor):
        def wait(self):
            if self.drawn >= 700:
                raise KeyboardInterrupt
            return super().wait()

    rows = work(tmp_path / "whole", task=task)
    first, second = Dying(), KeyedExecutor(shuffle=1)
    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "broken", first, task=task)
    work(tmp_path / "broken", second, task=task)
    assert left_behind(tmp_path / "broken") == left_behind(tmp_path / "whole")
    assert first.drawn + second.drawn == sum(row.n + row.n0 for row in rows)
    with Store.read(tmp_path / "whole" / STORE) as store:
        for row in rows:
            looks = [look for look in store.of_input(Look, row.idx) if look.stream == 1]
            lower = []
            for number, look in enumerate(looks):
                votes = sum(chunk_votes(row.idx, 1, chunk, CHUNK) for chunk in range(look.n // CHUNK))
                assert look.n == 100 * 2**number
                assert look.counts.tolist() == votes.tolist()
                lower.append(rsopt.lower_bound(votes, top=row.top, alpha=0.01 / 3.0).lower)
            assert row.bounds[OWN].lower == max(lower)
            baseline = [rsopt.baselines.cohen(look.counts, top=row.top, alpha=0.01 / 3.0).lower for look in looks]
            assert row.bounds[COHEN].lower == max(baseline)
            best = looks[lower.index(max(lower))]
            assert row.reported is not None
            assert (row.reported.n, row.reported.alpha) == (best.n, 0.01 / 3.0)
            assert row.reported.x1 == best.counts[row.top]
            assert (row.looks, row.saved) == (len(looks), 400 - row.n)
    assert {row.n for row in rows} == {100, 200, 400}


@pytest.mark.parametrize(("first", "text"), [
    (70, "first look is at 70 samples; looks before the last must be whole chunks, and a chunk is 50 samples here"),
    (50, "planned a look at 90 samples after one at 70; looks must grow, in whole chunks of 50")])
def test_a_policy_that_looks_within_a_chunk_is_refused(first: int, text: str, tmp_path: Path) -> None:
    class Odd(Doubling):
        def next_look(self, taken: Sequence[LookResult]) -> PlannedLook | None:
            return PlannedLook(first + 20 * len(taken), 0.001)

    with pytest.raises(InvalidInputError, match=text):
        work(tmp_path, task=Task(Question(SIGMA), Odd(0.5), n0=60))


def test_failures_of_a_parallel_executor_hurt_their_input_alone(tmp_path: Path) -> None:
    class Poisoned(KeyedExecutor):
        def wait(self):
            done = super().wait()
            return InputFailed(3, ModelError("Input 3 is poisoned.")) if done.idx == 3 else done

    plain = work(tmp_path / "plain")
    with Store.open(tmp_path / "poisoned" / STORE, facts()) as store:
        rows = Run(LABELS, TASK, Poisoned(shuffle=2), store, stop_on_failure=False).rows()
    assert [row.error for row in rows] == ["", "Input 3 is poisoned.", "", ""]
    assert [row.counts for row in rows if not row.error] == [row.counts for row in plain if row.idx != 3]


def test_a_folder_with_proofs_of_other_inputs_is_refused_before_sampling(tmp_path: Path) -> None:
    (tmp_path / CERTIFICATES).mkdir()
    (tmp_path / CERTIFICATES / "000009.json").write_text("{}")
    with pytest.raises(InvalidInputError, match=r"000009\.json is of none of these inputs"):
        certify(classifier(), inputs(), Task(Question(SIGMA), FixedSamples(100, 0.01), n0=20), seed=3, output=tmp_path)
    assert not (tmp_path / STORE).exists()


@pytest.mark.parametrize("workers", [ALONE, Workers(2)])
def test_whatever_a_model_raises_is_a_row_or_ends_the_run_in_our_words(workers: Workers, tmp_path: Path) -> None:
    points = torch.tensor([[0.0, 1.0], [9.0, 9.0], [1.0, 0.0]])
    task = Task(Question(0.1), FixedSamples(100, 0.05), n0=20)
    model = SmoothedClassifier(Odd(), 0.1, 3, chunk=20, progress=False)
    data = Inputs(points, [0, 1, 2], [0, 1, 2])
    rows = certify(model, data, task, seed=0, output=tmp_path / "on", stop_on_failure=False, workers=workers)
    assert [bool(row.error) for row in rows] == [False, True, False]
    assert rows[1].error.startswith("Input 1: the model raised KeyError: 'an odd input'. The model was called for")
    with pytest.raises(ModelError, match="Input 1: the model raised KeyError"):
        certify(model, data, task, seed=0, output=tmp_path / "stop", workers=workers)
