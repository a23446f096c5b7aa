"""``rsopt recertify``: exact bounds for logs that others published."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from rsopt.commands import options


@options.takes_noise
def recertify(
    log: Annotated[Path, typer.Argument(metavar="LOG_OR_CSV", help="Count vectors with a header (c0, c1, …), or a log "
                                                                   "in Cohen's format.")],
    *,
    said: options.SaidNoise,
    n: Annotated[int | None, typer.Option(help="Samples per input of a log in Cohen's format.")] = None,
    log_alpha: Annotated[float, typer.Option(help="Alpha at which a log in Cohen's format was made.")] = 1e-3,
    top: Annotated[str | None, typer.Option(help="Column with the certified class; by default 'top' or 'label'. It "
                                                 "must not have been chosen on these counts.")] = None,
    functional: options.Functional = None,
    order: options.Order = None,
    statistic: options.Statistic = "studentized",
    alpha: options.Alpha = 1e-3,
    solver: options.Solver = "scipy",
    json_: options.Json = False,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to use.")] = os.cpu_count() or 1,
    output: Annotated[Path | None, typer.Option(help="Folder for the table, the certificates and the plot; by default "
                                                     "the log's whole name with .rsopt.")] = None,
) -> None:
    """Prove the exact bound for every line of a log of votes, beside the baselines on the same votes."""
    from rsopt.commands.console import PlainConsole
    from rsopt.commands.progress import counted
    from rsopt.commands.tables import print_summary
    from rsopt.errors import InvalidInputError
    from rsopt.files import is_file, refuse_overwrite
    from rsopt.question import Question
    from rsopt.runs.export import write_table
    from rsopt.runs.folder import CERTIFICATES, PLOT, STORE, TABLE
    from rsopt.runs.logs import CohenLog, read_log
    from rsopt.runs.proofs import refuse_strangers, save_proofs
    from rsopt.runs.recertify import recertify as proven
    from rsopt.runs.reports.plots import save_plot
    from rsopt.runs.results import Results

    asked = said.noise()
    if asked is None:
        raise InvalidInputError("Say under which noise the votes were cast: --sigma, or --noise with its options.")
    question = Question(asked, functional, order, statistic=statistic, alpha=alpha, solver=solver)
    # Cohen's radii are those of Gaussian noise.
    lines = read_log(log, top=top, cohen=None if n is None else CohenLog(question.sigma, n, log_alpha))
    # The whole name, suffix and all: sigma_0.25 and sigma_0.50 are two logs.
    folder = output or log.with_name(f"{log.name}.rsopt")
    if is_file(folder / STORE):
        raise InvalidInputError(f"{folder} holds a run of rsopt certify, whose table would be lost. Choose another "
                                "--output.")
    refuse_overwrite(folder / TABLE, [log], "The table")
    refuse_strangers(folder / CERTIFICATES, [line.idx for line in lines])
    with counted("proving", len(lines), "bounds") as advance:
        rows, certificates = proven(lines, question, jobs=jobs, advanced=advance)
    write_table(folder / TABLE, rows)
    save_proofs(folder / CERTIFICATES, certificates.items())
    for line in lines:
        if f"{line.idx:06d}" not in certificates:
            (folder / CERTIFICATES / f"{line.idx:06d}.json").unlink(missing_ok=True)
    results, console = Results(rows, question), PlainConsole()
    save_plot(folder / PLOT, results, f"{log.name}: {len(rows):,} inputs, {asked.title}, alpha {alpha:g}")
    if json_:
        print(json.dumps({"folder": str(folder), "table": str(folder / TABLE), "plot": str(folder / PLOT),
                          "certificates": str(folder / CERTIFICATES), "merged": any(line.merged for line in lines),
                          **results.to_dict()}, allow_nan=False))
        return
    print_summary(console, results)
    if any(line.merged for line in lines):
        console.print("This log holds no counts. The top count was recovered from the printed radius, the smallest "
                      "that fits, and all other votes stand for one rival: on such votes the exact bound is Cohen's "
                      "own. Whole count vectors certify more.")
    console.print(f"Table, certificates and plot: {folder}", soft_wrap=True)
