"""Tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rsopt.runs.decisions import Decided, spent
from rsopt.runs.reports.plots import TITLES
from rsopt.runs.rows import Row
from rsopt.runs.savings import DEFINITION, savings
from rsopt.runs.work import CLOPPER_PEARSON, COHEN, METHODS, OWN, SOFT_METHODS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_STEPS = (0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0)


def print_facts(console: Console, facts: Iterable[tuple[str, str]]) -> None:
    """Prints name and value lines; long values are not broken, so that they can be copied."""
    for name, value in facts:
        console.print(f"[bold]{name:<16}[/bold] {value}", soft_wrap=True, highlight=False)


def radius_grid(largest: float) -> list[float]:
    """Up to four radii from 0 in round steps, for the columns of a table."""
    step = next((step for step in _STEPS if largest / step < 4.0), largest / 4.0 or 1.0)
    return [step * k for k in range(4) if k == 0 or step * k <= largest]


def summary_table(rows: Sequence[Row], *, alpha: float, functional: str, radii: Sequence[float] = ()) -> Table:
    """The methods side by side: certified accuracy at some radii, mean radius, and samples for equal radii.

    Args:
        rows: the table.
        alpha: error that a baseline may spend, looking once.
        functional: name of the quantity that was bounded.
        radii: the columns; none for round steps.
    """
    from rich.table import Table

    methods = [name for name in (*METHODS, *SOFT_METHODS) if any(name in row.bounds for row in rows)]
    grid = list(radii) or radius_grid(max((row.radius(name) for row in rows for name in methods), default=0.0))
    table = Table(title="Share of inputs certified as their label, by radius", title_justify="left",
                  title_style="bold")
    table.add_column("method", no_wrap=True)
    for radius in grid:
        table.add_column("> 0" if radius == 0.0 else f"≥ {radius:g}", justify="right")
    table.add_column("mean\nradius", justify="right")
    table.add_column("samples for\nour radius", justify="right")
    for name in methods:
        correct = [row.radius(name) for row in rows if row.correct(name)]
        shares = [sum(radius >= least for radius in correct) / len(rows) for least in grid]
        table.add_row(TITLES[name], *(f"{share:.1%}" for share in shares), f"{sum(correct) / len(rows):.4f}",
                      _cost(rows, name, alpha, functional), style="bold" if name == OWN else "",
                      end_section=name == METHODS[-1])
    return table


def print_summary(console: Console, rows: Sequence[Row], *, alpha: float, functional: str,
                  radii: Sequence[float] = ()) -> None:
    """Prints the summary of a certified table with what its columns mean; arguments as in `summary_table`."""
    console.print(summary_table(rows, alpha=alpha, functional=functional, radii=radii))
    for note in cost_notes(rows, alpha=alpha, functional=functional):
        console.print(note, highlight=False)


def print_savings(console: Console, rows: Sequence[Row], targets: Sequence[Decided] = ()) -> None:
    """Prints what an adaptive run decided, and its samples beside those of a fixed n.

    Args:
        console: where to.
        rows: the table.
        targets: what became of the target radii, if there were any.
    """
    from rich.table import Table

    if targets:
        table = Table(title="Inputs by what became of a target radius", title_justify="left", title_style="bold")
        for name in ("radius", "certified", "as the label", "out of reach", "undecided at n"):
            table.add_column(name, justify="right")
        for target in targets:
            table.add_row(f"{target.radius:g}", *(f"{count:,}" for count in (
                target.certified, target.correct, target.out_of_reach, target.undecided)))
        console.print(table)
    found = spent(rows)
    most = max((row.n + row.saved for row in rows), default=0)
    console.print("Sampling stopped as soon as our bound had decided the question: larger radii are what the votes "
                  "until then happen to prove, and the other methods, looked at as often and at the same levels, would "
                  "have gone on.")
    print_facts(console, [
        ("samples", f"{found.spent:,} of the {found.fixed:,} that a fixed n = {most:,} takes: {found.factor:.1f} times "
                    f"fewer, {found.fixed - found.spent:,} saved; {found.early:,} of {found.inputs:,} inputs stopped "
                    "early"),
        *([("selection", f"{found.selection:,} samples more, which a fixed n takes too")] if found.selection else [])])


def cost_notes(rows: Sequence[Row], *, alpha: float, functional: str) -> list[str]:
    """What the last column of the summary means, and where no number of samples is enough."""
    notes = [f"Samples for our radius: {DEFINITION}."]
    for method in (CLOPPER_PEARSON, COHEN):
        found = savings(rows, method, alpha, functional)
        if found.never:
            notes.append(f"{TITLES[method]}: no number of samples is enough for {found.never} of "
                         f"{len(found.factors)} inputs.")
    if any(method in row.bounds for row in rows for method in SOFT_METHODS):
        notes.append("Soft rows certify another classifier, the largest mean score: R2 from the probit margin of the "
                     "means, R1 from their margin and the smoothing constant 1/(sigma sqrt(pi)). Every row stands for "
                     "itself at alpha; taking the largest of them afterwards would not be proven.")
    return notes


def _cost(rows: Sequence[Row], method: str, alpha: float, functional: str) -> str:
    if method == OWN:
        return "1×"
    median = savings(rows, method, alpha, functional).median if method in METHODS else math.nan
    if math.isnan(median):
        return "–"
    return "never enough" if math.isinf(median) else f"{median:.2f}×"
