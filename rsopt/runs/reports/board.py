"""A leaderboard: the cards in a folder as one page, every one of them proven again when the page is built."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rsopt.data_set.confidence import CONFIDENCE
from rsopt.errors import InvalidInputError
from rsopt.files import is_folder, refuse_overwrite, write_text
from rsopt.methods import OWN, TITLES
from rsopt.runs.card import proven_methods
from rsopt.runs.checked_card import CheckedCard, check_card
from rsopt.runs.folder import CARD_SUFFIX
from rsopt.runs.overview import Overview
from rsopt.runs.reports.card_page import PAGE_SUFFIX, render
from rsopt.runs.reports.figures import board_figure
from rsopt.runs.reports.parts import filled, svg
from rsopt.runs.results import radius_grid

BOARD = "index.html"


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of a board: a card by one of its proven methods.

    Attributes:
        name: title of the card, with the method where it is not the bound on votes.
        page: name of the card's page.
        archive: name of its archive.
        run: the run, as it was found in the archive.
        content: the card.
        method: the method.
    """

    name: str
    page: str
    archive: str
    run: Overview
    content: dict[str, Any]
    method: str

    @property
    def mean_radius(self) -> float:
        """Over all inputs, those not certified (as their label) at 0."""
        return math.fsum(self.run.radii(self.method)) / len(self.run.rows)


def write_board(folder: Path, output: Path | None = None, arithmetic: str = "double", workers: int = 1,
                told: Callable[[CheckedCard], None] | None = None) -> list[CheckedCard]:
    """Proves every card in a folder again and writes the page, and the pages of the cards that hold.

    Args:
        folder: holds archives, NAME.zip; what else lies there is not looked at.
        output: the page; by default index.html in the folder. The cards' pages are written beside their archives.
        arithmetic, workers: as in `check_card`.
        told: is called with each card once it was checked.

    Returns:
        the cards, in the order of their archives' names, those that fail among them.

    Raises:
        InvalidInputError: no folder, one without archives, or a page that would overwrite one of them.
        StorageError: a page cannot be written.
        UnknownNameError, MissingDependencyError: as in `check_card`; matplotlib is not installed.
    """
    archives = sorted(folder.glob(f"*{CARD_SUFFIX}")) if is_folder(folder) else []
    if not archives:
        raise InvalidInputError(f"{folder} holds no archives of cards (*{CARD_SUFFIX}). 'rsopt card RUN --output "
                                f"{folder}/NAME' puts one there.")
    target = output or folder / BOARD
    refuse_overwrite(target, archives, "The board")
    if taken := [archive for archive in archives if archive.with_suffix(PAGE_SUFFIX).resolve() == target.resolve()]:
        raise InvalidInputError(f"The board {target} would have the name of a card's page, that of {taken[0].name}. "
                                "Choose another --output, or rename the archive.")
    cards = []
    for archive in archives:
        found = check_card(archive, arithmetic, workers)
        if found.run is not None and found.content is not None:
            page = render(_named(found), found.content, archive.name)
            write_text(archive.with_suffix(PAGE_SUFFIX), page, "The page")
        cards.append(found)
        if told is not None:
            told(found)
    write_text(target, render_board(folder.resolve().name, cards, arithmetic), "The board")
    return cards


def render_board(name: str, cards: Sequence[CheckedCard], arithmetic: str) -> str:
    """The page.

    Args:
        name: how the board is called.
        cards: what was checked.
        arithmetic: with which it was checked.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    held = sum(found.holds for found in cards)
    proofs = sum(found.proofs for found in cards if found.holds)
    lead = (f"{len(cards):,} cards, {held:,} of which hold: {proofs:,} proofs were checked anew when this page was "
            f"built, in {'ball arithmetic' if arithmetic == 'arb' else 'double precision'}, from the archives alone.")
    groups: dict[tuple[str, str, str], list[Entry]] = defaultdict(list)
    for found in cards:
        for entry in _entries(found):
            noise = entry.content["noise"]
            groups[entry.content["data"]["sha256"], noise["norm"], noise["unit"]].append(entry)
    return filled("board.html", title=escape(f"Certified: {name}"), lead=escape(lead), failing=_failing(cards),
                  groups="".join(_group(key, entries) for key, entries in sorted(groups.items())), reading=_reading())


def _named(found: CheckedCard) -> Overview:
    assert found.run is not None  # it holds
    return replace(found.run, title=found.title)


def _entries(found: CheckedCard) -> list[Entry]:
    if found.run is None or found.content is None:
        return []
    page = found.path.with_suffix(PAGE_SUFFIX).name
    return [Entry(found.title if method == OWN else f"{found.title} ({TITLES[method].removeprefix('rsopt ')})", page,
                  found.path.name, found.run, found.content, method) for method in proven_methods(found.run)]


def _group(key: tuple[str, str, str], entries: list[Entry]) -> str:
    """The cards on one data set in one norm, best first, with their curves."""
    data, norm, unit = key
    ordered = sorted(entries, key=lambda entry: (-entry.mean_radius, entry.name))
    grid = radius_grid(max((radius for entry in ordered for radius in entry.run.radii(entry.method)), default=0.0))
    head = "".join(f"<th>{'any' if radius == 0.0 else f'≥ {radius:g}'}</th>" for radius in grid)
    lines = []
    for entry in ordered:
        rank = 1 + sum(other.mean_radius > entry.mean_radius for other in ordered)
        run, samples = entry.run, entry.content["samples"]
        shares = "".join(f"<td>{run.share(radius, entry.method):.1%}</td>" for radius in grid)
        chosen = "label" if entry.content["class"]["chosen by"] == "label" else f"n0 = {entry.content['class']['n0']:,}"
        lines.append(
            f'<tr><td>{rank}</td><td class="words"><a href="{quote(entry.page)}">{escape(entry.name)}</a></td>'
            f'<td class="words">{escape(run.noise.title)}</td><td>{_counted(run)}</td><td>{escape(chosen)}</td>'
            f"<td>{run.alpha:g}</td><td>{samples['median']:,.0f}</td>{shares}<td><b>{entry.mean_radius:.4f}</b></td>"
            f'<td><a href="{quote(entry.archive)}">{entry.content["proofs"].get(entry.method, 0):,}</a></td></tr>')
    first = ordered[0].content["data"]
    figure = svg(board_figure([(entry.name, entry.run, entry.method) for entry in ordered]))
    return (
        f"<h2>{first['inputs']:,} inputs, {escape(norm)} norm</h2>"
        f'<p class="note">Radii in {escape(unit)}. Inputs: SHA-256 {escape(data)}.</p>'
        f'<figure><img src="{figure}" alt="Certified accuracy against radius, by card"></figure>'
        f'<div class="scroll"><table><tr><th>rank</th><th class="words">card</th><th class="words">noise</th>'
        f"<th>counted</th><th>class by</th><th>alpha</th><th>samples, median</th>{head}<th>mean radius</th>"
        f"<th>proofs</th></tr>{''.join(lines)}</table></div>")


def _counted(run: Overview) -> str:
    """What the shares of a run count."""
    return "right" if run.labelled else "any class"


def _failing(cards: Sequence[CheckedCard]) -> str:
    failed = [found for found in cards if not found.holds]
    if not failed:
        return ""
    lines = []
    for found in failed:
        more = f" (and {len(found.differences) - 1:,} more)" if len(found.differences) > 1 else ""
        lines.append(f'<tr class="failing"><td>{escape(found.path.name)}</td>'
                     f'<td class="words">{escape(found.title)}</td>'
                     f'<td class="words">{escape(found.differences[0])}{more}.</td></tr>')
    return ('<h2>Cards that do not hold</h2><p class="warning">Nothing that these cards claim is counted below.</p>'
            '<div class="scroll"><table><tr><th>archive</th><th class="words">it calls itself</th>'
            f'<th class="words">the first thing that does not hold</th></tr>{"".join(lines)}</table></div>')


def _reading() -> str:
    items = [
        "Cards stand beside each other where they certify the same inputs (by fingerprint) in the same norm. Order: "
        "mean certified radius over all inputs, an input that is not certified counting 0. Curves cross; choose by the "
        "radius that matters.",
        "A radius is that of one smoothed classifier, model and noise together. Taking the largest over several lines "
        "is no classifier, and nothing is proven of it. Lines in brackets certify the classifier that answers the "
        "largest mean score.",
        f"A share is of these inputs; what holds of new ones, with {CONFIDENCE:.0%} confidence, stands on the card. "
        "A class by label was given, not found; one by n0 was chosen on so many samples of its own.",
        "A card that holds is a run whose every reported bound was proven again. That its votes were drawn as it says, "
        "no file can show: draw them again with the model at hand."]
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"
