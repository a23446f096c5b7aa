"""Files appear whole or not at all, never over a database or what they are made from, and always as UTF-8."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import parquet

from rsopt.errors import InvalidInputError, StorageError
from rsopt.files import made_folder, read_text, refuse_overwrite, replaced, write_parquet, write_text


def test_a_file_is_replaced_when_all_of_it_is_written(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "table.tsv"
    with replaced(target, "The table") as partial:
        partial.write_text("first")
        assert not target.exists()
    with replaced(target, "The table") as partial:
        partial.write_text("second")
        assert target.read_text() == "first"
    assert target.read_text() == "second"
    assert os.listdir(target.parent) == ["table.tsv"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "ours", "", "The file")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def interrupted(target: Path, error: BaseException) -> None:
    with replaced(target, "The table") as partial:
        partial.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError("in the middle"), KeyboardInterrupt()])
def test_what_ends_in_the_middle_changes_nothing(error: BaseException, tmp_path: Path) -> None:
    target = tmp_path / "table.tsv"
    target.write_text("before")
    with pytest.raises(type(error)):
        interrupted(target, error)
    assert target.read_text() == "before"
    assert os.listdir(tmp_path) == ["table.tsv"]


def test_a_full_disk_is_told_with_the_file(tmp_path: Path) -> None:
    target = tmp_path / "table.tsv"
    target.write_text("before")
    with pytest.raises(StorageError) as told:
        interrupted(target, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert str(told.value) == f"The table {target} cannot be written: No space left on device."
    assert target.read_text() == "before"
    assert os.listdir(tmp_path) == ["table.tsv"]


def test_places_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match=r"^The report .*/file/page\.html cannot be written: File exists\.$"):
        write_text(tmp_path / "file" / "page.html", "", "The report")
    with pytest.raises(StorageError, match=r"^The report .*/folder cannot be written: Is a directory\.$"):
        write_text(tmp_path / "folder", "", "The report")
    with pytest.raises(StorageError, match=r"^The folder .*/file cannot be made: File exists\.$"):
        made_folder(tmp_path / "file")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_database_is_never_replaced(tmp_path: Path) -> None:
    store = tmp_path / "run.sqlite"
    with sqlite3.connect(store) as database:
        database.execute("CREATE TABLE facts (name TEXT)")
    before = store.read_bytes()
    with pytest.raises(StorageError, match=r"The report would replace .*run\.sqlite, which is a database"):
        write_text(store, "", "The report")
    (tmp_path / "linked").symlink_to(store)
    with pytest.raises(StorageError, match=r"would replace .*linked, which is a database"):
        write_text(tmp_path / "linked", "", "The report")
    assert store.read_bytes() == before


def test_nothing_is_written_over_what_it_is_made_from(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("")
    (tmp_path / "same.csv").hardlink_to(tmp_path / "log.csv")
    (tmp_path / "linked.csv").symlink_to("log.csv")
    for name in ("log.csv", "same.csv", "linked.csv", "absent/../log.csv"):
        (tmp_path / "absent").mkdir(exist_ok=True)
        with pytest.raises(InvalidInputError) as told:
            refuse_overwrite(tmp_path / name, [tmp_path / "other.csv", tmp_path / "log.csv"], "The table")
        assert str(told.value) == (f"The table {tmp_path / name} would overwrite {tmp_path / 'log.csv'}, from which it "
                                   "is made. Choose another place.")
    refuse_overwrite(tmp_path / "new.csv", [tmp_path / "log.csv"], "The table")
    refuse_overwrite(tmp_path / "log.csv", [tmp_path / "not there.csv"], "The table")


def test_text_is_utf8_wherever_it_is_written(tmp_path: Path) -> None:
    script = ("import sys; from rsopt.files import read_text, write_text\n"
              "write_text(sys.argv[1], 'Clopper\\u2013Pearson \\u2265 1\\r\\n', 'The file')\n"
              "assert read_text(sys.argv[1], 'The file') == 'Clopper\\u2013Pearson \\u2265 1\\n'\n")
    subprocess.run([sys.executable, "-c", script, tmp_path / "text"], check=True,
                   env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    assert (tmp_path / "text").read_bytes() == "Clopper–Pearson ≥ 1\r\n".encode()


def test_texts_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbfidx")
    assert read_text(tmp_path / "marked", "The log") == "idx"
    (tmp_path / "latin").write_bytes("é,1".encode("latin-1"))
    with pytest.raises(StorageError, match=r"^The log .*latin is no text in UTF-8: invalid continuation byte at byte"):
        read_text(tmp_path / "latin", "The log")
    with pytest.raises(StorageError, match=r"^The log .*absent cannot be read: No such file or directory\.$"):
        read_text(tmp_path / "absent", "The log")


def test_parquet_has_the_types_that_were_said(tmp_path: Path) -> None:
    columns = {"x": [1, 2], "label": [None, None], "counts": [[1, 2], []], "name": ["a", "b"]}
    write_parquet(tmp_path / "a.parquet", columns, "The table", types={"label": "int64", "counts": "counts"},
                  facts={"sigma": 0.5})
    read = parquet.read_table(tmp_path / "a.parquet")
    assert read.to_pydict() == columns
    assert [str(kind) for kind in read.schema.types] == ["int64", "int64", "list<element: int64>", "string"]
    assert read.schema.metadata[b"rsopt"] == b'{"sigma": 0.5}'
