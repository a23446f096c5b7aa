"""The certified table: one row an input, from what its looks and bounds came to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rsopt.counts import Counts
from rsopt.errors import StorageError
from rsopt.methods import OWN
from rsopt.runs.records import ESTIMATION, SELECTION, BoundRow, InputOutcome, Look
from rsopt.runs.store import Store
from rsopt.runs.work import MethodBound
from rsopt.sequential.policy import LookResult


@dataclass(frozen=True)
class ReportedLook:
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
        reported: the look whose bound is reported; None where nothing is known about it.
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
    reported: ReportedLook | None = None

    def radius(self, method: str = OWN) -> float:
        """Certified radius by a method, in the norm and units of the noise; 0 for an abstention or a failure."""
        return self.bounds[method].radius if method in self.bounds else 0.0

    def correct(self, method: str = OWN) -> bool:
        """Whether the label is certified: `top` is the label and the bound is positive."""
        return self.label is not None and self.top == self.label and self.radius(method) > 0.0

    @property
    def abstain(self) -> bool:
        """Whether nothing is certified."""
        return not self.radius() > 0.0


def stored_rows(store: Store, idx: int | None = None) -> list[Row]:
    """The finished rows of a store in the order of the inputs, or the one of input `idx`.

    Raises:
        StorageError: a record is damaged or missing.
    """
    outcomes = store.all(InputOutcome) if idx is None else store.of_input(InputOutcome, idx)
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


def looks_taken(looks: Sequence[Look], bounds: Sequence[BoundRow], top: int) -> list[LookResult]:
    """Looks with our bounds on them, as a stopping policy sees them."""
    return [LookResult(look.n, look.alpha, bound.lower, bound.lower_at_most, bound.radius,
                       Counts(tuple(look.counts.tolist()), top))
            for look, bound in zip(looks, bounds, strict=True)]


def _row(store: Store, outcome: InputOutcome, bounds: list[BoundRow], looks: list[Look], most: int) -> Row:
    estimation = [look for look in looks if look.stream == ESTIMATION]
    if not outcome.error and (len(bounds) != outcome.bounds or len(estimation) != outcome.looks):
        raise StorageError(f"{store.path} is damaged: the bounds or looks of input {outcome.idx} are incomplete. "
                           "Delete it and run again, or restore it from a backup.")
    counts = tuple(estimation[-1].counts.tolist()) if estimation else ()
    votes, reported = None, None
    if not outcome.error and outcome.top is not None:
        votes, look = Counts(counts, outcome.top), estimation[outcome.best]
        shown = Counts(tuple(look.counts.tolist()), outcome.top)
        reported = ReportedLook(look.n, shown.x1, shown.x2, look.alpha)
    return Row(
        outcome.idx, outcome.label, outcome.top, outcome.chosen,
        n0=sum(look.n for look in looks if look.stream == SELECTION), n=sum(counts),
        x1=0 if votes is None else votes.x1, x2=0 if votes is None else votes.x2, counts=counts,
        bounds={method: MethodBound(method, bound.lower, bound.lower_at_most, bound.radius)
                for method, bound in best_bounds(bounds).items()},
        seconds=outcome.seconds, error=outcome.error, looks=outcome.looks,
        saved=0 if votes is None else most - votes.n, reported=reported)
