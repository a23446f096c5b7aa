"""Adapters with the libraries themselves: tiny networks with random weights, nothing is fetched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from art.defences.preprocessor import SpatialSmoothing
from art.estimators.classification import BlackBoxClassifier, PyTorchClassifier
from torch import nn
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.efficientnet.image_processing_pil_efficientnet import EfficientNetImageProcessorPil
from transformers.models.mobilevit.image_processing_pil_mobilevit import MobileViTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from rsopt.errors import InvalidInputError
from rsopt.smoothing import SmoothedClassifier, fingerprint
from rsopt.smoothing.adapters import ArtModel, ImageModel, pixels

PROCESSOR = ViTImageProcessorPil(size={"height": 8, "width": 8}, image_mean=[0.5, 0.4, 0.3], image_std=[0.2, 0.25, 0.5])
NETWORKS = {
    "vit": (ViTForImageClassification, ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=8, patch_size=4,
        num_labels=3)),
    "resnet": (ResNetForImageClassification, ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3)),
    "convnext": (ConvNextForImageClassification, ConvNextConfig(
        hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, patch_size=2, num_labels=3))}


@pytest.mark.parametrize("name", NETWORKS)
def test_image_classifiers_of_transformers(name: str) -> None:
    made, config = NETWORKS[name]
    torch.manual_seed(0)
    network = made(config)
    raw = np.random.default_rng(1).integers(0, 256, (3, 20, 14, 3), dtype=np.uint8)
    x = pixels(PROCESSOR, list(raw))
    assert x.shape == (3, 3, 8, 8)
    model = ImageModel(network, PROCESSOR)
    with torch.inference_mode():
        expected = network.eval()(pixel_values=PROCESSOR(images=list(raw), return_tensors="pt")["pixel_values"]).logits
        assert torch.allclose(model(x), expected, atol=1e-5)
    found = SmoothedClassifier(model, 0.25, model.num_classes, chunk=40).certify(
        x[0], n=120, alpha=0.01, seed=1, label=int(expected[0].argmax()))
    assert found.bound.counts.n == 120
    assert found.bound.certified


@pytest.mark.parametrize("processor", [
    PROCESSOR, ConvNextImageProcessorPil(), MobileViTImageProcessorPil(),
    EfficientNetImageProcessorPil(include_top=False)], ids=lambda processor: type(processor).__name__)
def test_what_a_processor_does_is_done(processor: Any) -> None:
    network = NETWORKS["resnet"][0](NETWORKS["resnet"][1])
    model = ImageModel(network, processor)
    raw = [np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)]
    seen = (pixels(processor, raw) - model.mean) / model.std
    assert torch.allclose(seen, processor(images=raw, return_tensors="pt")["pixel_values"], atol=1e-5)


def test_a_second_normalisation_is_refused() -> None:
    network = NETWORKS["resnet"][0](NETWORKS["resnet"][1])
    with pytest.raises(InvalidInputError, match=r"EfficientNetImageProcessorPil does something else to a pixel than "
                                                r"divide by 255 and normalise once: for a probe it gives values from"):
        ImageModel(network, EfficientNetImageProcessorPil())


def test_a_torch_classifier_of_the_toolbox() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))

    def wrapped(window: int) -> ArtModel:
        return ArtModel(PyTorchClassifier(
            network, nn.CrossEntropyLoss(), (1, 6, 6), 3, clip_values=(0.0, 1.0), preprocessing=(0.5, 0.25),
            preprocessing_defences=[SpatialSmoothing(window_size=window, channels_first=True)]))

    model, x = wrapped(3), torch.rand((5, 1, 6, 6))
    smoothed = torch.from_numpy(SpatialSmoothing(window_size=3, channels_first=True)(x.numpy())[0])
    assert not torch.equal(smoothed, x)
    with torch.inference_mode():
        assert torch.allclose(model(x), network.eval()((smoothed - 0.5) / 0.25), atol=1e-5)
    classifier = SmoothedClassifier(model, 0.25, model.num_classes, chunk=40)
    counts = classifier.counts(x[0], 120, 2)
    assert counts.sum() == 120
    assert np.array_equal(counts, SmoothedClassifier(wrapped(3), 0.25, 3, chunk=40).counts(x[0], 120, 2))
    assert fingerprint(model) == fingerprint(wrapped(3)) != fingerprint(wrapped(2))


def test_a_classifier_of_the_toolbox_that_is_a_function() -> None:
    weights = np.random.default_rng(0).standard_normal((36, 3)).astype(np.float32)
    classifier = BlackBoxClassifier(lambda x: x.reshape(len(x), -1) @ weights, (1, 6, 6), 3)
    model = ArtModel(classifier, identity="seed 0")
    assert SmoothedClassifier(model, 0.25, 3, chunk=40).counts(torch.rand((1, 6, 6)), 80, 2).sum() == 80
