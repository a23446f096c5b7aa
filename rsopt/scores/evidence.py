"""What a betting bound leaves for its transcript, and the transcript written from it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from rsopt.transcript import RivalRecord, StatedGrid, Transcript

if TYPE_CHECKING:
    from rsopt.intervals.betting import Verdict
    from rsopt.intervals.record import PairRecord


@dataclass(frozen=True)
class Evidence:
    """The pairs' records, the verdict, the groups, the number of classes."""

    pairs: list[PairRecord]
    verdict: Verdict
    groups: tuple[tuple[int, ...], ...]
    classes: int

    def transcript(self, method: str, functional: str, top: int, lower: float) -> Transcript:
        """The transcript of the bound `lower` that was computed from this evidence; the rest as in `ScoreBound`."""
        verdict, plan = self.verdict, self.pairs[0].plan
        prediction = verdict.prediction
        rivals = []
        if verdict.null is not None:
            for i, (pair, group) in enumerate(zip(self.pairs, self.groups, strict=True)):
                first = _first_stage_blocks(pair) if prediction is not None else 0
                rivals.append(_rival(pair, group, max(int(verdict.blocks[i]), first), float(verdict.last[i]),
                                     int(verdict.steps[i]), method))
        return Transcript(
            method=method, functional=functional, alpha=plan.alpha, n=plan.n, first_stage=plan.first_stage,
            prior=plan.prior, classes=self.classes, top=top, lower=lower if math.isfinite(lower) else None,
            null=verdict.null, rivals=tuple(rivals),
            grid=None if prediction is None or verdict.null is None
            else StatedGrid(**asdict(prediction), index=int(verdict.nulls.size) - 1))


def _rival(pair: PairRecord, group: tuple[int, ...], blocks: int, null: float, step: int, method: str) -> RivalRecord:
    # Compiled code is loaded when it is needed, not with the bounds that need none.
    from rsopt.intervals.betting import play_out
    from rsopt.intervals.blocks import CENTRE, FOLDED, LOWEST, POWERS, ROWS, SLOPE, SUMS

    columns = range(9) if pair.plan.sloped else (0, 2, 5)
    single = 2 if pair.plan.sloped else 1
    starts = [0, *pair.kept_ends.tolist()]
    slopes = groupby(pair.records[:blocks, SLOPE].tolist())
    sums: list[tuple[float, ...]] = []
    folded: list[tuple[float, ...]] = []
    kept: list[tuple[float, ...]] = []
    for k, record in enumerate(pair.records[:blocks].tolist()):
        one = record[ROWS] == 1
        sums.append(tuple([record[SUMS + i] for i in columns][:single if one else None]))
        kept.append(() if one else tuple(pair.kept[starts[k]:starts[k + 1]].tolist()))
        folded.append((int(record[FOLDED]), record[CENTRE], record[LOWEST], *record[POWERS:POWERS + 5])
                      if record[FOLDED] else ())
    play = play_out(pair, null, fast=method == "fast-betting")
    return RivalRecord(
        classes=tuple(group), prior=tuple(pair.prior_sums.tolist()[i] for i in columns),
        slopes=tuple((slope, sum(1 for _ in run)) for slope, run in slopes), sums=tuple(sums), folded=tuple(folded),
        kept=tuple(kept), bets=tuple(play.bets.tolist()), log_capital=float(play.log_capital[-1]), step=step)


def _first_stage_blocks(pair: PairRecord) -> int:
    from rsopt.intervals.blocks import USED

    return int((pair.records[:, USED] < pair.plan.first_stage).sum())
