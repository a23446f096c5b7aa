"""``rsopt verify``: re-check saved proofs from the files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def verify(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Certificates, transcripts of soft bounds, or "
                                                                        "the folder of a run.")],
    arithmetic: Annotated[str, typer.Option(help="double, or arb for ball arithmetic (certificates).")] = "double",
) -> None:
    """Re-check certificates and transcripts by a checker that shares no code with the search.

    Prints one line a file, for a folder one line in all, and ends with status 2 if any proof is rejected.
    """
    from rsopt.verification import proofs_in

    rejected = 0
    for given in files:
        found = proofs_in(given)
        failed = [path for path in found if not _holds(path, arithmetic, told=path == given)]
        rejected += len(failed)
        if found != [given]:
            typer.echo(f"{given}: {len(found) - len(failed)} of {len(found)} proofs hold.")
    if rejected:
        raise typer.Exit(2)


def _holds(path: Path, arithmetic: str, *, told: bool) -> bool:
    from rsopt.errors import CertificateError, StorageError
    from rsopt.verification import check_file

    try:
        report = check_file(path, arithmetic)
    except (CertificateError, StorageError) as error:
        typer.echo(f"{path}: REJECTED: {' '.join(str(error).split())}", err=True)
        return False
    if told:
        typer.echo(f"{path}: holds: {report}")
    return True
