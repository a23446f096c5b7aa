"""``rsopt board``: the cards in a folder as one page, every one proven again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsopt.commands.options import Json
from rsopt.commands.terminal import warn

if TYPE_CHECKING:
    from rsopt.runs.checked_card import CheckedCard


def board(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Holds the archives of cards, NAME.zip.")],
    output: Annotated[Path | None, typer.Option(help="The HTML file; by default index.html in the folder.")] = None,
    arithmetic: Annotated[str, typer.Option(help="double, or arb for ball arithmetic.")] = "double",
    workers: Annotated[int, typer.Option(min=1, help="Processes to use.")] = 1,
    json_: Json = False,
) -> None:
    """Write a leaderboard of the cards in a folder; every card is proven again, and those that fail are shown failing.

    Ends with status 2 if one fails; the page is written all the same.
    """
    from rsopt.runs.reports.board import BOARD, write_board

    def told(card: CheckedCard) -> None:
        if not card.holds:
            warn(f"{card.path}: REJECTED: {card.differences[0]}.")
        elif not json_:
            print(f"{card.path}: holds: {card.title}: {card.proofs:,} proofs")

    cards = write_board(folder, output, arithmetic, workers, told)
    target = output or folder / BOARD
    if json_:
        print(json.dumps({"page": str(target), "cards": [card.to_dict() for card in cards]}))
    else:
        print(f"{target}: {sum(card.holds for card in cards)} of {len(cards)} cards hold.")
    if not all(card.holds for card in cards):
        raise typer.Exit(2)
