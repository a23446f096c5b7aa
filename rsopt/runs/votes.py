"""Rows of votes in a file, each with its certified class: CSV, and the arrays of NumPy."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rsopt.counts import Counts, counts_in
from rsopt.errors import InvalidInputError, StorageError
from rsopt.files import read_text
from rsopt.runs.logs import count_columns, is_count

TOP = "top"
"""The column, or the array in an archive, with the certified class of each row."""
COUNTS = "counts"
"""The array of votes in an archive."""

Rows = list[tuple[str, Sequence[Any], Any]]
"""For each row where it stands, its votes, and its certified class, None where the file says none."""


def read_votes(path: Path, top: int | None = None) -> list[Counts]:
    """The rows of votes in a file, by its suffix.

    ``.csv``, ``.tsv`` and ``.txt``: a line a row, a column a class, separated by commas or tabs. Without a header all
    columns are classes, in their order. With one the classes are c0, c1, …, and ``top`` holds the certified class;
    other columns are not looked at. ``.npy``: an array (m, K). ``.npz``: the array ``counts``, or the only one beside
    ``top``, of that shape, and ``top`` of shape (m,).

    Args:
        path: the file.
        top: the certified class of every row; None where the file says it.

    Raises:
        StorageError: the file cannot be read, is damaged, or holds Python objects.
        InvalidInputError: another suffix, no certified class or two of them, or a row without meaning, which the text
            names by its place in the file.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidInputError(f"{path} is no file of votes: its name must end in one of {', '.join(_READERS)}.")
    rows = reader(path)
    if not rows:
        raise InvalidInputError(f"{path} has no rows of votes.")
    said = rows[0][2] is not None
    if said and top is not None:
        raise InvalidInputError(f"{path} says the certified class of each row in {TOP!r}: leave out --top.")
    if not said and top is None:
        raise InvalidInputError(f"{path} has no {TOP!r} with the certified class of each row: add it, or give --top. "
                                "It is a known label or was chosen on separate samples; choosing it on these very "
                                "votes voids the bound.")
    return [_counts(path, place, votes, own if said else top) for place, votes, own in rows]


def _counts(path: Path, place: str, votes: Sequence[Any], top: Any) -> Counts:
    try:
        # A line of text is read as a line of the command line is.
        whole = counts_in(",".join(votes)) if votes and isinstance(votes[0], str) else votes
        return Counts(whole, int(top) if isinstance(top, str) and is_count(top) else top)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}, {place}: {error}") from error


def _lines(path: Path) -> Rows:
    text = read_text(path, "The file of votes")
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter="\t" if "\t" in head else ",", strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells]
    except csv.Error as error:
        raise InvalidInputError(f"{path}, line {reader.line_num}: {error}.") from error
    if lines and not text.endswith("\n"):
        raise InvalidInputError(f"{path}, line {lines[-1][0]}: the line does not end, so the file may be cut off. If "
                                "it is whole, end it with a line break.")
    if not lines:
        return []
    first = lines[0][1]
    if first == [str(cls) for cls in range(len(first))]:
        raise InvalidInputError(f"{path}: the first line, {','.join(first)}, may be the numbers of the classes or the "
                                "votes of an input. Name the columns c0, c1, … in a first line.")
    if all(is_count(cell) for cell in first):
        places, top, lines = list(range(len(first))), None, lines
    else:
        places, top = _columns(path, first), first.index(TOP) if TOP in first else None
        lines = lines[1:]
    for number, cells in lines:
        if len(cells) != len(first):
            raise InvalidInputError(f"{path}, line {number}: it has {len(cells)} cells, and the first line has "
                                    f"{len(first)}.")
    return [(f"line {number}", [cells[place] for place in places], None if top is None else cells[top])
            for number, cells in lines]


def _columns(path: Path, names: Sequence[str]) -> list[int]:
    """Where the votes of each class stand, in the order of the classes."""
    votes = count_columns(path, names)
    if len(votes) < 2:
        raise InvalidInputError(f"{path} has no columns of votes c0, c1, … in its header; it has {', '.join(names)}. "
                                "Without a header every column is a class.")
    if names.count(TOP) > 1:
        raise InvalidInputError(f"{path} has more than one column {TOP!r}.")
    return [names.index(votes[cls]) for cls in range(len(votes))]


def _array(path: Path) -> Rows:
    return _of_arrays(path, _loaded(path, lambda: np.load(path, allow_pickle=False)), None)


def _archive(path: Path) -> Rows:
    def read() -> dict[str, np.ndarray]:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    arrays = _loaded(path, read)
    votes = [name for name in arrays if name != TOP]
    name = COUNTS if COUNTS in votes else votes[0] if len(votes) == 1 else None
    if name is None:
        raise InvalidInputError(f"{path} has no array {COUNTS!r}; it has {', '.join(arrays) or 'none'}.")
    return _of_arrays(path, arrays[name], arrays.get(TOP))


def _loaded(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except OSError as error:
        raise StorageError(f"The file of votes {path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise StorageError(f"The file of votes {path} is damaged or holds Python objects: {error}.") from error


def _of_arrays(path: Path, votes: np.ndarray, tops: np.ndarray | None) -> Rows:
    if votes.ndim != 2:
        raise InvalidInputError(f"{path} must hold votes of shape (rows, classes); found shape {votes.shape}.")
    if tops is not None and tops.shape != votes.shape[:1]:
        raise InvalidInputError(f"{path} must hold one class in {TOP!r} for each of {len(votes)} rows; found shape "
                                f"{tops.shape}.")
    own: Iterable[Any] = [None] * len(votes) if tops is None else tops.tolist()
    return [(f"row {k}", row, top) for k, (row, top) in enumerate(zip(votes.tolist(), own, strict=True))]


_READERS: dict[str, Callable[[Path], Rows]] = {
    ".csv": _lines, ".tsv": _lines, ".txt": _lines, ".npy": _array, ".npz": _archive}
