"""Models of other libraries where a module is expected: taken, or refused with the adapter that takes them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from rsopt.errors import InvalidInputError
from rsopt.smoothing.adapters.art import ArtModel

__all__ = ["as_module"]


def as_module(model: Any) -> nn.Module:
    """A model as a module from a batch to scores.

    Args:
        model: a module, or a classifier of the Adversarial Robustness Toolbox whose weights can be seen.

    Raises:
        InvalidInputError: neither; or a model of transformers, whose inputs and outputs are objects of its own.
    """
    kinds = [kind.__module__ for kind in type(model).__mro__]
    if isinstance(model, nn.Module):
        if kinds[0].startswith("transformers.models."):
            raise InvalidInputError(
                f"{type(model).__name__} is a model of transformers, which takes and returns objects of its own. Wrap "
                "it: rsopt.smoothing.adapters.ImageModel(model, processor) for images, TextModel(model) for texts.")
        return model
    if any(kind.partition(".")[0] == "art" for kind in kinds) and hasattr(model, "nb_classes"):
        if not isinstance(getattr(model, "model", None), nn.Module):
            raise InvalidInputError(
                f"The weights of {type(model).__name__} cannot be seen from here. Wrap it with an identity, a text "
                "that changes with them: rsopt.smoothing.adapters.ArtModel(classifier, identity=…).")
        return ArtModel(model)
    hint = " Give its module()." if isinstance(model, torch.export.ExportedProgram) else ""
    raise InvalidInputError(f"model must be a torch.nn.Module, got {type(model).__name__}.{hint}")
