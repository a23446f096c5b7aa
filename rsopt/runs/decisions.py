"""What an adaptive run decided, and what it saved against a fixed number of samples for every input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsopt.methods import OWN
from rsopt.runs.records import ESTIMATION, BoundRow, InputOutcome, Look
from rsopt.runs.rows import Row, looks_taken
from rsopt.runs.store import Store
from rsopt.sequential.adaptive import TargetRadii, TargetState
from rsopt.sequential.policy import LookResult


@dataclass(frozen=True)
class Spent:
    """Estimation samples of the inputs that did not fail.

    Attributes:
        spent: drawn.
        fixed: what the run's largest n for every input would have drawn.
        selection: samples that chose the classes; they come on top, adaptive or not.
        early: inputs that took less than the largest n.
        inputs: how many inputs there are.
    """

    spent: int
    fixed: int
    selection: int
    early: int
    inputs: int

    @property
    def factor(self) -> float:
        """How many times fewer; NaN without inputs."""
        return self.fixed / self.spent if self.spent else float("nan")


def spent(rows: Sequence[Row]) -> Spent:
    """The samples of a table."""
    done = [row for row in rows if not row.error]
    return Spent(sum(row.n for row in done), sum(row.n + row.saved for row in done), sum(row.n0 for row in done),
                 sum(row.saved > 0 for row in done), len(done))


@dataclass(frozen=True)
class Decided:
    """What became of a target radius, in inputs that did not fail.

    Attributes:
        radius: the target.
        certified: inputs on which it was reached.
        correct: those of them whose certified class is the label.
        out_of_reach: inputs on which an upper limit ruled it out.
        undecided: inputs that took all samples and left it open.
    """

    radius: float
    certified: int
    correct: int
    out_of_reach: int
    undecided: int


def decided(store: Store, policy: TargetRadii) -> list[Decided]:
    """What became of each target, from the looks that the store holds.

    Raises:
        StorageError: a record is damaged.
    """
    found: dict[float, list[tuple[TargetState, bool]]] = {radius: [] for radius in policy.radii}
    for outcome in store.all(InputOutcome):
        if outcome.error or outcome.top is None:
            continue
        for radius, state in policy.states(_taken(store, outcome.idx, outcome.top)).items():
            found[radius].append((state, outcome.top == outcome.label))
    return [Decided(radius, sum(state is TargetState.REACHED for state, _ in states),
                    sum(state is TargetState.REACHED and right for state, right in states),
                    sum(state is TargetState.OUT_OF_REACH for state, _ in states),
                    sum(state is TargetState.OPEN for state, _ in states))
            for radius, states in found.items()]


def _taken(store: Store, idx: int, top: int) -> list[LookResult]:
    looks = [look for look in store.of_input(Look, idx) if look.stream == ESTIMATION]
    return looks_taken(looks, [bound for bound in store.of_input(BoundRow, idx) if bound.method == OWN], top)
