"""Killed, out of space, damaged: a run ends in the complete and correct result or in a clear error."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from places import SUPPORT
from small_run import KeyedExecutor, left_behind, work

from rsopt.errors import StorageError
from rsopt.runs.folder import STORE

SAMPLES = 4 * (60 + 220)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("shim") / "fault_shim.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, SUPPORT / "fault_shim.c", "-ldl"], check=True)
    return library


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    work(folder)
    return folder


def driven(shim: Path, folder: Path, kind: str, writes: list[int]) -> list[object]:
    done = subprocess.run([sys.executable, SUPPORT / "fault_driver.py", folder, kind, *map(str, writes)],
                          env={**os.environ, "LD_PRELOAD": str(shim)}, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def moments(shim: Path, tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """Twenty writes to strike at: the first ones, which make the store, and others at random."""
    (writes,) = driven(shim, tmp_path_factory.mktemp("count"), "count", [0])
    assert isinstance(writes, int)
    assert writes > 100
    return [1, 2, 3, *sorted(random.Random(7).sample(range(4, writes + 1), 17))]


def test_killed_at_twenty_moments(shim: Path, whole: Path, moments: list[int], tmp_path: Path) -> None:
    for fault in driven(shim, tmp_path, "kill", moments):
        assert isinstance(fault, dict)
        assert fault["status"] == -9, fault
        folder = tmp_path / f"kill-{fault['write']}"
        work(folder)
        assert left_behind(folder) == left_behind(whole), fault


def test_disk_full_at_twenty_moments(shim: Path, whole: Path, moments: list[int], tmp_path: Path) -> None:
    for fault in driven(shim, tmp_path, "full", moments):
        assert isinstance(fault, dict)
        assert fault["status"] == 2, fault
        assert "cannot be written" in fault["told"], fault
        folder = tmp_path / f"full-{fault['write']}"
        work(folder)
        assert left_behind(folder) == left_behind(whole), fault


def test_a_kill_costs_the_chunk_in_flight_only(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    class Dying(KeyedExecutor):
        def wait(self):
            if self.drawn == 440:
                raise Killed
            return super().wait()

    first, second = Dying(), KeyedExecutor()
    with pytest.raises(Killed):
        work(tmp_path, first)
    work(tmp_path, second)
    assert first.drawn + second.drawn == SAMPLES


def test_every_damaged_page_is_noticed_or_harmless(whole: Path, tmp_path: Path) -> None:
    """Flips a byte somewhere, many times: the run ends with the right table or says that the store is damaged."""
    content = (whole / STORE).read_bytes()
    noticed = 0
    chance = random.Random(3)
    for attempt in range(150):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        damaged = bytearray(content)
        damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        (folder / STORE).write_bytes(damaged)
        try:
            work(folder)
        except StorageError as error:
            noticed += str(folder / STORE) in str(error)
        else:
            assert left_behind(folder) == left_behind(whole)
        shutil.rmtree(folder)
    assert noticed >= 30


def test_a_damaged_value_inside_a_page_is_noticed(whole: Path, tmp_path: Path) -> None:
    """A number that SQLite itself cannot know to be wrong."""
    import sqlite3

    shutil.copy(whole / STORE, tmp_path / STORE)
    database = sqlite3.connect(tmp_path / STORE)
    database.execute("UPDATE bounds SET radius = radius + 0.1 WHERE idx = 0 AND method = 'rsopt'")
    database.commit()
    database.close()
    with pytest.raises(StorageError, match=r"is damaged \(a row of bounds differs from its digest\)"):
        work(tmp_path)


def test_a_lost_row_is_noticed(whole: Path, tmp_path: Path) -> None:
    import sqlite3

    shutil.copy(whole / STORE, tmp_path / STORE)
    database = sqlite3.connect(tmp_path / STORE)
    database.execute("DELETE FROM bounds WHERE idx = 0 AND method = 'cohen'")
    database.commit()
    database.close()
    with pytest.raises(StorageError, match="the bounds or looks of input 0 are incomplete"):
        work(tmp_path)


def without_rights(function, *arguments) -> tuple[int, str]:
    """Runs a function in a child that is not root, for whom permissions count: (status, error text)."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 0
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setuid(65534)
            function(*arguments)
        except StorageError as error:
            os.write(write, str(error).encode())
            status = 2
        os._exit(status)
    os.close(write)
    with os.fdopen(read) as stream:
        told = stream.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), told


@pytest.fixture
def open_folder(tmp_path: Path):
    """A folder below which a user without rights may work: pytest's own are private, one more with each worker."""
    root = Path(tempfile.gettempdir()).resolve()
    for parent in [tmp_path, *tmp_path.resolve().parents]:
        if parent == root:
            break
        parent.chmod(0o755)
    return tmp_path


def test_read_only_folder(open_folder: Path) -> None:
    folder = open_folder / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    status, told = without_rights(work, folder)
    assert status == 2
    assert "cannot be written" in told
    assert "Choose an output folder with write permission" in told
    assert list(folder.iterdir()) == []


def test_a_finished_run_can_be_read_from_a_read_only_folder(open_folder: Path, whole: Path) -> None:
    from rsopt.runs.rows import stored_rows
    from rsopt.runs.store import Store

    folder = open_folder / "shared"
    shutil.copytree(whole, folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)

    def read() -> None:
        with Store.read(folder / STORE) as store:
            assert len(stored_rows(store)) == 4

    assert without_rights(read) == (0, "")
