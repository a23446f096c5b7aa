"""Classifiers of the Adversarial Robustness Toolbox."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import nn

from rsopt.errors import InvalidInputError, ModelError

__all__ = ["ArtModel"]

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class ArtModel(nn.Module):
    """A classifier of the Adversarial Robustness Toolbox, with its preprocessing and defences: inputs in, scores out.

    Inputs keep the layout and the range of the classifier (channels last for most frameworks but torch): sigma and the
    radii are in its units. A defence that is random, or that looks at the whole batch, is refused when sampling begins.

    Args:
        classifier: any of the toolbox's classifiers that has `predict`.
        identity: a text that changes whenever the classifier does, such as the digest of its file. Needed for
            classifiers that are not built on torch: their weights cannot be seen here, and a run is continued only with
            the model that began it.

    Raises:
        InvalidInputError: no classifier of the toolbox, or one without torch and without `identity`.
    """

    def __init__(self, classifier: Any, *, identity: str | None = None) -> None:
        super().__init__()
        classes = getattr(classifier, "nb_classes", None)
        if not callable(getattr(classifier, "predict", None)) or not isinstance(classes, int | np.integer):
            raise InvalidInputError("A classifier of the Adversarial Robustness Toolbox with predict and nb_classes is "
                                    f"needed; found {type(classifier).__name__}.")
        self.num_classes = int(classes)
        self.classifier = classifier
        network = getattr(classifier, "model", None)
        if isinstance(network, nn.Module):
            # Registered, so that its weights count in the fingerprint and its device is known.
            self.network = network
        elif identity is None:
            raise InvalidInputError(f"The weights of {type(classifier).__name__} cannot be seen from here. Give an "
                                    "identity, a text that changes with them, such as the digest of their file.")
        digest = sha256("\n".join([identity or "", *_settings(classifier)]).encode()).digest()
        self.register_buffer("identity", torch.frombuffer(bytearray(digest), dtype=torch.uint8).clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Inputs (b, *shape), noise included -> scores (b, K).

        Raises:
            ModelError: the classifier returned no rows of scores.
        """
        # The toolbox reads a batch through a DataLoader, which draws a seed that nothing uses. With the generator set
        # anew for each batch, whatever else is drawn there is the same every time, and the check of the rows sees it.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            scores = np.asarray(self.classifier.predict(x.detach().cpu().numpy(), batch_size=len(x)))
        if scores.ndim != 2 or scores.dtype.kind != "f":
            raise ModelError(f"predict returned {scores.dtype} of shape {scores.shape}; expected a row of scores for "
                             "every input.")
        return torch.from_numpy(scores).to(x.device)


def _settings(classifier: Any) -> list[str]:
    """What the classifier does beside its network, as text that is the same in every process."""
    steps = [*(getattr(classifier, "preprocessing_operations", None) or []),
             *(getattr(classifier, "postprocessing_defences", None) or [])]
    return [type(classifier).__qualname__, str(getattr(classifier, "channels_first", None))] + [
        f"{type(step).__qualname__}: {', '.join(_attributes(step))}" for step in steps]


def _attributes(step: Any) -> list[str]:
    # Private attributes hold devices and caches, which come and go.
    return [f"{name}={_text(value)}" for name, value in sorted(vars(step).items())
            if not name.startswith("_") and not callable(value)]


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}{sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    return _ADDRESS.sub("", repr(value))
