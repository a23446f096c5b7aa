"""Widths of all intervals against n on a chosen law, beside the formulas: a table and a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from rsopt.errors import InvalidInputError, MissingDependencyError, UnknownNameError
from rsopt.files import replaced
from rsopt.intervals import get, names
from rsopt.intervals.values import check_alpha
from rsopt.intervals.widths import width_bernstein, width_empirical_bernstein, width_prpi_eb

Sampler = Callable[[np.random.Generator, int], np.ndarray]

#: Laws on [0, 1]: name -> (sampler, variance).
LAWS: dict[str, tuple[Sampler, float]] = {
    "scores": (lambda rng, n: rng.beta(8.0, 2.0, n), 0.16 / 11.0),
    "confident": (lambda rng, n: rng.beta(49.5, 0.5, n), 0.0099 / 51.0),
    "unsure": (lambda rng, n: rng.random(n), 1.0 / 12.0),
    "votes": (lambda rng, n: (rng.random(n) < 0.9).astype(np.float64), 0.09),
    "coin": (lambda rng, n: (rng.random(n) < 0.5).astype(np.float64), 0.25),
}

LIMIT = "normal-theory limit"
FORMULAS: dict[str, Callable[[int, float, float], float]] = {
    LIMIT: lambda n, variance, alpha: -float(ndtri(alpha)) * math.sqrt(variance / n),
    "w^TB": width_bernstein,
    "w^EB": width_empirical_bernstein,
    "w^PrPI-EB": width_prpi_eb,
}

#: A formula has the colour of the interval it describes.
_COLOURS = {"hoeffding": "#6f6f6f", "empirical-bernstein": "#d1662b", "w^EB": "#d1662b", "prpi-eb": "#8a5fbf",
            "w^PrPI-EB": "#8a5fbf", "prpi-eb-sequence": "#c49ae0", "hedged-capital": "#b8860b", "w^TB": "#222222",
            "fast-betting": "#1b8a5a", "digital-hedge": "#0b5cad"}


@dataclass(frozen=True)
class WidthRow:
    """One curve of the comparison.

    Attributes:
        name: an interval's name, or a formula's.
        measured: whether the widths are means over runs (sample mean minus bound), or a formula's.
        widths: one for each n.
    """

    name: str
    measured: bool
    widths: tuple[float, ...]


def compare_widths(law: str, sizes: Sequence[int], *, alpha: float = 1e-3, runs: int = 20,
                   seed: int = 0) -> list[WidthRow]:
    """Mean width of every interval on samples of a law, and the formulas at its true variance.

    Args:
        law: "scores" Beta(8, 2), "confident" Beta(49.5, 0.5), "unsure" uniform, "votes" 90% ones, "coin" 50%
        ones.
        sizes: sample sizes n, each at least 2.
        alpha: probability that a bound is false, in (0, 1/2).
        runs: samples of each size; all intervals see the same ones.
        seed: of the samples.

    Raises:
        UnknownNameError: there is no such law.
        InvalidInputError: sizes, alpha or runs have no meaning.
    """
    if law not in LAWS:
        raise UnknownNameError.of("law", law, list(LAWS))
    check_alpha(alpha)
    if not sizes or min(sizes) < 2 or runs < 1:
        raise InvalidInputError(
            f"Widths need sizes of at least 2 and one run; got sizes {list(sizes)} and {runs} runs.")
    sampler, variance = LAWS[law]
    widths: dict[str, list[float]] = {name: [] for name in names()}
    for n in sizes:
        samples = [sampler(np.random.default_rng([seed, n, run]), n) for run in range(runs)]
        # The sample means average to the true one; measured from them, widths are less noisy.
        centre = float(np.mean([sample.mean() for sample in samples]))
        for name in names():
            bounds = [get(name)(sample, alpha=alpha, lo=0.0, hi=1.0) for sample in samples]
            widths[name].append(centre - float(np.mean(bounds)))
    formulas = [WidthRow(name, False, tuple(formula(n, variance, alpha) for n in sizes))
                for name, formula in FORMULAS.items()]
    return formulas + [WidthRow(name, True, tuple(found)) for name, found in widths.items()]


def save_width_plot(path: Path, rows: Sequence[WidthRow], sizes: Sequence[int], *, law: str, alpha: float) -> None:
    """Draw widths, relative to the normal-theory limit, against n as a PNG.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        StorageError: the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError.of("The plot", "matplotlib", "plots") from error
    limit = np.array(next(row for row in rows if row.name == LIMIT).widths)
    figure = Figure(figsize=(9.5, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for row in sorted(rows, key=lambda row: -row.widths[-1]):
        if row.name == LIMIT:
            continue
        marker, size, width = ("o", 3.5, 1.4) if row.measured else ("x", 7.0, 0.6)
        axes.plot(sizes, np.array(row.widths) / limit, label=row.name, color=_COLOURS[row.name], marker=marker,
                  markersize=size, linestyle="-" if row.measured else ":",
                  linewidth=2.6 if row.name == "digital-hedge" else width)
    axes.axhline(1.0, color="0.4", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="rows n", ylabel=f"width / {LIMIT}",
             title=f"Lower confidence bounds on the mean of \"{law}\", alpha = {alpha:g}")
    ticks = [tick for tick in (0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
             if axes.get_ylim()[0] <= tick <= axes.get_ylim()[1]]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5),
                title="measured (dots), formula (crosses)", title_fontsize=9, alignment="left")
    with replaced(path, "The plot") as partial:
        figure.savefig(partial, format="png", dpi=140)
