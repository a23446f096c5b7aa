"""The durable store of a run: one SQLite file in which every finished chunk survives whatever happens next.

Write-ahead logging: a transaction that was committed survives the death of the process at any moment; after a power
failure the last ones may be lost, and are then drawn again, but the file is never left half written. Every row
carries a digest of itself, so that a damaged page is an error and never a wrong number.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import astuple, fields, replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from rsopt.errors import StorageError
from rsopt.files import is_file, replaced
from rsopt.runs.differences import differences
from rsopt.runs.records import RECORDS, BoundRow, CertificateRow, Chunk, Fact, InputOutcome, Look, Session

APPLICATION_ID = 0x72736F70
SCHEMA = 1
_COLUMN = {"int": "INTEGER NOT NULL", "int | None": "INTEGER", "float": "REAL NOT NULL", "str": "TEXT NOT NULL",
           "bytes": "BLOB NOT NULL"}

Record = Fact | Session | Chunk | Look | BoundRow | CertificateRow | InputOutcome
R = TypeVar("R", bound=Record)


class Store:
    """A run's store. Made by `Store.open` (to work on a run) or `Store.read` (to look at one); a context manager.

    All work is keyed by (input, stream, chunk), and what is stored under a key never changes: writing the same again
    is allowed, writing something else is an error.
    """

    def __init__(self, path: Path, database: sqlite3.Connection, lock: sqlite3.Connection | None) -> None:
        self.path = path
        self._database = database
        self._lock = lock

    @classmethod
    def open(cls, path: Path, facts: Mapping[str, object], *, title: str = "") -> Store:
        """Starts a run, or goes on with the one that is there.

        Args:
            path: the file; its folder is made if need be.
            facts: what decides the results (fingerprints, versions, seed, options), as JSON values. They are compared
                with those of the run that is there.
            title: model and data in words, kept with the session: what is called otherwise is still the same run.

        Raises:
            StorageError: the file cannot be written, is damaged, is no store of this version, is in use by another
                process, or belongs to a run with other facts; the text names the differences.
        """
        with _told_as_storage_error(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = _locked(path)
            try:
                database = _connected(f"file:{_quoted(path)}?mode=rwc")
                store = cls(path, database, lock)
                store._prepare()
                store._compare(facts)
                store._begin_session(title)
            except BaseException:
                lock.close()
                raise
        return store

    @classmethod
    def read(cls, path: Path, *, pages: bool = True) -> Store:
        """Opens a run to look at it; a run in progress may be read, and a folder without write permission too.

        Args:
            path: the file.
            pages: whether every page is checked first, which takes as long as reading the file.

        Raises:
            StorageError: there is no such file, it is damaged, or it is no store of this version.
        """
        if not is_file(path):
            raise StorageError(f"There is no run at {path}.")
        with _told_as_storage_error(path):
            store = cls(path, _connected(f"file:{_quoted(path)}?mode=ro"), None)
            try:
                store._check(pages=pages)
            except sqlite3.OperationalError:
                # SQLite wants to create its log, which a folder without write permission refuses. Without a log there
                # is no writer, and the file alone is the whole store.
                if is_file(f"{path}-wal"):
                    raise
                store = cls(path, _connected(f"file:{_quoted(path)}?mode=ro&immutable=1"), None)
                store._check(pages=pages)
        return store

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Folds the write-ahead log into the file and lets the next process in."""
        with _told_as_storage_error(self.path):
            self._database.close()
            if self._lock is not None:
                self._lock.close()

    @property
    def facts(self) -> dict[str, Any]:
        """What decides the results of this run, as JSON values by name."""
        return {fact.name: json.loads(fact.value) for fact in self.all(Fact)}

    def add(self, *records: Chunk | Look | BoundRow | CertificateRow | InputOutcome) -> None:
        """Stores records in one transaction: after the call they survive the process, before it none does.

        Raises:
            StorageError: it cannot be written, or something else is stored under the same key.
        """
        with _told_as_storage_error(self.path), self._transaction():
            for record in records:
                self._insert(record)

    def add_look(self, look: Look, *, keep_chunks: bool = False) -> None:
        """Stores a complete look in place of its chunks, which are dropped in the same transaction.

        With `keep_chunks` they stay until the input is finished, for bounds that need more of them than the votes.
        """
        with _told_as_storage_error(self.path), self._transaction():
            self._insert(look)
            if not keep_chunks:
                self._database.execute("DELETE FROM chunks WHERE idx = ? AND stream = ?", (look.idx, look.stream))

    def finish(self, outcome: InputOutcome, bounds: Iterable[BoundRow], certificates: Iterable[CertificateRow]) -> None:
        """Stores the result of an input: all of it or, if the process dies, nothing.

        A failure also drops the input's chunks: they will not be looked at.
        """
        with _told_as_storage_error(self.path), self._transaction():
            records: list[Record] = [*bounds, *certificates, outcome]
            for record in records:
                self._insert(record)
            self._database.execute("DELETE FROM chunks WHERE idx = ?", (outcome.idx,))

    def all(self, kind: type[R]) -> list[R]:
        """All records of one kind, in the order of their keys.

        Raises:
            StorageError: a row is damaged.
        """
        return list(self._select(kind, "", ()))

    def of_input(self, kind: type[R], idx: int) -> list[R]:
        """The records of one kind that belong to input `idx`, in the order of their keys; errors as in `all`."""
        return list(self._select(kind, "WHERE idx = ?", (idx,)))

    def checkpoint(self) -> None:
        """Writes the log through to the disk, so that even a power failure loses nothing that was stored before."""
        with _told_as_storage_error(self.path):
            self._database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def publish(self, path: Path) -> None:
        """Writes everything that can be checked into a new file: chunks, hosts and process numbers stay here.

        Raises:
            StorageError: a record is damaged, or the file cannot be written.
        """
        kept: list[Record] = [*self.all(Fact), *(replace(session, host="", pid=0) for session in self.all(Session)),
                              *self.all(Look), *self.all(BoundRow), *self.all(CertificateRow), *self.all(InputOutcome)]
        with replaced(path, "The store") as partial, _told_as_storage_error(path), \
                closing(_connected(f"file:{_quoted(partial)}?mode=rwc")) as database:
            copy = Store(partial, database, None)
            with copy._transaction():
                copy._make_tables()
                for record in kept:
                    copy._insert(record)

    def _insert(self, record: Record) -> None:
        values = astuple(record)
        names = [field.name for field in fields(record)]
        marks = ", ".join("?" for _ in range(len(names) + 1))
        sql = (f"INSERT INTO {record.TABLE} ({', '.join(names)}, digest) VALUES ({marks}) "
               f"ON CONFLICT ({', '.join(record.KEY)}) DO NOTHING")
        if self._database.execute(sql, (*values, _digest(record.TABLE, values))).rowcount:
            return
        keys = " AND ".join(f"{name} = ?" for name in record.KEY)
        key = tuple(getattr(record, name) for name in record.KEY)
        (stored,) = self._select(type(record), f"WHERE {keys}", key)
        if _comparable(stored) != _comparable(record):
            raise StorageError(f"{self.path} already holds another result for {record.TABLE} {key}. The samples of "
                               "this run do not repeat themselves: the model or its device is not deterministic.")

    def _select(self, kind: type[R], where: str, arguments: tuple[object, ...]) -> Iterator[R]:
        names = ", ".join(field.name for field in fields(kind))
        order = ", ".join(kind.KEY)
        with _told_as_storage_error(self.path):
            rows = self._database.execute(
                f"SELECT {names}, digest FROM {kind.TABLE} {where} ORDER BY {order}", arguments).fetchall()
        for *values, digest in rows:
            if digest != _digest(kind.TABLE, tuple(values)):
                raise _damaged(self.path, f"a row of {kind.TABLE} differs from its digest")
            yield kind(*values)

    def _prepare(self) -> None:
        if not self._is_new():
            self._check()
        self._database.execute("PRAGMA journal_mode = WAL").fetchone()
        self._database.execute("PRAGMA synchronous = NORMAL")
        if not self._is_new():
            return
        with self._transaction():
            self._make_tables()

    def _make_tables(self) -> None:
        self._database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._database.execute(f"PRAGMA user_version = {SCHEMA}")
        for kind in RECORDS:
            columns = ", ".join(f"{field.name} {_COLUMN[str(field.type)]}" for field in fields(kind))
            self._database.execute(f"CREATE TABLE {kind.TABLE} ({columns}, digest BLOB NOT NULL, "
                                   f"PRIMARY KEY ({', '.join(kind.KEY)})) WITHOUT ROWID")

    def _is_new(self) -> bool:
        """Whether nothing was ever committed to the file: it may exist, from a process that died at its start."""
        (tables,) = self._database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        (application,) = self._database.execute("PRAGMA application_id").fetchone()
        return bool(tables == 0 and application == 0)

    def _check(self, *, pages: bool = True) -> None:
        (application,) = self._database.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION_ID:
            raise StorageError(f"{self.path} is not a store of rsopt. Choose another output folder.")
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA:
            raise StorageError(f"{self.path} has schema version {version}; this rsopt reads version {SCHEMA}. "
                               "Use the rsopt that wrote it, or another output folder.")
        if not pages:
            return
        (verdict,) = self._database.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise _damaged(self.path, verdict)

    def _compare(self, facts: Mapping[str, object]) -> None:
        here = {name: json.loads(json.dumps(value)) for name, value in facts.items()}
        stored = self.facts
        if not stored:
            with self._transaction():
                for name, value in here.items():
                    self._insert(Fact(name, json.dumps(value)))
            return
        different = differences(stored, here)
        if different:
            raise StorageError(f"{self.path} holds another run: {'; '.join(different)}. Repeat the command that "
                               "began it, or choose another output folder.")

    def _begin_session(self, title: str) -> None:
        import numpy
        import scipy

        versions = {"python": platform.python_version(), "numpy": numpy.__version__, "scipy": scipy.__version__,
                    "sqlite": sqlite3.sqlite_version, "platform": platform.platform(), "title": title}
        with self._transaction():
            (last,) = self._database.execute("SELECT COALESCE(MAX(session), 0) FROM sessions").fetchone()
            self._insert(Session(last + 1, datetime.now(UTC).isoformat(timespec="seconds"), platform.node(),
                                 os.getpid(), json.dumps(versions)))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            # SQLite itself rolls back on some errors (a full disk among them); a second ROLLBACK would hide the first.
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise


def facts_of(path: Path) -> dict[str, Any]:
    """What decides the results of the run at `path`; empty where there is none, or none that can be read.

    Whatever is wrong with a file is said when it is opened for work.
    """
    if not is_file(path):
        return {}
    try:
        with Store.read(path, pages=False) as store:
            return store.facts
    except StorageError:
        return {}


def _comparable(record: Record) -> tuple[object, ...]:
    return tuple(value for field, value in zip(fields(record), astuple(record), strict=True)
                 if field.name != "seconds")


def _digest(table: str, values: tuple[object, ...]) -> bytes:
    return blake2b(repr((table, *values)).encode(), digest_size=12).digest()


def _quoted(path: Path) -> str:
    return str(path.resolve()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _connected(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30.0)


def _locked(path: Path) -> sqlite3.Connection:
    """A lock that the operating system frees when the process ends, however it ends: SQLite's own, on a second file."""
    lock = sqlite3.connect(f"{path}.lock", isolation_level=None, timeout=0.0)
    try:
        lock.execute("PRAGMA journal_mode = MEMORY")
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        if error.sqlite_errorname.startswith("SQLITE_BUSY"):
            raise StorageError(f"Another process is working on {path}. Wait for it, or choose another output "
                               "folder.") from error
        raise
    return lock


def _damaged(path: Path, detail: str) -> StorageError:
    return StorageError(f"{path} is damaged ({detail}). Nothing was taken from it; delete it and run again, or restore "
                        "it from a backup.")


@contextmanager
def _told_as_storage_error(path: Path) -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except UnicodeDecodeError as error:
        raise _damaged(path, "it holds text that is none") from error
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            text = (f"{path} cannot be written: {error}. Make sure that the disk has space and works; the same command "
                    "then goes on.")
        elif name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT")):
            raise _damaged(path, str(error)) from error
        elif name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            text = f"{path} cannot be written: {error}. Choose an output folder with write permission."
        else:
            text = f"{path}: {error} ({name or type(error).__name__})."
        raise StorageError(text) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error
