"""Waiting for what other processes do: for conditions, never for a time that ought to be enough."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rsopt.errors import StorageError
from rsopt.runs.folder import STORE
from rsopt.runs.records import InputOutcome
from rsopt.runs.store import Store

PATIENCE = 900.0
"""Seconds that a step may take on a machine that has hardly any time for it; only what is broken waits so long."""
HOLD = "RSOPT_TESTS_HOLD"


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Returns once the condition holds.

    Raises:
        TimeoutError: it does not, for all patience.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE:g} s in vain: {what}")
        time.sleep(0.02)


def finished(folder: Path) -> int:
    """How many inputs the run in a folder has finished so far, asked while it is at work."""
    try:
        with Store.read(folder / STORE) as store:
            return len(store.all(InputOutcome))
    except StorageError:
        return 0  # it is just being made


@contextmanager
def held(inputs: int, folder: Path) -> Iterator[Mapping[str, str]]:
    """Environment for a run in `folder` whose model calls `hold`: once so many inputs are finished, it stands still.

    At the end of the block whatever is still alive of it goes on.
    """
    gate = folder.with_name(f"{folder.name}.held")
    gate.touch()
    try:
        yield {HOLD: f"{inputs} {gate} {folder}"}
    finally:
        gate.unlink()


def hold() -> None:
    """Stands still as long as the environment says so."""
    if HOLD not in os.environ:
        return
    inputs, gate, folder = os.environ[HOLD].split()
    while finished(Path(folder)) >= int(inputs) and Path(gate).exists():
        time.sleep(0.02)
