"""Runs under noise on a grid: the same bits whoever works, however often they were interrupted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from small_net import CLASSES, IMAGES, LABELS, SEED, SIGMA, TASK, Net
from small_run import left_behind

from rsopt.certificate import Certificate
from rsopt.errors import InvalidInputError
from rsopt.noise import Gaussian, Laplace, Noise
from rsopt.question import Question
from rsopt.runs.certify import certify
from rsopt.runs.folder import CERTIFICATES, STORE
from rsopt.runs.inputs import Inputs
from rsopt.runs.overview import Overview
from rsopt.runs.reports.text import guarantees
from rsopt.runs.rows import Row
from rsopt.runs.run import Watcher
from rsopt.runs.store import facts_of
from rsopt.runs.task import Task
from rsopt.runs.workers.executors import ALONE, Workers
from rsopt.smoothing import SmoothedClassifier

ON_GRID = (IMAGES * 255).round() / 255
NOISE = Gaussian(SIGMA, grid=1 / 255)


def done(folder: Path, noise: Noise = NOISE, images: torch.Tensor = ON_GRID, *, batch: int = 50,
         workers: Workers = ALONE, watcher: Watcher | None = None) -> list[Row]:
    classifier = SmoothedClassifier(Net(), noise, CLASSES, chunk=50, batch=batch, progress=False)
    task = Task(Question(noise), TASK.policy, n0=TASK.n0)
    return certify(classifier, Inputs(images, list(LABELS.values()), range(4)), task, seed=SEED, output=folder,
                   workers=workers, watcher=watcher)


class Interrupted(Watcher):
    """Ends the run after so many samples."""

    def __init__(self, samples: int) -> None:
        self.left = samples

    def sampled(self, samples: int) -> None:
        self.left -= samples
        if self.left < 0:
            raise KeyboardInterrupt


def test_the_same_bits_with_workers_interrupted_and_in_any_batches(tmp_path: Path) -> None:
    whole = done(tmp_path / "whole", batch=200)
    for samples in (100, 600):
        with pytest.raises(KeyboardInterrupt):
            done(tmp_path / "parts", watcher=Interrupted(samples))
    done(tmp_path / "parts", workers=Workers(2))
    assert left_behind(tmp_path / "parts") == left_behind(tmp_path / "whole")
    assert any(row.radius() > 0.0 for row in whole)
    alone = SmoothedClassifier(Net(), NOISE, CLASSES, chunk=50, progress=False)
    assert alone.counts(ON_GRID[2], 450, SEED, index=2).tolist() == list(whole[2].counts)


def test_a_run_says_what_the_draws_take_and_proves_at_what_is_left(tmp_path: Path) -> None:
    noise = Laplace(0.1, grid=1 / 255)
    rows = done(tmp_path, noise)
    facts = facts_of(tmp_path / STORE)
    taken = noise.total_variation(TASK.policy.most_samples, 36)
    assert (facts["dimension"], facts["total variation"]) == (36, taken)
    assert facts["noise"] == noise.to_dict()
    assert facts["sampling.noise"] == "numpy Philox, table"
    for path in (tmp_path / CERTIFICATES).glob("*.json"):
        assert Certificate.load(path).alpha == rows[0].reported.alpha == pytest.approx(0.01 - taken, rel=1e-15)
    text = guarantees(Overview.read(tmp_path))
    assert f"at most {taken:.3g} in total variation from the stated law; this is part of alpha" in text
    assert "no change of the input to other multiples of 1/255 by less than the radius, in the l1 norm" in text
    assert json.loads(facts["sampling.law"]) == noise.to_dict()


def test_an_input_off_the_grid_ends_a_run_before_it_begins(tmp_path: Path) -> None:
    images = ON_GRID.clone()
    images[3, 0, 2, 1] = 0.5
    with pytest.raises(InvalidInputError, match=r"^Input 3: Inputs must be multiples of 1/255, .*; found 0\.5\. Round"):
        done(tmp_path, images=images)
    assert not (tmp_path / STORE).exists()


def test_predictions_pay_for_their_draws() -> None:
    alone = SmoothedClassifier(Net(), NOISE, CLASSES, chunk=50, progress=False)
    assert alone.predict(ON_GRID[0], 200, 0, alpha=0.01) == alone.predict(ON_GRID[0], 200, 0, alpha=0.02)
    with pytest.raises(InvalidInputError, match=r"in total variation from Gaussian noise, .* alpha is 1e-14"):
        alone.predict(ON_GRID[0], 200, 0, alpha=1e-14)
