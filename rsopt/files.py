"""Files: written whole or not at all, and never over what they are made from."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from rsopt.errors import InvalidInputError, MissingDependencyError, StorageError

FilePath = str | os.PathLike[str]

_DATABASE = b"SQLite format 3\0"


@contextmanager
def replaced(path: FilePath, what: str) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place when the block ends well; otherwise nothing has changed.

    Folders above it are made. A database is never replaced: it may be the store of a run.

    Args:
        path: the file.
        what: how messages call it, for example "The table".

    Raises:
        StorageError: it cannot be written (a full disk, a folder without write permission, …), or is a database.
    """
    target = _named(path, what)
    if not target.name:
        raise StorageError(f"{what} needs the name of a file; found {str(path)!r}.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if _is_database(target):
            raise StorageError(f"{what} would replace {target}, which is a database, as the store of a run is. Choose "
                               "another file.")
        # A name of its own: two processes may write the same file at the same time.
        partial = target.with_name(f"{target.name}.{token_hex(4)}.partial")
        try:
            yield partial
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"{what} {target} cannot be written: {_reason(error)}.") from error


def made_folder(path: FilePath) -> None:
    """Makes a folder and those above it, where they are not there.

    Raises:
        StorageError: it cannot be made.
    """
    folder = _named(path, "The folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"The folder {path} cannot be made: {_reason(error)}.") from error


def write_text(path: FilePath, text: str, what: str) -> None:
    """Writes a text in UTF-8, its line ends as they are; arguments and errors as in `replaced`.

    Names of files that the locale cannot read are written as the bytes that they are.
    """
    with replaced(path, what) as partial:
        partial.write_bytes(text.encode("utf-8", "surrogateescape"))


def read_text(path: FilePath, what: str) -> str:
    """A text in UTF-8, with or without a mark at its beginning.

    Raises:
        StorageError: it cannot be read, or is no such text.
    """
    source = _named(path, what)
    try:
        return source.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise StorageError(f"{what} {path} cannot be read: {_reason(error)}.") from error
    except UnicodeDecodeError as error:
        raise StorageError(f"{what} {path} is no text in UTF-8: {error.reason} at byte {error.start:,}.") from error


def _named(path: FilePath, what: str) -> Path:
    """The path, which no system takes with a NUL in it."""
    if "\0" in os.fspath(path):
        raise StorageError(f"{what} cannot have a name with a NUL in it: {os.fspath(path)!r}.")
    return Path(path)


def is_file(path: FilePath) -> bool:
    """Whether a file is there; False also for names that no file system takes, which `Path.is_file` raises for."""
    return os.path.isfile(path)


def is_folder(path: FilePath) -> bool:
    """Whether a folder is there, likewise."""
    return os.path.isdir(path)


def refuse_overwrite(path: FilePath, sources: Iterable[FilePath], what: str) -> None:
    """Raises an error if writing `path` would overwrite something that it is made from.

    Args:
        path: the file to be written.
        sources: what it is made from; files that are not there are no danger.
        what: how messages call it, for example "The table".

    Raises:
        InvalidInputError: it is one of them, under whatever name.
    """
    for source in sources:
        try:
            same = os.path.samefile(path, source)
        except OSError:
            # One of them is not there.
            same = False
        if same:
            raise InvalidInputError(f"{what} {path} would overwrite {source}, from which it is made. Choose another "
                                    "place.")


def write_csv(path: FilePath, columns: Mapping[str, Sequence[object]], what: str) -> None:
    """Writes columns as CSV with a header, floats in full precision.

    Args:
        path: the file.
        columns: name -> values; None is an empty cell.
        what: how messages call it.

    Raises:
        StorageError: as in `replaced`.
    """
    with replaced(path, what) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def write_parquet(path: FilePath, columns: Mapping[str, Sequence[object]], what: str, *,
                  types: Mapping[str, str] | None = None, facts: Mapping[str, object] | None = None) -> None:
    """Writes columns as Parquet.

    Args:
        path: the file.
        columns: name -> values; None is a missing value.
        what: how messages call it.
        types: name -> Arrow's name of a type, or "counts" for lists of whole numbers, where values may all be missing.
        facts: JSON values that stand in the file's metadata under "rsopt".

    Raises:
        MissingDependencyError: pyarrow is not installed.
        StorageError: as in `replaced`.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError.of("Writing Parquet", "pyarrow", "parquet") from error
    kinds = {name: pyarrow.list_(pyarrow.int64()) if kind == "counts" else pyarrow.type_for_alias(kind)
             for name, kind in (types or {}).items()}
    table = pyarrow.table({name: pyarrow.array(values, kinds.get(name)) for name, values in columns.items()})
    if facts is not None:
        table = table.replace_schema_metadata({"rsopt": json.dumps(dict(facts))})
    with replaced(path, what) as partial, partial.open("wb") as file:
        parquet.write_table(table, file)


def _is_database(path: Path) -> bool:
    if not is_file(path):
        return False
    with path.open("rb") as file:
        return file.read(len(_DATABASE)) == _DATABASE


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
