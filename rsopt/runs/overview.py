"""A run at a glance: what was certified, how sure that is, and where it was hard."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import binom

from rsopt.errors import InvalidInputError
from rsopt.noise.registry import noise_of_facts
from rsopt.question import Question
from rsopt.runs.folder import store_of
from rsopt.runs.records import CertificateRow, Session
from rsopt.runs.results import Results
from rsopt.runs.rows import Row, stored_rows
from rsopt.runs.store import Store
from rsopt.statistics import clopper_pearson_lower, clopper_pearson_upper

CONFIDENCE = 0.95
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


def _title(sessions: Sequence[Session]) -> str:
    """What the last session that said so called model and data."""
    said = [json.loads(session.versions).get("title", "") for session in sessions]
    return next((str(title) for title in reversed(said) if title), "")


@dataclass(frozen=True)
class Confidence:
    """How far a certified share may lie above the truth, at every radius at once, with probability `CONFIDENCE`.

    Attributes:
        false_rows: at most so many of the rows are wrong.
        on_inputs: what to take off the share for these very inputs: false_rows / N.
        on_distribution: what to take off for new inputs, if these are a random sample of the same distribution.
    """

    false_rows: int
    on_inputs: float
    on_distribution: float


def confidence(rows: int, alpha: float) -> Confidence:
    """The confidence of a curve of certified shares over `rows` inputs, each wrong with probability at most `alpha`.

    Rows have noise of their own, so the number of wrong ones is at most Binomial(rows, alpha), stochastically. For the
    distribution: a row counts at r though it should not with probability at most alpha, and the empirical survival
    function of the radii exceeds the true one by more than e anywhere with probability at most exp(-2 N e²) (Dvoretzky,
    Kiefer and Wolfowitz with Massart's constant).
    """
    wrong = int(binom.ppf(CONFIDENCE, rows, alpha))
    return Confidence(wrong, wrong / rows, alpha + math.sqrt(math.log(1.0 / (1.0 - CONFIDENCE)) / (2.0 * rows)))


def share_interval(count: int, total: int) -> tuple[float, float]:
    """Clopper and Pearson's interval for the share of new inputs of which `count` of `total` are, at `CONFIDENCE`."""
    tail = (1.0 - CONFIDENCE) / 2.0
    return float(clopper_pearson_lower(count, total, tail)), float(clopper_pearson_upper(count, total, tail))


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
