"""``rsopt bound --file``: the proven bound of every row of votes in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsopt.bound_table import BoundTable
    from rsopt.noise import Noise

SHOWN = 20
"""Most rows of the table on a terminal; of more the first and the last are shown."""


def bound_file(path: Path, top: int | None, *, jobs: int, functional: str, order: int | None, statistic: str,
               alpha: float, solver: str, noise: Noise | None, json_: bool, output: Path | None) -> None:
    """Bounds every row, writes the table if a file for it was named, and prints it.

    Args:
        path: the file, as `rsopt.runs.votes.read_votes` takes it.
        top: the certified class of every row; None where the file says it.
        jobs, functional, order, statistic, alpha, solver: as in `rsopt.lower_bounds`.
        noise: for a column of radii; None for none.
        json_: whether JSON is printed.
        output: CSV to write.

    Raises:
        StorageError, InvalidInputError: as in `rsopt.runs.votes.read_votes`, or an `output` that is the file itself.
    """
    from rsopt.bound_table import lower_bounds
    from rsopt.commands.progress import counted
    from rsopt.files import refuse_overwrite, write_csv
    from rsopt.runs.votes import read_votes

    rows = read_votes(path, top)
    if output is not None:
        refuse_overwrite(output, [path], "The table")
    with counted("proving", len(rows), "bounds") as advance:
        table = lower_bounds(rows, functional=functional, order=order, statistic=statistic, alpha=alpha, solver=solver,
                             jobs=jobs, advanced=advance)
    columns = table.columns()
    if noise is not None:
        columns["radius"] = table.radius(noise).tolist()
    if output is not None:
        write_csv(output, columns, "The table")
    if json_:
        print(json.dumps(_as_json(table, columns, noise)))
    else:
        _print(path, table, columns, noise, output)


def _totals(table: BoundTable, columns: dict[str, list[Any]]) -> dict[str, Any]:
    """What all rows come to; the mean radius, abstentions counted as 0, where there are radii."""
    radii = columns.get("radius")
    totals = {"inputs": len(table), "distinct": len({bound.counts.reduced for bound in table.bounds}),
              "certified": int(table.certified.sum())}
    return totals if radii is None else {**totals, "mean_radius": sum(radii) / len(radii)}


def _as_json(table: BoundTable, columns: dict[str, list[Any]], noise: Noise | None) -> dict[str, Any]:
    first = table.bounds[0]
    content = {"functional": first.functional.name, "order": first.functional.order, "statistic": first.statistic,
               "alpha": first.alpha, **_totals(table, columns),
               "rows": [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]}
    if noise is not None:
        from rsopt.noise.registry import noise_facts

        content |= {**noise_facts(noise), "norm": noise.norm}
    return content


def _print(path: Path, table: BoundTable, columns: dict[str, list[Any]], noise: Noise | None, output: Path | None
           ) -> None:
    from rich.table import Table

    from rsopt.commands.console import PlainConsole
    from rsopt.commands.tables import print_facts

    first, console = table.bounds[0], PlainConsole()
    shown = Table(title=f"Lower bounds on {first.functional.name} for {path.name}, alpha {first.alpha:g} each",
                  title_justify="left", title_style="bold")
    for name in ("row", "class", "votes", "runner-up", "votes", "n", "lower bound",
                 *([] if noise is None else ["radius"])):
        shown.add_column(name, justify="right")
    for k in _places(len(table)):
        shown.add_row(*(["…"] * len(shown.columns) if k is None else _cells(columns, k)))
    console.print(shown)
    totals = _totals(table, columns)
    facts = [("rows", f"{totals['inputs']:,}, of which {totals['distinct']:,} differ in what a bound depends on"),
             ("certified", f"{totals['certified']:,} of {totals['inputs']:,}, proven and positive")]
    if noise is not None:
        facts.append(("mean radius", f"{totals['mean_radius']:.6f} ({noise.norm}, {noise.setting}), 0 where a row "
                                     "abstains"))
    if output is not None:
        facts.append(("table", str(output)))
    print_facts(console, facts)


def _places(rows: int) -> list[int | None]:
    """The rows that are shown; None stands for those left out between them."""
    if rows <= SHOWN:
        return list(range(rows))
    half = SHOWN // 2
    return [*range(half), None, *range(rows - half, rows)]


def _cells(columns: dict[str, list[Any]], k: int) -> list[str]:
    lower = columns["lower"][k]
    cells = [str(k), str(columns["top"][k]), f"{columns['x1'][k]:,}", str(columns["runner_up"][k]),
             f"{columns['x2'][k]:,}", f"{columns['n'][k]:,}", "-inf" if lower is None else f"{lower:.6f}"]
    return cells if "radius" not in columns else [*cells, f"{columns['radius'][k]:.6f}"]
