"""``rsopt card``: what a run claims, in a form that a stranger can prove again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rsopt.commands.options import Json
from rsopt.commands.terminal import warn


def card(
    place: Annotated[Path, typer.Argument(metavar="RUN|ARCHIVE", help="The folder of a finished run; with --check the "
                                                                      "archive of a card.")],
    check: Annotated[bool, typer.Option("--check", help="Prove a card again, from its archive alone.")] = False,
    output: Annotated[Path | None, typer.Option(help="NAME of the files NAME.json, NAME.html and NAME.zip; by default "
                                                     "card in the folder of the run.")] = None,
    title: Annotated[str | None, typer.Option(help="Model and data in words; by default what the run says.")] = None,
    arithmetic: Annotated[str, typer.Option(help="With --check: double, or arb for ball arithmetic.")] = "double",
    workers: Annotated[int, typer.Option(min=1, help="With --check: processes to use.")] = 1,
    json_: Json = False,
) -> None:
    """Write the card of a run: JSON, one HTML page, and the archive with every proof. Or check one.

    A check ends with status 2 if a proof is rejected, or if run or card were altered; what differs is named.
    """
    from rsopt.errors import InvalidInputError

    if check:
        if output is not None or title is not None:
            raise InvalidInputError("--output and --title belong to the making of a card; --check only reads.")
        _check(place, arithmetic, workers, json_)
        return
    from rsopt.runs.reports.card_page import write_card

    files = write_card(place, output, title)
    if json_:
        print(files[0].read_text(encoding="utf-8"), end="")
        return
    for file in files:
        print(file)
    warn(f"Check it from the archive alone: rsopt card --check {files[2]}")


def _check(place: Path, arithmetic: str, workers: int, json_: bool) -> None:
    from rsopt.commands.progress import counted
    from rsopt.runs.checked_card import check_card

    with counted(f"checking {place}", None, "proofs") as advance:
        found = check_card(place, arithmetic, workers, advance)
    if json_:
        print(json.dumps({**found.to_dict(), "sha256": None if found.content is None else found.content["sha256"]}))
    elif found.content is not None:
        print(f"{found.path}: holds: {found.title}: {found.proofs:,} proofs, card {found.content['sha256']}")
    else:
        for difference in found.differences:
            warn(f"{found.path}: REJECTED: {difference}.")
    if not found.holds:
        raise typer.Exit(2)
