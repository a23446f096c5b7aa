"""Betting bounds on the minimum over several pairs of columns that were recorded under one plan.

theta is the smallest of the pairs' functionals. The pair that attains it is fixed, so {theta <= L} is
rejected at level alpha once every pair's capital against L has reached 1/alpha: no correction for the number
of pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsopt.intervals.capital import fast_capital, replay, scan
from rsopt.intervals.nulls import Prediction, null_grid, predict
from rsopt.intervals.record import PairRecord


@dataclass(frozen=True)
class Play:
    """Bets and log capital of one pair against the reported null, block by block until it is rejected.

    Attributes:
        bets: (blocks,).
        log_capital: after each block, (blocks,).
    """

    bets: np.ndarray
    log_capital: np.ndarray


@dataclass(frozen=True)
class Verdict:
    """The outcome of a betting bound.

    Attributes:
        null: the largest null reported, in the record's units (a mean, or a level L); None when there is
        none.
        binding: index of the pair that kept the bound from being larger.
        nulls: rejected nulls up to and including `null`; for fast betting, `null` alone.
        blocks: blocks each pair needs to reject every one of `nulls`, (pairs,).
        prediction: where the grid was placed; None for fast betting.
    """

    null: float | None
    binding: int
    nulls: np.ndarray
    blocks: np.ndarray
    prediction: Prediction | None


def digital_hedge(pairs: list[PairRecord]) -> Verdict:
    """Digital-hedge bound: the grid null before the first one that some pair does not reject.

    Time-uniform: with probability at least 1 - alpha no verdict at any time of the run exceeds the truth.
    """
    plan = pairs[0].plan
    if not pairs[0].first_stage_done:
        return Verdict(None, 0, np.empty(0), np.zeros(len(pairs), dtype=np.int64), None)
    predictions = [predict(pair) for pair in pairs]
    # The hardest pair first: the others need to be asked about the nulls it rejects only.
    order = sorted(range(len(pairs)), key=lambda i: predictions[i].centre)
    prediction = predictions[order[0]]
    nulls = null_grid(prediction, plan.sloped, plan.n, plan.log_level)
    binding = order[0]
    needed = []
    for i in order:
        pair = pairs[i]
        blocks = np.empty(nulls.size, dtype=np.int64)
        rejected = int(scan(pair.records, pair.kept, pair.kept_ends, nulls, plan.n, plan.first_stage,
                            plan.log_level, plan.slack, blocks))
        if rejected < nulls.size:
            binding = i
        nulls = nulls[:rejected]
        needed.append(blocks)
        if rejected == 0:
            break
    if nulls.size == 0:
        return Verdict(None, binding, nulls, np.zeros(len(pairs), dtype=np.int64), prediction)
    played = np.zeros(len(pairs), dtype=np.int64)
    for i, blocks in zip(order, needed, strict=True):
        played[i] = blocks[:nulls.size].max()
    return Verdict(float(nulls[-1]), binding, nulls, played, prediction)


def fast_betting(pairs: list[PairRecord]) -> Verdict:
    """Fast betting bound: the largest null found that every pair rejects; the capital decreases in the null.

    Bisection is justified here, and only here, because bets depend on the null through the clip alone. The
    report is the rejected end of the bracket. Time-uniform, as `digital_hedge`.
    """
    sloped = pairs[0].plan.sloped
    null: float | None = None
    binding = 0
    for i, pair in enumerate(pairs):
        if null is not None and _rejects(pair, null):
            continue
        low, high = (0.0, 1.0) if sloped else (1e-9, 1.0)
        binding = i
        if not _rejects(pair, low):
            return Verdict(None, i, np.empty(0), np.zeros(len(pairs), dtype=np.int64), None)
        while sloped and _rejects(pair, high):
            low, high = high, 2.0 * high
        if null is not None:
            high = min(high, null)
        while high - low > 1e-7 * max(high, 1e-3):
            middle = 0.5 * (low + high)
            if _rejects(pair, middle):
                low = middle
            else:
                high = middle
        null = low
    assert null is not None
    blocks = [play_out(pair, null, fast=True).bets.size for pair in pairs]
    return Verdict(null, binding, np.array([null]), np.array(blocks), None)


def _rejects(pair: PairRecord, null: float) -> bool:
    log_capital = play_out(pair, null, fast=True).log_capital
    return log_capital.size > 0 and bool(log_capital[-1] >= pair.plan.log_level + pair.plan.slack)


def play_out(pair: PairRecord, null: float, *, fast: bool) -> Play:
    """Replay one pair against one null, until it is rejected or the record ends."""
    plan = pair.plan
    bets, log_capital = np.empty(pair.blocks), np.empty(pair.blocks)
    if fast:
        played = fast_capital(pair.records, pair.kept, pair.kept_ends, null, plan.n, plan.log_level,
                              plan.slack, bets, log_capital)
    else:
        played = replay(pair.records, pair.kept, pair.kept_ends, null, plan.n, plan.first_stage,
                        plan.log_level, plan.slack, bets, log_capital)
    return Play(bets[:played], log_capital[:played])
