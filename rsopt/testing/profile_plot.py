"""The picture of profiles: gap, and share of problems solved, against time and against evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsopt.errors import InvalidInputError, MissingDependencyError
from rsopt.files import replaced
from rsopt.testing.comparison_rows import TARGETS, ComparisonRow
from rsopt.testing.plot import COLOURS, RESOLUTION
from rsopt.testing.profile import gap_quartiles, needed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))


def save_profiles(path: Path, rows: Sequence[ComparisonRow]) -> None:
    """Draw one curve per solver: upper panels against seconds, lower ones against evaluations.

    The gap is the median over the solves that have a point, with the quartiles as a band; shares are of all solves, so
    that a problem that a solver refuses is not solved.

    Args:
        path: the PNG.
        rows: of a comparison.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        InvalidInputError: no row has a point.
        StorageError: the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
    except ImportError as error:
        raise MissingDependencyError.of("The plot", "matplotlib", "plots") from error
    if not any(row.progress for row in rows):
        raise InvalidInputError("There is nothing to draw: no solver returned a point.")
    solvers = list(dict.fromkeys(row.solver for row in rows))
    figure = Figure(figsize=(15.0, 8.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 1 + len(TARGETS), sharex="row", sharey="col")
    for line, by_evaluations in zip(panels, (False, True), strict=True):
        for panel in line:
            panel.set_xscale("log")
            panel.spines[["top", "right"]].set_visible(False)
            panel.tick_params(labelbottom=True, labelleft=True)
            panel.set_xlabel("tail evaluations, without those in a solver's own model" if by_evaluations else
                             "seconds (building the model and solving)")
            if by_evaluations:
                panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
                panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
                panel.xaxis.set_minor_formatter(NullFormatter())
        _draw(list(line), rows, solvers, by_evaluations)
    panels[0, 0].set_title("Gap: median, and quartiles as a band")
    for panel, target in zip(panels[0, 1:], TARGETS, strict=True):
        panel.set_title(f"Share of solves within a gap of {target:g}")
    for panel in panels[:, 0]:
        panel.set_yscale("log")
        panel.set_ylim(0.5 * RESOLUTION, 2.0)
        panel.set_ylabel("relative gap of the best point known")
    for panel in panels[:, 1:].ravel():
        panel.set_ylim(-0.02, 1.04)
        panel.set_yticks(np.linspace(0.0, 1.0, 6), [f"{20 * k}%" for k in range(6)])
    problems, seeds = len({row.problem for row in rows}), len({row.seed for row in rows})
    figure.suptitle(f"Upper left is better for shares, lower left for gaps: {problems} worst cases whose suprema are "
                    f"proven, {seeds} {'seed' if seeds == 1 else 'seeds'}", fontweight="bold")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", frameon=False)
    with replaced(path, "The plot") as partial:
        figure.savefig(partial, format="png", dpi=110)


def _draw(line: list[Axes], rows: Sequence[ComparisonRow], solvers: Sequence[str], by_evaluations: bool) -> None:
    """The curves of one row of panels, each solver's to the end of the slowest."""
    place = 1 if by_evaluations else 0
    moments = [step[place] for row in rows for step in row.trail]
    at = np.geomspace(max(min(moments), 1e-6), max(moments) * 1.5, 400)
    for i, solver in enumerate(solvers):
        mine = [row for row in rows if row.solver == solver]
        with_point = [row for row in mine if row.progress]
        colour, style = COLOURS[i % len(COLOURS)], _STYLES[i % len(_STYLES)]
        label = solver if len(with_point) == len(mine) else f"{solver}\n{len(with_point)} of {len(mine)} have a point"
        if with_point:
            low, middle, high = np.maximum(gap_quartiles(with_point, at, by_evaluations=by_evaluations), RESOLUTION)
            line[0].fill_between(at, low, high, color=colour, alpha=0.08, linewidth=0.0, step="post")
            line[0].plot(at, middle, color=colour, linestyle=style, drawstyle="steps-post", label=label)
        for panel, target in zip(line[1:], TARGETS, strict=True):
            took = np.sort(needed(mine, target)[place])
            panel.plot(at, np.searchsorted(took, at, side="right") / len(mine), color=colour, linestyle=style,
                       drawstyle="steps-post")
