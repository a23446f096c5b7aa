"""A script for the interface of Cohen et al.'s code runs with one line changed, and gets proven radii."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from linear_model import ANSWERS, POINTS, Linear
from torch import nn

import rsopt
from rsopt.compat import Smooth
from rsopt.errors import InvalidInputError, ModelError

# In our own words, for an object that a module called `core` has: the first line alone is another here.
SCRIPT = """
from rsopt.compat import Smooth

def main(base_classifier, dataset, num_classes, sigma, file):
    smoothed_classifier = Smooth(base_classifier, num_classes, sigma)
    for i in range(len(dataset)):
        x, label = dataset[i]
        prediction, radius = smoothed_classifier.certify(x, 50, 1000, 0.001, 400)
        if prediction == Smooth.ABSTAIN:
            assert radius == 0.0
        print(f"{i}\\t{label}\\t{prediction}\\t{radius:.3}\\t{int(prediction == label)}", file=file, flush=True)
        assert smoothed_classifier.predict(x, 100, 0.001, 400) in (Smooth.ABSTAIN, *range(num_classes))
"""
DATASET = list(zip(POINTS, ANSWERS, strict=True))


def log(seed: int) -> list[list[str]]:
    namespace: dict[str, Any] = {}
    exec(SCRIPT, namespace)
    torch.manual_seed(seed)
    file = io.StringIO()
    namespace["main"](Linear(), DATASET, 3, 0.5, file)
    return [line.split("\t") for line in file.getvalue().splitlines()]


def test_a_script_for_this_interface_runs() -> None:
    lines = log(0)
    # The first and the last lie far from the other classes.
    assert [line[2] for line in lines if float(line[3]) > 0.2] == [line[1] for line in lines if float(line[3]) > 0.2]
    assert {line[0] for line in lines if float(line[3]) > 0.2} >= {"0", "3"}
    assert log(0) == lines, "the seed of torch repeats it"
    assert log(1) != lines


def test_the_radius_is_the_one_of_the_library() -> None:
    smooth = Smooth(Linear(), 3, 0.5, seed=7)
    for call, x in enumerate((POINTS[0], POINTS[0], POINTS[2].double().numpy())):
        top, radius = smooth.certify(x, 50, 430, 0.01, 40)
        found = rsopt.smoothing.SmoothedClassifier(Linear(), 0.5, 3, chunk=40).certify(
            x, n0=50, n=430, alpha=0.01, seed=7, index=call)
        assert (top, radius) == (found.predict, found.radius)
        assert rsopt.check_certificate(found.bound.certificate).lower == found.bound.lower
    assert smooth.predict(POINTS[0], 100, 0.01, 40) == 0


def test_every_call_has_noise_of_its_own() -> None:
    smooth = Smooth(Linear(), 3, 0.5)
    assert len({smooth.certify(POINTS[1], 50, 400, 0.01, 100)[1] for _ in range(6)}) > 1
    assert Smooth(Linear(), 3, 0.5).seed != smooth.seed


def test_an_abstention() -> None:
    class Fair(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x[:, :1], -x[:, :1]], dim=1)

    smooth = Smooth(Fair(), 2, 1.0, seed=1)
    assert smooth.certify(torch.zeros(2), 50, 500, 0.001, 100) == (Smooth.ABSTAIN, 0.0) == (-1, 0.0)
    assert smooth.predict(torch.zeros(2), 100, 0.001, 100) == -1


def test_what_is_refused_before_anything_is_sampled() -> None:
    for arguments, text in (((Linear(), 1, 0.5), "num_classes must be an integer of at least 2"),
                            ((Linear(), 3, -1.0), "sigma must be a positive number"),
                            ((Linear(), 3, 0.5, -1), "seed must be"), ((print, 3, 0.5), "must be a torch.nn.Module")):
        with pytest.raises(InvalidInputError, match=text):
            Smooth(*arguments)  # type: ignore[arg-type]
    smooth = Smooth(Linear(), 3, 0.5)
    for given, text in (((0, 100, 0.01, 10), "n0"), ((10, 0, 0.01, 10), "n must"), ((10, 100, 0.7, 10), "alpha"),
                        ((10, 100, 0.01, 0), "batch_size must be an integer of at least 1, got 0")):
        with pytest.raises(InvalidInputError, match=text):
            smooth.certify(POINTS[0], *given)
    with pytest.raises(ModelError, match="but num_classes is 4"):
        Smooth(Linear(), 4, 0.5).certify(POINTS[0], 10, 100, 0.01, 10)
