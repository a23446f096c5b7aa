"""Pictures of a run: certified accuracy against radius, and what the baselines would have had to pay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from rsopt.errors import MissingDependencyError
from rsopt.files import replaced
from rsopt.methods import BASELINES, CLOPPER_PEARSON, COHEN, MELDED, OWN, SOFT_MARGIN, SOFT_METHODS, TITLES
from rsopt.runs.results import Results
from rsopt.runs.sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Of the soft methods a run has the margin's and at most one other, which is the noise's own.
COLOURS = {OWN: "#0b5cad", CLOPPER_PEARSON: "#d1662b", COHEN: "#6f6f6f", MELDED: "#a03c9c",
           **dict.fromkeys(SOFT_METHODS, "#35c27a"), SOFT_MARGIN: "#1b8a5a"}
# Soft and hard curves may coincide: the dotted one lies on the wide one, and both are seen.
STYLES: dict[str, str | tuple[int, tuple[int, ...]]] = {
    OWN: "-", CLOPPER_PEARSON: "--", COHEN: "-.", MELDED: (0, (5, 2, 1, 2, 1, 2)), **dict.fromkeys(SOFT_METHODS, ":"),
    SOFT_MARGIN: "-"}
WIDTHS = {OWN: 2.6, CLOPPER_PEARSON: 1.5, COHEN: 1.5, MELDED: 1.2, **dict.fromkeys(SOFT_METHODS, 1.8), SOFT_MARGIN: 1.5}
_LINE = 80
"""Letters that fit under the curve."""


def certified_accuracy(radii: Sequence[float], total: int) -> tuple[list[float], list[float]]:
    """Certified accuracy against radius as the corners of a falling staircase.

    Args:
        radii: certified radii of the correct inputs; those that are not correct are left out.
        total: inputs in all.

    Returns:
        (r, share): at radii up to and including r[i], share[i] of all inputs are certified and correct.
    """
    ordered = sorted(radii)
    share = [(len(ordered) - rank) / total for rank in range(len(ordered))]
    return [0.0, *ordered], [len(ordered) / total, *share]


def save_plot(path: Path, results: Results, title: str) -> None:
    """Draws certified accuracy against radius for our bound and the baselines, and their cost, as a PNG.

    Args:
        path: the file.
        results: the table, and what was asked.
        title: what was certified, one line.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        StorageError: the file cannot be written.
    """
    figure = _figure(11.0, 4.6)
    curve, cost = figure.subplots(1, 2, width_ratios=(3, 2))
    figure.suptitle(title, x=0.012, ha="left", fontsize=11)
    _draw_accuracy(curve, results)
    _draw_cost(cost, results)
    with replaced(path, "The plot") as partial:
        figure.savefig(partial, format="png")


def save_sweep_plot(path: Path, sweep: Sweep, title: str) -> None:
    """Draws our curve of every run of a sweep, and the envelope over them, as a PNG.

    Args:
        path: the file.
        sweep: the runs.
        title: what was certified, one line.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        StorageError: the file cannot be written.
    """
    from matplotlib import colormaps

    figure = _figure(8.0, 5.2)
    axes = figure.subplots()
    figure.suptitle(title, x=0.012, ha="left", fontsize=11)
    steps, heights = sweep.envelope_curve()
    # A share holds up to and including its radius, so that steps fall behind their points.
    axes.step([*steps, steps[-1]], [*heights, 0.0], where="pre", color="#c9c9c9", linewidth=6.0,
              label="envelope: not one classifier")
    colours = colormaps["viridis"]([0.9 * place / max(len(sweep.runs) - 1, 1) for place in range(len(sweep.runs))])
    for run, colour in zip(sweep.runs, colours, strict=True):
        radii, share = certified_accuracy(run.radii(), len(run.rows))
        mean = sum(run.radii()) / len(run.rows)
        axes.step([*radii, radii[-1]], [*share, 0.0], where="pre", color=colour, linewidth=1.8,
                  label=f"{run.noise.setting}, mean radius {mean:.3f}")
    first = sweep.runs[0]
    axes.set(xlabel=f"certified {first.noise.radius_name} ({first.noise.unit})",
             ylabel=f"share of inputs certified{' and correct' if first.labelled else ''}", xlim=(0.0, None),
             ylim=(0.0, 1.02))
    axes.legend(loc="upper right", frameon=False, fontsize=9)
    quiet(axes)
    with replaced(path, "The plot") as partial:
        figure.savefig(partial, format="png")


def _figure(width: float, height: float) -> Figure:
    """An empty figure, inches wide and high."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError.of("The plot", "matplotlib", "plots") from error
    figure = Figure(figsize=(width, height), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw_accuracy(axes: Axes, results: Results) -> None:
    summaries = {line.method: line for line in results.summary([])}
    back_to_front = (SOFT_MARGIN, MELDED, COHEN, CLOPPER_PEARSON, OWN,
                     *(name for name in SOFT_METHODS if name != SOFT_MARGIN))
    for method in [name for name in back_to_front if name in summaries]:
        radii, share = certified_accuracy(results.radii(method), len(results.rows))
        label = f"{TITLES[method]}, mean {summaries[method].mean_radius:.4f}"
        axes.step([*radii, radii[-1]], [*share, 0.0], where="pre", label=label, color=COLOURS[method],
                  linestyle=STYLES[method], linewidth=WIDTHS[method])
    said = f"certified {results.noise.radius_name} ({results.noise.unit}; {results.noise.title})"
    axes.set(xlabel=fill(said, _LINE),
             ylabel=f"share of inputs certified{' and correct' if results.labelled else ''}", xlim=(0.0, None),
             ylim=(0.0, 1.02))
    axes.set_title("Certified accuracy", loc="left", fontsize=10)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="best", frameon=False, fontsize=8,
                title="method, mean radius over all inputs", title_fontsize=8, alignment="left")
    quiet(axes)


def _draw_cost(axes: Axes, results: Results) -> None:
    axes.axhline(1.0, color=COLOURS[OWN], linewidth=2.0)
    certified, least, most = 0, 1.0, 1.0
    for method in BASELINES:
        found = results.savings(method)
        factors = np.sort(np.array(found.factors))
        certified = len(factors)
        finite = factors[np.isfinite(factors)]
        least, most = min(least, finite.min(initial=1.0)), max(most, finite.max(initial=1.0))
        share = (np.arange(len(finite)) + 1.0) / max(len(factors), 1)
        said = [f"median {found.median:.2f}×"] if math.isfinite(found.median) else []
        said += [f"{found.never} of {len(factors)} never reach it"] if found.never else []
        axes.plot(share, finite, color=COLOURS[method], linestyle=STYLES[method], linewidth=1.5,
                  label=f"{TITLES[method]}: {'; '.join(said)}")
    axes.set_yscale("log")
    axes.set_ylim(max(0.95 * least, 0.1), min(max(1.1 * most, 2.0), 30.0))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}×" if value in (2, 3, 5, 20) else "")
    axes.set(xlabel=f"share of the {certified} inputs that rsopt certifies", ylabel="samples needed, relative to rsopt",
             xlim=(0.0, 1.0))
    axes.set_title("Samples a baseline needs for the same radius", loc="left", fontsize=10)
    axes.legend(loc="upper left", framealpha=0.9, edgecolor="none", fontsize=8)
    quiet(axes)


def quiet(axes: Any) -> None:
    """A faint grid and no frame, as all figures have them."""
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
