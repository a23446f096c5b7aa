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
    BartConfig,
    BartForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    ConvNextConfig,
    ConvNextForImageClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    ResNetConfig,
    ResNetForImageClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.efficientnet.image_processing_pil_efficientnet import EfficientNetImageProcessorPil
from transformers.models.mobilevit.image_processing_pil_mobilevit import MobileViTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from rsopt.errors import InvalidInputError, ModelError
from rsopt.smoothing import SmoothedClassifier, fingerprint
from rsopt.smoothing.adapters import ArtModel, ImageModel, TextModel, pixels

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


TEXTS = {"vocab_size": 50, "num_labels": 3, "initializer_range": 0.5}
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
         "max_position_embeddings": 40}
# They find padding, the end of a text and positions in ways of their own.
READERS = {
    "bert": (BertForSequenceClassification, BertConfig(**TEXTS, **SMALL)),
    "roberta": (RobertaForSequenceClassification, RobertaConfig(**TEXTS, **SMALL)),
    "distilbert": (DistilBertForSequenceClassification, DistilBertConfig(
        **TEXTS, dim=16, n_layers=2, n_heads=2, hidden_dim=16)),
    "gpt2": (GPT2ForSequenceClassification, GPT2Config(
        **TEXTS, n_embd=16, n_layer=2, n_head=2, pad_token_id=3, eos_token_id=4, bos_token_id=4))}


def encoding(tokens: list[int], padding: int = 0, pad: int = 0) -> dict[str, torch.Tensor]:
    return {"input_ids": torch.tensor([tokens + [pad] * padding]),
            "attention_mask": torch.tensor([[1] * len(tokens) + [0] * padding])}


@pytest.mark.parametrize("name", READERS)
def test_text_classifiers_of_transformers(name: str) -> None:
    made, config = READERS[name]
    torch.manual_seed(0)
    network = made(config).eval()
    model = TextModel(network)
    text, padded = (encoding([7, 8, 9, 30, 12, 2], padding, config.pad_token_id) for padding in (0, 4))
    x, wide = model.embedded(text), model.embedded(padded)
    with torch.inference_mode():
        # Without noise: the model's own answer, with and without padding.
        own = network(**text).logits
        assert torch.allclose(model(x[None]), own, atol=1e-5)
        assert torch.allclose(model(wide[None]), network(**padded).logits, atol=1e-5)
        assert torch.allclose(model(wide[None]), own, atol=1e-4)
        # Under noise: the same for a row whatever lies beside it and under its padding.
        noisy = wide + 0.5 * torch.randn((5, *wide.shape), generator=torch.Generator().manual_seed(1))
        scores = model(noisy)
        assert not torch.allclose(scores, own, atol=1e-3)
        noisy[1:] = noisy[1:].flip(0)
        noisy[:, 6:, :16] += 100.0
        assert torch.allclose(model(noisy)[0], scores[0], atol=1e-5)
    found = SmoothedClassifier(model, 0.1, chunk=40).certify(
        wide, n=120, alpha=0.01, seed=1, label=int(own.argmax()))
    assert found.bound.counts.n == 120
    assert found.bound.certified
    assert not network.get_input_embeddings()._forward_hooks


def test_what_the_radius_of_a_text_is_about() -> None:
    """Another token in a place is a change of its embedding and of nothing else; special tokens and lengths are."""
    torch.manual_seed(0)
    network = BertForSequenceClassification(READERS["bert"][1])
    model, table = TextModel(network), network.get_input_embeddings().weight.detach()
    x, other = model.embedded(encoding([7, 8, 9])), model.embedded(encoding([7, 20, 11]))
    assert model.distance(x, other) == pytest.approx(
        float(((table[8] - table[20]).square().sum() + (table[9] - table[11]).square().sum()).sqrt()), rel=1e-5)
    assert model.distance(x, x) == 0.0
    for far in ([7, 8], [7, 8, 0]):
        assert model.distance(x, model.embedded(encoding(far))) == float("inf")
    with torch.inference_mode():
        network.eval()
        assert torch.allclose(model(other[None]), network(**encoding([7, 20, 11])).logits, atol=1e-5)


def test_types_of_tokens_are_kept() -> None:
    torch.manual_seed(0)
    network = BertForSequenceClassification(READERS["bert"][1]).eval()
    pair = {**encoding([7, 8, 9, 30]), "token_type_ids": torch.tensor([[0, 0, 1, 1]])}
    with torch.inference_mode():
        scores = TextModel(network)(TextModel(network).embedded(pair)[None])
        assert torch.allclose(scores, network(**pair).logits, atol=1e-5)
        assert not torch.allclose(scores, network(**encoding([7, 8, 9, 30])).logits, atol=1e-3)


def test_texts_that_are_refused() -> None:
    network = BertForSequenceClassification(READERS["bert"][1])
    model = TextModel(network)
    for given, text in (({"input_ids": [[1], [2]]}, "One text at a time"), ("a text", "what the tokenizer makes of it"),
                        (encoding([1, 50]), "is the tokenizer the model's own"),
                        ({"input_ids": [[1, 2]], "attention_mask": [[1]]}, "differ in length: 2, 1, 2")):
        with pytest.raises(InvalidInputError, match=text):
            model.embedded(given)  # type: ignore[arg-type]
    x = model.embedded(encoding([7, 8, 9]))
    for wrong, text in ((x[None, :, 1:], r"A text must be \(length, 19\)"), (x[None].bfloat16(), "lose the numbers"),
                        (x[None] + 300.0, "do not name tokens"), (-x[None], "do not name tokens")):
        with pytest.raises(InvalidInputError, match=text):
            model(wrong)
    with pytest.raises(InvalidInputError, match="takes no input_ids"):
        TextModel(NETWORKS["resnet"][0](NETWORKS["resnet"][1]))
    bart = BartForSequenceClassification(BartConfig(
        **{**TEXTS, "num_labels": 3}, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16))
    reader = TextModel(bart)
    with pytest.raises(ModelError, match="looked up embeddings 0 times where once was expected"):
        reader(reader.embedded(encoding([7, 8, 2]))[None])


def test_models_in_half_precision_read_texts() -> None:
    torch.manual_seed(0)
    model = TextModel(BertForSequenceClassification(READERS["bert"][1]).to(torch.bfloat16))
    x = model.embedded(encoding([7, 8, 9]))
    found = SmoothedClassifier(model, 0.1, chunk=40, input_dtype=torch.float32).counts(x, 80, 1)
    assert found.sum() == 80


def test_models_of_other_libraries_are_taken_or_told_of_their_adapter() -> None:
    vit = NETWORKS["vit"][0](NETWORKS["vit"][1])
    with pytest.raises(InvalidInputError, match=r"ViTForImageClassification is a model of transformers, .*"
                                                r"adapters\.ImageModel\(model, processor\) for images, TextModel"):
        SmoothedClassifier(vit, 0.25, 3)
    assert SmoothedClassifier(ImageModel(vit, PROCESSOR), 0.25).num_classes == 3
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    classifier = PyTorchClassifier(network, nn.CrossEntropyLoss(), (1, 6, 6), 3)
    x = torch.rand((1, 6, 6))
    taken = SmoothedClassifier(classifier, 0.25, chunk=40)
    assert np.array_equal(taken.counts(x, 80, 2), SmoothedClassifier(network, 0.25, 3, chunk=40).counts(x, 80, 2))
    with pytest.raises(InvalidInputError, match=r"Wrap it with an identity.*adapters\.ArtModel"):
        SmoothedClassifier(BlackBoxClassifier(lambda x: x, (1, 6, 6), 3), 0.25)
