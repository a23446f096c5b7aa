"""Tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rsopt.plots import TITLES
from rsopt.rows import Row
from rsopt.savings import DEFINITION, savings
from rsopt.work import CLOPPER_PEARSON, COHEN, METHODS, OWN

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_STEPS = (0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0)


def print_facts(console: Console, facts: Iterable[tuple[str, str]]) -> None:
    """Prints name and value lines; long values are not broken, so that they can be copied."""
    for name, value in facts:
        console.print(f"[bold]{name:<16}[/bold] {value}", soft_wrap=True, highlight=False)


def radius_grid(largest: float) -> list[float]:
    """Up to five radii from 0 in round steps, for the columns of a table."""
    step = next((step for step in _STEPS if largest / step <= 5.0), largest / 4.0 or 1.0)
    return [step * k for k in range(5) if k == 0 or step * k <= largest]


def summary_table(rows: Sequence[Row], *, alpha: float, functional: str) -> Table:
    """The methods side by side: certified accuracy at some radii, mean radius, and samples for equal radii."""
    from rich.table import Table

    grid = radius_grid(max((row.radius() for row in rows), default=0.0))
    table = Table(title="Certified accuracy: share of inputs certified as their label, at radius …", title_justify="left",
                  title_style="bold")
    table.add_column("method")
    for radius in grid:
        table.add_column("> 0" if radius == 0.0 else f"≥ {radius:g}", justify="right")
    table.add_column("mean radius", justify="right")
    table.add_column("samples for\nour radius", justify="right")
    for method in METHODS:
        radii = [row.radius(method) for row in rows if row.correct(method)]
        shares = [sum(radius >= least for radius in radii) / len(rows) for least in grid]
        cost = "1×" if method == OWN else _cost(rows, method, alpha, functional)
        table.add_row(TITLES[method], *(f"{share:.1%}" for share in shares), f"{sum(radii) / len(rows):.4f}", cost,
                      style="bold" if method == OWN else "")
    return table


def print_summary(console: Console, rows: Sequence[Row], *, alpha: float, functional: str) -> None:
    """Prints the summary of a certified table with what its columns mean."""
    console.print(summary_table(rows, alpha=alpha, functional=functional))
    for note in cost_notes(rows, alpha=alpha, functional=functional):
        console.print(note, highlight=False)


def cost_notes(rows: Sequence[Row], *, alpha: float, functional: str) -> list[str]:
    """What the last column of the summary means, and where no number of samples is enough."""
    notes = [f"Samples for our radius: {DEFINITION}."]
    for method in (CLOPPER_PEARSON, COHEN):
        found = savings(rows, method, alpha, functional)
        if found.never:
            notes.append(f"{TITLES[method]}: no number of samples is enough for {found.never} of "
                         f"{len(found.factors)} inputs.")
    return notes


def _cost(rows: Sequence[Row], method: str, alpha: float, functional: str) -> str:
    median = savings(rows, method, alpha, functional).median
    if math.isnan(median):
        return "–"
    return "never enough" if math.isinf(median) else f"{median:.2f}×"
