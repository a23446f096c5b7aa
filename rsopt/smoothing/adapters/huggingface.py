"""Image classifiers of Hugging Face transformers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from rsopt.errors import InvalidInputError, ModelError

__all__ = ["ImageModel", "pixels"]

TOLERANCE = 1e-4
"""Difference between a processor's output and ours that is rounding, relative to the largest value."""
_WRAP = "Wrap the model yourself, so that it takes pixels in the units that sigma is in."


class ImageModel(nn.Module):
    """An image classifier of transformers: pixels in [0, 1] in, logits out.

    Its processor normalises pixels before the network sees them. That is done in here, after the noise: sigma and the
    radii are in units of pixels in [0, 1]. Resizing is no part of it: what is certified is the resized image, as
    `pixels` makes it.

    Args:
        model: such as `AutoModelForImageClassification.from_pretrained` returns.
        processor: its image processor, such as `AutoImageProcessor.from_pretrained` returns; None for a network that
            takes pixels in [0, 1] as they are.

    Raises:
        InvalidInputError: the model classifies no images, or the processor does more to a pixel than divide by 255 and
            normalise once. It is compared with its own output for a probe.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, model: nn.Module, processor: Any = None) -> None:
        super().__init__()
        config = getattr(model, "config", None)
        if not isinstance(model, nn.Module) or not isinstance(getattr(config, "num_labels", None), int):
            raise InvalidInputError(f"A transformers model with a config and num_labels is needed; found "
                                    f"{type(model).__name__}. Load it with AutoModelForImageClassification.")
        if getattr(model, "main_input_name", "pixel_values") != "pixel_values":
            raise InvalidInputError(f"{type(model).__name__} takes {model.main_input_name}, not images.")
        mean, std = _normalisation(processor)
        self.model = model
        # Buffers: they follow the model to its device, and a change of them changes the model's fingerprint.
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(-1, 1, 1))

    @property
    def num_classes(self) -> int:
        """Columns of the logits."""
        return int(self.model.config.num_labels)  # type: ignore[union-attr, arg-type]  # a Module by type

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pixels (b, channels, height, width) in [0, 1], noise included -> logits (b, K).

        Raises:
            ModelError: the model returned no logits.
        """
        output = self.model(pixel_values=((x - self.mean) / self.std).to(x.dtype))
        logits = getattr(output, "logits", None)
        if not isinstance(logits, torch.Tensor):
            raise ModelError(f"The model returned a {type(output).__name__} without logits. Load it with a head for "
                             "image classification: AutoModelForImageClassification.")
        return logits


def pixels(processor: Any, images: Any) -> torch.Tensor:
    """Images as `ImageModel` takes them: resized and cropped by the processor, not normalised.

    Args:
        processor: the model's image processor.
        images: whatever the processor takes: PIL images, or arrays of bytes (height, width, channels).

    Returns:
        float32 (n, channels, height, width) in [0, 1].

    Raises:
        InvalidInputError: the processor does not give pixels in [0, 1].
    """
    _normalisation(processor)
    found = processor(images=images, return_tensors="pt", do_normalize=False)["pixel_values"].float()
    # Resampling may overshoot by a few levels of 255.
    if not bool((found >= -0.1).all()) or not bool((found <= 1.1).all()):
        raise InvalidInputError(f"The processor gave pixels from {float(found.min()):g} to {float(found.max()):g}; "
                                "expected 0 to 1. Give it images of bytes.")
    clamped: torch.Tensor = found.clamp(0.0, 1.0)
    return clamped


def _normalisation(processor: Any) -> tuple[list[float], list[float]]:
    """Mean and standard deviation by channel that a processor normalises with; it was seen to do nothing else."""
    if processor is None:
        return [0.0], [1.0]
    factor = getattr(processor, "rescale_factor", 1.0 / 255.0)
    if not getattr(processor, "do_rescale", True) or not math.isclose(factor, 1.0 / 255.0, rel_tol=1e-6) \
            or getattr(processor, "offset", False) or getattr(processor, "rescale_offset", False):
        raise InvalidInputError(f"{type(processor).__name__} does not map bytes to [0, 1] (rescale factor {factor:g}). "
                                f"{_WRAP}")
    mean, std = [0.0], [1.0]
    if getattr(processor, "do_normalize", False):
        mean, std = ([float(value) for value in values] for values in (processor.image_mean, processor.image_std))
    if len(mean) != len(std) or not all(value > 0.0 for value in std):
        raise InvalidInputError(f"The processor's image_mean {mean} and image_std {std} do not go together.")
    _compare(processor, mean, std)
    return mean, std


def _compare(processor: Any, mean: list[float], std: list[float]) -> None:
    """Refuses a processor whose own output for a probe is not what its attributes say."""
    kind = type(processor).__name__
    channels = 1 if len(mean) == 1 and getattr(processor, "do_normalize", False) else 3
    probe = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (61, 47, channels), dtype=np.uint8)
    try:
        resized, whole = (processor(images=[probe], return_tensors="pt", **steps)["pixel_values"].float()
                          for steps in ({"do_rescale": False, "do_normalize": False}, {}))
    except Exception as error:
        # Code of any library, asked for what it may not know.
        raise InvalidInputError(f"What {kind} does to a pixel cannot be seen: asked for an image without rescaling and "
                                f"normalisation, it raised {type(error).__name__}: {error}. {_WRAP}") from error
    ours = (resized / 255.0 - torch.tensor(mean).reshape(-1, 1, 1)) / torch.tensor(std).reshape(-1, 1, 1)
    if ours.shape != whole.shape:
        raise InvalidInputError(f"{kind} gives shape {tuple(whole.shape)} for an image, and without rescaling and "
                                f"normalisation {tuple(resized.shape)}. {_WRAP}")
    apart = float((whole - ours).abs().max())
    if not apart <= TOLERANCE * max(1.0, float(ours.abs().max())):
        raise InvalidInputError(
            f"{kind} does something else to a pixel than divide by 255 and normalise once: for a probe it gives values "
            f"from {float(whole.min()):.4g} to {float(whole.max()):.4g}, its image_mean and image_std alone "
            f"{float(ours.min()):.4g} to {float(ours.max()):.4g}, and they differ by up to {apart:.3g}. {_WRAP}")
