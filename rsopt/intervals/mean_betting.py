"""The digital hedge and fast betting as lower confidence bounds on the mean of bounded values."""

from __future__ import annotations

from rsopt.intervals.betting import digital_hedge, fast_betting
from rsopt.intervals.record import BetPlan, PairRecord
from rsopt.intervals.values import from_unit, unit_values
from rsopt.kernels.links import IDENTITY


def digital_hedge_mean(rows: object, *, alpha: float, lo: float, hi: float, weights: object = None) -> float:
    """The digital-hedge bound: tightest of all, and close to the normal-theory limit from a thousand rows on.

    See `rsopt.intervals.capital` for the bets and the proof. Time-uniform up to the n given.
    Arguments, result and errors as in `rsopt.intervals.hoeffding.hoeffding`; rows in the order they were
    drawn.
    """
    verdict = digital_hedge([_record(rows, alpha, lo, hi, weights)])
    return float(lo) if verdict.null is None else from_unit(verdict.null, lo, hi)


def fast_betting_mean(rows: object, *, alpha: float, lo: float, hi: float, weights: object = None) -> float:
    """The fast betting bound: bets sqrt(2 ln(1/alpha)/(n s²)), s² from earlier rows; the bound is a root.

    See `rsopt.intervals.capital`. Time-uniform up to the n given.
    Arguments, result and errors as in `rsopt.intervals.hoeffding.hoeffding`; rows in the order they were
    drawn.
    """
    verdict = fast_betting([_record(rows, alpha, lo, hi, weights)])
    return float(lo) if verdict.null is None else from_unit(verdict.null, lo, hi)


def _record(rows: object, alpha: float, lo: float, hi: float, weights: object) -> PairRecord:
    x = unit_values(rows, alpha=alpha, lo=lo, hi=hi, weights=weights)
    plan = BetPlan.of(x.size, float(alpha), IDENTITY)
    record = PairRecord(plan)
    record.absorb(x, x, plan.ends.size)
    return record
