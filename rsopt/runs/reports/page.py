"""A run as one page of HTML that needs nothing else: no network, no scripts, no other file."""

from __future__ import annotations

import math
from base64 import b64encode
from html import escape
from pathlib import Path
from statistics import median

from rsopt.files import is_file, refuse_overwrite, write_text
from rsopt.methods import CONJECTURED, MELDED, OWN, RIVALS, TITLES
from rsopt.runs.folder import PICTURES, folder_of, store_of
from rsopt.runs.overview import EQUAL, Overview, duel
from rsopt.runs.pictures import hardest
from rsopt.runs.reports import text as report_text
from rsopt.runs.reports.figures import accuracy_figure, gap_figure, probability_figure, radius_figure, samples_figure
from rsopt.runs.reports.parts import filled, interval, svg, tiles
from rsopt.runs.rows import Row
from rsopt.runs.savings import DEFINITION

_FAILURES = 20


def write_report(run: Path, output: Path) -> Overview:
    """Writes the report of a run; the file appears whole or not at all.

    Args:
        run: the folder of a run, finished or not.
        output: the HTML file.

    Returns:
        what the report is about.

    Raises:
        StorageError: there is no run, it is damaged, or the file cannot be written.
        InvalidInputError: no input of it is finished, or the file is one that the report is made from.
        MissingDependencyError: matplotlib is not installed.
    """
    pictures = folder_of(run) / PICTURES
    refuse_overwrite(output, [store_of(run), *pictures.glob("*")], "The report")
    found = Overview.read(run)
    write_text(output, render(found, pictures), "The report")
    return found


def render(run: Overview, pictures: Path) -> str:
    """The page, with the pictures that are in a folder; errors as in `write_report`."""
    worst = hardest(run.rows)
    views = {row.idx: _views(row.idx, pictures) for row in worst}
    return filled(
        "page.html", title=escape(f"Certified run: {run.name}"), lead=report_text.lead(run),
        warnings=report_text.warnings(run), cards=tiles(run), accuracy=svg(accuracy_figure(run)),
        accuracy_note=report_text.accuracy_note(run), mean_note=report_text.mean_radius_note(run),
        probabilities=svg(probability_figure(run)), probability_note=report_text.probability_note(run),
        new_inputs=_new_inputs(run), new_inputs_note=report_text.new_inputs_note(), methods=_methods(run),
        methods_note=escape(f"Samples for our radius: {DEFINITION}."
                            f"{f' {CONJECTURED}' if MELDED in run.methods else ''}"),
        duels=_duels(run), gaps=svg(gap_figure(run)),
        radii=svg(radius_figure(run)), radii_note=report_text.radii_note(run),
        samples=svg(samples_figure(run)), samples_note=report_text.samples_note(run), sample_table=_sample_table(run),
        saved=report_text.saved_note(run), targets=_targets(run),
        hardest="".join(_input(row, views[row.idx]) for row in worst),
        hardest_note=report_text.hardest_note(any(views.values())), failures=_failures(run),
        guarantees=report_text.guarantees(run), checks=report_text.checks(run),
        facts=report_text.facts(run), sessions=report_text.sessions(run))


def _grid(run: Overview) -> list[float]:
    return sorted({0.0, *run.targets}) if run.targets else run.grid()


def _asked(radius: float) -> str:
    return "any radius" if radius == 0.0 else f"≥ {radius:g}"


def _new_inputs(run: Overview) -> str:
    """What our curve says of new inputs, at some radii."""
    found = run.certified_accuracy(at=_grid(run))
    columns = (found.radius, found.share, found.on_new_inputs, found.certified_low, found.certified_high,
               found.single_low, found.single_high)
    lines = [f"<tr><td>{_asked(radius)}</td><td>{share:.1%}</td><td>{true:.1%}</td><td>{interval(low, high)}</td>"
             f"<td>{interval(single_low, single_high)}</td></tr>"
             for radius, share, true, low, high, single_low, single_high in zip(
                 *(column.tolist() for column in columns), strict=True)]
    return ("<table><tr><th>rsopt</th><th>certified here</th><th>true on new inputs, at least</th>"
            "<th>certified on new inputs</th><th>the same at one radius by itself</th></tr>"
            f"{''.join(lines)}</table>")


def _methods(run: Overview) -> str:
    grid = _grid(run)
    head = "".join(f"<th>{_asked(radius)}</th>" for radius in grid)
    lines = []
    for line in run.summary(grid):
        shares = "".join(f"<td>{share:.1%}</td>" for share in line.shares)
        lines.append(f'<tr{" class=ours" if line.method == OWN else ""}><td>{escape(TITLES[line.method])}</td>{shares}'
                     f"<td>{line.mean_radius:.4f}</td><td>{line.cost}</td></tr>")
    return (f"<table><tr><th>certified at {escape(run.noise.radius_name)}</th>{head}<th>mean radius</th>"
            f"<th>samples for our radius</th></tr>{''.join(lines)}</table>")


def _duels(run: Overview) -> str:
    lines = []
    for found in (duel(run.rows, method) for method in run.methods if method in RIVALS):
        lines.append(f"<tr><td>{escape(TITLES[found.method])}</td><td>{found.ours:,}</td><td>{found.equal:,}</td>"
                     f"<td>{found.theirs:,}</td><td>{found.largest_ours:.2g}</td><td>{found.largest_theirs:.2g}</td>"
                     f"<td>{found.only_ours:,}</td><td>{found.only_theirs:,}</td></tr>")
    return (f"<table><tr><th>rsopt beside</th><th>larger radius</th><th>equal to {EQUAL:.1%}</th><th>smaller</th>"
            "<th>at most larger by</th><th>at most smaller by</th><th>only rsopt certifies</th><th>only the other</th>"
            f"</tr>{''.join(lines)}</table>")


def _sample_table(run: Overview) -> str:
    """Samples spent, by what came of them."""
    groups = [("certified", [row for row in run.rows if row.radius() > 0.0]),
              ("not certified", [row for row in run.rows if not row.radius() > 0.0 and not row.error]),
              ("failed", [row for row in run.rows if row.error]), ("all", run.rows)]
    lines = []
    for name, rows in groups:
        if rows:
            spent = [row.n for row in rows]
            lines.append(f"<tr><td>{name}</td><td>{len(rows):,}</td><td>{median(spent):,.0f}</td><td>{max(spent):,}</td>"
                         f"<td>{sum(row.n0 + row.n for row in rows):,}</td>"
                         f"<td>{sum(row.seconds for row in rows):,.1f}</td></tr>")
    return ("<table><tr><th>inputs</th><th>number</th><th>samples, median</th><th>most</th><th>in all</th>"
            f"<th>seconds of work</th></tr>{''.join(lines)}</table>")


def _targets(run: Overview) -> str:
    """What became of the target radii."""
    if not run.targets:
        return ""
    lines = []
    for target in run.targets:
        done = [row for row in run.rows if not row.error]
        reached = [row for row in done if row.radius() > 0.0 and row.radius() >= target]
        short = [row for row in done if not (row.radius() > 0.0 and row.radius() >= target)]
        lines.append(f"<tr><td>{target:g}</td><td>{len(reached):,}</td>"
                     f"<td>{sum(row.top == row.label for row in reached):,}</td>"
                     f"<td>{sum(row.saved > 0 for row in short):,}</td>"
                     f"<td>{sum(row.saved <= 0 for row in short):,}</td></tr>")
    return ("<table><tr><th>target radius</th><th>certified</th><th>as the label</th><th>given up early</th>"
            f"<th>short of it with all samples</th></tr>{''.join(lines)}</table>")


def _input(row: Row, views: str) -> str:
    own = row.bounds[OWN]
    first, second = (100.0 * votes / max(row.n, 1) for votes in (row.x1, row.x2))
    label = "label unknown" if row.label is None else f"label {row.label}"
    verdict = f"radius {row.radius():.4f}" if row.radius() > 0.0 else "no radius"
    bound = f"bound&nbsp;{own.lower:.3f}".replace("-", "−") if math.isfinite(own.lower) else "no bound"
    wrong = " (not the label)" if row.label is not None and row.top != row.label else ""
    pictures = f'<div class="views">{views}</div>' if views else ""
    return (f'<div class="input">{pictures}'
            f"<b>Input {row.idx}, {label}</b><p>class {row.top}{wrong}: {verdict}, {bound}</p>"
            f"<p>{first:.1f}% of {row.n:,} votes, strongest rival {second:.1f}%</p>"
            f'<div class="bar"><i class="top" style="width:{first:.2f}%"></i>'
            f'<i class="rival" style="width:{second:.2f}%"></i></div></div>')


def _views(idx: int, pictures: Path) -> str:
    """The pictures of an input; nothing where none was kept."""
    found = [(path, alt) for path, alt in ((pictures / f"{idx:06d}.png", f"input {idx}"),
                                           (pictures / f"{idx:06d}-noisy.png", f"input {idx} under noise"))
             if is_file(path)]
    return "".join(f'<img src="data:image/png;base64,{b64encode(path.read_bytes()).decode()}" alt="{alt}">'
                   for path, alt in found)


def _failures(run: Overview) -> str:
    failed = [row for row in run.rows if row.error]
    if not failed:
        return ""
    lines = "".join(f"<tr><td>{row.idx}</td><td style='text-align:left'>{escape(row.error)}</td></tr>"
                    for row in failed[:_FAILURES])
    more = f"<p class=note>and {len(failed) - _FAILURES:,} more; all are in the table of the run.</p>" \
        if len(failed) > _FAILURES else ""
    return ("<h2>Inputs that failed</h2><table><tr><th>input</th><th style='text-align:left'>why</th></tr>"
            f"{lines}</table>{more}")

