"""Where a run goes that was given no folder: a name that says what was asked, so that another question gets another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

RUNS = Path("runs")
LONGEST = 180
"""Longer names, which some file systems refuse, are cut and end in a digest."""


def default_folder(name: str, said: Mapping[str, object]) -> Path:
    """The folder of a run.

    Args:
        name: of model and data.
        said: option -> what it says; None and False say nothing, True says the option itself.
    """
    words = [name]
    for option, value in said.items():
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            words.append(f"{option} {number(value) if isinstance(value, float) else value}")
    return RUNS / cleaned(" ".join(words))


def number(value: float) -> str:
    """A number in full, so that two that differ have different names: 0.25, and 1 for 1.0."""
    return repr(value).removesuffix(".0")


def cleaned(text: str) -> str:
    """A text as the name of a folder: letters, digits, points and hyphens."""
    plain = re.sub(r"[^\w.]+", "-", text).strip("-.") or "run"
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST - 9]}-{sha256(text.encode()).hexdigest()[:8]}"
