"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rsopt.functionals import as_functional
from rsopt.methods import BASELINES, CONJECTURED, MELDED, OWN, RIVALS, TITLES, soft_methods
from rsopt.runs.decisions import Decided, spent
from rsopt.runs.results import Results
from rsopt.runs.rows import Row
from rsopt.runs.savings import DEFINITION
from rsopt.runs.sweep import ENVELOPE, Sweep

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def print_facts(console: Console, facts: Iterable[tuple[str, str]]) -> None:
    """Prints name and value lines; long values are not broken, so that they can be copied."""
    from rich.text import Text

    for name, value in facts:
        console.print(Text.assemble((f"{name:<16}", "bold"), f" {value}"), soft_wrap=True)


def summary_table(results: Results, radii: Sequence[float] = ()) -> Table:
    """The methods side by side: certified accuracy at some radii, mean radius, and samples for equal radii.

    Args:
        results: the table.
        radii: the columns; none for round steps.
    """
    grid = list(radii) or results.grid()
    table = _shares(results, "", "method", grid)
    table.add_column("samples for\nour radius", justify="right")
    votes = [name for name in results.methods if name in (OWN, *RIVALS)]
    for line in results.summary(grid):
        table.add_row(TITLES[line.method], *(f"{share:.1%}" for share in line.shares), f"{line.mean_radius:.4f}",
                      line.cost, style="bold" if line.method == OWN else "", end_section=line.method == votes[-1])
    return table


def print_summary(console: Console, results: Results, radii: Sequence[float] = ()) -> None:
    """Prints the summary of a certified table with what its columns mean; arguments as in `summary_table`."""
    console.print(summary_table(results, radii))
    for note in cost_notes(results):
        console.print(note)


def print_sweep(console: Console, sweep: Sweep) -> None:
    """Prints our bound under every noise of a sweep, the envelope, and what the envelope is not."""
    grid = sweep.radii
    table = _shares(sweep.runs[0], " by rsopt", "noise", grid)
    for run in sweep.runs:
        (line,) = [line for line in run.summary(grid) if line.method == OWN]
        table.add_row(run.noise.setting, *(f"{share:.1%}" for share in line.shares), f"{line.mean_radius:.4f}",
                      end_section=run is sweep.runs[-1])
    table.add_row("envelope", *(f"{sweep.envelope(radius):.1%}" for radius in grid), "–")
    console.print(table)
    console.print(ENVELOPE)


def _shares(results: Results, by: str, rows: str, grid: Sequence[float]) -> Table:
    """A table without rows: what they are, certified shares at each radius of the grid, and the mean radius."""
    from rich.table import Table

    table = Table(title=f"Share of inputs certified{' as their label' if results.labelled else ''}{by}, by "
                        f"{results.noise.radius_name}",
                  title_justify="left", title_style="bold")
    table.add_column(rows, no_wrap=True)
    for radius in grid:
        table.add_column("> 0" if radius == 0.0 else f"≥ {radius:g}", justify="right")
    table.add_column("mean\nradius", justify="right")
    return table


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
                  "until then happen to prove, and the other methods, looked at as often and at the same errors, would "
                  "have gone on.")
    print_facts(console, [
        ("samples", f"{found.spent:,} of the {found.fixed:,} that a fixed n = {most:,} takes: {found.factor:.1f} times "
                    f"fewer, {found.fixed - found.spent:,} saved; {found.early:,} of {found.inputs:,} inputs stopped "
                    "early"),
        *([("selection", f"{found.selection:,} samples more, which a fixed n takes too")] if found.selection else [])])


def cost_notes(results: Results) -> list[str]:
    """What the last column of the summary means, and where no number of samples is enough."""
    notes = [f"Samples for our radius: {DEFINITION}."]
    for method in BASELINES:
        found = results.savings(method)
        if found.never:
            notes.append(f"{TITLES[method]}: no number of samples is enough for {found.never} of "
                         f"{len(found.factors)} inputs.")
    if MELDED in results.methods:
        notes.append(CONJECTURED)
    soft = [f"{TITLES[method].rpartition(' ')[2]} by a bound on {functional!r} of the means, the radius is "
            f"{results.noise.rule(as_functional(functional))}"
            for method, functional in soft_methods(results.noise).items() if method in results.methods]
    if soft:
        notes.append(f"Soft rows certify another classifier, the largest mean score: {'; '.join(soft)}. Every row "
                     "stands for itself at alpha; taking the largest of them afterwards would not be proven.")
    return notes
