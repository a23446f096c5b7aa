"""``rsopt compare``: solvers side by side on worst cases whose suprema are proven."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsopt.commands.options import Json
from rsopt.errors import InvalidInputError, UnknownNameError
from rsopt.files import made_folder

if TYPE_CHECKING:
    from rich.table import Table

    from rsopt.testing.comparison import Comparison

FUNCTIONALS = ["margin", "probit", "taylor-probit", "laplace", "logit"]


def compare(
    solvers: Annotated[str, typer.Option(help="Names with commas between them, or all.")] = "all",
    n: Annotated[str, typer.Option("--n", help="Sizes of the zoo's problems: 5, 20, 50, 200, 1000, 10000, 100000; or "
                                               "all.")] = "20,50,200,1000,100000",
    functional: Annotated[str, typer.Option(help="margin, probit, taylor-probit, laplace, logit, with commas between "
                                                 "them; or all.")] = "all",
    seconds: Annotated[float, typer.Option(help="Budget of one worst case.")] = 60.0,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0.")] = 1,
    bounds: Annotated[bool, typer.Option(help="Compute the whole bound with each solver too.")] = True,
    profile: Annotated[bool, typer.Option("--profile", help="Show how fast each solver comes within 1e-3 and 1e-6 too, "
                                                            "with profiles.png and progress.csv.")] = False,
    json_: Json = False,
    output: Annotated[Path, typer.Option(help="Folder for comparison.csv, comparison.parquet and gaps.png."
                                         )] = Path("runs/compare"),
) -> None:
    """Compare solvers on the zoo: gap to the proven supremum, time, claim, and the bound each leads to."""
    from rsopt.commands.console import PlainConsole
    from rsopt.commands.progress import counted
    from rsopt.registry import solver_names
    from rsopt.solver import Budget
    from rsopt.testing.comparison import compare as compare_solvers
    from rsopt.testing.zoo import zoo

    names = _listed(solvers, solver_names(), "solver")
    wanted = set(_listed(functional, FUNCTIONALS, "functional"))
    sizes = {int(size) for size in _listed(n, sorted({str(case.problem.counts.n) for case in zoo()}, key=int), "size")}
    cases = [case for case in zoo() if case.problem.counts.n in sizes and case.problem.functional.name in wanted]
    if not cases:
        raise InvalidInputError("The zoo has no such problem; widen --n or --functional.")
    made_folder(output)
    with counted("comparing", len(cases) * len(names) * seeds, "solves") as advance:
        found = compare_solvers(cases, names, [Budget(seconds)], list(range(seeds)), bounds=bounds,
                                progress=lambda problem, solver: advance(now=f"{solver} on {problem}"))
    found.save(output / "comparison.csv")
    found.save(output / "comparison.parquet")
    found.plot(output / "gaps.png")
    if profile:
        found.save_progress(output / "progress.csv")
        found.plot_profiles(output / "profiles.png")
    if json_:
        told = {"folder": str(output), "summary": [_plain(asdict(line)) for line in found.summary()]}
        if profile:
            told["profiles"] = [line.to_dict() for line in found.profiles()]
        print(json.dumps(told, allow_nan=False))
        return
    console = PlainConsole()
    console.print(summary_table(found))
    _print_rest(console.print, found, bounds)
    if profile:
        console.print(profile_table(found))
        console.print("Seconds and tail evaluations until a point within the gap was known, rsopt's starting points "
                      "and the building of models included: median, and quartiles in brackets, over all problems and "
                      "seeds; – where too few got there. What a solver computes in a model of its own counts as time "
                      "alone. The first solve of a solver loads its library.")
        console.print(f"Every better point in {output}/progress.csv, curves in {output}/profiles.png", soft_wrap=True)
    console.print(f"Rows in {output}/comparison.csv and .parquet, picture in {output}/gaps.png", soft_wrap=True)


def _plain(line: dict[str, Any]) -> dict[str, Any]:
    """A line of the summary as JSON values: what there is no number of is null."""
    return {name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in line.items()}


def summary_table(found: Comparison) -> Table:
    """One line for each n and solver."""
    from rich import box
    from rich.table import Table

    # Narrow enough for a terminal of 80 columns; the rest is in the files.
    table = Table(title="Worst cases solved; gaps are relative to the proven supremum", title_justify="left",
                  title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 0), pad_edge=False, collapse_padding=True)
    for column in ("n", "solver", "solved", "start", "median", "worst", "<1e-6", "polished", "seconds", "cost"):
        table.add_column(column, justify="left" if column == "solver" else "right", no_wrap=True)
    before = None
    for line in sorted(found.summary(), key=lambda line: line.n):
        if before is not None and line.n != before:
            table.add_section()
        numbers = ["–"] * 7 if not line.solved else [
            _short(line.median_start), _short(line.median_raw), _short(line.worst_raw), f"{line.within:.0%}",
            _short(line.worst_polished), f"{line.median_seconds:.{1 if line.median_seconds < 1.0 else 2}g}",
            f"{line.worst_given_up:.1%}" if line.worst_given_up >= 0.0 else "–"]
        table.add_row(f"{line.n:,}" if line.n != before else "", line.solver,
                      f"{line.solved}/{line.solved + line.refused}", *numbers)
        before = line.n
    return table


def profile_table(found: Comparison) -> Table:
    """One line for each target and solver: the share of solves within it, and what they took."""
    from rich import box
    from rich.table import Table

    table = Table(title="How fast solvers come close to the proven supremum", title_justify="left", title_style="bold",
                  box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, collapse_padding=True)
    for column in ("gap", "solver", "solved", "seconds", "evaluations"):
        table.add_column(column, justify="left" if column in ("gap", "solver") else "right", no_wrap=True)
    before = None
    for line in sorted(found.profiles(), key=lambda line: -line.target):
        if before is not None and line.target != before:
            table.add_section()
        table.add_row(f"{line.target:g}" if line.target != before else "", line.solver, f"{line.solved}/{line.solves}",
                      *(f"{_amount(middle)} [{_amount(low)}, {_amount(high)}]"
                        for low, middle, high in (line.seconds, line.evaluations)))
        before = line.target
    return table


def _amount(value: float) -> str:
    return "–" if math.isinf(value) else f"{value:,.0f}" if value >= 100.0 else f"{value:.2g}"


def _short(gap: float) -> str:
    return "–" if math.isnan(gap) else "0" if gap < 1e-12 else f"{gap:.0e}"


def _print_rest(show: object, found: Comparison, bounds: bool) -> None:
    assert callable(show)
    show("solved: of the problems tried. start: median gap of the points that rsopt gives the solver to start from. "
         "median, worst: gap of the solver's own point. <1e-6: share with a smaller gap. polished: worst gap after one "
         "step of rsopt's own.")
    if bounds:
        show("cost: what the proof gave up at the worst, as a share of the bound's width.")
    reasons = dict.fromkeys(f"{row.solver}: {row.error}" for row in found.rows if row.stop in ("ABSENT", "FAILED"))
    refused = sorted({row.solver for row in found.rows if row.stop == "REFUSED"})
    for reason in reasons:
        show(reason, soft_wrap=True)
    if refused:
        show(f"Refused some problems, with reasons in the rows: {', '.join(refused)}.")


def _listed(text: str, known: list[str], kind: str) -> list[str]:
    """The names in a list with commas, all of them for "all"."""
    if text == "all":
        return known
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        # After the name of a solver fields may follow.
        if name.partition(":")[0] not in known:
            raise UnknownNameError.of(kind, name, known)
    return names
