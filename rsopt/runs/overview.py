"""A run at a glance: what was certified, how sure that is, and where it was hard."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsopt.data_set.probability_band import ProbabilityBand, probability_band
from rsopt.errors import InvalidInputError
from rsopt.noise.registry import noise_of_facts
from rsopt.question import Question
from rsopt.runs.folder import store_of
from rsopt.runs.records import CertificateRow, Session
from rsopt.runs.results import Results
from rsopt.runs.rows import Row, stored_rows
from rsopt.runs.store import Store
from rsopt.runs.task import VARIATION

EQUAL = 1e-3
"""Radii that differ by no more than this share of the larger are called equal: bounds are not searched for closer."""


@dataclass(frozen=True, eq=False)
class Overview(Results):
    """The finished inputs of a run and everything it says about itself.

    Attributes:
        rows: the finished inputs, at least one, failed ones included.
        question: what was asked; who proposed the bounds stands in the facts.
        name: how the run is called: its folder.
        place: the run as it was asked for, a path from where the reader stands.
        title: model and data in words; empty where nobody said them.
        facts: what decides its results, by name.
        sessions: the processes that worked on it.
        proofs: method -> how many of its bounds have a saved proof; the others are closed forms or failed.
    """

    name: str
    place: Path
    title: str
    facts: dict[str, Any]
    sessions: list[Session]
    proofs: dict[str, int]

    @classmethod
    def read(cls, run: Path) -> Overview:
        """The run in a folder, which may still be under way.

        Raises:
            StorageError: there is no run, or it is damaged.
            InvalidInputError: no input is finished.
        """
        path = store_of(run)
        with Store.read(path) as store:
            rows, facts = stored_rows(store), store.facts
            sessions = store.all(Session)
            proofs = Counter(proof.method for proof in store.all(CertificateRow))
        if not rows:
            raise InvalidInputError(f"{path} has no finished inputs yet.")
        question = Question(noise_of_facts(facts), str(facts["functional"]), facts["order"],
                            statistic=str(facts["statistic"]), alpha=float(facts["stopping"]["alpha"]))
        return cls(rows, question, path.resolve().parent.name, run, _title(sessions), facts, sessions,
                   proofs)

    @property
    def targets(self) -> list[float]:
        """The radii at which sampling was to stop; empty in other runs."""
        return sorted(float(radius) for radius in self.facts["stopping"].get("radii", ()))

    @property
    def adaptive(self) -> bool:
        """Whether the number of samples may differ from input to input."""
        return bool(self.facts["stopping"]["policy"] != "fixed")

    @property
    def samples(self) -> int:
        """All samples drawn for these rows."""
        return sum(row.n0 + row.n for row in self.rows)

    def probability_band(self, at: Sequence[float] | None = None) -> ProbabilityBand:
        """How the probability of the certified class is distributed over inputs, with a band (theorem D4).

        Each row's limits are those of its reported look, with the share of the error that the look has of alpha;
        nothing is known of rows that failed.

        Args:
            at: probabilities of the columns; None for every one at which the band steps.
        """
        looks = [row.reported for row in self.rows]
        return probability_band(
            [0 if look is None else look.x1 for look in looks], [0 if look is None else look.n for look in looks],
            look_share=[1.0 if look is None else min(look.alpha / self.alpha, 1.0) for look in looks],
            variation=float(self.facts.get(VARIATION, 0.0)), at=at)


def _title(sessions: Sequence[Session]) -> str:
    """What the last session that said so called model and data."""
    said = [json.loads(session.versions).get("title", "") for session in sessions]
    return next((str(title) for title in reversed(said) if title), "")


@dataclass(frozen=True)
class Duel:
    """A baseline beside our bound on the same votes.

    Attributes:
        method: the baseline.
        ours, equal, theirs: rows on which our radius is the larger, neither by more than `EQUAL`, theirs.
        largest_ours, largest_theirs: the largest difference either way, units of the input.
        only_ours: rows that our bound certifies and theirs does not.
        only_theirs: the reverse.
    """

    method: str
    ours: int
    equal: int
    theirs: int
    largest_ours: float
    largest_theirs: float
    only_ours: int
    only_theirs: int


def duel(rows: Sequence[Row], method: str) -> Duel:
    """A baseline beside our bound, radius by radius."""
    gaps = [row.radius() - row.radius(method) for row in rows]
    clear = [0.0 if abs(gap) <= EQUAL * max(row.radius(), row.radius(method)) else gap
             for gap, row in zip(gaps, rows, strict=True)]
    return Duel(
        method, sum(gap > 0.0 for gap in clear), sum(gap == 0.0 for gap in clear), sum(gap < 0.0 for gap in clear),
        max([0.0, *gaps]), max([0.0, *(-gap for gap in gaps)]),
        sum(row.radius() > 0.0 and not row.radius(method) > 0.0 for row in rows),
        sum(row.radius(method) > 0.0 and not row.radius() > 0.0 for row in rows))
