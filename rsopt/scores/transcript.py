"""The transcript of a betting bound: what a checker needs to prove the bound again, from the file alone."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsopt.errors import CertificateError, StorageError

if TYPE_CHECKING:
    from rsopt.intervals.record import PairRecord
    from rsopt.scores.score_bound import ScoreBound
    from rsopt.scores.stream import Evidence

FORMAT = "rsopt score transcript 2"


@dataclass(frozen=True)
class Transcript:
    """The statement, the bets that prove it, and the block statistics that fixed the bets and their outcome.

    A bet proves something only if it was fixed before its rows were seen, and no list of numbers shows that.
    So the
    file holds every quantity that the published rule computes bets and slopes from, block by block: sums of
    the columns up to third order (for the bets), power sums and kept rows (for the capital). The checker
    derives each slope, each bet, the grid of nulls and the capital of every null up to the reported one from
    *earlier* blocks and compares. What the file cannot show is that its statistics are those of the rows;
    give the checker the rows for that.

    Content, per rival: its classes, ``prior`` (the sums, as below, over the selection sample), slopes as
    [slope, blocks] runs, ``sums`` (of x, x², x³ for the margin; of u, v, u², uv, v², u³, u²v, uv², v³ for the probit
    margin; of the first powers only where a block is one row, whose powers they fix), ``folded`` ([rows, mean,
    smallest, P2, …, P6] or []), ``kept`` rows x, and the bets against the reported null with the log capital they end
    with. Blocks end where every needed null is rejected.

    Attributes:
        content: JSON-ready values without the hash.
    """

    content: Mapping[str, Any]

    @classmethod
    def of(cls, bound: ScoreBound, evidence: Evidence) -> Transcript:
        """The transcript of a betting bound."""
        verdict, plan = evidence.verdict, evidence.pairs[0].plan
        prediction = verdict.prediction
        rivals = []
        if verdict.null is not None:
            for pair, group, blocks in zip(evidence.pairs, evidence.groups, verdict.blocks, strict=True):
                first = _first_stage_blocks(pair) if prediction is not None else 0
                rivals.append(_rival(pair, group, max(int(blocks), first), verdict.null, bound.method))
        return cls({
            "format": FORMAT, "method": bound.method, "functional": bound.functional, "alpha": bound.alpha,
            "n": plan.n, "first_stage": plan.first_stage, "prior": plan.prior, "classes": evidence.classes,
            "top": bound.top,
            "lower": bound.lower if math.isfinite(bound.lower) else None, "null": verdict.null,
            "grid": None if prediction is None or verdict.null is None else {
                **asdict(prediction), "index": int(verdict.nulls.size) - 1},
            "rivals": rivals})

    def to_dict(self) -> dict[str, Any]:
        """The transcript as JSON-ready values, with its content hash. Floats survive the round trip exactly.
        """
        return {**self.content, "sha256": _content_hash(self.content)}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the transcript as JSON; the file appears whole or not at all.

        Raises:
            StorageError: the file cannot be written.
        """
        target = Path(path)
        partial = target.with_name(target.name + ".partial")
        try:
            partial.write_text(json.dumps(self.to_dict(), separators=(",", ":"), allow_nan=False) + "\n")
            partial.replace(target)
        except OSError as error:
            raise StorageError(
                f"The transcript could not be written to {target}: {error.strerror}.") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Transcript:
        """The transcript in a JSON file; its hash is checked, its proof is not (`rsopt.checks.transcript`).

        Raises:
            StorageError: the file cannot be read.
            CertificateError: not a transcript, another format, or a hash that does not match.
        """
        try:
            content = json.loads(Path(path).read_text())
        except OSError as error:
            raise StorageError(f"The transcript {path} could not be read: {error.strerror}.") from error
        except ValueError as error:
            raise CertificateError(f"{path} is not JSON: {error}.") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise CertificateError(
                f"{path} is no transcript of this version: expected the format {FORMAT!r}.")
        stated = content.pop("sha256", None)
        if stated != _content_hash(content):
            raise CertificateError(
                f"{path} was changed after it was written: its content hash does not match.")
        return cls(content)


def _rival(pair: PairRecord, group: tuple[int, ...], blocks: int, null: float, method: str) -> dict[str, Any]:
    from rsopt.intervals.betting import play_out
    from rsopt.intervals.blocks import CENTRE, FOLDED, LOWEST, POWERS, ROWS, SLOPE, SUMS

    columns = range(9) if pair.plan.sloped else (0, 2, 5)
    single = 2 if pair.plan.sloped else 1
    starts = [0, *pair.kept_ends.tolist()]
    slopes: list[list[float]] = []
    sums, folded, kept = [], [], []
    for k, record in enumerate(pair.records[:blocks].tolist()):
        if not slopes or slopes[-1][0] != record[SLOPE]:
            slopes.append([record[SLOPE], 0])
        slopes[-1][1] += 1
        one = record[ROWS] == 1
        sums.append([record[SUMS + i] for i in columns][:single if one else None])
        kept.append([] if one else pair.kept[starts[k]:starts[k + 1]].tolist())
        folded.append([int(record[FOLDED]), record[CENTRE], record[LOWEST], *record[POWERS:POWERS + 5]]
                      if record[FOLDED] else [])
    play = play_out(pair, null, fast=method == "fast-betting")
    return {"classes": list(group), "prior": [pair.prior_sums.tolist()[i] for i in columns],
            "slopes": slopes, "sums": sums, "folded": folded, "kept": kept, "bets": play.bets.tolist(),
            "log_capital": float(play.log_capital[-1])}


def _first_stage_blocks(pair: PairRecord) -> int:
    from rsopt.intervals.blocks import USED

    return int((pair.records[:, USED] < pair.plan.first_stage).sum())


def _content_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of `content`."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
