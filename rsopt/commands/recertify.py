"""``rsopt recertify``: exact bounds for logs that others published."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from rsopt.commands.options import Alpha, Functional, Order, Sigma, Solver, Statistic


def recertify(
    log: Annotated[Path, typer.Argument(metavar="LOG_OR_CSV", help="Count vectors with a header (c0, c1, …), or a log "
                                                                   "in Cohen's format.")],
    sigma: Sigma,
    n: Annotated[int | None, typer.Option(help="Samples per input of a log in Cohen's format.")] = None,
    log_alpha: Annotated[float, typer.Option(help="Alpha at which a log in Cohen's format was made.")] = 1e-3,
    top: Annotated[str | None, typer.Option(help="Column with the certified class; by default 'top' or 'label'. It "
                                                 "must not have been chosen on these counts.")] = None,
    functional: Functional = "probit",
    order: Order = None,
    statistic: Statistic = "studentized",
    alpha: Alpha = 1e-3,
    solver: Solver = "scipy",
    jobs: Annotated[int, typer.Option(min=1, help="Processes to use.")] = os.cpu_count() or 1,
    output: Annotated[Path | None, typer.Option(help="Folder for the table, the certificates and the plot; by default "
                                                     "the log's name with .rsopt.")] = None,
) -> None:
    """Prove the exact bound for every line of a log of votes, beside the baselines on the same votes."""
    from rich.console import Console
    from rich.progress import Progress

    from rsopt.runs.certify import CERTIFICATES, PLOT, TABLE, save_certificates
    from rsopt.runs.logs import CohenLog, read_log
    from rsopt.runs.recertify import Question
    from rsopt.runs.recertify import recertify as proven
    from rsopt.runs.reports.plots import save_plot
    from rsopt.runs.rows import write_table
    from rsopt.runs.tables import print_summary

    lines = read_log(log, top=top, cohen=None if n is None else CohenLog(sigma, n, log_alpha))
    question = Question(sigma, functional, order, statistic, alpha, solver)
    errors = Console(stderr=True)
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(f"Proving {len(lines):,} bounds", total=len(lines))
        rows, certificates = proven(lines, question, jobs=jobs, advanced=lambda done: bar.advance(task, done))
    folder = output or log.with_suffix(".rsopt")
    write_table(folder / TABLE, rows)
    save_certificates(folder / CERTIFICATES, certificates)
    save_plot(folder / PLOT, rows, sigma=sigma, alpha=alpha, functional=functional,
              title=f"{log.name}: {len(rows):,} inputs, sigma {sigma:g}, alpha {alpha:g}")
    console = Console()
    print_summary(console, rows, alpha=alpha, functional=functional)
    if any(line.merged for line in lines):
        console.print("This log holds no counts. The top count was recovered from the printed radius, the smallest "
                      "that fits, and all other votes stand for one rival: on such votes the exact bound is Cohen's "
                      "own. Whole count vectors certify more.")
    console.print(f"Table, certificates and plot: {folder}", soft_wrap=True, highlight=False)
