"""Runs as a table of LaTeX, for papers: certified accuracy by radius, method and run, with intervals."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata

from rsopt.data_set.confidence import CONFIDENCE
from rsopt.errors import InvalidInputError
from rsopt.methods import MELDED, METHODS, TITLES
from rsopt.noise.gaussian import plain_sigma
from rsopt.runs.overview import Overview
from rsopt.runs.results import radius_grid

COLUMNS = 5
"""Fit into a column of text as articles have it."""
_SIGNS = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "—": "---"}
_NORMS = {f"l{p}": rf"$\ell_{p}$" for p in "012"} | {"linf": r"$\ell_\infty$"}


def latex_table(runs: Sequence[Overview], radii: Sequence[float] = ()) -> str:
    """A table for the package booktabs: a block for each run, a row for each method, a column for each radius.

    A cell is the share of inputs that are certified as their label with at least that radius, in per cent, with its
    Clopper-Pearson interval below: for the share among new inputs of the same distribution, each cell by itself.

    Args:
        runs: at least one, all with radii in the same norm.
        radii: the columns; none for round steps up to the largest radius.

    Raises:
        InvalidInputError: runs whose radii are in different norms.
    """
    _refuse_mixed(runs)
    grid = list(radii) or radius_grid(max(run.largest for run in runs), COLUMNS)
    names = _names(runs)
    heads = " & ".join("$>0$" if radius == 0.0 else rf"$\geq {radius:g}$" for radius in grid)
    lines = [
        f"% Made by rsopt {metadata.version('rsopt')} of {', '.join(escaped(str(run.place)) for run in runs)}.",
        r"% Needs \usepackage{booktabs}.",
        r"\begin{table}", r"\centering\small\setlength{\tabcolsep}{3.5pt}", rf"\caption{{{_caption(runs)}}}",
        rf"\begin{{tabular}}{{@{{}}ll{'r' * len(grid)}r@{{}}}}", r"\toprule",
        rf" & & \multicolumn{{{len(grid)}}}{{c}}{{certified at {_norm(runs[0])} radius}} & mean \\",
        rf"\cmidrule(lr){{3-{len(grid) + 2}}}", rf"Noise & Method & {heads} & radius \\"]
    for run, name in zip(runs, names, strict=True):
        lines.append(r"\midrule")
        for place, summary in enumerate(run.summary(grid)):
            shares = " & ".join(f"{100.0 * share:.1f}" for share in summary.shares)
            found = run.certified_accuracy(summary.method, grid)
            intervals = " & ".join(_interval(*ends) for ends in zip(found.single_low, found.single_high, strict=True))
            lines += [rf"{name if place == 0 else ''} & {escaped(TITLES[summary.method])} & {shares} & "
                      rf"{summary.mean_radius:.3f} \\", rf" & & {intervals} & \\[2pt]"]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def escaped(text: str) -> str:
    """A text as LaTeX sets it, sign by sign."""
    return re.sub(r"[\\~^&%$#_{}–—]", lambda found: _SIGNS.get(found[0], rf"\{found[0]}"), " ".join(text.split()))


def _refuse_mixed(runs: Sequence[Overview]) -> None:
    for run in runs:
        if (run.noise.norm, run.noise.unit) != (runs[0].noise.norm, runs[0].noise.unit):
            raise InvalidInputError(f"{runs[0].name} has radii in {runs[0].noise.norm}, {runs[0].noise.unit}, and "
                                    f"{run.name} in {run.noise.norm}, {run.noise.unit}: one column cannot hold both.")


def _names(runs: Sequence[Overview]) -> list[str]:
    """What the runs are called: by their noise, and where that is not enough by their folders too."""
    settings = [rf"$\sigma = {sigma:g}$" if (sigma := plain_sigma(run.noise)) is not None else
                escaped(f"{run.noise.name}, {run.noise.setting}") for run in runs]
    return [setting if settings.count(setting) == 1 else f"{setting}, {escaped(run.name)}"
            for run, setting in zip(runs, settings, strict=True)]


def _norm(run: Overview) -> str:
    return _NORMS.get(run.noise.norm, escaped(run.noise.norm))


def _interval(low: float, high: float) -> str:
    return rf"{{\scriptsize {100.0 * low:.1f}--{100.0 * high:.1f}}}"


def _caption(runs: Sequence[Overview]) -> str:
    """What the cells are, and what was asked; numbers that differ from run to run are all named."""
    what = "certified as their label" if all(run.labelled for run in runs) else "certified"
    chosen = {f"on {run.facts['n0']:,} separate samples" if run.facts.get("n0") is not None else "by the label"
              for run in runs}
    sides = [f"{_listed(runs, lambda run: f'{len(run.rows):,}')} inputs",
             f"$n = {_listed(runs, lambda run: str(run.facts['stopping']['n']))}$"
             f"{' at most' if any(run.adaptive for run in runs) else ''}",
             rf"$\alpha = {_listed(runs, lambda run: f'{run.alpha:g}')}$"]
    methods = " and ".join(escaped(TITLES[name]) for name in METHODS[1:])
    # Said once: a reader of the row must not take it for certified.
    unproven = (f" {escaped(TITLES[MELDED])} bounds them too and is not proven."
                if any(MELDED in run.methods for run in runs) else "")
    return (rf"Inputs {what} at a radius, in \%, with {100.0 * CONFIDENCE:.0f}\% Clopper--Pearson intervals for new "
            f"inputs of the same distribution, each by itself: {', '.join(sides)}, the class chosen "
            f"{' or '.join(sorted(chosen))}. {methods} bound the same votes.{unproven}")


def _listed(runs: Iterable[Overview], told: Callable[[Overview], str]) -> str:
    return ", ".join(dict.fromkeys(told(run) for run in runs))
