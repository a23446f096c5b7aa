"""The card of a run in three files: JSON, a page to read, and the archive that proves both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote as url

from rsopt.data_set.confidence import CONFIDENCE
from rsopt.errors import InvalidInputError
from rsopt.files import refuse_overwrite, write_text
from rsopt.methods import BASELINES, CONJECTURED, MELDED, OWN, SOFT_METHODS, TITLES
from rsopt.runs.archive import file_hashes, write_archive
from rsopt.runs.card import FORMAT, card, proven_methods
from rsopt.runs.export import write_table
from rsopt.runs.folder import CARD, CARD_SUFFIX, STORE, TABLE, folder_of, store_of
from rsopt.runs.overview import Overview
from rsopt.runs.reports import text as report_text
from rsopt.runs.reports.figures import accuracy_figure, probability_figure
from rsopt.runs.reports.parts import filled, interval, svg, tiles
from rsopt.runs.rows import stored_rows
from rsopt.runs.store import Store
from rsopt.runs.verification import run_differences

PAGE_SUFFIX = ".html"


def write_card(run: Path, output: Path | None = None, title: str | None = None) -> tuple[Path, ...]:
    """Writes the card of a run as NAME.json, NAME.html and NAME.zip, each whole or not at all.

    Args:
        run: the folder of a run that is finished.
        output: NAME, with or without one of these endings; by default "card" in the folder of the run.
        title: model and data in words; by default what the run says, else its folder's name.

    Returns:
        the three files.

    Raises:
        InvalidInputError: the run is not finished, contradicts itself, or a file is one that the card is made from.
        StorageError: there is no run, it is damaged, or a file cannot be written.
        MissingDependencyError: matplotlib is not installed.
    """
    stem = output or folder_of(run) / Path(CARD).stem
    if stem.suffix in (Path(CARD).suffix, PAGE_SUFFIX, CARD_SUFFIX):
        stem = stem.with_suffix("")
    # A name such as digits-0.25 has an ending only by its looks.
    files = tuple(stem.with_name(stem.name + suffix) for suffix in (Path(CARD).suffix, PAGE_SUFFIX, CARD_SUFFIX))
    for file in files:
        refuse_overwrite(file, [store_of(run)], "The card")
    if found := run_differences(folder_of(run)):
        raise InvalidInputError(f"{run} contradicts itself, and no card is made of it: {found[0]}")
    overview = Overview.read(run)
    overview = replace(overview, title=title or overview.title or overview.name)
    with TemporaryDirectory(prefix="rsopt-") as place:
        folder = Path(place)
        with Store.read(store_of(run)) as store:
            store.publish(folder / STORE)
            write_table(folder / TABLE, stored_rows(store))
        content = card(overview, overview.title, file_hashes(folder))
        text = json.dumps(content, indent=1, allow_nan=False) + "\n"
        write_text(folder / CARD, text, "The card")
        page = render(overview, content, files[2].name)
        write_archive(files[2], folder)
    write_text(files[0], text, "The card")
    write_text(files[1], page, "The page")
    return files


def render(run: Overview, content: Mapping[str, Any], archive: str) -> str:
    """The page of a card.

    Args:
        run: the run, with the title of the card.
        content: the card.
        archive: name of its archive, beside the page.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    return filled(
        "card.html", title=escape(run.title), lead=report_text.lead(replace(run, title="")),
        warnings=report_text.warnings(run), tiles=tiles(run), accuracy=svg(accuracy_figure(run)),
        accuracy_note=report_text.accuracy_note(run), certified=_certified(content),
        certified_note=_certified_note(run), mean_note=report_text.mean_radius_note(run),
        probabilities=svg(probability_figure(run)), probability_note=report_text.probability_note(run),
        probability_table=_probabilities(content), about=_lines(_about(run, content)),
        guarantees=report_text.guarantees(run), checks=_checks(content, archive),
        facts=report_text.facts(run), sessions=_lines((str(session.get("began", "")), ", ".join(
            f"{name} {value}" for name, value in session.items() if name != "began"))
            for session in content["sessions"]))


def _certified(content: Mapping[str, Any]) -> str:
    lines = []
    for line in content["certified"]:
        name = TITLES.get(line["method"], line["method"])
        for found in line["at"]:
            sure = "".join(f"<td>{found[name]:.1%}</td>" if name in found else "<td>–</td>"
                           for name in ("on_these_inputs_at_least", "on_new_inputs_at_least"))
            wanted = "any" if found["radius"] == 0.0 else f"≥ {found['radius']:g}"
            lines.append(f'<tr{" class=ours" if line["method"] == OWN else ""}><td>{escape(name)}</td><td>{wanted}</td>'
                         f"<td>{found['share']:.1%}</td>{sure}"
                         f"<td>{interval(*found['certified_on_new_inputs'])}</td></tr>")
    return ("<table><tr><th>method</th><th>radius</th><th>certified</th><th>true on these inputs, at least</th>"
            f"<th>true on new inputs, at least</th><th>certified on new inputs</th></tr>{''.join(lines)}</table>")


def _probabilities(content: Mapping[str, Any]) -> str:
    lines = "".join(f"<tr><td>≤ {found['probability']:g}</td><td>{interval(*found['these_inputs'])}</td>"
                    f"<td>{interval(*found['new_inputs'])}</td></tr>" for found in content["probabilities"]["at"])
    return f"<table><tr><th>probability</th><th>these inputs</th><th>new inputs</th></tr>{lines}</table>"


def _certified_note(run: Overview) -> str:
    counted = "certified as their label" if run.labelled else "certified as any class"
    proven = ", ".join(TITLES[method] for method in proven_methods(run))
    left = [method for method in run.methods if method in SOFT_METHODS and method not in proven_methods(run)]
    unproven = f" No proof is kept of {', '.join(TITLES[method] for method in left)}." if left else ""
    return escape(f"Shares of all inputs that are {counted}. The three columns on the right hold at all radii at once, "
                  f"each with {CONFIDENCE:.0%} confidence, method by method. Proofs are in the archive for: "
                  f"{proven}.{unproven} {' and '.join(TITLES[method] for method in BASELINES)} are closed forms, "
                  f"computed again from the votes.{f' {CONJECTURED}' if MELDED in run.methods else ''}")


def _about(run: Overview, content: Mapping[str, Any]) -> list[tuple[str, str]]:
    data, question, chosen, samples = (content[name] for name in ("data", "question", "class", "samples"))
    order = "" if question["order"] is None else f", order {question['order']}"
    sampling = content["sampling"]
    how = ("for every input" if not run.adaptive else
           f"at most for an input; sampling stops by the policy {sampling['policy']}")
    return [
        ("model", f"SHA-256 {content['model']['sha256']}"),
        ("data", f"{data['inputs']:,} inputs, {'with' if data['labelled'] else 'without'} labels, "
                 f"{data['failed']:,} failed; SHA-256 {data['sha256']}"),
        ("noise", run.noise.title), ("radii", f"{run.noise.norm} norm, {run.noise.unit}"),
        ("n", f"{sampling['n']:,} samples {how}"), ("alpha", f"{question['alpha']:g} for each input"),
        ("certified class", "the known label" if chosen["chosen by"] == "label" else
         f"chosen on {chosen['n0']:,} samples of their own"),
        ("bounded", f"{question['functional']}{order}, statistic {question['statistic']}"),
        ("samples spent", f"{samples['estimation']:,} for bounds (median {samples['median']:,.0f}, most "
                          f"{samples['most']:,}), {samples['selection']:,} for classes"),
        ("proofs", ", ".join(f"{count:,} of {TITLES.get(method, method)}"
                             for method, count in content["proofs"].items()) or "none"),
        ("format", FORMAT), ("card", f"SHA-256 {content['sha256']}"),
        *((name, f"SHA-256 {digest}") for name, digest in content["files"].items())]


def _checks(content: Mapping[str, Any], archive: str) -> str:
    name = quote(archive)
    commands = [(f"rsopt card --check {name}", "everything that this page says, from the archive alone"),
                (f"rsopt card --check {name} --arithmetic arb", "ball arithmetic: nothing rests on rounding")]
    width = max(len(command) for command, _ in commands)
    lines = "\n".join(f"{command:<{width}}   # {what}" for command, what in commands)
    return (f'<p>The archive <a href="{url(archive)}">{escape(archive)}</a> holds this card, the votes of every input, '
            "every bound and every proof. The check proves each bound again with a checker that shares no code with "
            "the search, holds the run against itself and the card against the run, and names the first difference. "
            f"The card that it finds must have the SHA-256 {escape(str(content['sha256'])[:16])}….</p>"
            f"<pre><code>{escape(lines)}</code></pre><p>On trust, since no file can show it: that the votes "
            "were drawn from this model on these inputs, and that neither class nor question was chosen after looking "
            "at them. With the model and the data at hand the samples can be drawn again, bit for bit, under the "
            "conditions below. The title is the maker's.</p>")


def _lines(pairs: Any) -> str:
    return "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in pairs)
