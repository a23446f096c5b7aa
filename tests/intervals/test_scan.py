"""The digital hedge reports by the upward scan: on real sequences whose capital does not decrease in the null."""

from __future__ import annotations

import numpy as np
import pytest

from rsopt.intervals import betting
from rsopt.intervals.betting import digital_hedge, play_out
from rsopt.intervals.record import BetPlan, PairRecord
from rsopt.kernels.links import IDENTITY

NULLS = np.linspace(0.3, 0.7, 125)


def recorded(seed: int) -> PairRecord:
    """Twelve rows of three values: few rows far apart are where bets depend on the null most."""
    plan = BetPlan(12, 0.05, kind=IDENTITY, first_stage=0)
    pair = PairRecord(plan)
    x = np.random.default_rng(seed).choice([0.2, 0.9, 1.0], plan.n)
    pair.absorb(x, x, plan.ends.size)
    return pair


def rejections(pair: PairRecord, nulls: np.ndarray) -> np.ndarray:
    """Whether the capital against each null, played by itself, reaches 1/alpha."""
    least = pair.plan.log_level + pair.plan.slack
    return np.array([play_out(pair, null, fast=False).log_capital[-1] >= least for null in nulls.tolist()])


def test_what_is_rejected_above_the_first_null_that_is_not_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = 0
    for seed in range(400):
        pair = recorded(seed)
        rejected = rejections(pair, NULLS)
        first = int(np.argmin(rejected))
        again = np.flatnonzero(rejected[first:])
        if first == 0 or not again.size:
            continue
        # Bisection looks at the fourth of these seven first, finds it rejected, and never sees the second.
        last = first + int(again[-1])
        grid = NULLS[[first - 1, first, first, last, *range(last + 1, last + 4)]]
        grid[2] = 0.5 * (grid[1] + NULLS[first + 1]) if last > first + 1 else np.nextafter(grid[1], 1.0)
        if rejections(pair, grid).tolist() != [True, False, False, True, False, False, False]:
            continue
        seen += 1
        monkeypatch.setattr(betting, "null_grid", lambda *_, grid=grid: grid)
        verdict = digital_hedge([pair])
        assert verdict.null == grid[0]
        assert verdict.nulls.tolist() == [grid[0]]
    assert seen >= 2, "capital decreased in the null on every sequence: nothing was tested"
