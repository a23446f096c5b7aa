"""``rsopt verify``: re-check saved proofs from the files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsopt.commands.terminal import warn


def verify(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Certificates, transcripts of soft bounds, or "
                                                                        "the folder of a run.")],
    arithmetic: Annotated[str, typer.Option(help="double, or arb for ball arithmetic (certificates).")] = "double",
) -> None:
    """Re-check certificates and transcripts by a checker that shares no code with the search.

    Prints one line a file, for a folder one line in all, and ends with status 2 if any proof is rejected, or if a run
    reports what its proofs do not give.
    """
    from rich.progress import track

    from rsopt.commands.console import PlainConsole
    from rsopt.errors import RsoptError
    from rsopt.runs.proofs import proofs_in
    from rsopt.runs.verification import run_differences

    errors = PlainConsole(stderr=True)
    rejected = False
    for given in files:
        checked = held = 0
        try:
            for name, text in track(proofs_in(given), "Checking proofs", total=None, console=errors, transient=True,
                                    disable=not (given.is_dir() and errors.is_terminal)):
                checked += 1
                held += _holds(name, text, arithmetic, told=not given.is_dir())
            for difference in run_differences(given):
                warn(f"{given}: REJECTED: {difference}")
                rejected = True
        except RsoptError as error:
            warn(f"rsopt: {' '.join(str(error).split())}")
            rejected = True
        rejected = rejected or held < checked
        if given.is_dir():
            print(f"{given}: {held} of {checked} proofs hold.")
    if rejected:
        raise typer.Exit(2)


def _holds(name: str, text: str, arithmetic: str, *, told: bool) -> bool:
    from rsopt.errors import CertificateError
    from rsopt.runs.verification import check_text

    try:
        report = check_text(text, arithmetic)
    except CertificateError as error:
        warn(f"{name}: REJECTED: {' '.join(str(error).split())}")
        return False
    if told:
        print(f"{name}: holds: {report}")
    return True
