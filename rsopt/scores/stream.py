"""Betting bounds on scores that arrive in portions, in memory independent of the number of rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsopt.errors import InvalidInputError, UnknownNameError
from rsopt.functionals import score_functional
from rsopt.intervals.betting import digital_hedge, fast_betting
from rsopt.intervals.record import BetPlan, PairRecord, complete_blocks
from rsopt.intervals.values import check_alpha
from rsopt.scores.evidence import Evidence
from rsopt.scores.rows import check_groups, check_rows, check_top, pooled_columns, pooled_groups
from rsopt.scores.score_bound import ScoreBound
from rsopt.transcript import MOST_CLASSES, MOST_ROWS

METHODS = {"digital-hedge": digital_hedge, "fast-betting": fast_betting}

#: Numbers converted to float64 at a time.
PORTION = 1 << 17


class ScoreStream:
    """A run of n score rows, bounded while it goes on.

    Rows are folded into blocks as they come; kept are one record of 23 numbers a block and rival (about 70
    ln(n/60) blocks), the few rows too extreme to be folded, and an unfinished block. The same rows give the
    same bound however they are cut into portions.

    Time-uniform: with probability at least 1 - alpha, no `bound()` taken at any time exceeds the truth, so
    one may look as often as one likes. One stream gives one bound at alpha; two streams on the same rows (two
    functionals, say) are two statements, each at its own alpha.
    """

    def __init__(self, n: int, classes: int, *, top: int, functional: str = "probit",
                 method: str = "digital-hedge", alpha: float = 1e-3,
                 groups: Sequence[Sequence[int]] | None = None, selection: object = None) -> None:
        """Fix everything before the first row.

        Args:
            n: rows of the whole run, 1 to 10^12: the horizon of the bets. Stopping earlier is allowed.
            classes: m, 2 to 10^7.
            top: the certified class, chosen without these rows.
            functional: "margin", "probit", "laplace" or "logit".
            method: "digital-hedge" or "fast-betting"; other methods need all rows at once.
            alpha: probability that the bound is false, in (0, 1/2).
            groups: a partition of the rivals whose members are bounded together, fixed beforehand.
            selection: separate rows (n0, classes): they fix the groups, unless given, and the first bets.

        Raises:
            InvalidInputError, UnknownNameError: an argument outside what is said above.
        """
        # What a transcript can speak of.
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 1 <= n <= MOST_ROWS:
            raise InvalidInputError(f"n must be an integer from 1 to {MOST_ROWS:,}; got {n!r}.")
        if isinstance(classes, bool) or not isinstance(classes, int | np.integer) or not 2 <= classes <= MOST_CLASSES:
            raise InvalidInputError(f"classes must be an integer from 2 to {MOST_CLASSES:,}; got {classes!r}.")
        kind = score_functional(functional).compiled.kind
        if method not in METHODS:
            raise UnknownNameError.of("method for a stream of scores", method, list(METHODS))
        self.top = check_top(top, int(classes))
        self.functional = functional
        self.method = method
        self.classes = int(classes)
        sample = None if selection is None else check_rows(selection, self.classes)
        self.groups = (pooled_groups(sample, self.top) if sample is not None and groups is None
                       else check_groups(groups, self.top, self.classes))
        self.plan = BetPlan.of(int(n), check_alpha(alpha), kind, 0 if sample is None else len(sample))
        self.seen = 0
        self._tail = np.empty((1 + len(self.groups), 0))
        self._pairs = [self._pair(sample, i) for i in range(1, len(self.groups) + 1)]

    def _pair(self, sample: np.ndarray | None, i: int) -> PairRecord:
        if sample is None:
            return PairRecord(self.plan)
        u, v = pooled_columns(sample, self.top, self.groups)[[0, i]]
        if not self.plan.sloped:
            u, v = 0.5 * (1.0 + u - v), np.zeros(u.size)
        return PairRecord(self.plan, np.array([s.sum() for s in (u, v, u * u, u * v, v * v, u**3, u * u * v, u * v * v,
                                                                 v**3)]))

    def push(self, rows: object) -> None:
        """Take the next rows, (k, classes), in the order they were drawn.

        Raises:
            InvalidInputError: rows that are not scores (see `rsopt.scores.rows.check_rows`), or more than n in
                all. The stream is then as before.
        """
        checked = check_rows(rows, self.classes, first_row=self.seen)
        if self.seen + checked.shape[0] > self.plan.n:
            raise InvalidInputError(f"The run was planned for {self.plan.n} rows; these would make "
                                    f"{self.seen + checked.shape[0]}. Plan for more rows beforehand.")
        for start in range(0, checked.shape[0], step := max(1, PORTION // self.classes)):
            self._take(pooled_columns(checked[start:start + step], self.top, self.groups))

    def _take(self, columns: np.ndarray) -> None:
        held = np.concatenate([self._tail, columns], axis=1) if self._tail.size else columns
        self.seen += columns.shape[1]
        blocks = self._pairs[0].blocks
        last = complete_blocks(self.plan, self.seen)
        if last == blocks:
            self._tail = held
            return
        start = int(self.plan.ends[blocks - 1]) if blocks else 0
        rows = int(self.plan.ends[last - 1]) - start
        for pair, rival in zip(self._pairs, held[1:, :rows], strict=True):
            if self.plan.sloped:
                pair.absorb(held[0, :rows], rival, last)
            else:
                x = 0.5 * (1.0 + held[0, :rows] - rival)
                pair.absorb(x, x, last)
        self._tail = held[:, rows:].copy()

    def bound(self) -> ScoreBound:
        """The bound that the rows seen so far prove; the rows of an unfinished block do not count yet."""
        verdict = METHODS[self.method](self._pairs)
        if not self.plan.sloped:
            # 2m - 1 is off by an ulp at most.
            lower = -1.0 if verdict.null is None else max(-1.0, 2.0 * verdict.null - 1.0 - 4e-16)
        else:
            lower = -np.inf if verdict.null is None else verdict.null
        return ScoreBound(
            lower=lower, alpha=self.plan.alpha, functional=self.functional, method=self.method, top=self.top,
            runner_up=self.groups[verdict.binding], n=self.seen, time_uniform=True,
            evidence=Evidence(self._pairs, verdict, self.groups, self.classes))
