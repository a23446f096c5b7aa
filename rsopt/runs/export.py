"""The certified table as a file: TSV that scripts for Cohen's logs can read, or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from rsopt.files import replaced, write_parquet
from rsopt.methods import CLOPPER_PEARSON, COHEN, MELDED, OWN, RIVALS, SOFT_METHODS
from rsopt.runs.rows import Row

COHEN_COLUMNS = ("idx", "label", "predict", "radius", "correct", "time")
"""The columns of Cohen's logs, in their order; -1 as `predict` is an abstention there and here."""
OWN_COLUMNS = ("top", "chosen", "n0", "n", "x1", "x2", "lower", "lower_at_most", "cp_lower", "cp_radius", "cohen_lower",
               "cohen_radius", "counts", "looks", "saved", "look_n", "look_x1", "look_x2", "look_alpha", "error")
"""n, x1, x2 and counts are of all votes; look_n, look_x1, look_x2 and look_alpha of the look whose bound is reported.
`saved` is what a fixed number of samples would have taken more."""
VERONA_COLUMNS = ("network_path", "image_id", "original_label", "tmp_path", "epsilon_value", "smallest_sat_value",
                  "total_time", "verifier")
"""The columns of VERONA's result_df.csv, after a first one without a name that counts the rows."""
_PREFIXES = {OWN: "", CLOPPER_PEARSON: "cp_", COHEN: "cohen_", MELDED: "melded_conjectured_",
             **{method: f"{method.replace('-', '_')}_" for method in SOFT_METHODS}}


def write_table(path: Path, rows: Sequence[Row], *, columns: tuple[str, ...] | None = None,
                method: str = OWN) -> None:
    """Writes rows as TSV, by default all columns; the file appears whole or not at all.

    Args:
        path: the file.
        rows: the rows.
        columns: the columns to write.
        method: whose radius stands in the columns of Cohen's logs, and whose abstentions.

    Raises:
        StorageError: it cannot be written.
    """
    if columns is None:
        # Of a run on soft outputs also the bounds on them, by the functional of the mean scores: soft_probit_lower, …;
        # and melded_conjectured_lower, …, of a limit that certifies nothing.
        more = [method for method in (*SOFT_METHODS, MELDED) if any(method in row.bounds for row in rows)]
        columns = (*COHEN_COLUMNS, *OWN_COLUMNS,
                   *(_PREFIXES[method] + name for method in more for name in ("lower", "radius")))
    with replaced(path, "The table") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, delimiter="\t", lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(cells(row, method) for row in rows)


def write_verona(path: Path, rows: Sequence[Row], run: str, place: Path, *, method: str = OWN) -> None:
    """Writes rows as CSV with the columns of VERONA's results, which its robustness distributions are drawn from.

    ``epsilon_value`` is the radius that is certified as the label, in the norm of the run's noise (l-infinity is meant
    there): 0 where nothing is, the radius of any class where the label is not known. ``smallest_sat_value`` stays
    empty, since certifying finds no counterexample, ``total_time`` is in seconds, ``image_id`` the number of the input.

    Args:
        path: the file.
        rows: the rows.
        run: what the network is called. VERONA takes what stands between the last slash and the first point after it,
            so points become underscores.
        place: the folder of the run.
        method: whose radii they are; also the ``verifier``.

    Raises:
        StorageError: it cannot be written.
    """
    network = place.resolve().parent / run.replace(".", "_").replace("/", "_")
    with replaced(path, "The table") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("", *VERONA_COLUMNS))
        for place_in_table, row in enumerate(rows):
            radius = row.radius(method) if row.label is None or row.correct(method) else 0.0
            writer.writerow((place_in_table, network, row.idx, "" if row.label is None else row.label, place.resolve(),
                             repr(radius), "", repr(row.seconds), method))


def write_parquet_table(path: Path, rows: Sequence[Row], facts: Mapping[str, object]) -> None:
    """Writes rows as Parquet, typed, counts as lists; the facts of the run stand in the file's metadata under "rsopt".

    Raises:
        MissingDependencyError: pyarrow is not installed.
        StorageError: the file cannot be written.
    """
    columns: dict[str, list[object]] = {
        "idx": [row.idx for row in rows], "label": [row.label for row in rows],
        "predict": [None if row.abstain else row.top for row in rows], "radius": [row.radius() for row in rows],
        "correct": [row.correct() for row in rows], "seconds": [row.seconds for row in rows],
        "top": [row.top for row in rows], "chosen": [row.chosen for row in rows], "n0": [row.n0 for row in rows],
        "n": [row.n for row in rows], "counts": [list(row.counts) for row in rows],
        "looks": [row.looks for row in rows], "saved": [row.saved for row in rows],
        "error": [row.error for row in rows]}
    for name in ("n", "x1", "x2", "alpha"):
        columns[f"look.{name}"] = [None if row.reported is None else getattr(row.reported, name) for row in rows]
    for method in (OWN, *RIVALS):
        said = f"{method}.conjectured" if method == MELDED else method
        bounds = [row.bounds.get(method) for row in rows]
        for name in ("lower", "lower_at_most", "radius"):
            columns[f"{said}.{name}"] = [None if bound is None else getattr(bound, name) for bound in bounds]
    types = {name: "double" if name.rpartition(".")[2] in ("radius", "seconds", "alpha", "lower", "lower_at_most")
             else "int64" for name in columns}
    types |= {"correct": "bool", "chosen": "string", "error": "string", "counts": "counts"}
    write_parquet(path, columns, "The table", types=types, facts=facts)


def cells(row: Row, method: str = OWN) -> dict[str, str]:
    """A row as text, by column; floats in full precision. The first columns are those of `method`."""
    label = -1 if row.label is None else row.label
    predict = -1 if row.top is None or not row.radius(method) > 0.0 else row.top
    text = {"idx": str(row.idx), "label": str(label), "predict": str(predict), "radius": repr(row.radius(method)),
            "correct": str(int(row.correct(method))), "time": str(timedelta(seconds=row.seconds)),
            "top": "" if row.top is None else str(row.top), "chosen": row.chosen, "n0": str(row.n0),
            "n": str(row.n), "x1": str(row.x1), "x2": str(row.x2),
            "counts": ",".join(map(str, row.counts)), "looks": str(row.looks), "saved": str(row.saved),
            "error": " ".join(row.error.split())}
    if row.reported is not None:
        text |= {"look_n": str(row.reported.n), "look_x1": str(row.reported.x1),
                 "look_x2": str(row.reported.x2), "look_alpha": repr(row.reported.alpha)}
    for name, prefix in _PREFIXES.items():
        if bound := row.bounds.get(name):
            text[f"{prefix}lower"] = repr(bound.lower)
            # Ours stands in the column "radius", unless another method's is asked for there.
            text |= {f"{prefix}radius": repr(bound.radius)} if prefix else {}
    if OWN in row.bounds:
        text["lower_at_most"] = repr(row.bounds[OWN].lower_at_most)
    return text
