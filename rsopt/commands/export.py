"""``rsopt export``: the results of a run in other formats."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """What can be written."""

    TSV = "tsv"
    COHEN = "cohen"
    PARQUET = "parquet"
    PROOFS = "proofs"


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, finished or not.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="File to write; folder for proofs.")],
    format_: Annotated[Format, typer.Option("--format", help="tsv: all columns; cohen: the six columns of Cohen's "
                                                             "logs; parquet: all columns; proofs: every "
                                                             "certificate and transcript as a file.")] = Format.TSV,
) -> None:
    """Write what a run has finished: its rows as TSV, in Cohen's format or as Parquet, or its proofs."""
    from rsopt.runs.certify import STORE, save_certificates, stored_proofs
    from rsopt.runs.export import write_parquet
    from rsopt.runs.rows import COHEN_COLUMNS, stored_rows, write_table
    from rsopt.runs.store import Store

    with Store.read(run / STORE if run.is_dir() else run) as store:
        rows = stored_rows(store)
        facts = store.facts
        if format_ is Format.PROOFS:
            proofs = save_certificates(output, stored_proofs(store))
            typer.echo(f"{output}: {proofs} proofs.")
            return
    if format_ is Format.PARQUET:
        write_parquet(output, rows, facts)
    elif format_ is Format.COHEN:
        write_table(output, rows, columns=COHEN_COLUMNS)
    else:
        write_table(output, rows)
    typer.echo(f"{output}: {len(rows)} of {facts['inputs']} inputs.")
