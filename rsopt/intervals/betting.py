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
from rsopt.transcript import CLOSEST, DISTANT, EVERY


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
        blocks: blocks each pair needs to reject every null that it is asked about, (pairs,).
        last: the largest null that each pair is asked about: `null`, or for distant pairs the next one of theirs
            from it on, (pairs,).
        steps: 1 for pairs that are asked about every null, EVERY for distant ones, (pairs,).
        prediction: where the grid was placed; None for fast betting.
    """

    null: float | None
    binding: int
    nulls: np.ndarray
    blocks: np.ndarray
    last: np.ndarray
    steps: np.ndarray
    prediction: Prediction | None


def digital_hedge(pairs: list[PairRecord]) -> Verdict:
    """Digital-hedge bound: the grid null before the first one that some pair does not reject.

    Time-uniform: with probability at least 1 - alpha no verdict at any time of the run exceeds the truth. The nulls are
    nested, so a pair that rejects a null rejects all below it, once it rejects every one that it is asked about up to
    there: which these are must only be fixed before the bets, like the grid. Pairs that are predicted to be distant are
    asked about every EVERY-th (proposition P4).
    """
    plan = pairs[0].plan
    if not pairs[0].first_stage_done:
        return _nothing(pairs, 0, None)
    predictions = [predict(pair) for pair in pairs]
    # The hardest pair first: the others need to be asked about the nulls it rejects only.
    order = sorted(range(len(pairs)), key=lambda i: predictions[i].centre)
    prediction = predictions[order[0]]
    nulls = null_grid(prediction, plan.kind, plan.n, plan.log_level)
    far = prediction.centre + DISTANT * prediction.scale
    distant = {i for i in order[CLOSEST:] if predictions[i].centre >= far}
    every, some = np.arange(nulls.size), sparse_nulls(nulls.size)
    binding, reach = order[0], nulls.size
    needed = []
    for i in order:
        pair = pairs[i]
        asked = _up_to(some if i in distant else every, reach)
        blocks = np.empty(asked.size, dtype=np.int64)
        rejected = int(scan(pair.records, pair.kept, pair.kept_ends, nulls[asked], plan.kind, plan.n,
                            plan.first_stage, plan.log_level, plan.slack, blocks))
        if rejected < asked.size:
            binding, reach = i, int(asked[rejected - 1]) + 1 if rejected else 0
        needed.append((asked, blocks))
        if reach == 0:
            return _nothing(pairs, binding, prediction)
    played, last = np.zeros(len(pairs), dtype=np.int64), np.empty(len(pairs))
    for i, (asked, blocks) in zip(order, needed, strict=True):
        used = _up_to(asked, reach).size
        played[i], last[i] = blocks[:used].max(), nulls[asked[used - 1]]
    steps = np.array([EVERY if i in distant else 1 for i in range(len(pairs))])
    return Verdict(float(nulls[reach - 1]), binding, nulls[:reach], played, last, steps, prediction)


def sparse_nulls(size: int) -> np.ndarray:
    """The nulls of a grid of `size` that distant pairs are asked about: every EVERY-th and the last."""
    return np.union1d(np.arange(EVERY - 1, size, EVERY), [size - 1])


def _up_to(asked: np.ndarray, reach: int) -> np.ndarray:
    """Those of the nulls `asked` about that `reach` nulls ask for: up to the first from the last of them on."""
    return asked[:int(np.searchsorted(asked, reach - 1)) + 1]


def _nothing(pairs: list[PairRecord], binding: int, prediction: Prediction | None) -> Verdict:
    none = np.zeros(len(pairs), dtype=np.int64)
    return Verdict(None, binding, np.empty(0), none, np.full(len(pairs), np.nan), none + 1, prediction)


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
            return _nothing(pairs, i, None)
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
    return Verdict(null, binding, np.array([null]), np.array(blocks), np.full(len(pairs), null),
                   np.ones(len(pairs), dtype=np.int64), None)


def _rejects(pair: PairRecord, null: float) -> bool:
    log_capital = play_out(pair, null, fast=True).log_capital
    return log_capital.size > 0 and bool(log_capital[-1] >= pair.plan.log_level + pair.plan.slack)


def play_out(pair: PairRecord, null: float, *, fast: bool) -> Play:
    """Replay one pair against one null, until it is rejected or the record ends."""
    plan = pair.plan
    bets, log_capital = np.empty(pair.blocks), np.empty(pair.blocks)
    if fast:
        played = fast_capital(pair.records, pair.kept, pair.kept_ends, null, plan.kind, plan.n,
                              plan.log_level, plan.slack, bets, log_capital)
    else:
        played = replay(pair.records, pair.kept, pair.kept_ends, null, plan.kind, plan.n,
                        plan.first_stage, plan.log_level, plan.slack, bets, log_capital)
    return Play(bets[:played], log_capital[:played])
