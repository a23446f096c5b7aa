"""Fixtures for all tests."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with reference values and measured counts, which lies beside the repository."""
    if not SHARED.is_dir():
        pytest.fail(f"{SHARED} is absent: put the folder with reference/discrete.json and data/cifar10_counts.csv "
                    "beside the repository.")
    return SHARED


@pytest.fixture(scope="session")
def reference(shared: Path) -> list[dict[str, Any]]:
    """Bounds bracketed by an independent branch and bound: n, x1, x2, alpha, functional, statistic, lo, hi, …"""
    cases: list[dict[str, Any]] = json.loads((shared / "reference" / "discrete.json").read_text())
    return cases


@pytest.fixture(scope="session")
def cifar_rows(shared: Path) -> list[tuple[int, list[int]]]:
    """(label, votes of ten classes) of 250 images, n = 100,000 each."""
    with (shared / "data" / "cifar10_counts.csv").open() as file:
        return [(int(row["label"]), [int(row[f"c{k}"]) for k in range(10)]) for row in csv.DictReader(file)]
