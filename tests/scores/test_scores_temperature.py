"""A temperature and a method chosen on selection samples: by which promise, stored, resumed, the same for workers."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_net import CLASSES, IMAGES, LABELS, SEED, SIGMA, Net

import rsopt
from rsopt.errors import CertificateError, InvalidInputError, ModelError, StorageError, UnknownNameError
from rsopt.functionals import score_functional, score_functionals
from rsopt.methods import SOFT_PROBIT, soft_methods
from rsopt.noise import Gaussian
from rsopt.question import Question
from rsopt.runs.certify import certify
from rsopt.runs.folder import STORE
from rsopt.runs.inputs import Inputs
from rsopt.runs.proofs import stored_proofs
from rsopt.runs.rows import Row
from rsopt.runs.soft_outputs import SoftOutputs
from rsopt.runs.store import Store
from rsopt.runs.task import Task
from rsopt.runs.verification import check_text
from rsopt.runs.workers.executors import ALONE, Workers
from rsopt.scores import temperature
from rsopt.scores.promises import level_by_bets, level_by_bets_on_votes, level_by_votes
from rsopt.scores.temperature import METHODS, TEMPERATURES, choose_temperature, tempered
from rsopt.sequential.policy import FixedSamples
from rsopt.smoothing import SmoothedClassifier, Softmax, Stream

ALL = tuple(score_functionals())
AUTO = SoftOutputs("softmax", temperatures=TEMPERATURES, methods=METHODS, seed=5)


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    weights = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    return weights / weights.sum(axis=1, keepdims=True)


def outputs(means: tuple[float, ...], seed: int = 0, rows: int = 100) -> np.ndarray:
    """Selection rows at the last temperature, of normal outputs."""
    logits = np.array(means) + np.random.default_rng(seed).standard_normal((rows, len(means)))
    return softmax(logits, TEMPERATURES[-1])


def test_rows_of_one_temperature_give_those_of_all_others() -> None:
    logits = np.array([2.0, 0.0, -1.0]) + np.random.default_rng(0).standard_normal((100, 3))
    softest = softmax(logits, TEMPERATURES[-1])
    for t in TEMPERATURES:
        # Logarithms of double precision, times up to 2000.
        assert tempered(softest, TEMPERATURES[-1] / t) == pytest.approx(softmax(logits, t), abs=1e-9)


@pytest.mark.parametrize("promise", [level_by_bets, level_by_bets_on_votes, level_by_votes])
@pytest.mark.parametrize("name", ALL)
def test_more_rows_promise_more_and_hopeless_ones_nothing(name: str, promise: Callable[..., float]) -> None:
    rows, g = outputs((4.0, 0.0, -1.0)), score_functional(name)
    assert promise(rows, 10_000, 1e-3, g) > promise(rows, 500, 1e-3, g) > 0.0
    assert promise(rows, 500, 1e-2, g) > promise(rows, 500, 1e-3, g)
    assert promise(np.full((100, 3), 1 / 3), 2000, 1e-3, g) == 0.0


@pytest.mark.parametrize("votes", [(950, 30, 20), (1000, 0, 0), (700, 200, 100)])
@pytest.mark.parametrize("name", ALL)
def test_the_promise_of_votes_is_near_the_exact_bound(name: str, votes: tuple[int, ...]) -> None:
    rows, g = np.repeat(np.eye(3), votes, axis=0), score_functional(name)
    promised = level_by_votes(rows, 1000, 1e-3, g)
    assert promised == pytest.approx(rsopt.lower_bound(votes, top=0, functional=name).lower, rel=0.07)
    # Clopper and Pearson's limits at whole counts, split over two classes, never pass the joint bound's own.
    assert promised == pytest.approx(max(rsopt.baselines.two_way_clopper_pearson(votes, top=0, functional=name).lower,
                                         rsopt.baselines.cohen(votes, top=0, functional=name).lower), rel=1e-6)
    # Bets on votes drawn from one-hot rows are bets on these rows.
    assert level_by_bets_on_votes(rows, 1000, 1e-3, g) == pytest.approx(level_by_bets(rows, 1000, 1e-3, g), rel=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_bets_promise_about_what_they_then_give(name: str) -> None:
    rows = outputs((3.0, 0.0, 1.0), 1, 20_000)
    given = rsopt.lower_bound_scores(rows, top=0, functional=name, alpha=1e-3).lower
    assert level_by_bets(rows, 20_000, 1e-3, score_functional(name)) == pytest.approx(given, rel=0.02)


def test_the_draw_only_costs() -> None:
    for seed in range(20):
        rows = outputs((3.0, 0.0, 1.0), seed)
        for g in map(score_functional, ALL):
            assert level_by_bets_on_votes(rows, 2000, 1e-3, g) <= level_by_bets(rows, 2000, 1e-3, g)


def test_scores_that_gain_nothing_become_votes_and_soft_ones_are_bet_on() -> None:
    """Outputs far apart gain nothing from softness; close ones of many rows do, where the toll of betting is small."""
    apart = choose_temperature([outputs((4.0, 0.0, -1.0), seed) for seed in range(5)], n=2000, alpha=1e-3)
    assert apart.method == "drawn-votes"
    assert apart.temperature <= 0.05
    assert apart.promised["drawn-votes"][TEMPERATURES.index(apart.temperature)] == max(apart.promised["drawn-votes"])
    hard = [outputs((0.5, 0.0), seed, 400) for seed in range(5)]
    close = choose_temperature(hard, n=200_000, alpha=1e-3, temperatures=(1.0, 2.0))
    assert close.method == "digital-hedge"
    assert choose_temperature(hard, n=200_000, alpha=1e-3, temperatures=(1.0, 2.0), methods=("drawn-votes",)).method \
        == "drawn-votes"
    alone = choose_temperature(hard, n=2000, alpha=1e-3, methods=("fast-betting",))
    assert alone.method == "fast-betting"
    best = max(alone.promised["fast-betting"])
    assert alone.promised["fast-betting"][TEMPERATURES.index(alone.temperature)] >= 0.999 * best


def test_choices_that_cannot_be_made() -> None:
    with pytest.raises(InvalidInputError, match="no selection samples"):
        choose_temperature([], n=2000, alpha=1e-3)
    with pytest.raises(InvalidInputError, match="no methods"):
        choose_temperature([outputs((1.0, 0.0))], n=2000, alpha=1e-3, methods=())
    for temperatures in ((), (0.0, 1.0), (1.0, 0.5), (1.0, math.nan)):
        with pytest.raises(InvalidInputError, match="positive and growing"):
            choose_temperature([outputs((1.0, 0.0))], n=2000, alpha=1e-3, temperatures=temperatures)
    with pytest.raises(UnknownNameError, match="no method for scores named 'digital-edge'"):
        SoftOutputs("softmax", method="digital-edge")
    with pytest.raises(InvalidInputError, match="give temperatures to choose from"):
        SoftOutputs("softmax", methods=METHODS)
    with pytest.raises(InvalidInputError, match="seed must be a whole number from 0 on"):
        SoftOutputs("softmax", seed=-1)


def run(output: Path, soft: SoftOutputs = AUTO, n0: int | None = 50, inputs: int = 3,
        workers: Workers = ALONE) -> list[Row]:
    classifier = SmoothedClassifier(Net(), SIGMA, CLASSES, chunk=50, batch=100, progress=False)
    task = Task(Question(SIGMA), FixedSamples(200, 0.01), n0=n0, soft=soft)
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
    assert (facts["temperatures"], facts["methods"]) == (list(TEMPERATURES), list(METHODS))
    assert facts["temperature"] in TEMPERATURES
    assert facts["method"] in METHODS
    given = SoftOutputs("softmax", facts["temperature"], facts["method"], seed=AUTO.seed)
    assert bounds(rows) == bounds(run(tmp_path / "given", given))
    assert bounds(rows) == bounds(run(tmp_path / "workers", workers=Workers(2)))
    assert stored(tmp_path / "workers") == facts


def test_a_resumed_run_keeps_the_stored_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the temperature was chosen again")

    monkeypatch.setattr(temperature, "choose_temperature", refuse)
    assert bounds(run(tmp_path)) == bounds(first)


def test_a_run_begun_by_another_method_is_refused(tmp_path: Path) -> None:
    soft = SoftOutputs("softmax", temperatures=(0.5, 1.0), method="digital-hedge")
    run(tmp_path, soft, inputs=1)
    for other in (replace(soft, method="fast-betting"), replace(soft, methods=METHODS), replace(soft, seed=6),
                  replace(soft, temperatures=(0.1, 1.0))):
        with pytest.raises(StorageError, match=r"holds another run: scores\.\w+ is "):
            run(tmp_path, other, inputs=1)


def test_a_session_that_died_before_it_stored_anything(tmp_path: Path) -> None:
    """The file is there, with or without SQLite's header, and holds no tables."""
    fresh = run(tmp_path / "fresh", inputs=1)
    for name in ("empty", "header"):
        (tmp_path / name).mkdir()
        (tmp_path / name / STORE).touch()
        if name == "header":
            with closing(sqlite3.connect(tmp_path / name / STORE)) as database:
                database.execute("PRAGMA journal_mode = WAL").fetchone()
        assert bounds(run(tmp_path / name, inputs=1)) == bounds(fresh)


def test_inputs_that_the_model_cannot_take_are_left_out_of_the_choice(tmp_path: Path) -> None:
    """The first is too bright for the network; where all are, there is nothing to choose, and every row says why."""
    images = IMAGES.clone()
    images[0] += 10.0
    network = SmoothedClassifier(Net(), SIGMA, CLASSES, chunk=50, batch=100, progress=False)
    task = Task(Question(SIGMA), FixedSamples(200, 0.01), n0=50, soft=AUTO)
    labels: list[int | None] = list(LABELS.values())
    with pytest.raises(ModelError, match="Input 0: the model returned NaN"):
        certify(network, Inputs(images, labels, [0, 1]), task, seed=SEED, output=tmp_path / "stops")
    some = certify(network, Inputs(images, labels, [0, 1]), task, seed=SEED, output=tmp_path / "some",
                   stop_on_failure=False)
    alone = certify(network, Inputs(images, labels, [1]), task, seed=SEED, output=tmp_path / "alone")
    assert "NaN" in some[0].error
    assert bounds(some[1:]) == bounds(alone)
    none = certify(network, Inputs(images, labels, [0]), task, seed=SEED, output=tmp_path / "none",
                   stop_on_failure=False)
    assert [row.error for row in none] == [some[0].error]


def test_a_choice_without_selection_samples_or_temperature_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="draws none"):
        run(tmp_path, n0=None)
    with pytest.raises(InvalidInputError, match="has none to choose"):
        run(tmp_path, SoftOutputs("sparsemax", temperatures=TEMPERATURES))


def test_drawn_votes_in_a_run(tmp_path: Path) -> None:
    """Every input draws from a seed of its own; the proofs are certificates, and an altered count is noticed."""
    soft = SoftOutputs("softmax", 0.3, "drawn-votes", seed=1)
    rows = run(tmp_path / "one", soft)
    with Store.read(tmp_path / "one" / STORE) as store:
        proofs = {name: text for name, text in stored_proofs(store) if "-" in name}
    classifier = SmoothedClassifier(Net(), SIGMA, CLASSES, chunk=50, batch=100, progress=False)
    blocks = classifier.scores(IMAGES[1], 200, SEED, simplex=Softmax(0.3), index=1, stream=Stream.ESTIMATION)
    scores = np.concatenate([block.rows for block in blocks])
    bound = rsopt.lower_bound_scores(scores, top=rows[1].top, functional="probit", method="drawn-votes", alpha=0.01,
                                     seed=soft.draw_seed(1))
    assert rows[1].bounds[SOFT_PROBIT].lower == bound.lower
    assert len({soft.draw_seed(idx) for idx in range(100)} | {replace(soft, seed=2).draw_seed(idx)
                                                             for idx in range(100)}) == 200
    assert bounds(rows) == bounds(run(tmp_path / "two", soft, workers=Workers(2)))
    assert bounds(rows) != bounds(run(tmp_path / "other", replace(soft, seed=2)))
    assert set(proofs) == {f"{row.idx:06d}-{method}" for row in rows for method in soft_methods(Gaussian(SIGMA))}
    for text in proofs.values():
        assert "at least" in check_text(text)
    content = json.loads(proofs["000001-soft-probit"])
    content["x1"] += 1
    with pytest.raises(CertificateError):
        check_text(json.dumps(content))
