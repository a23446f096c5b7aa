"""The card of a run: what it claims and on what, as one JSON object that follows from the run's store and table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from rsopt import proof_file
from rsopt.data_set.confidence import CONFIDENCE
from rsopt.errors import CertificateError, InvalidInputError
from rsopt.methods import MELDED, OWN, SOFT_METHODS
from rsopt.runs.claims import close
from rsopt.runs.overview import Overview

FORMAT = "rsopt card 1"
_PROBABILITIES = (0.5, 0.75, 0.9, 0.99, 0.999)
_ENTRIES = ("title", "model", "data", "noise", "question", "sampling", "class", "certified", "confidence",
            "probabilities", "samples", "proofs", "sessions", "facts", "files")


def card(run: Overview, title: str, files: Mapping[str, str]) -> dict[str, Any]:
    """The card of a finished run, with its content hash.

    Args:
        run: the run.
        title: model and data in words, as the card's maker calls them; the only entry that does not follow from the
            run.
        files: name -> SHA-256 of what lies beside the card in its archive.

    Raises:
        InvalidInputError: the run is not finished, and whoever stops where he likes what he sees chooses his inputs.
        CertificateError: something in it is no JSON value.
    """
    asked, facts = run.facts["inputs"], run.facts
    if len(run.rows) < asked:
        raise InvalidInputError(f"{run.place} is not finished: {len(run.rows):,} of {asked:,} inputs. A card is of a "
                                "whole run; the command that began it goes on where it stopped.")
    sure, question = run.certified_accuracy(), run.question
    spent = [row.n for row in run.rows]
    return proof_file.hashed({
        "format": FORMAT, "title": title, "model": {"sha256": facts["model"]},
        "data": {"sha256": facts["data"], "inputs": len(run.rows), "labelled": run.labelled,
                 "failed": sum(bool(row.error) for row in run.rows)},
        "noise": {"title": run.noise.title, "norm": run.noise.norm, "unit": run.noise.unit},
        "question": {"functional": question.functional.name, "order": question.order,
                     "statistic": question.statistic.name, "alpha": run.alpha},
        "sampling": facts["stopping"], "class": {"chosen by": facts["certified class"], "n0": facts["n0"]},
        "certified": _certified(run),
        "confidence": {"level": CONFIDENCE, "false_rows": sure.false_rows,
                       "off_on_these_inputs": sure.off_these_inputs, "off_on_new_inputs": sure.off_new_inputs,
                       "off_certified": sure.off_certified},
        "probabilities": _probabilities(run),
        "samples": {"selection": sum(row.n0 for row in run.rows), "estimation": sum(spent),
                    "median": median(spent), "most": max(spent)},
        "proofs": dict(sorted(run.proofs.items())),
        "sessions": [{"began": session.started, **_versions(session.versions)} for session in run.sessions],
        "facts": facts, "files": dict(files)})


def proven_methods(run: Overview) -> list[str]:
    """The methods whose radii are proven by what lies in the run, ours first."""
    return [method for method in run.methods if method == OWN or (method in SOFT_METHODS and run.proofs.get(method))]


def read_card(content: Mapping[str, Any]) -> dict[str, Any]:
    """A card that was read from a file, once its format, its entries and its hash were found right.

    Raises:
        CertificateError: it is none of this version, an entry is missing or unknown, or it was changed.
    """
    bare = proof_file.unhashed(content, "card", [FORMAT])
    entries = proof_file.Entries(bare, "The card")
    entries.take("format")
    entries.text("title")
    for name in _ENTRIES[1:]:
        entries.take(name)
    entries.done()
    return dict(content)


def card_differences(stated: Mapping[str, Any], again: Mapping[str, Any], source: str = "its run") -> Iterator[str]:
    """A sentence for each entry of a card, but its hash, that is not what another card of the same run says.

    Args:
        stated: the card.
        again: the other.
        source: where that one comes from, for the sentences.
    """
    for where, one, other in _differences("", stated, again):
        if where != "sha256":
            yield f"the card's {where} is {one}, and {source} gives {other}"


def _differences(where: str, stated: object, again: object) -> Iterator[tuple[str, str, str]]:
    """(entry, as stated, as it is) for what differs, in the order of the entries."""
    if isinstance(stated, Mapping) and isinstance(again, Mapping):
        for name in dict.fromkeys([*again, *stated]):
            inner = f"{where}.{name}" if where else str(name)
            if name in again and name in stated:
                yield from _differences(inner, stated[name], again[name])
            else:
                yield inner, _shown(stated, name), _shown(again, name)
    elif isinstance(stated, list) and isinstance(again, list) and len(stated) == len(again):
        for number, (one, other) in enumerate(zip(stated, again, strict=True)):
            yield from _differences(f"{where}[{number}]", one, other)
    elif not _same(stated, again):
        yield where, proof_file.shown(stated), proof_file.shown(again)


def _shown(content: Mapping[str, Any], name: str) -> str:
    return proof_file.shown(content[name]) if name in content else "nothing"


def _same(stated: object, again: object) -> bool:
    """Whether two values are equal but for the rounding of other libraries; true is not 1."""
    if isinstance(stated, float) and isinstance(again, float):
        return close(stated, again)
    numbers = {int, float}
    alike = type(stated) is type(again) or {type(stated), type(again)} <= numbers
    return alike and stated == again


def _certified(run: Overview) -> list[dict[str, Any]]:
    grid = sorted({*run.grid(), *run.targets})
    lines = []
    for method in run.methods:
        found = run.certified_accuracy(method, grid)
        columns = (found.radius, found.share, found.on_these_inputs, found.on_new_inputs, found.certified_low,
                   found.certified_high)
        at = [{"radius": radius, "share": share, "on_these_inputs_at_least": these, "on_new_inputs_at_least": new,
               "certified_on_new_inputs": [low, high]}
              for radius, share, these, new, low, high in zip(*(column.tolist() for column in columns), strict=True)]
        line = {"method": method, "proven": method in proven_methods(run), "mean_radius": found.mean_radius,
                "mean_radius_on_these_inputs_at_least": found.mean_on_these_inputs,
                "mean_radius_on_new_inputs_at_least": found.mean_on_new_inputs, "at": at}
        lines.append(_without_truth(line) if method == MELDED else line)
    return lines


def _without_truth(line: Mapping[str, Any]) -> dict[str, Any]:
    """A method's entries without those on how many of its radii are true, which nobody knows of a conjectured limit."""
    def kept(entries: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in entries.items() if not name.endswith("_at_least")}

    return {**kept(line), "conjectured": True, "at": [kept(entries) for entries in line["at"]]}


def _probabilities(run: Overview) -> dict[str, Any]:
    """The band for the distribution of the probability of the certified class, at some probabilities."""
    band = run.probability_band(_PROBABILITIES)
    columns = (band.probability, band.these_low, band.these_high, band.new_low, band.new_high)
    return {"row_error": band.row_error, "false_limits": band.false_limits,
            "off_on_these_inputs": band.off_these_inputs, "off_on_new_inputs": band.off_new_inputs,
            "at": [{"probability": probability, "these_inputs": [low, high], "new_inputs": [least, most]}
                   for probability, low, high, least, most in zip(*(column.tolist() for column in columns),
                                                                  strict=True)]}


def _versions(text: str) -> dict[str, Any]:
    versions = json.loads(text)
    if not isinstance(versions, dict):
        raise CertificateError(f"The versions of a session are {proof_file.shown(versions)}, which is no object.")
    return {name: value for name, value in versions.items() if name != "title"}
