"""``rsopt report``: a run as one page, or runs as a table for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsopt.errors import InvalidInputError


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="The folders of runs, finished or not.")],
    latex: Annotated[bool, typer.Option("--latex", help="Print all runs as one table of LaTeX (booktabs): certified "
                                                        "accuracy by radius, noise and method, with intervals."
                                             )] = False,
    radius: Annotated[list[float] | None, typer.Option(min=0.0, help="With --latex: a column; repeat for several. By "
                                                                     "default round steps.")] = None,
    output: Annotated[Path | None, typer.Option(help="The HTML file, by default report.html in the folder of the run; "
                                                     "with --latex the file of the table, by default stdout.")] = None,
) -> None:
    """Write a run as one HTML page: curves with confidence, samples, bounds compared, hardest inputs, guarantees.

    The page holds everything it shows and opens without a network. Of several runs each gets its page.
    """
    from rsopt.runs.folder import REPORT, folder_of
    from rsopt.runs.reports.page import write_report

    if latex:
        _print_latex(runs, radius or [], output)
        return
    if radius:
        raise InvalidInputError("--radius names the columns of a table: it belongs to --latex.")
    if output is not None and len(runs) > 1:
        raise InvalidInputError("--output is one file, and every run gets a page of its own: leave it out, or name one "
                                "run.")
    for run in runs:
        target = output or folder_of(run) / REPORT
        found = write_report(run, target)
        print(f"{target}: {len(found.rows):,} of {found.facts['inputs']:,} inputs.")


def _print_latex(runs: list[Path], radii: list[float], output: Path | None) -> None:
    from rsopt.files import refuse_overwrite, write_text
    from rsopt.runs.folder import store_of
    from rsopt.runs.overview import Overview
    from rsopt.runs.reports.latex import latex_table

    table = latex_table([Overview.read(run) for run in runs], sorted(set(radii)))
    if output is None:
        print(table, end="")
        return
    refuse_overwrite(output, [store_of(run) for run in runs], "The table")
    write_text(output, table, "The table")
    print(f"{output}: {len(runs)} runs.")
