"""The folder of a run: what the files in it are called."""

from __future__ import annotations

from pathlib import Path

from rsopt.files import is_folder

STORE = "run.sqlite"
TABLE = "table.tsv"
CERTIFICATES = "certificates"
PLOT = "certified_accuracy.png"
PICTURES = "pictures"
REPORT = "report.html"
CARD = "card.json"
CARD_SUFFIX = ".zip"
SWEEP_TABLE = "sweep.tsv"
SWEEP_PLOT = "sweep.png"
"""Beside the folders of the runs of a sweep."""


def folder_of(run: Path) -> Path:
    """The folder of a run, said by the folder or by its store."""
    return run if is_folder(run) else run.parent


def store_of(run: Path) -> Path:
    """The store of a run, said by its folder or by itself."""
    return run / STORE if is_folder(run) else run
