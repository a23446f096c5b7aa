"""``rsopt compare-runs``: two runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsopt.commands.options import Json

if TYPE_CHECKING:
    from rich.console import Console

    from rsopt.runs.compare import RunComparison


def compare_runs(
    first: Annotated[Path, typer.Argument(metavar="A", help="The folder of a run, finished or not.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="The folder of another.")],
    json_: Json = False,
) -> None:
    """Compare two runs on the inputs that both have finished: options, certified accuracy, samples, single inputs."""
    from rsopt.commands.console import PlainConsole
    from rsopt.runs.compare import compare_runs as compared
    from rsopt.runs.overview import Overview

    found = compared(Overview.read(first), Overview.read(second))
    if json_:
        print(json.dumps(found.to_dict()))
    else:
        _print(PlainConsole(), found)


def _print(console: Console, found: RunComparison) -> None:
    from rich.table import Table

    from rsopt.commands.tables import print_facts
    from rsopt.runs.differences import DIGESTS

    alone = "".join(f"; {count:,} more in {name} only" for name, count in (
        (found.first, found.only_first), (found.second, found.only_second)) if count)
    agree = ("equal in every row, bit for bit" if found.identical else
             f"{found.same_votes:,} with equal votes" if found.same_votes else "no equal votes")
    print_facts(console, [
        ("A, B", f"{found.first}, {found.second}"), ("common inputs", f"{found.common:,}: {agree}{alone}"),
        ("mean radius", f"{found.mean_radius[0]:.4f}, {found.mean_radius[1]:.4f}"),
        ("samples", f"{found.samples[0]:,}, {found.samples[1]:,}"),
        ("seconds of work", f"{found.seconds[0]:,.1f}, {found.seconds[1]:,.1f}"),
        *((option.name, DIGESTS.get(option.name) or f"{_plain(option.first)}, {_plain(option.second)}")
          for option in found.options)])
    shares = Table(title="Certified at radius …, share of the common inputs", title_justify="left", title_style="bold")
    for heading in ("radius", "A", "B", "only A", "only B", "p-value"):
        shares.add_column(heading, justify="right")
    for line in found.shares:
        shares.add_row("> 0" if line.radius == 0.0 else f"≥ {line.radius:g}", f"{line.first:.1%}", f"{line.second:.1%}",
                       str(line.only_first), str(line.only_second), f"{line.p_value:.3g}")
    console.print(shares)
    if any(line.only_first or line.only_second for line in found.shares):
        console.print("p-value: how probable so uneven a split of the inputs that only one run certifies is, if "
                      "neither is better.")
    if found.changes:
        console.print(_changes_table(found))


def _changes_table(found: RunComparison) -> object:
    from rich.table import Table

    table = Table(title="Largest changes", title_justify="left", title_style="bold")
    for heading in ("input", "label", "class A", "class B", "samples A", "samples B", "radius A", "radius B"):
        table.add_column(heading, justify="right")
    for change in found.changes:
        table.add_row(str(change.idx), _plain(change.label), _plain(change.first_class), _plain(change.second_class),
                      f"{change.first_samples:,}", f"{change.second_samples:,}", f"{change.first_radius:.4f}",
                      f"{change.second_radius:.4f}")
    return table


def _plain(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return "–" if value is None else text if len(text) <= 60 else f"{text[:57]}..."
