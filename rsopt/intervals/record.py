"""What a betting bound keeps of two columns of scores: a plan fixed beforehand and a growing block record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from rsopt.intervals.blocks import (
    STATE_SLOPE,
    STATE_WIDTH,
    SUMS,
    USED,
    WIDTH,
    absorb,
    block_ends,
)
from rsopt.kernels.links import IDENTITY

#: A selection sample places the grid of nulls when it has at least this part of the rows of the run.
PRIOR_SERVES = 50


@dataclass(frozen=True)
class BetPlan:
    """Everything that must be fixed before the first row is seen.

    Attributes:
        n: rows of the whole run; bets are placed with this horizon, and the bound is valid at every earlier
        time.
        alpha: probability that the statement is false, in (0, 1/2).
        kind: of the link whose functional is bounded, with slopes b >= 1 (`rsopt.intervals.tangents`); IDENTITY for a
            mean in [0, 1], which needs none.
        first_stage: rows after which the grid of nulls is placed.
        prior: rows of a selection sample, known beforehand.
    """

    n: int
    alpha: float
    kind: int
    first_stage: int
    prior: int = 0

    @classmethod
    def of(cls, n: int, alpha: float, kind: int, prior: int = 0) -> BetPlan:
        """The plan in use: the first stage takes a tenth of the rows, or none if a selection sample serves."""
        return cls(n, alpha, kind, 0 if prior * PRIOR_SERVES >= n else n // 10, prior)

    @property
    def sloped(self) -> bool:
        """Whether slopes are chosen."""
        return self.kind != IDENTITY

    @cached_property
    def ends(self) -> np.ndarray:
        """Rows used after each block, (blocks,)."""
        return block_ends(self.n, self.first_stage, self.prior)

    @property
    def log_level(self) -> float:
        """ln(1/alpha): the log capital that rejects."""
        return -math.log(self.alpha)

    @property
    def z(self) -> float:
        """Standard errors of the normal-theory limit."""
        return -float(ndtri(self.alpha))

    @property
    def slope_z(self) -> float:
        """Standard errors that slopes allow for: a little more than z (3.4 at alpha = .001)."""
        return 1.1 * self.z

    @property
    def slack(self) -> float:
        """Log capital asked for beyond ln(1/alpha).

        A row moves the log capital by O(1) numbers that are right to a few ulp, hence the part that grows
        with n; the other part lets a second evaluation, rounded differently, reach ln(1/alpha) as well.
        """
        return 1e-6 + 1e-12 * self.n


class PairRecord:
    """Block record of the columns X_A and X_j (or of one column in [0, 1]) under a plan.

    Rows come in any portions; whole blocks are folded as soon as they are complete.
    """

    def __init__(self, plan: BetPlan, prior_sums: np.ndarray | None = None) -> None:
        """An empty record; `prior_sums` (9,) are those of the plan's `prior` rows, as `slope.moments` takes them."""
        self.plan = plan
        self.prior_sums = np.zeros(9) if prior_sums is None else prior_sums
        blocks = plan.ends.size
        self._records = np.zeros((blocks, WIDTH))
        self._kept_ends = np.zeros(blocks, dtype=np.int64)
        self._kept: list[np.ndarray] = []
        self._kept_rows = 0
        self._state = np.zeros(STATE_WIDTH)
        self._state[:9] = self.prior_sums
        self._state[STATE_SLOPE] = 1.0 if plan.sloped else 0.0
        self.blocks = 0

    def absorb(self, a: np.ndarray, y: np.ndarray, last: int) -> None:
        """Fold the rows of the blocks up to number `last` (exclusive); the columns hold exactly those rows.
        """
        plan = self.plan
        kept = np.empty(a.size)
        count = absorb(a, y, self.blocks, last, plan.ends, plan.prior, plan.kind, plan.slope_z, self._state,
                       self._records, kept, self._kept_ends[self.blocks:last])
        self._kept_ends[self.blocks:last] += self._kept_rows
        self._kept.append(kept[:count].copy())
        self._kept_rows += count
        self.blocks = last

    @property
    def records(self) -> np.ndarray:
        """Complete blocks, (blocks, WIDTH)."""
        return self._records[:self.blocks]

    @property
    def kept(self) -> np.ndarray:
        """Rows kept one by one, all blocks, (kept,)."""
        if len(self._kept) != 1:
            self._kept = [np.concatenate(self._kept) if self._kept else np.empty(0)]
        return self._kept[0]

    @property
    def kept_ends(self) -> np.ndarray:
        """Ends of each complete block's rows in `kept`, (blocks,)."""
        return self._kept_ends[:self.blocks]

    @property
    def first_stage_done(self) -> bool:
        """Whether every row of the first stage has been folded."""
        done = int(self.plan.ends[self.blocks - 1]) if self.blocks else 0
        return done >= self.plan.first_stage

    def first_stage_sums(self) -> np.ndarray:
        """The nine sums over the selection sample and the first stage, (9,)."""
        stage = self.records[:, USED] < self.plan.first_stage
        return np.asarray(self.prior_sums + self.records[stage, SUMS:SUMS + 9].sum(axis=0))


def complete_blocks(plan: BetPlan, rows: int) -> int:
    """Number of blocks that `rows` rows fill."""
    return int(np.searchsorted(plan.ends, rows, side="right"))
