"""The picture of a comparison: how close each solver came, and how long it took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from rsopt.errors import InvalidInputError, MissingDependencyError
from rsopt.files import replaced
from rsopt.testing.comparison_rows import ComparisonRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Gaps below this are rounding: a logarithm has no place for them, so each solver gets a row of its own below the line.
RESOLUTION = 1e-12
_ROW = 0.45  # of a decade

COLOURS = ("#0b5cad", "#d1662b", "#1b8a5a", "#a03c9c", "#8c6d1f", "#c23b4b", "#4f6d7a", "#222222", "#5fa8d3")
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "h")


def save_gaps(path: Path, rows: Sequence[ComparisonRow]) -> None:
    """Draw gap against time, one panel per n, one kind of mark per solver: small for a problem, large for the median.

    Args:
        path: the PNG.
        rows: of a comparison; rows without a point are left out, and named below the panels.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        InvalidInputError: no row has a point.
        StorageError: the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError.of("The plot", "matplotlib", "plots") from error
    drawn = [row for row in rows if row.gap_raw == row.gap_raw]
    if not drawn:
        raise InvalidInputError("There is nothing to draw: no solver returned a point.")
    solvers = list(dict.fromkeys(row.solver for row in rows))
    sizes = sorted({row.n for row in drawn})
    across = min(len(sizes), 3 if len(sizes) <= 6 else 4)
    down = math.ceil(len(sizes) / across)
    figure = Figure(figsize=(3.0 + 3.5 * across, 1.2 + 3.8 * down), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    for panel, n in zip(panels, sizes, strict=False):
        _draw_panel(panel, n, [row for row in drawn if row.n == n], solvers)
    for panel in panels[len(sizes):]:
        panel.set_visible(False)
    # Above a place that stays empty the axis needs its numbers.
    for panel in panels[max(len(sizes) - across, 0): len(sizes)]:
        panel.tick_params(labelbottom=True)
    figure.supylabel("how far below the proven worst case (relative gap of the solver's own point)")
    figure.supxlabel("seconds for one worst case (building the model and solving)")
    figure.suptitle("Lower left is better: solvers on worst cases whose suprema are proven", fontweight="bold")
    handles = [panels[0].plot([], [], linestyle="none", marker=_MARKS[i % len(_MARKS)], markersize=9,
                              color=COLOURS[i % len(COLOURS)], markeredgecolor="white",
                              label=_label(solver, rows))[0] for i, solver in enumerate(solvers)]
    if any(_started(rows, n) for n in sizes):
        handles.append(panels[0].plot([], [], color="#777777", linewidth=1.0, linestyle="--",
                                      label="median starting point\nthat rsopt offers")[0])
    figure.legend(handles=handles, loc="outside right center", frameon=False,
                  title="large mark: median\nsmall mark: one problem\n", alignment="left", labelspacing=0.8)
    with replaced(path, "The plot") as partial:
        figure.savefig(partial, format="png", dpi=130)


def _draw_panel(panel: Axes, n: int, rows: Sequence[ComparisonRow], solvers: Sequence[str]) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_ylim(RESOLUTION / 10.0 ** (_ROW * (len(solvers) + 2)), 3.0)
    panel.set_yticks([10.0 ** power for power in range(-12, 1, 2)])
    panel.set_yticks([], minor=True)
    panel.axhline(RESOLUTION, color="#999999", linewidth=0.8, linestyle=":")
    if start := _started(rows, n):
        panel.axhline(start, color="#777777", linewidth=1.0, linestyle="--")
    panel.set_title(f"n = {n:,}")
    panel.spines[["top", "right"]].set_visible(False)
    panel.text(0.99, RESOLUTION, "exact to rounding", transform=panel.get_yaxis_transform(), ha="right", va="bottom",
               fontsize=8, color="#777777", in_layout=False)
    problems = len({row.problem for row in rows})
    for i, solver in enumerate(solvers):
        mine = [row for row in rows if row.solver == solver]
        if not mine:
            continue
        exact = RESOLUTION / 10.0 ** (_ROW * (i + 1))
        seconds = [row.build_seconds + row.solve_seconds for row in mine]
        gaps = [row.gap_raw if row.gap_raw > RESOLUTION else exact for row in mine]
        colour, mark = COLOURS[i % len(COLOURS)], _MARKS[i % len(_MARKS)]
        panel.plot(seconds, gaps, linestyle="none", marker=mark, markersize=4, color=colour, alpha=0.45,
                   markeredgewidth=0)
        if 2 * len({row.problem for row in mine}) < problems:
            continue  # a median of the few that it took would be compared with medians of all
        panel.plot([median(seconds)], [median(gaps)], marker=mark, markersize=10, color=colour,
                   markeredgecolor="white", markeredgewidth=1.2, zorder=5)


def _started(rows: Sequence[ComparisonRow], n: int) -> float:
    """The median gap of rsopt's starting points at this n; 0 where no solver asked for any, or all are exact."""
    gaps = {row.problem: row.gap_start for row in rows if row.n == n and row.gap_start == row.gap_start}
    found = median(gaps.values()) if gaps else 0.0
    return found if found > RESOLUTION else 0.0


def _label(solver: str, rows: Sequence[ComparisonRow]) -> str:
    """The solver's name, and on how many problems it has no mark."""
    mine = [row for row in rows if row.solver == solver]
    refused = sum(row.stop == "REFUSED" for row in mine)
    without = sum(row.gap_raw != row.gap_raw for row in mine) - refused
    notes = [text for number, text in ((refused, f"refuses {refused} of {len(mine)}"),
                                       (without, f"no point on {without} of {len(mine)}")) if number]
    return "\n".join([solver, *notes])
