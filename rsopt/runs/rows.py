"""The certified table: one row an input, readable by scripts written for Cohen's logs."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rsopt.counts import Counts
from rsopt.errors import StorageError
from rsopt.runs.records import BoundRow, Look, Outcome
from rsopt.runs.store import Store
from rsopt.runs.work import CLOPPER_PEARSON, COHEN, ESTIMATION, OWN, SELECTION, SOFT_MARGIN, SOFT_PROBIT, MethodBound

COHEN_COLUMNS = ("idx", "label", "predict", "radius", "correct", "time")
"""The columns of Cohen's logs, in their order; -1 as `predict` is an abstention there and here."""
OWN_COLUMNS = ("top", "chosen", "n0", "n", "x1", "x2", "lower", "lower_at_most", "cp_lower", "cp_radius", "cohen_lower",
               "cohen_radius", "counts", "looks", "saved", "look_n", "look_x1", "look_x2", "look_alpha", "error")
"""n, x1, x2 and counts are of all votes; look_n, look_x1, look_x2 and look_alpha of the look whose bound is reported.
`saved` is what a fixed number of samples would have taken more."""
SOFT_COLUMNS = ("soft_probit_lower", "soft_probit_radius", "soft_margin_lower", "soft_margin_radius")
"""Columns of a run on soft outputs: R2 from the probit margin of the mean scores, R1 from their margin."""
_PREFIXES = {OWN: "", CLOPPER_PEARSON: "cp_", COHEN: "cohen_", SOFT_PROBIT: "soft_probit_",
             SOFT_MARGIN: "soft_margin_"}


@dataclass(frozen=True)
class Evidence:
    """The look whose bound is reported.

    Attributes:
        n: estimation samples.
        x1, x2: votes for the certified class and for its strongest rival.
        alpha: error of the bound; less than the run's where it may look more than once.
    """

    n: int
    x1: int
    x2: int
    alpha: float


@dataclass(frozen=True)
class Row:
    """The result for one input.

    Attributes:
        idx: number of the input.
        label: its known label, or None.
        top: the class certified; None for a failed input.
        chosen: how `top` was chosen: "label", "selection", or "log" where a log says it.
        n0: selection samples; 0 in label mode.
        n: estimation samples.
        x1: those that voted for `top`.
        x2: those that voted for its strongest rival.
        counts: votes per class; empty where only x1 is known and x2 stands for all rivals together.
        bounds: method -> its best bound over the looks; bounds on scores are taken at the last look alone.
        seconds: sampling and proving time.
        error: why the input failed; "" for a result.
        looks: how often the estimation samples were looked at.
        saved: samples that it took less than it might have, with the same number for every input.
        evidence: the look whose bound is reported; None where nothing is known about it.
    """

    idx: int
    label: int | None
    top: int | None
    chosen: str
    n0: int
    n: int
    x1: int
    x2: int
    counts: tuple[int, ...]
    bounds: dict[str, MethodBound]
    seconds: float
    error: str = ""
    looks: int = 1
    saved: int = 0
    evidence: Evidence | None = None

    def radius(self, method: str = OWN) -> float:
        """Certified l2 radius by a method, in the units of the input; 0 for an abstention or a failure."""
        return self.bounds[method].radius if method in self.bounds else 0.0

    def correct(self, method: str = OWN) -> bool:
        """Whether the label is certified: `top` is the label and the bound is positive."""
        return self.label is not None and self.top == self.label and self.radius(method) > 0.0

    @property
    def abstain(self) -> bool:
        """Whether nothing is certified."""
        return not self.radius() > 0.0

    def cells(self) -> dict[str, str]:
        """The row as text, by column; floats in full precision."""
        label = -1 if self.label is None else self.label
        predict = -1 if self.abstain or self.top is None else self.top
        text = {"idx": str(self.idx), "label": str(label), "predict": str(predict), "radius": repr(self.radius()),
                "correct": str(int(self.correct())), "time": str(timedelta(seconds=self.seconds)),
                "top": "" if self.top is None else str(self.top), "chosen": self.chosen, "n0": str(self.n0),
                "n": str(self.n), "x1": str(self.x1), "x2": str(self.x2),
                "counts": ",".join(map(str, self.counts)), "looks": str(self.looks), "saved": str(self.saved),
                "error": " ".join(self.error.split())}
        if self.evidence is not None:
            text |= {"look_n": str(self.evidence.n), "look_x1": str(self.evidence.x1),
                     "look_x2": str(self.evidence.x2), "look_alpha": repr(self.evidence.alpha)}
        for method, prefix in _PREFIXES.items():
            if bound := self.bounds.get(method):
                text[f"{prefix}lower"], text[f"{prefix}radius"] = repr(bound.lower), repr(bound.radius)
        if OWN in self.bounds:
            text["lower_at_most"] = repr(self.bounds[OWN].lower_at_most)
        return text


def stored_rows(store: Store, idx: int | None = None) -> list[Row]:
    """The finished rows of a store in the order of the inputs, or the one of input `idx`.

    Raises:
        StorageError: a record is damaged or missing.
    """
    outcomes = store.all(Outcome) if idx is None else store.of_input(Outcome, idx)
    bounds: dict[int, list[BoundRow]] = defaultdict(list)
    looks: dict[int, list[Look]] = defaultdict(list)
    for bound in store.all(BoundRow) if idx is None else store.of_input(BoundRow, idx):
        bounds[bound.idx].append(bound)
    for look in store.all(Look) if idx is None else store.of_input(Look, idx):
        looks[look.idx].append(look)
    most = int(store.facts["stopping"]["n"]) if outcomes else 0
    return [_row(store, outcome, bounds[outcome.idx], looks[outcome.idx], most) for outcome in outcomes]


def best_bounds(bounds: Iterable[BoundRow]) -> dict[str, BoundRow]:
    """Method -> its largest bound over the looks, the earliest among equals."""
    best: dict[str, BoundRow] = {}
    for bound in sorted(bounds, key=lambda bound: bound.look):
        if bound.method not in best or bound.lower > best[bound.method].lower:
            best[bound.method] = bound
    return best


def _row(store: Store, outcome: Outcome, bounds: list[BoundRow], looks: list[Look], most: int) -> Row:
    estimation = [look for look in looks if look.stream == ESTIMATION]
    if not outcome.error and (len(bounds) != outcome.bounds or len(estimation) != outcome.looks):
        raise StorageError(f"{store.path} is damaged: the bounds or looks of input {outcome.idx} are incomplete. "
                           "Delete it and run again, or restore it from a backup.")
    counts = tuple(estimation[-1].counts.tolist()) if estimation else ()
    votes, evidence = None, None
    if not outcome.error and outcome.top is not None:
        votes, look = Counts(counts, outcome.top), estimation[outcome.best]
        shown = Counts(tuple(look.counts.tolist()), outcome.top)
        evidence = Evidence(look.n, shown.x1, shown.x2, look.alpha)
    return Row(
        outcome.idx, outcome.label, outcome.top, outcome.chosen,
        n0=sum(look.n for look in looks if look.stream == SELECTION), n=sum(counts),
        x1=0 if votes is None else votes.x1, x2=0 if votes is None else votes.x2, counts=counts,
        bounds={method: MethodBound(method, bound.lower, bound.lower_at_most, bound.radius)
                for method, bound in best_bounds(bounds).items()},
        seconds=outcome.seconds, error=outcome.error, looks=outcome.looks,
        saved=0 if votes is None else most - votes.n, evidence=evidence)


def write_table(path: Path, rows: Sequence[Row], *, columns: tuple[str, ...] | None = None) -> None:
    """Writes rows as TSV, by default all columns; the file appears whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    if columns is None:
        soft = any(SOFT_PROBIT in row.bounds for row in rows)
        columns = COHEN_COLUMNS + OWN_COLUMNS + (SOFT_COLUMNS if soft else ())
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, delimiter="\t", lineterminator="\n", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(row.cells() for row in rows)
        partial.replace(path)
    except OSError as error:
        raise StorageError(f"The table {path} cannot be written: {error.strerror or error}.") from error
