"""The picture of a comparison: how close each solver came, and how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from rsopt.errors import InvalidInputError, MissingDependencyError, StorageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rsopt.comparing.comparison import ComparisonRow

# Gaps below this are rounding; they are drawn at this height, on a line that says so.
RESOLUTION = 1e-12

_COLOURS = ("#0b5cad", "#d1662b", "#1b8a5a", "#a03c9c", "#8c6d1f", "#c23b4b", "#4f6d7a", "#222222", "#5fa8d3")
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "h")


def save_gaps(path: Path, rows: Sequence[ComparisonRow]) -> None:
    """Draw gap against time, one panel per n, one mark per solver: small for a problem, large for the median.

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
    figure = Figure(figsize=(2.2 + 3.0 * len(sizes), 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(sizes), sharex=True, sharey=True, squeeze=False)[0]
    for panel, n in zip(panels, sizes, strict=True):
        _draw_panel(panel, n, [row for row in drawn if row.n == n], solvers)
    panels[0].set_ylabel("how far below the proven worst case\n(relative gap of the solver's own point)")
    figure.supxlabel("seconds for one worst case (building the model and solving)")
    figure.suptitle("Lower left is better: solvers on worst cases whose suprema are proven", fontweight="bold")
    handles = [panels[0].plot([], [], linestyle="none", marker=_MARKS[i % len(_MARKS)], markersize=9,
                              color=_COLOURS[i % len(_COLOURS)], markeredgecolor="white",
                              label=_label(solver, rows))[0] for i, solver in enumerate(solvers)]
    figure.legend(handles=handles, loc="outside right center", frameon=False,
                  title="large mark: median\nsmall mark: one problem", alignment="left")
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise StorageError(f"The plot could not be written to {path}: {error.strerror}.") from error


def _draw_panel(panel: Axes, n: int, rows: Sequence[ComparisonRow], solvers: Sequence[str]) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_ylim(RESOLUTION / 60.0, 3.0)
    panel.axhline(RESOLUTION, color="#999999", linewidth=0.8, linestyle=":")
    panel.axhline(1e-6, color="#cccccc", linewidth=0.8)
    panel.set_title(f"n = {n:,}")
    panel.spines[["top", "right"]].set_visible(False)
    panel.text(0.99, RESOLUTION / 3.0, "exact to rounding", transform=panel.get_yaxis_transform(), ha="right", va="top",
               fontsize=8, color="#777777", in_layout=False)
    for i, solver in enumerate(solvers):
        mine = [row for row in rows if row.solver == solver]
        if not mine:
            continue
        seconds = [row.build_seconds + row.solve_seconds for row in mine]
        gaps = [max(row.gap_raw, RESOLUTION) for row in mine]
        colour, mark = _COLOURS[i % len(_COLOURS)], _MARKS[i % len(_MARKS)]
        panel.plot(seconds, gaps, linestyle="none", marker=mark, markersize=4, color=colour, alpha=0.5,
                   markeredgewidth=0)
        panel.plot([median(seconds)], [median(gaps)], marker=mark, markersize=11, color=colour,
                   markeredgecolor="white", markeredgewidth=1.2, zorder=5)


def _label(solver: str, rows: Sequence[ComparisonRow]) -> str:
    """The solver's name and how many problems it did not take or failed on."""
    without = sum(row.solver == solver and row.gap_raw != row.gap_raw for row in rows)
    return f"{solver} ({without} problems not solved)" if without else solver
