"""Data as people have it, as a data set: files, folders, data sets and loaders of torch, lists of pairs, arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
)

from rsopt.errors import InvalidInputError
from rsopt.files import is_folder
from rsopt.smoothing.array_files import arrays_dataset, npz_dataset, pt_content
from rsopt.smoothing.dataset import Dataset, StreamedDataset
from rsopt.smoothing.image_folder import image_folder

__all__ = ["as_dataset", "file_dataset"]

TAKEN = "a data set or DataLoader of torch, a list of pairs (input, label), or a pair (images, labels)"


def as_dataset(data: object, called: str = "data") -> Dataset | StreamedDataset:
    """Labelled inputs from whatever keeps them, read one at a time where that is possible.

    Args:
        data: a `Dataset`; the path of an ``.npz`` or ``.pt`` file or of a folder of images; a map-style data set of
            torch or Hugging Face; a DataLoader of one, whose inputs are numbered as in its data set, whatever its
            batches and their order; a list of pairs (input, label); or arrays (images, labels).
        called: how messages call it.

    Raises:
        InvalidInputError: something else, or data that cannot be read by number.
        StorageError: a file cannot be read.
    """
    if isinstance(data, Dataset | StreamedDataset):
        return data
    if isinstance(data, str | os.PathLike):
        found = file_dataset(Path(data))
        if found is None:
            raise InvalidInputError(f"{os.fspath(data)!r} is no folder, .npz or .pt file.")
        return found
    if isinstance(data, DataLoader):
        return _of_loader(data)
    if isinstance(data, IterableDataset):
        raise InvalidInputError(f"{called} is a {type(data).__name__}, which is read from its beginning alone. Inputs "
                                "are certified by number, so that a run can go on: give a data set with "
                                "len and [number].")
    if (arrays := _arrays(data)) is not None:
        return Dataset(*arrays)
    if isinstance(data, tuple | list):
        if data and _is_pair(data[0]):
            return StreamedDataset(len(data), data.__getitem__)
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(
            data, str | bytes | np.ndarray | torch.Tensor | Mapping):
        return StreamedDataset(len(data), data.__getitem__)
    raise InvalidInputError(f"{called} gives a {type(data).__name__}, not a pair (images, labels). Give {TAKEN}.")


def file_dataset(path: Path) -> Dataset | StreamedDataset | None:
    """The data in a file or folder; None where the name is that of neither."""
    if is_folder(path):
        return image_folder(path)
    if path.suffix == ".npz":
        return npz_dataset(path)
    if path.suffix in (".pt", ".pth"):
        content = pt_content(path)
        arrays = _arrays(content)
        return as_dataset(content, str(path)) if arrays is None else arrays_dataset(*arrays)
    return None


def _arrays(data: object) -> tuple[Any, Any] | None:
    """(images, labels) where these are what data holds."""
    if isinstance(data, Mapping) and {"images", "labels"} <= set(data):
        return data["images"], data["labels"]
    if isinstance(data, tuple | list) and len(data) == 2 and not _is_pair(data[0]):
        return data[0], data[1]
    return None


def _is_pair(item: object) -> bool:
    """Whether an item is (input, label): an array of numbers and a number."""
    if not isinstance(item, tuple | list) or len(item) != 2:
        return False
    try:
        return np.ndim(item[1]) == 0 and (np.ndim(item[0]) > 0 or hasattr(item[0], "convert"))
    except ValueError:
        # Rows of different lengths are no array.
        return False


def _of_loader(loader: DataLoader[object]) -> StreamedDataset:
    dataset: Any = loader.dataset
    if isinstance(dataset, IterableDataset):
        as_dataset(dataset, "The loader's data set")
    batches = loader.batch_sampler
    if type(loader.sampler) not in (SequentialSampler, RandomSampler) or getattr(loader.sampler, "_num_samples", None) \
            or not (batches is None or (type(batches) is BatchSampler and batches.sampler is loader.sampler)):
        raise InvalidInputError("The loader has a sampler of its own, and inputs are certified by their numbers in the "
                                "data set. Give the data set itself, or torch.utils.data.Subset of it.")
    collate = loader.collate_fn
    if batches is None or collate is default_collate:
        return StreamedDataset(len(dataset), dataset.__getitem__)
    return StreamedDataset(len(dataset), lambda idx: _first(collate([dataset[idx]])))


def _first(batch: object) -> object:
    """The item in a batch of one."""
    if isinstance(batch, Mapping):
        return {name: values[0] for name, values in batch.items() if values is not None}
    if isinstance(batch, tuple | list):
        return [values[0] for values in batch]
    return batch[0]  # type: ignore[index]
