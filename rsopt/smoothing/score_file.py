"""Score rows on disk, for methods that pass over them twice."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsopt.errors import InvalidInputError, StorageError
from rsopt.smoothing.sampler import ScoreBlock

__all__ = ["score_file_bytes", "write_score_file"]


def score_file_bytes(n: int, classes: int) -> int:
    """Size of a file of n score rows: 4 n K bytes and a header of 128."""
    return 4 * n * classes + 128


def write_score_file(path: Path, blocks: Iterable[ScoreBlock], *, n: int, classes: int) -> NDArray[np.float32]:
    """Writes blocks of score rows to an ``.npy`` file and maps it into memory, read-only.

    The rows are written one block after the other and never held together: reading the result costs address space,
    not memory. The file is complete or it is not there.

    Args:
        path: the file; an old one is replaced.
        blocks: the rows, as `SmoothedClassifier.scores` yields them.
        n: rows in all.
        classes: columns.

    Returns:
        float32 (n, classes), memory-mapped.

    Raises:
        StorageError: the file cannot be written; the text says how large it is.
        InvalidInputError: the blocks do not hold n rows of that many classes.
    """
    partial = path.with_name(path.name + ".partial")
    written = 0
    try:
        try:
            with partial.open("wb") as file:
                # Version 1.0 pads its header to 128 bytes for any shape of two dimensions.
                np.lib.format.write_array_header_1_0(
                    file, {"descr": "<f4", "fortran_order": False, "shape": (n, classes)})
                for block in blocks:
                    if block.rows.shape[1:] != (classes,):
                        raise InvalidInputError(f"A block has shape {block.rows.shape}; expected {classes} columns.")
                    written += len(block.rows)
                    file.write(block.rows.astype("<f4", copy=False).tobytes())
            if written != n:
                raise InvalidInputError(f"The blocks hold {written} rows; n is {n}.")
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"The score file {path} ({score_file_bytes(n, classes):,} bytes) cannot be written: "
                           f"{error.strerror or error}.") from error
    mapped: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped
