"""The card of a run: what it claims and on what, as one JSON object that follows from the run's store and table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from rsopt import proof_file
from rsopt.errors import CertificateError, InvalidInputError
from rsopt.methods import MELDED, OWN, SOFT_METHODS
from rsopt.runs.claims import close
from rsopt.runs.overview import CONFIDENCE, Overview, confidence

FORMAT = "rsopt card 1"
_ENTRIES = ("title", "model", "data", "noise", "question", "sampling", "class", "certified", "confidence", "samples",
            "proofs", "sessions", "facts", "files")


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
    sure, question = confidence(len(run.rows), run.alpha), run.question
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
        "confidence": {"level": CONFIDENCE, "false_rows": sure.false_rows, "off_on_these_inputs": sure.on_inputs,
                       "off_on_new_inputs": sure.on_distribution},
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
    sure = confidence(len(run.rows), run.alpha)
    grid = sorted({*run.grid(), *run.targets})
    # Nothing is sure of a limit that is conjectured.
    return [{"method": line.method, "proven": line.method in proven_methods(run),
             **({"conjectured": True} if line.method == MELDED else {}), "mean_radius": line.mean_radius,
             "at": [{"radius": radius, "share": share, **({} if line.method == MELDED else {
                 "on_these_inputs_at_least": max(share - sure.on_inputs, 0.0),
                 "on_new_inputs_at_least": max(share - sure.on_distribution, 0.0)})}
                    for radius, share in zip(grid, line.shares, strict=True)]} for line in run.summary(grid)]


def _versions(text: str) -> dict[str, Any]:
    versions = json.loads(text)
    if not isinstance(versions, dict):
        raise CertificateError(f"The versions of a session are {proof_file.shown(versions)}, which is no object.")
    return {name: value for name, value in versions.items() if name != "title"}
