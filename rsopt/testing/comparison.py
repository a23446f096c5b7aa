"""Solvers compared on problems whose suprema are proven: one row a solve, failures included."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from rsopt.arguments import checked_instance, instance_of, iterated
from rsopt.errors import InvalidInputError, MissingDependencyError, RsoptError, shown
from rsopt.files import replaced, write_parquet
from rsopt.problem import LowerBoundProblem
from rsopt.registry import as_solver
from rsopt.solver import Budget, Result, Solver, SolverLike
from rsopt.staircase import ACCURATE
from rsopt.testing.comparison_rows import ComparisonRow, SolverSummary, gap_below
from rsopt.testing.plot import save_gaps
from rsopt.testing.profile import Profile, profiles
from rsopt.testing.profile_plot import save_profiles
from rsopt.testing.zoo import ZooProblem


@dataclass(frozen=True)
class Comparison:
    """The rows of a comparison.

    Attributes:
        rows: in the order in which they were computed.
    """

    rows: tuple[ComparisonRow, ...]

    def summary(self) -> list[SolverSummary]:
        """One line for each solver and n, in order of first appearance."""
        keys = dict.fromkeys((row.solver, row.n) for row in self.rows)
        return [_summary(*key, [row for row in self.rows if (row.solver, row.n) == key]) for key in keys]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the rows as CSV or Parquet, by the suffix of the file.

        Raises:
            InvalidInputError: another suffix.
            MissingDependencyError: Parquet without pyarrow.
            StorageError: the file cannot be written.
        """
        target = Path(path)
        if target.suffix not in (".csv", ".parquet"):
            raise InvalidInputError(f"Comparisons are written as .csv or .parquet; found {target.name!r}.")
        lines = [row.to_dict() for row in self.rows]
        names = list(lines[0]) if lines else []
        if target.suffix == ".parquet":
            write_parquet(target, {name: [line[name] for line in lines] for name in names}, "The comparison")
            return
        _write_csv(target, names, (list(line.values()) for line in lines))

    def profiles(self) -> list[Profile]:
        """For each solver and target gap: how many problems it solves, and the quartiles of what that takes."""
        return profiles(self.rows)

    def save_progress(self, path: str | os.PathLike[str]) -> None:
        """Write every better point of every solve as CSV: the curves of gap against time and evaluations.

        Raises:
            StorageError: the file cannot be written.
        """
        _write_csv(Path(path), ("problem", "n", "solver", "seed", "seconds", "evaluations", "gap"), (
            (row.problem, row.n, row.solver, row.seed, *step) for row in self.rows for step in row.trail))

    def plot_profiles(self, path: str | os.PathLike[str]) -> None:
        """Draw the gap, and the share of problems solved, against time and evaluations, one curve per solver, as a PNG.

        Raises:
            MissingDependencyError: matplotlib is not installed.
            InvalidInputError: no row has a point.
            StorageError: the file cannot be written.
        """
        save_profiles(Path(path), self.rows)

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw gap against time, log-log, one mark per solver and one panel per n, as a PNG.

        Raises:
            MissingDependencyError: matplotlib is not installed.
            InvalidInputError: no row has a point.
            StorageError: the file cannot be written.
        """
        save_gaps(Path(path), self.rows)


def compare(problems: Sequence[ZooProblem | LowerBoundProblem], solvers: Sequence[SolverLike],
            budgets: Sequence[Budget] = (Budget(),), seeds: Sequence[int] = (0,), *, bounds: bool = True,
            progress: Callable[[str, str], None] | None = None) -> Comparison:
    """Solve every problem with every solver, budget and seed; failures are rows.

    Args:
        problems: of the zoo, or lower-bound problems, which are compared at the level of their own bound.
        solvers: names, classes or instances.
        budgets: of one worst case each, and of each worst case on the way to a bound.
        seeds: of the solvers' randomness.
        bounds: whether to compute the bound as well, which takes about five worst cases more.
        progress: called with the names of problem and solver before each solve.

    Returns:
        the rows, problem by problem.

    Raises:
        UnknownNameError: a solver that nobody registered.
    """
    rows = []
    cases, proposers = list(iterated(problems, "problems")), list(iterated(solvers, "solvers"))
    limits, starts = list(iterated(budgets, "budgets")), list(iterated(seeds, "seeds"))
    for problem in cases:
        if not isinstance(problem, ZooProblem | LowerBoundProblem):
            raise InvalidInputError(f"problems must be of the zoo, or LowerBoundProblem; found {shown(problem)}.")
    for budget in limits:
        checked_instance(budget, Budget, "A budget")
    for problem in cases:
        case = problem if isinstance(problem, ZooProblem) else ZooProblem(problem, problem.solve().lower_at_most)
        for solver in proposers:
            label = solver if isinstance(solver, str) else repr(instance_of(solver))
            for budget in limits:
                for seed in starts:
                    if progress is not None:
                        progress(case.name, label)
                    rows.append(_row(case, solver, label, budget, seed, bounds))
    return Comparison(tuple(rows))


def _write_csv(path: Path, columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    with replaced(path, "The comparison") as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(lines)


def _row(case: ZooProblem, solver: SolverLike, label: str, budget: Budget, seed: int, bounds: bool) -> ComparisonRow:
    p, nan = case.problem, math.nan
    values: dict[str, Any] = {
        "problem": case.name, "n": p.counts.n, "functional": p.functional.name, "statistic": p.statistic.name,
        "alpha": p.alpha, "level": case.level, "solver": label, "seed": seed, "budget_seconds": budget.seconds,
        "budget_evaluations": budget.evaluations, "form": "", "stop": "", "claim": "NOTHING", "error": "", "tail": nan,
        "sup_at_least": case.bracket.at_least, "sup_at_most": case.bracket.at_most, "gap_start": nan, "gap_raw": nan,
        "gap": nan, "gap_polished": nan, "own_error": nan, "violation": nan, "evaluations": 0, "build_seconds": nan,
        "solve_seconds": nan, "searched": nan, "lower": nan, "lower_at_most": nan, "given_up": nan,
        "bound_seconds": nan, "progress": ()}
    try:
        chosen = as_solver(solver)
        found = case.worst_case.solve(chosen, budget, rng=np.random.default_rng(seed), throw=False)
        values |= _inner(case, found)
        if bounds:
            values |= _outer(case, chosen, budget, seed)
    except LookupError:
        raise
    except RsoptError as error:
        stop = "ABSENT" if isinstance(error, MissingDependencyError) else "REFUSED"
        values |= {"stop": stop, "error": str(error)}
    return ComparisonRow(**values)


def _inner(case: ZooProblem, found: Result) -> dict[str, Any]:
    curve, best = case.worst_case.curve, case.bracket.at_least

    def gap(tail: float) -> float:
        return gap_below(tail, best)

    raw = own = math.nan
    own_point = found.point if found.proposal is None else found.proposal
    if found.proposal is not None:
        log_raw = float(curve.log_tails([curve.coordinate(found.proposal)], ACCURATE)[0])
        raw = gap(math.exp(min(log_raw, 0.0)))
        own = math.nan if found.proposed_log_tail is None else abs(found.proposed_log_tail - log_raw)
    return {
        "progress": found.progress, "form": found.form, "stop": found.stop.name, "claim": found.claim.name,
        "error": found.message if found.stop.name == "FAILED" else "", "tail": found.tail_attained,
        "gap_start": gap(found.tail_at_start) if found.tail_at_start == found.tail_at_start else math.nan,
        "gap_raw": raw, "gap": gap(found.tail_attained), "own_error": own,
        "gap_polished": gap(case.worst_case.polish(own_point)[1]), "violation": found.violation,
        "evaluations": found.evaluations, "build_seconds": found.build_seconds, "solve_seconds": found.solve_seconds}


def _outer(case: ZooProblem, solver: Solver, budget: Budget, seed: int) -> dict[str, str | int | float]:
    began = time.perf_counter()
    bound = case.problem.solve(solver, budget, throw=False, seed=seed)
    seconds = time.perf_counter() - began
    width = abs(case.problem.plug_in() - bound.lower)
    return {"searched": bound.searched, "lower": bound.lower, "lower_at_most": bound.lower_at_most,
            "given_up": bound.given_up / width if width > 0.0 else 0.0, "bound_seconds": seconds}


def _summary(solver: str, n: int, rows: list[ComparisonRow]) -> SolverSummary:
    solved = [row for row in rows if row.gap_raw == row.gap_raw]
    raw = [row.gap_raw for row in solved]
    given_up = [row.given_up for row in solved if row.given_up == row.given_up]
    starts = [row.gap_start for row in solved if row.gap_start == row.gap_start]
    if not solved:
        return SolverSummary(solver, n, 0, len(rows), *[math.nan] * 8)
    return SolverSummary(
        solver, n, len(solved), len(rows) - len(solved), sum(gap <= 1e-6 for gap in raw) / len(raw),
        median(starts) if starts else math.nan, median(raw), max(raw), max(row.gap_polished for row in solved),
        median(row.build_seconds + row.solve_seconds for row in solved), median(row.evaluations for row in solved),
        max(given_up, default=math.nan))
