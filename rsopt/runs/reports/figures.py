"""The figures of a report, each as an SVG picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rsopt.data_set.confidence import CONFIDENCE
from rsopt.errors import MissingDependencyError
from rsopt.methods import BASELINES, MELDED, OWN, RIVALS, TITLES
from rsopt.runs.overview import Overview
from rsopt.runs.reports.plots import COLOURS, STYLES, WIDTHS, certified_accuracy, quiet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE = (9.6, 4.0)
_HALF = (4.7, 3.6)
_LOST = "#b00020"
_CEILING = 20.0
_LINES = ("-", "--", "-.", ":")
_LONGEST = 40


def accuracy_figure(run: Overview) -> bytes:
    """Certified accuracy against radius for every method, and what of our curve holds with confidence."""
    figure, axes = _figure(_WIDE)
    for method in reversed(run.methods):
        radii, share = certified_accuracy(run.radii(method), len(run.rows))
        corners, heights = [*radii, radii[-1]], [*share, 0.0]
        axes.step(corners, heights, where="pre", label=TITLES[method], color=COLOURS[method], linestyle=STYLES[method],
                  linewidth=WIDTHS[method], zorder=3 if STYLES[method] == ":" else 2)
        if method == OWN:
            found = run.certified_accuracy()
            for least, text, style, shade in ((found.on_these_inputs, "these", ":", 0.9),
                                              (found.on_new_inputs, "new", (0, (1, 1.5)), 0.55)):
                axes.step([*found.radius, found.radius[-1]], [*least, 0.0], where="pre", color=COLOURS[OWN],
                          linestyle=style, linewidth=1.0, alpha=shade,
                          label=f"true on {text} inputs, at least ({CONFIDENCE:.0%} sure)")
            axes.fill_between(found.radius, found.certified_low, found.certified_high, step="pre", color=COLOURS[OWN],
                              alpha=0.1, linewidth=0.0, label=f"certified on new inputs ({CONFIDENCE:.0%} sure)")
    what = "certified and right" if run.labelled else "certified"
    axes.set(xlabel=f"{run.noise.radius_name}, {run.noise.unit} ({run.noise.title})", ylabel=f"share of inputs {what}",
             xlim=(0.0, None), ylim=(0.0, 1.02))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    for radius in run.targets:
        axes.axvline(radius, color="#5b6472", linewidth=0.8, linestyle=(0, (4, 3)), zorder=0,
                     label="target radius" if radius == run.targets[0] else None)
    drawn = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    # Ours first, what is true of it below it, then the others in the order of the tables.
    order = [*(TITLES[method] for method in run.methods), "target radius"]
    order[1:1] = [label for label in drawn if label.startswith(("true on", "certified on"))]
    shown = [label for label in order if label in drawn]
    axes.legend([drawn[label] for label in shown], shown, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False,
                fontsize=8.5)
    return _svg(figure)


def probability_figure(run: Overview) -> bytes:
    """How the probability of the certified class is distributed: bands for these inputs and for new ones."""
    figure, axes = _figure(_HALF)
    band = run.probability_band()
    for low, high, text, shade in ((band.new_low, band.new_high, "new inputs", 0.12),
                                   (band.these_low, band.these_high, "these inputs", 0.3)):
        axes.fill_between(band.probability, low, high, step="post", color=COLOURS[OWN], alpha=shade, linewidth=0.0,
                          label=f"{text} ({CONFIDENCE:.0%} sure)")
    axes.set(xlabel="probability of the certified class under noise", ylabel="share of inputs at or below",
             xlim=(0.0, 1.0), ylim=(0.0, 1.02))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    _legend(axes)
    return _svg(figure)


def board_figure(curves: Sequence[tuple[str, Overview, str]]) -> bytes:
    """Certified accuracy against radius of several runs on the same inputs.

    Args:
        curves: name, run and method of each, in the order of the legend.
    """
    figure, axes = _figure(_WIDE)
    for rank, (name, run, method) in enumerate(curves):
        radii, share = certified_accuracy(run.radii(method), len(run.rows))
        axes.step([*radii, radii[-1]], [*share, 0.0], where="pre", label=_shortened(name),
                  color=f"C{rank % 10}", linestyle=_LINES[rank // 10 % len(_LINES)], linewidth=1.8)
    axes.set(xlabel=f"{curves[0][1].noise.radius_name}, {curves[0][1].noise.unit}", ylabel="share of inputs certified",
             xlim=(0.0, None), ylim=(0.0, 1.02))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8.5)
    return _svg(figure)


def radius_figure(run: Overview) -> bytes:
    """How the certified radii are distributed, by method."""
    figure, axes = _figure(_HALF)
    largest = max((radius for method in run.methods for radius in run.radii(method)), default=0.0) or 1.0
    edges = np.linspace(0.0, largest, 26).tolist()
    for method in reversed(run.methods):
        radii = run.radii(method)
        if method == OWN:
            axes.hist(radii, edges, color=COLOURS[OWN], alpha=0.15)
        axes.hist(radii, edges, histtype="step", color=COLOURS[method], linestyle=STYLES[method],
                  linewidth=1.8 if method == OWN else 1.2, label=f"{TITLES[method]} ({len(radii)})")
    axes.set(xlabel=f"certified {run.noise.radius_name}, {run.noise.unit}", ylabel="inputs", xlim=(0.0, largest))
    _legend(axes)
    return _svg(figure)


def samples_figure(run: Overview) -> bytes:
    """Samples against the radius they certify: ours, and what the baselines would need for the same radius."""
    figure, axes = _figure(_HALF)
    certified = [row for row in run.rows if row.radius() > 0.0]
    lost = [row.n for row in run.rows if not row.radius() > 0.0 and row.n]
    radii = np.array([row.radius() for row in certified])
    spent = np.array([float(row.n) for row in certified])
    top = _CEILING * max([1, *(row.n for row in run.rows)])
    for method in reversed(BASELINES):
        needed = spent * np.array(run.savings(method).factors)
        off = needed > top
        axes.scatter(radii[~off], needed[~off], s=9, color=COLOURS[method], alpha=0.6, linewidths=0.0,
                     label=f"{TITLES[method]} would need")
        if off.any():
            axes.scatter(radii[off], np.full(int(off.sum()), top), s=16, marker="^", color=COLOURS[method], alpha=0.8,
                         linewidths=0.0, label=f"{TITLES[method]}: more, or never enough ({int(off.sum())})")
    axes.scatter(radii, spent, s=11, color=COLOURS[OWN], alpha=0.8, linewidths=0.0, label="rsopt spent")
    if lost:
        axes.scatter(np.zeros(len(lost)), lost, s=22, marker="x", color=_LOST, linewidths=1.0,
                     label="rsopt spent, not certified")
    axes.set_yscale("log")
    axes.set_ylim(0.5 * min([top, *(float(row.n) for row in run.rows if row.n)]), 1.4 * top)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set(xlabel=f"certified {run.noise.radius_name}, {run.noise.unit}", ylabel="samples per input")
    _legend(axes)
    return _svg(figure)


def gap_figure(run: Overview) -> bytes:
    """By how much the radius of each baseline differs from ours, input by input."""
    figure, axes = _figure(_HALF)
    axes.axhline(0.0, color=COLOURS[OWN], linewidth=1.6)
    for method in reversed([name for name in run.methods if name in RIVALS]):
        pairs = [(row.radius(), row.radius(method) - row.radius()) for row in run.rows
                 if max(row.radius(), row.radius(method)) > 0.0]
        # Hollow is what is not proven.
        hollow = method == MELDED
        axes.scatter([ours for ours, _ in pairs], [gap for _, gap in pairs], s=9, alpha=0.65, label=TITLES[method],
                     facecolors="none" if hollow else COLOURS[method], edgecolors=COLOURS[method],
                     linewidths=0.7 if hollow else 0.0)
    axes.set(xlabel=f"{run.noise.radius_name} by rsopt", ylabel="radius by the baseline, minus ours")
    _legend(axes)
    return _svg(figure)


def _shortened(name: str) -> str:
    """A name for a legend; matplotlib reads a dollar as the beginning of a formula."""
    return (name if len(name) <= _LONGEST else f"{name[:_LONGEST - 1]}…").replace("$", r"\$")


def _figure(size: tuple[float, float]) -> tuple[Figure, Axes]:
    try:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError.of("The report", "matplotlib", "plots") from error
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    quiet(axes)
    return figure, axes


def _legend(axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False, fontsize=8,
                borderaxespad=0.2, handletextpad=0.4)


def _svg(figure: Figure) -> bytes:
    from matplotlib import rc_context

    content = io.BytesIO()
    # Text as outlines looks the same on every machine; the fixed salt and no date make equal runs give equal files.
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": "rsopt"}):
        figure.savefig(content, format="svg", metadata={"Date": None}, transparent=True)
    return content.getvalue()
