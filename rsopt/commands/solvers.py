"""``rsopt solvers``: which solvers there are, and what is missing for those that cannot be used."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict

from rsopt.commands.options import Json


def solvers(json: Json = False) -> None:
    """List the solvers: installed or what is missing, the forms they accept, the strongest claim they may make."""
    from rsopt.registry import solver_states

    states = solver_states()
    if json:
        print(json_module.dumps([asdict(state) for state in states]))
        return
    from rich.table import Table

    from rsopt.commands.console import PlainConsole

    table = Table(title="Solvers propose; rsopt proves every bound, whichever is used", title_justify="left",
                  title_style="bold")
    for column in ("name", "installed", "accepts, preferred first", "strongest claim"):
        table.add_column(column)
    for state in states:
        table.add_row(state.name, "no" if state.missing else "yes", ", ".join(state.accepts), state.proves)
    console = PlainConsole()
    console.print(table)
    for state in states:
        if state.missing:
            console.print(state.missing, soft_wrap=True)
