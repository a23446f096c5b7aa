"""A progress bar for long runs, on a terminal only."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["LongRun"]

PATIENCE = 3.0
"""Seconds a run may last, and must still have before it, until a bar appears."""


class LongRun:
    """Shows a bar on standard error once a run has lasted some seconds and will last some more.

    Nothing is shown when standard error is not a terminal or rich is not installed.

    Args:
        label: what is under way.
        total: samples in all.
        enabled: False for silence.
    """

    def __init__(self, label: str, total: int, enabled: bool) -> None:
        self._label = label
        self._total = total
        self._done = 0
        self._enabled = enabled and sys.stderr.isatty()
        self._start = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> LongRun:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, samples: int) -> None:
        """Counts `samples` more as done."""
        self._done += samples
        if not self._enabled:
            return
        if self._bar is None:
            spent = time.monotonic() - self._start
            left = spent * (self._total - self._done) / max(self._done, 1)
            if spent >= PATIENCE and left >= PATIENCE:
                self._open()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done)

    def _open(self) -> None:
        try:
            from rich.console import Console
            from rich.progress import Progress
        except ImportError:
            self._enabled = False
            return
        self._bar = Progress(console=Console(stderr=True), transient=True)
        self._bar.start()
        self._task = self._bar.add_task(self._label, total=self._total)
