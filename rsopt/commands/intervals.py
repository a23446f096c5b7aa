"""``rsopt intervals``: the intervals for a mean, and their widths against n on a chosen law."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsopt.commands.options import Alpha, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from rsopt.intervals.comparison import WidthRow

SIZES = [100, 300, 1_000, 3_000, 10_000]


def intervals(
    compare: Annotated[bool, typer.Option("--compare", help="Measure the widths on a law and draw them "
                                                            "against n.")] = False,
    law: Annotated[str, typer.Option(help="Law on [0, 1]: scores, confident, unsure, votes or coin.")] = "scores",
    alpha: Alpha = 1e-3,
    sizes: Annotated[list[int] | None, typer.Option("--n", help="Sample size; repeat for several. By default "
                                                                + ", ".join(map(str, SIZES)) + ".")] = None,
    runs: Annotated[int, typer.Option(help="Samples of each size; every interval sees the same ones.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
    output: Annotated[Path, typer.Option(help="PNG that the widths are drawn in.")] = Path("runs/intervals.png"),
    json: Json = False,
) -> None:
    """List the lower confidence bounds on a mean, or compare their widths (mean minus bound) with --compare."""
    if not compare:
        _list(json)
        return
    from rsopt.intervals.comparison import compare_widths, save_width_plot

    asked = sorted(set(sizes or SIZES))
    rows = compare_widths(law, asked, alpha=alpha, runs=runs, seed=seed)
    save_width_plot(output, rows, asked, law=law, alpha=alpha)
    if json:
        print(json_module.dumps({"law": law, "alpha": alpha, "sizes": asked, "runs": runs, "seed": seed,
                                      "plot": str(output), "rows": [asdict(row) for row in rows]}))
        return
    from rsopt.commands.console import PlainConsole

    console = PlainConsole()
    console.print(_widths(rows, asked, f"Width of lower bounds on the mean of {law!r}, alpha {alpha:g}, "
                                       f"{runs} samples a size"))
    console.print(f"Drawn in {output}", soft_wrap=True)


def _list(json: bool) -> None:
    from rsopt.intervals import is_time_uniform, names

    if json:
        print(json_module.dumps([{"name": name, "time_uniform": is_time_uniform(name)} for name in names()]))
        return
    from rich.table import Table

    from rsopt.commands.console import PlainConsole

    table = Table(title="Lower confidence bounds on the mean of values in a known range", title_justify="left",
                  title_style="bold")
    for column in ("name", "holds"):
        table.add_column(column)
    for name in names():
        table.add_row(name, "at all times at once" if is_time_uniform(name) else "at the n fixed beforehand")
    PlainConsole().print(table)


def _widths(rows: Sequence[WidthRow], sizes: Sequence[int], title: str) -> Table:
    """Widths as multiples of the normal-theory limit, measured ones and formulas, narrowest at the last n first."""
    from rich.table import Table

    from rsopt.intervals.comparison import LIMIT

    limit = next(row.widths for row in rows if row.name == LIMIT)
    table = Table(title=title, title_justify="left", title_style="bold", caption_justify="left",
                  caption=f"In multiples of the {LIMIT}, whose widths the first row gives.")
    table.add_column("name", no_wrap=True)
    for n in sizes:
        table.add_column(f"n = {n:,}", justify="right")
    table.add_row(LIMIT, *(f"{width:.5f}" for width in limit), end_section=True)
    for measured, suffix in ((True, ""), (False, " (formula)")):
        kind = sorted((row for row in rows if row.measured == measured and row.name != LIMIT),
                      key=lambda row: row.widths[-1])
        for row in kind:
            table.add_row(row.name + suffix, *(f"{width / least:.3f}"
                                               for width, least in zip(row.widths, limit, strict=True)),
                          end_section=row is kind[-1])
    return table
