"""The store: what is kept, what is refused, and that two processes cannot meet in it."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from places import SUPPORT
from small_run import LABELS, SIGMA, TASK, KeyedExecutor, facts, left_behind, work

from rsopt.errors import StorageError
from rsopt.question import Question
from rsopt.runs.folder import STORE
from rsopt.runs.records import BoundRow, Chunk, InputOutcome, Look, Session, pack_votes, unpack_votes
from rsopt.runs.store import Store
from rsopt.runs.task import Task
from rsopt.sequential.policy import FixedSamples

FACTS = {"model": "a", "sigma": 0.25, "order": None}
# Another process that finds this module and the support modules.
BESIDE = {"cwd": Path(__file__).parent, "env": {**os.environ, "PYTHONPATH": str(SUPPORT)}}


def chunk(number: int, votes: list[int], seconds: float = 0.5) -> Chunk:
    return Chunk(4, 1, number, sum(votes), pack_votes(np.array(votes)), seconds)


def test_votes_survive_the_round_trip() -> None:
    votes = np.array([0, 1, 10_000_000, 3])
    assert unpack_votes(pack_votes(votes)).tolist() == votes.tolist()


def test_records_survive_the_round_trip_exactly(tmp_path: Path) -> None:
    bound = BoundRow(4, 0, "rsopt", 1e-3, -math.inf, math.inf, 0.1 + 0.2)
    outcome = InputOutcome(4, None, 2, "selection", 1, 0, 1, 1.0 / 3.0, "")
    with Store.open(tmp_path / STORE, FACTS) as store:
        store.add(chunk(0, [3, 4]))
        store.finish(outcome, [bound], [])
    with Store.read(tmp_path / STORE) as store:
        assert store.all(BoundRow) == [bound]
        assert store.of_input(InputOutcome, 4) == [outcome]
        assert store.of_input(InputOutcome, 5) == []
        assert store.all(Chunk) == []
        assert store.facts == FACTS


def test_what_is_added_is_there_for_the_next_process_without_a_close(tmp_path: Path) -> None:
    script = ("import os, sys\nfrom pathlib import Path\nimport test_store\nfrom rsopt.runs.store import Store\n"
              "store = Store.open(Path(sys.argv[1]), test_store.FACTS)\n"
              "store.add(test_store.chunk(0, [3, 4]))\nos._exit(0)\n")
    subprocess.run([sys.executable, "-c", script, tmp_path / STORE], check=True, **BESIDE)
    with Store.open(tmp_path / STORE, FACTS) as store:
        assert store.all(Chunk) == [chunk(0, [3, 4])]
        assert len(store.all(Session)) == 2


def test_a_look_replaces_its_chunks(tmp_path: Path) -> None:
    look = Look(4, 1, 0, 14, 1e-3, pack_votes(np.array([6, 8])), 1.0)
    with Store.open(tmp_path / STORE, FACTS) as store:
        store.add(chunk(0, [3, 4]), chunk(1, [3, 4]), Chunk(4, 0, 0, 1, b"", 0.0))
        store.add_look(look)
        assert store.all(Chunk) == [Chunk(4, 0, 0, 1, b"", 0.0)]
        assert store.all(Look)[0].counts.tolist() == [6, 8]


def test_the_same_chunk_twice_is_allowed_and_another_is_not(tmp_path: Path) -> None:
    with Store.open(tmp_path / STORE, FACTS) as store:
        store.add(chunk(0, [3, 4]))
        store.add(chunk(0, [3, 4], seconds=9.0))
        with pytest.raises(StorageError, match=r"another result for chunks \(4, 1, 0\).*not deterministic"):
            store.add(chunk(0, [4, 3]))
        assert store.all(Chunk) == [chunk(0, [3, 4])]


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    with Store.open(tmp_path / STORE, FACTS) as store:
        store.add(chunk(1, [3, 4]))
        with pytest.raises(StorageError, match="another result"):
            store.add(chunk(0, [3, 4]), chunk(1, [9, 9]))
        assert store.all(Chunk) == [chunk(1, [3, 4])]


def test_another_run_is_refused_with_the_difference_named(tmp_path: Path) -> None:
    Store.open(tmp_path / STORE, FACTS).close()
    with pytest.raises(StorageError) as refused:
        Store.open(tmp_path / STORE, {"model": "a", "sigma": 0.5, "order": None, "n0": 100})
    assert str(refused.value) == (
        f"{tmp_path / STORE} holds another run: n0 is not said there and 100 here; sigma is 0.25 there and 0.5 here. "
        "Repeat the command that began it, or choose another output folder.")
    Store.open(tmp_path / STORE, FACTS).close()


@pytest.mark.parametrize("other", [
    Task(Question(SIGMA), FixedSamples(220, 0.02), 60), Task(Question(SIGMA), TASK.policy, 61),
    Task(Question(SIGMA, "margin"), TASK.policy, 60), Task(Question(0.25), TASK.policy, 60),
    Task(Question(SIGMA, statistic="plugin"), TASK.policy, 60), Task(Question(SIGMA), TASK.policy),
    Task(Question(SIGMA, solver="branch-and-bound"), TASK.policy, 60),
    Task(Question(SIGMA), FixedSamples(221, 0.01), 60)])
def test_every_option_of_a_task_is_compared(other: Task, tmp_path: Path) -> None:
    Store.open(tmp_path / STORE, facts()).close()
    with pytest.raises(StorageError, match="holds another run"):
        Store.open(tmp_path / STORE, facts(other))


def test_a_second_process_is_refused_while_the_first_works(tmp_path: Path) -> None:
    script = ("import sys\nfrom pathlib import Path\nimport test_store\nfrom rsopt.runs.store import Store\n"
              "Store.open(Path(sys.argv[1]), test_store.FACTS)\n")
    with Store.open(tmp_path / STORE, FACTS) as store:
        second = subprocess.run([sys.executable, "-c", script, tmp_path / STORE], capture_output=True, text=True,
                                **BESIDE)
        assert second.returncode == 1
        assert "StorageError: Another process is working on" in second.stderr
        store.add(chunk(0, [3, 4]))
        with Store.read(tmp_path / STORE) as reader:
            assert reader.all(Chunk) == [chunk(0, [3, 4])]
    Store.open(tmp_path / STORE, FACTS).close()


def test_writers_that_got_past_the_lock_still_agree(tmp_path: Path) -> None:
    """On a file system without locks two processes may do the same work: the keys keep the store right."""
    Store.open(tmp_path / STORE, facts()).close()
    stores = [Store(tmp_path / STORE, sqlite3.connect(tmp_path / STORE, isolation_level=None), None)
              for _ in range(2)]
    for store in stores:
        store.add(chunk(0, [3, 4]))
    assert stores[0].all(Chunk) == stores[1].all(Chunk) == [chunk(0, [3, 4])]


def test_files_that_are_no_stores(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="There is no run at"):
        Store.read(tmp_path / "absent")
    (tmp_path / "text").write_text("no database at all, " * 100)
    with pytest.raises(StorageError, match="is damaged"):
        Store.open(tmp_path / "text", FACTS)
    other = sqlite3.connect(tmp_path / "other")
    other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(StorageError, match="is not a store of rsopt"):
        Store.open(tmp_path / "other", FACTS)
    with pytest.raises(StorageError, match="cannot be written"):
        Store.open(tmp_path / "text" / "below" / STORE, FACTS)


def test_a_later_schema_is_refused(tmp_path: Path) -> None:
    Store.open(tmp_path / STORE, FACTS).close()
    database = sqlite3.connect(tmp_path / STORE)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StorageError, match="schema version 99; this rsopt reads version 1"):
        Store.open(tmp_path / STORE, FACTS)


def test_order_of_work_does_not_show(tmp_path: Path) -> None:
    """Several inputs under way, their chunks finishing in any order."""
    work(tmp_path / "plain")
    expected = left_behind(tmp_path / "plain")
    for seed in range(5):
        work(tmp_path / str(seed), KeyedExecutor(shuffle=seed))
        assert left_behind(tmp_path / str(seed)) == expected


def test_a_finished_run_draws_nothing_more(tmp_path: Path) -> None:
    first = work(tmp_path)
    executor = KeyedExecutor()
    assert work(tmp_path, executor) == first
    assert executor.drawn == 0
    assert [row.idx for row in first] == list(LABELS)


def test_odd_names_of_folders(tmp_path: Path) -> None:
    folder = tmp_path / "a b?c#d%41é"
    work(folder)
    with Store.read(folder / STORE) as store:
        assert len(store.all(InputOutcome)) == 4
    assert json.loads((folder / "certificates" / "000003.json").read_text())["x1"] == 155
