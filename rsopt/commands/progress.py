"""A progress bar for a run: samples, inputs and the time left."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rsopt.runs.rows import Row
from rsopt.runs.run import Watcher

if TYPE_CHECKING:
    from rich.console import Console


class Bar(Watcher):
    """Shows how far a run is, on a terminal; elsewhere it prints nothing. A context manager.

    Args:
        console: where to show it.
        inputs: inputs of the run.
    """

    def __init__(self, console: Console, inputs: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("inputs"),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), console=console, transient=True,
            disable=not console.is_terminal)
        self._task = self._progress.add_task("Certifying", total=inputs, rate="")
        self._drawn = 0
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
