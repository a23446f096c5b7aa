"""Labelled inputs, in memory or read one at a time."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch

from rsopt.errors import InvalidInputError, shown
from rsopt.noise.grid import BYTES, Grid

__all__ = ["Dataset", "StreamedDataset", "checked_arrays", "picture"]

T = TypeVar("T")

BLOCK = 1 << 24
"""Numbers that are looked at together, so that an array on the disk is never in memory as a whole."""
JUDGED = 16
"""Inputs of a streamed data set that tell whether all are images of bytes."""
INPUT_KEYS = ("pixel_values", "image", "images", "input", "inputs", "x")
LABEL_KEYS = ("label", "labels", "target", "targets", "y")
"""Under which of them an item that is a mapping keeps its input and its label, the first that is there."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled inputs.

    Attributes:
        images: float32 (n, *shape), finite, in the units of the noise; an array of floating-point numbers becomes one.
            Whole numbers that name something, such as tokens, are int64; int32 becomes that.
        labels: int64 (n,), 0 for the first class; any integers do.

    Raises:
        InvalidInputError: another shape, dtype or number of labels, NaN, or negative labels.
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self) -> None:
        images, labels = checked_arrays(self.images, self.labels)
        object.__setattr__(self, "images", images.float() if images.is_floating_point() else images.long())
        object.__setattr__(self, "labels", labels.long())

    @property
    def bytes(self) -> bool:
        """Whether these are images of bytes, scaled to [0, 1]: two axes or more, and all values multiples of 1/255."""
        return _bytes(self.images)


@dataclass(frozen=True, eq=False)
class StreamedDataset:
    """Labelled inputs that are read one at a time, when they are needed; none is kept but the last.

    An item is (input, label), (input,), an input alone, or a mapping with one of the usual names, as data sets of torch
    and Hugging Face have them. An input is an array of numbers, float32 or what becomes that, or a picture of PIL,
    whose bytes become numbers from 0 to 1.

    Attributes:
        count: how many there are.
        read: number of an item -> the item; the same whenever it is asked for.
        label_of: number of an item -> its label, where that is known without the input.

    Raises:
        InvalidInputError: where an item is read: it is none of these, holds NaN, or has a label that is no class.
    """

    count: int
    read: Callable[[int], object]
    label_of: Callable[[int], object] | None = None
    _last: dict[int, tuple[object, object]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InvalidInputError("The data set is empty.")

    def __len__(self) -> int:
        return self.count

    @property
    def images(self) -> Sequence[torch.Tensor]:
        """The inputs, float32 or int64, each read when it is asked for."""
        return _Column(self.count, lambda idx: _input(self._item(idx)[0], idx))

    @property
    def labels(self) -> Sequence[int | None]:
        """The labels; None for one that is not known."""
        label_of = self.label_of or (lambda idx: self._item(idx)[1])
        return _Column(self.count, lambda idx: _label(label_of(idx), idx))

    @property
    def bytes(self) -> bool:
        """As of a `Dataset`, judged by the first inputs; one that is no such image is refused when its turn comes."""
        images = self.images
        return all(_bytes(images[idx][None]) for idx in range(min(self.count, JUDGED)))

    def _item(self, idx: int) -> tuple[object, object]:
        if idx not in self._last:
            found = _parts(self.read(idx), idx)
            self._last.clear()
            self._last[idx] = found
        return self._last[idx]


def _bytes(images: torch.Tensor) -> bool:
    if images.ndim < 3 or not images.is_floating_point():
        return False
    try:
        Grid(BYTES).check(images)
    except InvalidInputError:
        return False
    return bool((images >= 0.0).all() and (images <= 1.0).all())


class _Column(Sequence[T]):
    """One half of a streamed data set."""

    def __init__(self, count: int, read: Callable[[int], T]) -> None:
        self._count, self._read = count, read

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, idx: Any) -> Any:
        number = operator.index(idx)
        if not -self._count <= number < self._count:
            raise IndexError(f"there are {self._count} items")
        return self._read(number % self._count)


def checked_arrays(images: object, labels: object) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (n, *shape) and labels (n,) as tensors in the precision they have, once it is sure that they are such.

    Raises:
        InvalidInputError: as in `Dataset`.
    """
    inputs, classes = _tensor(images, "images"), _tensor(labels, "labels")
    if inputs.ndim < 2 or len(inputs) == 0:
        raise InvalidInputError(f"images must have shape (n, *shape) with n >= 1, found {tuple(inputs.shape)}.")
    _refuse_units(inputs, "images")
    if classes.shape != inputs.shape[:1]:
        columns = classes.ndim == 2 and len(classes) == len(inputs) and classes.shape[1] > 1
        raise InvalidInputError(f"labels must have shape ({len(inputs)},), one per image, found {tuple(classes.shape)}."
                                + (" Of one-hot labels take argmax(axis=1)." if columns else ""))
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise InvalidInputError(f"labels must be integers, found {classes.dtype}.")
    if int(classes.min()) < 0:
        raise InvalidInputError(f"labels must not be negative, found {int(classes.min())}.")
    rows = max(1, BLOCK // max(1, inputs[0].numel()))
    for start in range(0, len(inputs), rows):
        bad = (~torch.isfinite(inputs[start:start + rows])).flatten(1).any(dim=1)
        if bool(bad.any()):
            raise InvalidInputError(f"image {start + int(bad.int().argmax())} holds NaN or infinite values.")
    return inputs, classes


def picture(image: object) -> np.ndarray:
    """A picture of PIL as float32 (channels, height, width) from 0 to 1, one channel for grey ones, else three.

    Raises:
        InvalidInputError: its pixels are no bytes.
    """
    mode = getattr(image, "mode", "")
    if mode in ("I", "F") or mode.startswith("I;"):
        raise InvalidInputError(f"A picture has pixels of mode {mode!r}, which are no bytes. Make numbers of them "
                                "yourself, in the units in which sigma is given.")
    pixels = np.asarray(image if mode in ("L", "RGB") else image.convert("RGB"))  # type: ignore[attr-defined]
    return np.ascontiguousarray(np.moveaxis(np.atleast_3d(pixels), -1, 0), dtype=np.float32) / np.float32(255.0)


def _parts(item: object, idx: int) -> tuple[object, object]:
    """Input and label of an item; None for a label that is not there."""
    if isinstance(item, Mapping):
        name = next((key for key in INPUT_KEYS if key in item), None)
        if name is None:
            raise InvalidInputError(f"Item {idx} has {', '.join(map(repr, item)) or 'nothing'}, and none of "
                                    f"{', '.join(INPUT_KEYS)} among them."
                                    + (" A text becomes an input by rsopt.smoothing.adapters.TextModel.embedded."
                                       if "input_ids" in item else ""))
        return item[name], next((item[key] for key in LABEL_KEYS if key in item), None)
    if isinstance(item, tuple | list):
        if len(item) not in (1, 2):
            raise InvalidInputError(f"Item {idx} is a {type(item).__name__} of {len(item)}; expected (input, label).")
        return item[0], item[1] if len(item) == 2 else None
    return item, None


def _input(value: object, idx: int) -> torch.Tensor:
    if hasattr(value, "mode") and hasattr(value, "convert"):
        value = picture(value)
    found = _tensor(value, f"input {idx}")
    _refuse_units(found, f"input {idx}")
    if not bool(torch.isfinite(found).all()):
        raise InvalidInputError(f"input {idx} holds NaN or infinite values.")
    return found.float() if found.is_floating_point() else found.long()


def _refuse_units(values: torch.Tensor, name: str) -> None:
    """Bytes and truth values are in no units of a noise; whole numbers may name something."""
    if not values.is_floating_point() and values.dtype not in (torch.int32, torch.int64):
        raise InvalidInputError(f"{name} must be floating point, found {values.dtype}. Scale them to the units in "
                                "which sigma is given, for bytes usually images / 255.")


def _label(value: object, idx: int) -> int | None:
    if value is None:
        return None
    try:
        found = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        columns = " Of one-hot labels take argmax." if np.ndim(value) == 1 else ""  # type: ignore[arg-type]
        raise InvalidInputError(f"The label of input {idx} must be an integer; found {shown(value)}.{columns}"
                                ) from None
    if found < 0:
        raise InvalidInputError(f"The label of input {idx} must not be negative; found {found}.")
    return found


def _tensor(values: object, name: str) -> torch.Tensor:
    if isinstance(values, torch.Tensor):
        return values.detach().cpu()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InvalidInputError(f"{name} must be an array of numbers of one shape: {error}") from error
    if array.dtype.kind not in "fiub":
        raise InvalidInputError(f"{name} must be an array of numbers of one shape, found dtype {array.dtype}.")
    # A copy is made only of what torch cannot look at: arrays on the disk stay there.
    return torch.from_numpy(array if min(array.strides, default=0) >= 0 else np.ascontiguousarray(array))
