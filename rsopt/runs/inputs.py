"""The inputs that a run certifies."""

from __future__ import annotations

import hashlib
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from rsopt.errors import InvalidInputError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Inputs:
    """What is certified.

    Attributes:
        images: the whole data set: images[i] is input number i, without a batch dimension.
        labels: its labels, or None for each that is unknown; or those of the chosen inputs by their numbers.
        chosen: the numbers of the inputs to certify, each once. The number keys the noise, so an input gets the same
            samples whatever else is certified beside it.

    Raises:
        InvalidInputError: numbers of images and labels that differ, labels or input numbers that are no integers, no
            inputs, a number outside the data set, or one that is there twice.
    """

    images: Sequence[Tensor] | Tensor
    labels: Sequence[int | None] | Mapping[int, int | None]
    chosen: Sequence[int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "chosen", [_integer(idx, "number of an input") for idx in self.chosen])
        if isinstance(self.labels, Mapping):
            if missing := [idx for idx in self.chosen if idx not in self.labels]:
                raise InvalidInputError(f"Input {missing[0]} was asked for, and its label is not said, not even as "
                                        "None.")
            object.__setattr__(self, "labels", {idx: _label(self.labels[idx]) for idx in self.chosen})
        else:
            object.__setattr__(self, "labels", [_label(label) for label in self.labels])
            if len(self.images) != len(self.labels):
                raise InvalidInputError(f"There are {len(self.images)} images and {len(self.labels)} labels.")
        if not self.chosen:
            raise InvalidInputError("There are no inputs to certify.")
        if outside := [idx for idx in self.chosen if not 0 <= idx < len(self.images)]:
            raise InvalidInputError(f"Input {outside[0]} was asked for; the data set has {len(self.images)}, numbered "
                                    "from 0.")
        if repeated := [idx for idx, times in Counter(self.chosen).items() if times > 1]:
            raise InvalidInputError(f"Input {repeated[0]} was asked for more than once.")

    def fingerprint(self) -> str:
        """SHA-256 over the chosen inputs: numbers, labels, dtypes, shapes and bytes."""
        digest = hashlib.sha256()
        for idx in self.chosen:
            image = np.ascontiguousarray(np.asarray(self.images[idx]))
            digest.update(f"{idx} {self.labels[idx]} {image.dtype.str} {image.shape}\n".encode())
            digest.update(image.tobytes())
        return digest.hexdigest()


def _label(label: SupportsIndex | None) -> int | None:
    return None if label is None else _integer(label, "label")


def _integer(value: SupportsIndex, what: str) -> int:
    """A plain integer: those of NumPy and torch would be stored as bytes."""
    try:
        return operator.index(value)
    except TypeError:
        raise InvalidInputError(f"A {what} must be an integer; found {value!r}.") from None
