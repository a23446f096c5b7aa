"""Data in ``.npz`` and ``.pt`` files, left on the disk until it is used."""

from __future__ import annotations

import shutil
import struct
import tempfile
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from rsopt.errors import InvalidInputError, RsoptError, StorageError
from rsopt.smoothing.dataset import Dataset, StreamedDataset, checked_arrays

__all__ = ["arrays_dataset", "npz_dataset", "pt_content"]

_LOCAL_HEADER = struct.Struct("<26x2H")
"""Of a file in an archive: the lengths of its name and of what follows that, which its bytes come after."""


def arrays_dataset(images: object, labels: object) -> Dataset | StreamedDataset:
    """Arrays (n, *shape) and (n,) as a data set, without a copy of what lies on the disk.

    Raises:
        InvalidInputError: as in `Dataset`.
    """
    inputs, classes = checked_arrays(images, labels)
    if inputs.dtype in (torch.float32, torch.int64):
        return Dataset(inputs, classes)
    return StreamedDataset(len(inputs), lambda idx: inputs[idx], lambda idx: int(classes[idx]))


def npz_dataset(path: Path) -> Dataset | StreamedDataset:
    """The arrays ``images`` and ``labels`` of an ``.npz`` file.

    Raises:
        InvalidInputError: arrays that are missing or have no meaning.
        StorageError: the file cannot be read, is damaged, or holds Python objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if missing := [key for key in ("images", "labels") if key not in names]:
                raise InvalidInputError(f"{path} has no array {missing[0]!r}; it has {', '.join(names) or 'none'}.")
            images, labels = (_member(path, archive, archive.getinfo(f"{key}.npy")) for key in ("images", "labels"))
        return arrays_dataset(images, labels)
    except RsoptError:
        raise
    except OSError as error:
        raise StorageError(f"The data file {path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a damaged archive raises whatever the reader of its parts trips over
        raise StorageError(f"The data file {path} is damaged or holds Python objects: "
                           f"{error or type(error).__name__}.") from error


def pt_content(path: Path) -> Any:
    """What a file of torch holds, tensors left on the disk: nothing but tensors is loaded, never code.

    Raises:
        StorageError: the file cannot be read, is damaged, or holds more than tensors.
    """
    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:
            # Files of old versions of torch cannot be mapped.
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise StorageError(f"The data file {path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a damaged file raises whatever the reader of its parts trips over
        raise StorageError(f"The data file {path} is damaged or holds more than tensors, and only files of tensors are "
                           "loaded (weights_only=True). Save {\"images\": ..., \"labels\": ...}: "
                           f"{error or type(error).__name__}") from error


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """An array of an archive, mapped: in place where it is stored as it is, else from a temporary copy."""
    if info.compress_type != zipfile.ZIP_STORED:
        # The file goes when the array does.
        copy = tempfile.TemporaryFile()  # noqa: SIM115
        with archive.open(info) as member:
            shutil.copyfileobj(member, copy)
        return _mapped(copy, 0)
    with archive.open(info) as member:
        # Read once to its end, which compares its checksum.
        while member.read(1 << 20):
            pass
    with path.open("rb") as file:
        file.seek(info.header_offset)
        start = info.header_offset + _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size)))
        return _mapped(file, start)


def _mapped(file: IO[bytes], start: int) -> np.ndarray:
    file.seek(start)
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, by_columns, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("an array of objects")
    if 0 in shape:
        return np.zeros(shape, dtype)
    # Copy on write: torch wants memory that may be written to, and the file stays as it is.
    return np.memmap(file, dtype, "c", file.tell(), shape, "F" if by_columns else "C")
