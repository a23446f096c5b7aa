"""How far long work is: a bar on a terminal, a line a minute where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING

from rsopt.commands.terminal import warn
from rsopt.runs.rows import Row
from rsopt.runs.run import Watcher

if TYPE_CHECKING:
    from rich.console import Console

EVERY = 60.0
"""Seconds between two lines of a log."""


class Log:
    """A line a minute on stderr, for work whose output goes to a file; shorter work leaves none.

    Args:
        what: what is under way.
        total: how much there is of it; None where nobody knows.
        unit: what is counted.
    """

    def __init__(self, what: str, total: int | None, unit: str) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._began = self._told = time.monotonic()
        self._before = 0

    def go_on_from(self, done: int) -> None:
        """Says that so much was done before this work began, which tells nothing of its pace."""
        self._before = done

    def tell(self, done: int, more: str = "") -> None:
        """Prints a line, if the last one is a minute old.

        Args:
            done: how much is done.
            more: what else there is to say.
        """
        now = time.monotonic()
        if now - self._told < EVERY:
            return
        self._told = now
        of = "" if self._total is None else f" of {self._total:,}"
        left = ""
        if self._total is not None and self._before < done < self._total:
            left = f", about {_duration((now - self._began) * (self._total - done) / (done - self._before))} left"
        warn(f"{datetime.now():%Y-%m-%d %H:%M:%S} {self._what}: {done:,}{of} {self._unit}"
             f"{f', {more}' if more else ''}{left}")


class Bar(Watcher):
    """Shows how far a run is: a bar on a terminal, elsewhere a line a minute. A context manager.

    Args:
        console: where to show it.
        inputs: inputs of the run.
        what: the run in a few words.
    """

    def __init__(self, console: Console, inputs: int, what: str) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("inputs"),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), console=console, transient=True,
            disable=not console.is_terminal)
        self._task = self._progress.add_task("Certifying", total=inputs, rate="")
        self._log = None if console.is_terminal else Log(what, inputs, "inputs")
        self._drawn = 0
        self._began = time.monotonic()
        self._console = console
        self.rows_finished = 0

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._progress.stop()

    def resumed(self, rows: list[Row], samples: int) -> None:
        """Starts the bar where the earlier session stopped."""
        self.rows_finished = len(rows)
        if self._log is not None:
            self._log.go_on_from(len(rows))
        if rows or samples:
            self._console.print(f"Going on with a run that has {len(rows)} finished inputs and {samples:,} samples of "
                                "others.")
        self._show()

    def sampled(self, samples: int) -> None:
        """Moves the bar by some samples."""
        self._drawn += samples
        elapsed = self._progress.tasks[self._task].elapsed
        if elapsed:
            self._progress.update(self._task, rate=f"{self._drawn / elapsed:,.0f} samples/s")
        self._show()

    def finished(self, row: Row) -> None:
        """Moves the bar to the next input."""
        self.rows_finished += 1
        self._show()

    def _show(self) -> None:
        self._progress.update(self._task, completed=self.rows_finished)
        if self._log is not None:
            pace = self._drawn / max(time.monotonic() - self._began, 1e-9)
            self._log.tell(self.rows_finished, f"{self._drawn:,} samples, {pace:,.0f} a second")


@contextmanager
def counted(what: str, total: int | None, unit: str) -> Iterator[Callable[..., None]]:
    """A function ``advance(done=1, now="")`` that moves a bar on stderr, or a log where stderr is no terminal.

    Args:
        what: what is under way.
        total: how much there is of it; None where nobody knows.
        unit: what is counted.
    """
    from rich.progress import Progress

    from rsopt.commands.console import PlainConsole

    console = PlainConsole(stderr=True)
    log = Log(what, total, unit)
    done = 0
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)

        def advance(more: int = 1, now: str = "") -> None:
            nonlocal done
            done += more
            bar.update(task, completed=done, description=now or what)
            if not console.is_terminal:
                log.tell(done, now)

        yield advance


def _duration(seconds: float) -> str:
    """A length of time in its two largest units."""
    minutes = round(seconds / 60.0)
    if minutes < 1:
        return "1 min"
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [(days, "d"), (hours, "h"), (rest, "min")]
    first = next(place for place, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first:first + 2] if count)
