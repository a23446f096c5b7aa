"""Workers that start where the model lies, and those that cannot start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import MODULE, RSOPT

from rsopt.errors import InvalidInputError
from rsopt.runs.inputs import Inputs

SCRIPT = """
import torch
from pathlib import Path
from torch import nn
from rsopt.question import Question
from rsopt.runs.certify import certify
from rsopt.runs.inputs import Inputs
from rsopt.runs.task import Task
from rsopt.runs.workers.executors import Workers
from rsopt.sequential.policy import FixedSamples
from rsopt.smoothing import SmoothedClassifier

classifier = SmoothedClassifier(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), 0.5, 3)
task = Task(Question(0.5), FixedSamples(400, 0.01), n0=50)
certify(classifier, Inputs(torch.rand(4, 2, 2), [0] * 4, range(4)), task, seed=0, output=Path("out"),
        workers=Workers(2))
"""


def test_a_model_of_the_working_folder_reaches_the_workers(tmp_path: Path) -> None:
    (tmp_path / "own_models.py").write_text(MODULE)
    options = ["certify", "--model", "own_models:Fresh", "--data", "own_models:data", "--n", "300", "--n0", "40",
               "--workers", "2", "--inputs", "2"]
    done = subprocess.run([*RSOPT, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "runs").glob("own_models-Fresh-*/table.tsv")] == ["table.tsv"]


def test_a_script_without_guard_gets_one_error(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.endswith("this script starts workers when it is imported. Put what it does, not its classes and "
                                "functions, under  if __name__ == '__main__':\n")
    assert not (tmp_path / "out").exists()


def test_labels_and_numbers_become_plain_integers() -> None:
    images = np.zeros((3, 2, 2), dtype=np.float32)
    inputs = Inputs(images, np.array([0, 1, 2], dtype=np.int32), np.arange(2))
    assert [type(value) for value in (*inputs.labels, *inputs.chosen)] == [int] * 5
    assert Inputs(images, [None, 1, 2], [0]).labels == [None, 1, 2]
    with pytest.raises(InvalidInputError, match=r"^A label must be an integer; found 1\.5\.$"):
        Inputs(images, [0, 1.5, 2], [0])
    with pytest.raises(InvalidInputError, match=r"^A number of an input must be an integer; found '1'\.$"):
        Inputs(images, [0, 1, 2], ["1"])
