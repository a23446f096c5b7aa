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
    VERONA = "verona"
    PARQUET = "parquet"
    PROOFS = "proofs"


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, finished or not.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="File to write; folder for proofs.")],
    format_: Annotated[Format, typer.Option("--format", help="tsv: all columns; cohen: the six columns of Cohen's "
                                                             "logs; verona: CSV in the columns of "
                                                             "VERONA's results; parquet: all columns; proofs: every "
                                                             "certificate and transcript as a file.")] = Format.TSV,
    method: Annotated[str | None, typer.Option(help="With --format cohen or verona: whose radii stand in it, rsopt "
                                                    "(the default), two-way-clopper-pearson or cohen. Radii of cohen "
                                                    "can be read back by rsopt recertify.")] = None,
) -> None:
    """Write what a run has finished: its rows as TSV, in Cohen's or VERONA's format or as Parquet, or its proofs."""
    from rsopt.errors import InvalidInputError, UnknownNameError
    from rsopt.files import refuse_overwrite
    from rsopt.methods import MELDED, METHODS, OWN
    from rsopt.runs.export import COHEN_COLUMNS, write_parquet_table, write_table, write_verona
    from rsopt.runs.folder import folder_of, store_of
    from rsopt.runs.proofs import refuse_strangers, save_proofs, stored_proofs
    from rsopt.runs.rows import stored_rows
    from rsopt.runs.store import Store

    if method is not None and format_ not in (Format.COHEN, Format.VERONA):
        raise InvalidInputError("--method belongs to --format cohen and verona; the other formats hold all methods.")
    if method == MELDED:
        raise InvalidInputError("The melded limit is conjectured and certifies nothing: these columns would pass its "
                                "radii for certified ones. --format tsv and parquet hold them, marked.")
    if method not in (None, *METHODS):
        raise UnknownNameError.of("method", method, list(METHODS))
    refuse_overwrite(output, [store_of(run)], "The export")
    with Store.read(store_of(run)) as store:
        rows = stored_rows(store)
        facts = store.facts
        if format_ is Format.PROOFS:
            refuse_strangers(output, [row.idx for row in rows])
            proofs = save_proofs(output, stored_proofs(store))
            print(f"{output}: {proofs} proofs.")
            return
    if format_ is Format.PARQUET:
        write_parquet_table(output, rows, facts)
    elif format_ is Format.VERONA:
        folder = folder_of(run)
        write_verona(output, rows, folder.resolve().name, folder, method=method or OWN)
    elif format_ is Format.COHEN:
        write_table(output, rows, columns=COHEN_COLUMNS, method=method or OWN)
    else:
        write_table(output, rows)
    print(f"{output}: {len(rows)} of {facts['inputs']} inputs.")
