"""Why two runs are not the same, in words: what decides their results, fact by fact."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

DIGESTS = {
    "model": "the model has other weights or layers", "data": "the inputs or their labels are others",
    "model.code": "the code of the model's modules is another",
    "model.attributes": "attributes of the model's modules are others",
    "model.answers": "the model gives other scores to the same noisy copies"}
"""Facts that are digests, and what it means that they differ."""
_PREFIXES = ("stopping.", "sampling.")
_FOLLOWS = {"data": ("inputs",), "sigma": ("noise.name",), "sampling.sigma": ("noise.name",),
            "sampling.law": ("noise.", "sigma"), "sampling.noise": ("noise.",), "dimension": ("noise.",),
            "total variation": ("noise.",)}
"""Facts that differ because others do, by how the names of these begin."""


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """A phrase for each fact in which two runs differ; empty where they are the same run.

    Args:
        there: facts of the run that is there, as JSON values.
        here: those of the run that is asked for.
    """
    old, new = dict(_flat(there)), dict(_flat(here))
    names = [name for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name)]
    told: dict[str, str] = {}
    for name in names:
        if any(other.startswith(_FOLLOWS.get(name, ())) for other in names):
            continue
        short = next((name.removeprefix(prefix) for prefix in _PREFIXES if name.startswith(prefix)), name)
        told.setdefault(short, DIGESTS.get(name) or f"{short} is {_text(old, name)} there and {_text(new, name)} here")
    return [told[name] for name in sorted(told)]


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Facts within facts by their whole names."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _text(facts: Mapping[str, Any], name: str) -> str:
    return "not said" if facts.get(name) is None else json.dumps(facts[name], ensure_ascii=False)
