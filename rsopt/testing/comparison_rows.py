"""The rows of a comparison of solvers, and what they come to for each solver."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from rsopt.solving.result import Improvement

TARGETS = (1e-3, 1e-6)
"""Gaps at which a problem counts as solved, the coarse one first."""


@dataclass(frozen=True)
class ComparisonRow:
    """One solve of one problem by one solver, and the bound it led to. NaN where there is no number.

    All gaps are 1 - tail / supremum, 0 if the tail is at least the largest known; the supremum is proven to lie between
    `sup_at_least` and `sup_at_most`.

    Attributes:
        problem, n, functional, statistic, alpha, level: the worst case.
        solver, seed, budget_seconds, budget_evaluations: who solved it, and with what.
        form: the form that the solver took.
        stop: why it ended (name of a `Stop`); "REFUSED" or "ABSENT" if it did not begin.
        claim: what rsopt lets its point be (name of a `Claim`).
        error: the error in words; empty if there was none.
        tail: P_q(W) at the point, by rsopt.
        sup_at_least, sup_at_most: the proven bracket of the supremum.
        gap_start: gap of rsopt's starting points, before the solver did anything.
        gap_raw: gap of the solver's own point, projected onto the level curve.
        gap: gap of the best point that it evaluated.
        gap_polished: gap of the solver's own point after one step of rsopt's own along the curve.
        own_error: |log tail by the solver's reckoning - log tail by rsopt| at its own point.
        violation: by how much its own point violates the constraints.
        evaluations: tails computed, counted by rsopt.
        build_seconds, solve_seconds: wall clock.
        searched: bound that the solver alone led to.
        lower: the bound that was proven.
        lower_at_most: no larger value is the exact bound.
        given_up: what the proof cost, searched - lower as a share of the width (plug-in minus lower).
        bound_seconds: wall clock of the whole bound.
        progress: each better point on the way, with its tail (`rsopt.Result`).
    """

    problem: str
    n: int
    functional: str
    statistic: str
    alpha: float
    level: float
    solver: str
    seed: int
    budget_seconds: float
    budget_evaluations: int
    form: str
    stop: str
    claim: str
    error: str
    tail: float
    sup_at_least: float
    sup_at_most: float
    gap_start: float
    gap_raw: float
    gap: float
    gap_polished: float
    own_error: float
    violation: float
    evaluations: int
    build_seconds: float
    solve_seconds: float
    searched: float
    lower: float
    lower_at_most: float
    given_up: float
    bound_seconds: float
    progress: tuple[Improvement, ...] = field(repr=False)

    def first_within(self, target: float) -> tuple[float, float]:
        """Seconds and evaluations until a point within a gap of `target` was known; infinite if none was."""
        return next(((seconds, float(evaluations)) for seconds, evaluations, gap in self.trail if gap <= target),
                    (math.inf, math.inf))

    def to_dict(self) -> dict[str, str | int | float]:
        """The row as columns of a table: its fields, and what each target took (infinite if it was missed)."""
        columns = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "progress"}
        for target in TARGETS:
            first = self.first_within(target)
            columns |= {f"seconds_to_{target:g}": first[0], f"evaluations_to_{target:g}": first[1]}
        return columns

    @property
    def trail(self) -> list[tuple[float, int, float]]:
        """Seconds, evaluations and gap at each better point."""
        return [(step.seconds, step.evaluations, gap_below(step.tail, self.sup_at_least)) for step in self.progress]


def gap_below(tail: float, best: float) -> float:
    """The relative gap of a tail to the largest known; 0 if it is at least that."""
    return max(1.0 - tail / best, 0.0)


@dataclass(frozen=True)
class SolverSummary:
    """One solver over all rows of a comparison, at one n.

    Attributes:
        solver, n: which rows.
        solved: rows with a point.
        refused: rows that were refused, absent or failed.
        within: share of the solved rows whose own point is within 1e-6 of the supremum.
        median_start: of `gap_start`; NaN for a solver that asked for no starting points.
        median_raw, worst_raw: over the solved rows, of `gap_raw`.
        worst_polished: of `gap_polished`.
        median_seconds: of build and solve seconds together.
        median_evaluations: of the evaluations.
        worst_given_up: of `given_up`; NaN without bounds.
    """

    solver: str
    n: int
    solved: int
    refused: int
    within: float
    median_start: float
    median_raw: float
    worst_raw: float
    worst_polished: float
    median_seconds: float
    median_evaluations: float
    worst_given_up: float
