"""Scripts for the toolbox's smoothings run with one line changed, and get proven radii."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from art.estimators.certification import randomized_smoothing as toolbox
from art.estimators.classification import PyTorchClassifier
from linear_model import ANSWERS, POINTS, Linear
from torch import nn

import rsopt
from rsopt import compat
from rsopt.errors import InvalidInputError

# In our own words, for the classes of the toolbox; its import alone is another here.
SCRIPT = """
import numpy as np
import torch
from rsopt.compat import PyTorchRandomizedSmoothing

def main(model, x_train, y_train, x_test):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    smoothed = PyTorchRandomizedSmoothing(
        model=model, loss=torch.nn.CrossEntropyLoss(), optimizer=optimizer, input_shape=x_train.shape[1:], nb_classes=3,
        channels_first=False, clip_values=(-9.0, 9.0), sample_size=100, scale=0.5, alpha=0.001)
    smoothed.fit(x_train, y_train, nb_epochs=1, batch_size=4)
    predicted = smoothed.predict(x_test, batch_size=100)
    predictions, radii = smoothed.certify(x_test, n=1000, batch_size=250)
    return predicted, predictions, radii
"""
POINTS_OF_THE_TOOLBOX = POINTS.numpy()


def answers(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    namespace: dict[str, Any] = {}
    exec(SCRIPT, namespace)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
    found: tuple[np.ndarray, np.ndarray, np.ndarray] = namespace["main"](
        Linear(), POINTS_OF_THE_TOOLBOX, np.eye(3, dtype=np.float32)[ANSWERS], POINTS_OF_THE_TOOLBOX)
    return found


def test_a_script_for_this_interface_runs() -> None:
    predicted, predictions, radii = answers(3)
    assert predicted.shape == (4, 3)
    assert predictions.shape == radii.shape == (4,)
    certified = radii > 0.2
    assert certified[[0, 3]].all()
    assert np.array_equal(predictions[certified], np.array(ANSWERS)[certified])
    assert np.array_equal(predicted.argmax(axis=1)[certified], predictions[certified])
    assert np.array_equal(answers(3)[2], radii), "the seeds of the script repeat it"


def smoothing(model: nn.Module, **options: Any) -> Any:
    return compat.PyTorchRandomizedSmoothing(
        model=model, loss=nn.CrossEntropyLoss(), input_shape=(2,), nb_classes=3, **options)


def test_the_noise_comes_before_what_belongs_to_the_classifier() -> None:
    """Preprocessing is the classifier's: sigma and radii are in units of the input."""
    np.random.seed(5)  # noqa: NPY002
    (top,), (radius,) = smoothing(Linear(), preprocessing=(0.25, 0.125), sample_size=50, scale=0.5).certify(
        POINTS_OF_THE_TOOLBOX[:1], n=600, batch_size=100)

    class Normalised(Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward((x - 0.25) / 0.125)

    np.random.seed(5)  # noqa: NPY002
    seed = np.random.randint(2**62)  # noqa: NPY002
    assert (top, radius) == compat.Smooth(Normalised(), 3, 0.5, seed).certify(POINTS[0], 50, 600, 0.001, 100)


def test_everything_else_is_the_toolbox_and_another_scale_counts() -> None:
    smoothed = smoothing(Linear(), sample_size=50, scale=0.5)
    assert isinstance(smoothed, toolbox.PyTorchRandomizedSmoothing)
    small = smoothed.certify(POINTS_OF_THE_TOOLBOX[:1], 500)[1]
    smoothed.set_params(scale=0.25)
    assert smoothed.certify(POINTS_OF_THE_TOOLBOX[:1], 500)[1] < small
    with pytest.raises(InvalidInputError, match="alpha"):
        smoothing(Linear(), alpha=0.9).certify(POINTS_OF_THE_TOOLBOX, 100)


def test_any_classifier_of_the_toolbox() -> None:
    inside = PyTorchClassifier(Linear(), nn.CrossEntropyLoss(), (2,), 3)
    np.random.seed(5)  # noqa: NPY002
    predictions, radii = compat.NumpyRandomizedSmoothing(inside, sample_size=50, scale=0.5).certify(
        POINTS_OF_THE_TOOLBOX, n=500)
    np.random.seed(5)  # noqa: NPY002
    again = smoothing(Linear(), sample_size=50, scale=0.5).certify(POINTS_OF_THE_TOOLBOX, n=500)
    assert np.array_equal(predictions, again[0])
    assert np.array_equal(radii, again[1])
    assert rsopt.compat is compat
