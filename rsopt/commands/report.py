"""``rsopt report``: a run as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, finished or not.")],
    output: Annotated[Path | None, typer.Option(help="The HTML file; by default report.html in the folder.")] = None,
) -> None:
    """Write a run as one HTML page: curves with confidence, samples, bounds compared, hardest inputs, guarantees.

    The page holds everything it shows and opens without a network.
    """
    from rsopt.runs.folder import REPORT, folder_of
    from rsopt.runs.reports.page import write_report

    target = output or folder_of(run) / REPORT
    found = write_report(run, target)
    print(f"{target}: {len(found.rows):,} of {found.facts['inputs']:,} inputs.")
