"""Adapters against stand-ins with the interfaces of the real libraries, which are not needed for them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rsopt.errors import InvalidInputError, ModelError
from rsopt.smoothing import SmoothedClassifier, fingerprint
from rsopt.smoothing.adapters import ArtModel, ImageModel, pixels

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)


class VisionModel(nn.Module):
    """Calls and returns as image classifiers of transformers do."""

    main_input_name = "pixel_values"

    def __init__(self, labels: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.config = SimpleNamespace(num_labels=labels)
        self.head = nn.Linear(48, labels)

    def forward(self, pixel_values: torch.Tensor | None = None, labels: torch.Tensor | None = None) -> SimpleNamespace:
        assert pixel_values is not None
        return SimpleNamespace(loss=None, logits=self.head(pixel_values.flatten(1)), hidden_states=None)


@dataclass
class Processor:
    """Has the attributes of image processors of transformers, and is called as they are."""

    do_rescale: bool = True
    rescale_factor: float = 1 / 255
    do_normalize: bool = True
    image_mean: tuple[float, ...] = MEAN
    image_std: tuple[float, ...] = STD

    def __call__(self, images: Any, return_tensors: str, do_normalize: bool | None = None,
                 do_rescale: bool | None = None) -> dict[str, torch.Tensor]:
        assert return_tensors == "pt"
        found = torch.from_numpy(np.moveaxis(np.stack(images).astype(np.float32), -1, 1))
        if self.do_rescale if do_rescale is None else do_rescale:
            found = found * self.rescale_factor
        if self.do_normalize if do_normalize is None else do_normalize:
            found = self.normalised(found)
        return {"pixel_values": found}

    def normalised(self, x: torch.Tensor) -> torch.Tensor:
        return (x - torch.tensor(self.image_mean)[:, None, None]) / torch.tensor(self.image_std)[:, None, None]


@dataclass
class Step:
    """A defence of the toolbox: public settings, private state."""

    strength: float = 1.0
    mean: np.ndarray = field(default_factory=lambda: np.array([0.5], np.float32))
    _cache: Any = None

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self._cache = object()
        return (x - self.mean) * np.float32(self.strength)


class Estimator:
    """Has the attributes and the predict of classifiers of the toolbox; `model` is a torch module, if it has one."""

    channels_first = True

    def __init__(self, network: nn.Module | None, steps: tuple[Step, ...] = (), classes: int = 4) -> None:
        self.nb_classes = classes
        self.model = network
        self.preprocessing_operations = list(steps)
        self.postprocessing_defences = None
        self._weights = np.random.default_rng(0).standard_normal((48, classes)).astype(np.float32)
        self.modes: list[bool] = []

    def predict(self, x: np.ndarray, batch_size: int = 128, **kwargs: Any) -> np.ndarray:
        assert isinstance(x, np.ndarray)
        assert batch_size == len(x)
        for step in self.preprocessing_operations:
            x = step(x)
        if self.model is None:
            return x.reshape(len(x), -1) @ self._weights
        self.modes.append(self.model.training)
        with torch.no_grad():
            return self.model(torch.from_numpy(x)).numpy().astype(np.float32)


def images(count: int = 6) -> torch.Tensor:
    return torch.rand((count, 3, 4, 4), generator=torch.Generator().manual_seed(1))


def test_importing_the_adapters_loads_neither_library() -> None:
    code = ("import sys, rsopt.smoothing.adapters\n"
            "loaded = {'transformers', 'art', 'ray', 'matplotlib'} & set(sys.modules); "
            "sys.exit(str(loaded) if loaded else 0)")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_noise_is_added_before_the_processor_normalises() -> None:
    network = VisionModel()
    model = ImageModel(network, Processor())
    x = images()
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, STD))
    assert torch.allclose(model(x), network(pixel_values=(x - mean) / std).logits)
    assert model.num_classes == 4
    counts = SmoothedClassifier(model, 0.25, model.num_classes, chunk=50).counts(x[0], 200, 3)
    assert counts.sum() == 200

    class Raw(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return network.head(((x - mean) / std).flatten(1))

    assert np.array_equal(counts, SmoothedClassifier(Raw(), 0.25, 4, chunk=50).counts(x[0], 200, 3))


def test_without_processor_or_normalisation_pixels_go_in_as_they_are() -> None:
    network, x = VisionModel(), images()
    for model in (ImageModel(network), ImageModel(network, Processor(do_normalize=False))):
        assert torch.equal(model(x), network(pixel_values=x).logits)


def test_half_precision_keeps_its_dtype() -> None:
    model = ImageModel(VisionModel().to(torch.bfloat16), Processor())
    assert model(images().to(torch.bfloat16)).dtype is torch.bfloat16
    assert SmoothedClassifier(model, 0.5, 4, chunk=20).counts(images()[0], 40, 1).sum() == 40


def test_another_normalisation_is_another_model() -> None:
    prints = {fingerprint(ImageModel(VisionModel(), processor))
              for processor in (None, Processor(), Processor(image_std=(0.2, 0.2, 0.5)))}
    assert len(prints) == 3
    assert fingerprint(ImageModel(VisionModel(), Processor())) in prints


@pytest.mark.parametrize(("processor", "told"), [
    (Processor(rescale_factor=1 / 127.5), r"does not map bytes to \[0, 1\] \(rescale factor 0.00784314\)"),
    (Processor(do_rescale=False), r"does not map bytes to \[0, 1\]"),
    (Processor(image_std=(0.2, 0.0, 0.5)), "do not go together"),
    (Processor(image_mean=(0.2, 0.5)), "do not go together")])
def test_processors_that_are_refused(processor: Processor, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        ImageModel(VisionModel(), processor)


class Twice(Processor):
    """Divides by the standard deviation once more, as the processor of EfficientNet does."""

    def normalised(self, x: torch.Tensor) -> torch.Tensor:
        return super().normalised(x) / torch.tensor(self.image_std)[:, None, None]


class Transforms:
    """Has none of the attributes and takes none of the options, as the wrapper of timm's transforms does."""

    def __call__(self, images: Any, return_tensors: str) -> dict[str, torch.Tensor]:
        return {"pixel_values": (torch.from_numpy(np.moveaxis(np.stack(images), -1, 1)) / 255.0 - 0.5) / 0.25}


class Patches(Processor):
    """Cuts an image into pieces at the end."""

    def normalised(self, x: torch.Tensor) -> torch.Tensor:
        return super().normalised(x)[:, None]


@pytest.mark.parametrize(("processor", "told"), [
    (Twice(), r"Twice does something else to a pixel than divide by 255 and normalise once: for a probe it gives "
              r"values from -12\.5 to 12\.5, its image_mean and image_std alone -2\.5 to 2\.5, and they differ by up "
              r"to 10\. Wrap the model yourself"),
    (Transforms(), r"What Transforms does to a pixel cannot be seen: asked for an image without rescaling and "
                   r"normalisation, it raised TypeError: .*unexpected keyword argument.* Wrap the model yourself"),
    (Patches(), r"Patches gives shape \(1, 1, 3, 61, 47\) for an image, and without .* \(1, 3, 61, 47\)\. Wrap")])
def test_processors_that_do_more_than_their_attributes_say(processor: Any, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        ImageModel(VisionModel(), processor)
    with pytest.raises(InvalidInputError, match=told):
        pixels(processor, [np.zeros((4, 4, 3), np.uint8)])


def test_gray_images() -> None:
    gray = Processor(image_mean=(0.5,), image_std=(0.25,))
    assert pixels(gray, [np.full((4, 4, 1), 51, np.uint8)]).unique().tolist() == pytest.approx([0.2])


def test_models_that_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="with a config and num_labels is needed; found Linear"):
        ImageModel(nn.Linear(2, 2))
    text = VisionModel()
    text.main_input_name = "input_ids"
    with pytest.raises(InvalidInputError, match="VisionModel takes input_ids, not images"):
        ImageModel(text)

    class Backbone(VisionModel):
        def forward(self, pixel_values: torch.Tensor | None = None) -> SimpleNamespace:
            return SimpleNamespace(last_hidden_state=pixel_values)

    with pytest.raises(ModelError, match="returned a SimpleNamespace without logits"):
        ImageModel(Backbone())(images())


def test_pixels_of_images() -> None:
    raw = np.random.default_rng(4).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    found = pixels(Processor(), list(raw))
    assert found.dtype is torch.float32
    assert torch.allclose(found, torch.from_numpy(np.moveaxis(raw, -1, 1)) / 255.0)
    with pytest.raises(InvalidInputError, match=r"gave pixels from .* expected 0 to 1\. Give it images of bytes"):
        pixels(Processor(), [image * 300.0 for image in raw.astype(np.float32)])


def test_a_torch_classifier_of_the_toolbox_with_its_preprocessing() -> None:
    torch.manual_seed(2)
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(48, 4))
    estimator = Estimator(network, (Step(2.0),))
    model, x = ArtModel(estimator), images()
    assert model.num_classes == 4
    expected = network.eval()((x - 0.5) * 2.0)
    assert torch.allclose(model(x), expected)
    network.train()
    counts = SmoothedClassifier(model, 0.25, 4, chunk=50).counts(x[0], 200, 3)
    assert counts.sum() == 200
    assert estimator.modes[1:] == [False] * (len(estimator.modes) - 1)
    assert network.training


def test_the_fingerprint_follows_weights_and_settings_and_nothing_else() -> None:
    def made(seed: int = 0, strength: float = 1.0, mean: float = 0.5) -> ArtModel:
        torch.manual_seed(seed)
        return ArtModel(Estimator(nn.Sequential(nn.Flatten(), nn.Linear(48, 4)),
                                  (Step(strength, np.array([mean], np.float32)),)))

    used = made()
    used(images())
    assert fingerprint(used) == fingerprint(made())
    rebuilt = ArtModel(used.classifier)
    assert fingerprint(rebuilt) == fingerprint(made())
    assert len({fingerprint(made(*change)) for change in ((), (1,), (0, 2.0), (0, 1.0, 0.25))}) == 4


def test_a_classifier_without_torch_needs_an_identity() -> None:
    estimator = Estimator(None)
    with pytest.raises(InvalidInputError, match=r"weights of Estimator cannot be seen from here\. Give an identity"):
        ArtModel(estimator)
    model = ArtModel(estimator, identity="weights of May")
    assert SmoothedClassifier(model, 0.25, 4, chunk=50).counts(images()[0], 100, 3).sum() == 100
    assert fingerprint(model) != fingerprint(ArtModel(estimator, identity="weights of June"))


def test_what_is_no_classifier_and_what_gives_no_scores() -> None:
    with pytest.raises(InvalidInputError, match="with predict and nb_classes is needed; found SimpleNamespace"):
        ArtModel(SimpleNamespace(predict=print))
    estimator = Estimator(None)
    estimator.predict = lambda x, batch_size: np.zeros(len(x), dtype=np.int64)
    with pytest.raises(ModelError, match=r"predict returned int64 of shape \(6,\); expected a row of scores"):
        ArtModel(estimator, identity="a")(images())


def test_a_random_defence_is_refused() -> None:
    class Jitter(Step):
        def __call__(self, x: np.ndarray) -> np.ndarray:
            return x + np.random.default_rng().standard_normal(x.shape).astype(np.float32)

    model = ArtModel(Estimator(None, (Jitter(),)), identity="a")
    with pytest.raises(ModelError, match="the same batch gave different scores twice"):
        SmoothedClassifier(model, 0.25, 4, chunk=50).counts(images()[0], 100, 3)
