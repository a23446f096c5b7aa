"""The table as Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rsopt.errors import MissingDependencyError, StorageError
from rsopt.runs.rows import Row
from rsopt.runs.work import METHODS


def write_parquet(path: Path, rows: Sequence[Row], facts: Mapping[str, object]) -> None:
    """Writes rows as Parquet, typed, counts as lists; the facts of the run stand in the file's metadata under "rsopt".

    Raises:
        MissingDependencyError: pyarrow is not installed.
        StorageError: the file cannot be written.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError.of("Export to Parquet", "pyarrow", "parquet") from error
    columns: dict[str, object] = {
        "idx": pyarrow.array([row.idx for row in rows], pyarrow.int64()),
        "label": pyarrow.array([row.label for row in rows], pyarrow.int64()),
        "predict": pyarrow.array([None if row.abstain else row.top for row in rows], pyarrow.int64()),
        "radius": pyarrow.array([row.radius() for row in rows], pyarrow.float64()),
        "correct": pyarrow.array([row.correct() for row in rows], pyarrow.bool_()),
        "seconds": pyarrow.array([row.seconds for row in rows], pyarrow.float64()),
        "top": pyarrow.array([row.top for row in rows], pyarrow.int64()),
        "chosen": pyarrow.array([row.chosen for row in rows], pyarrow.string()),
        "n0": pyarrow.array([row.n0 for row in rows], pyarrow.int64()),
        "n": pyarrow.array([row.n for row in rows], pyarrow.int64()),
        "counts": pyarrow.array([list(row.counts) for row in rows], pyarrow.list_(pyarrow.int64())),
        "looks": pyarrow.array([row.looks for row in rows], pyarrow.int64()),
        "saved": pyarrow.array([row.saved for row in rows], pyarrow.int64()),
        "error": pyarrow.array([row.error for row in rows], pyarrow.string())}
    for name, kind in (("n", pyarrow.int64()), ("x1", pyarrow.int64()), ("x2", pyarrow.int64()),
                       ("alpha", pyarrow.float64())):
        columns[f"look.{name}"] = pyarrow.array(
            [None if row.evidence is None else getattr(row.evidence, name) for row in rows], kind)
    for method in METHODS:
        bounds = [row.bounds.get(method) for row in rows]
        for name in ("lower", "lower_at_most", "radius"):
            columns[f"{method}.{name}"] = pyarrow.array(
                [None if bound is None else getattr(bound, name) for bound in bounds], pyarrow.float64())
    table = pyarrow.table(columns).replace_schema_metadata({"rsopt": json.dumps(dict(facts))})
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(table, partial)
        partial.replace(path)
    except OSError as error:
        raise StorageError(f"The file {path} cannot be written: {error.strerror or error}.") from error
