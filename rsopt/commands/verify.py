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
    workers: Annotated[int, typer.Option(min=1, help="Processes to use, for the folder of a run.")] = 1,
) -> None:
    """Re-check certificates and transcripts by a checker that shares no code with the search.

    Prints one line a file, for a folder one line in all. A run is also held against its own facts. Ends with status 2
    if any proof is rejected, or if something in a run contradicts the rest of it.
    """
    from rsopt.errors import RsoptError

    rejected = False
    for given in files:
        try:
            rejected |= _rejected(given, arithmetic, workers)
        except RsoptError as error:
            warn(f"rsopt: {' '.join(str(error).split())}")
            rejected = True
    if rejected:
        raise typer.Exit(2)


def _rejected(given: Path, arithmetic: str, workers: int) -> bool:
    """Whether anything in a file or folder is rejected; what was found is printed."""
    from rsopt.commands.progress import counted
    from rsopt.files import is_folder
    from rsopt.runs.proofs import proofs_in
    from rsopt.runs.verification import run_differences, verdicts

    folder = is_folder(given)
    checked = held = 0
    with counted(f"checking {given}", sum(1 for _ in proofs_in(given)) if folder else None, "proofs") as advance:
        for name, holds, said in verdicts(proofs_in(given), arithmetic, workers if folder else 1):
            checked += 1
            held += holds
            advance()
            if not holds:
                warn(f"{name}: REJECTED: {' '.join(said.split())}")
            elif not folder:
                print(f"{name}: holds: {said}")
    found = run_differences(given)
    for difference in found:
        warn(f"{given}: REJECTED: {difference}")
    if folder:
        print(f"{given}: {held} of {checked} proofs hold{'' if found else _draws(given)}.")
    return held < checked or bool(found)


def _draws(run: Path) -> str:
    """What the draws of a run take of its alpha, which was computed again; nothing where they take nothing."""
    from rsopt.runs.folder import STORE
    from rsopt.runs.store import facts_of
    from rsopt.runs.task import VARIATION

    facts = facts_of(run / STORE)
    if VARIATION not in facts:
        return ""
    return f", at alpha {facts['stopping']['alpha']:g} less {facts[VARIATION]:.2g} for the draws"
