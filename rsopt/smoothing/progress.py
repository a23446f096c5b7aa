"""A progress bar for long runs, on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

__all__ = ["progress_bar"]

PATIENCE = 3.0
"""Seconds a run may last, and must still have before it, until a bar appears."""


@contextmanager
def progress_bar(label: str, total: int, enabled: bool) -> Iterator[Callable[[int], None]]:
    """A function that counts samples as done; it shows a bar once the run has lasted some seconds and will last more.

    Nothing is shown when standard error is not a terminal or rich is not installed.

    Args:
        label: what is under way.
        total: samples in all.
        enabled: False for silence.
    """
    with ExitStack() as stack:
        done, start, silent = 0, time.monotonic(), not (enabled and sys.stderr.isatty())
        show: Callable[[int], None] | None = None

        def advance(samples: int) -> None:
            nonlocal done, show, silent
            done += samples
            if silent:
                return
            if show is None:
                spent = time.monotonic() - start
                if min(spent, spent * (total - done) / max(done, 1)) < PATIENCE:
                    return
                show = _bar(stack, label, total)
                silent = show is None
            if show is not None:
                show(done)

        yield advance


def _bar(stack: ExitStack, label: str, total: int) -> Callable[[int], None] | None:
    """Shows a bar until the stack is closed: the function that sets how much is done. None without rich."""
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        return None
    bar = stack.enter_context(Progress(console=Console(stderr=True), transient=True))
    task = bar.add_task(label, total=total)
    return lambda done: bar.update(task, completed=done)
