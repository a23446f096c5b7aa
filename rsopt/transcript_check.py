"""The checker of score transcripts: proves a bound again from its file, and from the rows where they are
given.

It recomputes every slope, bet and null from earlier blocks by the published rule (`rsopt.transcript_replay`),
and
the capital of every null that the bound needs: all grid nulls up to the reported one for the digital hedge,
the reported one for fast betting, whose capital decreases in the null. Nothing of the code that produced the
bound is used. On trust, because no file can show it: that rows are independent, and that the certified class,
the groups and the first slopes were fixed without them; and, unless rows are given, that the block statistics
are theirs.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri

from rsopt import transcript_replay as rules
from rsopt.errors import CertificateError, StorageError
from rsopt.transcript import FORMAT, Transcript

#: Agreement asked of bets, slopes and grids that were computed twice; differences beyond rounding are
#: changes.
AGREEMENT = 1e-6


@dataclass(frozen=True)
class TranscriptCheck:
    """What was proven.

    Attributes:
        lower, alpha, functional, method, top, n: the statement, as in `rsopt.score_bound.ScoreBound`.
        rivals: rivals or groups checked.
        nulls: nulls whose capital was recomputed for each of them.
        against_rows: whether the block statistics were compared with the rows.
    """

    lower: float
    alpha: float
    functional: str
    method: str
    top: int
    n: int
    rivals: int
    nulls: int
    against_rows: bool


def check_transcript(source: str | os.PathLike[str] | Mapping[str, Any] | Transcript,
                     scores: np.ndarray | None = None) -> TranscriptCheck:
    """Prove the bound in a transcript again.

    Args:
        source: the file, its content with the hash, or a `Transcript`.
        scores: the rows (n, classes) that the bound was computed from, in their order; with them the block
            statistics are recomputed too.

    Raises:
        CertificateError: the transcript does not prove its bound; the text names the first thing that fails.
        StorageError: the file cannot be read.
    """
    content = _read(source)
    try:
        return _check(content, scores)
    except (KeyError, TypeError, IndexError, ValueError, ArithmeticError) as error:
        if isinstance(error, CertificateError):
            raise
        raise CertificateError(f"The transcript is incomplete or malformed: {error!r}.") from error


def _read(source: str | os.PathLike[str] | Mapping[str, Any] | Transcript) -> dict[str, Any]:
    if isinstance(source, Transcript):
        content = source.to_dict()
    elif isinstance(source, Mapping):
        content = dict(source)
    else:
        try:
            content = json.loads(Path(source).read_text())
        except OSError as error:
            raise StorageError(f"The transcript {source} could not be read: {error.strerror}.") from error
        except ValueError as error:
            raise CertificateError(f"{source} is not JSON: {error}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CertificateError(f"This is no transcript of this version: expected the format {FORMAT!r}.")
    stated = content.pop("sha256", None)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    if stated != hashlib.sha256(text.encode()).hexdigest():
        raise CertificateError(
            "The transcript was changed after it was written: its content hash does not match.")
    return content


def _check(content: Mapping[str, Any], scores: np.ndarray | None) -> TranscriptCheck:
    functional, method, top = content["functional"], content["method"], content["top"]
    n, classes, alpha = int(content["n"]), int(content["classes"]), float(content["alpha"])
    null, lower = content["null"], content["lower"]
    _require(functional in ("margin", "probit"), f"unknown functional {functional!r}")
    _require(method in ("digital-hedge", "fast-betting"), f"unknown method {method!r}")
    _require(0.0 < alpha < 0.5 and n >= 1 and classes >= 2 and 0 <= top < classes,
             "alpha, n, classes or top is off")
    _require(content["first_stage"] == n // 10, "the first stage is not a tenth of the rows")
    sloped, fast = functional == "probit", method == "fast-betting"
    trivial = None if sloped else -1.0
    if null is None:
        _require(lower == trivial, "a bound is stated, but no null was rejected")
        return TranscriptCheck(-math.inf if sloped else -1.0, alpha, functional, method, top, n, 0, 0, False)
    _require(lower <= (null if sloped else max(-1.0, 2.0 * null - 1.0)),
             "the bound lies above the reported null")
    _require(null >= 0.0 if sloped else 0.0 < null < 1.0, "the reported null is out of range")
    rivals = content["rivals"]
    listed = sorted(j for rival in rivals for j in rival["classes"])
    _require(listed == [j for j in range(classes) if j != top],
             "the rivals are not all classes but the certified one")
    runs = [_Run(rival, content, f"rival {rival['classes']}") for rival in rivals]
    nulls = np.array([null]) if fast else _grid(content, runs)
    for run in runs:
        run.prove(nulls, fast)
    if scores is not None:
        rows = np.clip(np.asarray(scores, dtype=np.float64), 0.0, 1.0)
        _require(rows.ndim == 2 and rows.shape[1] == classes and rows.shape[0] <= n,
                 "the rows have another shape")
        for run, rival in zip(runs, rivals, strict=True):
            run.compare(rows[:, top], np.minimum(rows[:, rival["classes"]].sum(axis=1), 1.0))
    return TranscriptCheck(lower, alpha, functional, method, top, n, len(runs), nulls.size,
                           scores is not None)


def _grid(content: Mapping[str, Any], runs: list[_Run]) -> np.ndarray:
    """The nulls that must be rejected, after checking that the grid is the one that the first stage implies.
    """
    grid, n, stage = content["grid"], int(content["n"]), int(content["first_stage"])
    sloped = content["functional"] == "probit"
    z = -float(ndtri(content["alpha"]))
    places = [run.prediction(stage, z, grid["slope"]) for run in runs]
    centre, scale = min(places, key=lambda place: place[0])
    off = max(abs(grid["centre"] - centre), abs(grid["scale"] - scale))
    _require(off <= AGREEMENT * scale,
             f"the grid of nulls is not the one that the first {stage} of {n} rows imply")
    nulls = rules.grid_of_nulls(grid["centre"], grid["scale"], sloped)[:grid["index"] + 1]
    _require(nulls.size == grid["index"] + 1 and abs(nulls[-1] - content["null"]) <= 1e-9 * scale,
             "the reported null is not on the grid")
    nulls[-1] = content["null"]
    return nulls


def _require(condition: object, message: str) -> None:
    if not condition:
        raise CertificateError(f"The transcript does not prove its bound: {message}.")


class _Run:
    """One rival's blocks, read and tested for consistency."""

    def __init__(self, rival: Mapping[str, Any], content: Mapping[str, Any], name: str) -> None:
        self.name = name
        self.sloped = content["functional"] == "probit"
        self.n, self.first_stage = int(content["n"]), int(content["first_stage"])
        self.log_level = -math.log(content["alpha"])
        self.slope_z = -1.1 * float(ndtri(content["alpha"]))
        self.first_slope, self.first_choice = float(rival["first_slope"]), int(rival["first_choice"])
        self.bets = np.array(rival["bets"], dtype=np.float64)
        self.final = float(rival["log_capital"])
        if self.sloped:
            _require(1.0 <= self.first_slope <= math.exp(8.0) * (1 + 1e-12) and self.first_choice >= 8,
                     f"{name}: the first slope is out of range")
        slopes = [float(slope) for slope, count in rival["slopes"] for _ in range(int(count))]
        sizes = rules.block_sizes(self.n, self.first_stage)
        parts = list(zip(slopes, rival["sums"], rival["folded"], rival["kept"], strict=True))
        _require(len(parts) <= len(sizes), f"{name}: more blocks than the run has")
        self.blocks = [self._block(k, sizes[k], *part) for k, part in enumerate(parts)]

    def _block(self, k: int, rows: int, slope: float, sums: list[float], folded: list[float],
               kept: list[float]) -> rules.Block:
        where = f"{self.name}, block {k + 1}"
        given = np.array(sums, dtype=np.float64)
        if rows == 1:
            u, v = (given[0], given[1]) if self.sloped else (given[0], 0.0)
            full = np.array([u, v, u * u, u * v, v * v, u**3, u * u * v, u * v * v, v**3])
            x = np.array([(u - slope * v + slope) / (1.0 + slope)])
        else:
            full = np.zeros(9)
            full[list(range(9)) if self.sloped else [0, 2, 5]] = given
            x = np.array(kept, dtype=np.float64)
        count, centre, low, *powers = folded if folded else [0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
        block = rules.Block(rows, slope, full, int(count), centre, low, np.array(powers), x)
        numbers = np.concatenate([full, block.powers, x, [centre, low]])
        _require(np.isfinite(numbers).all() and block.folded + x.size == rows and block.folded >= 0,
                 f"{where}: the numbers of rows do not add up")
        _require(
            x.min(initial=0.0) >= -1e-12 and x.max(initial=1.0) <= 1 + 1e-12 and 0.0 <= low <= centre + 1e-12
            and centre <= 1 + 1e-12, f"{where}: rows outside [0, 1]")
        p2, p3, p4, p5, p6 = block.powers.tolist()
        tiny = 1e-12 * rows
        possible = (0.0 <= p2 <= count * max(centre - low, 0.0) * (1 - centre) + tiny
                    and 0.0 <= p4 <= p2 + tiny and 0.0 <= p6 <= p4 + tiny and p3 * p3 <= p2 * p4 + tiny
                    and p5 * p5 <= p4 * p6 + tiny and p4 * count >= p2 * p2 - tiny)
        _require(possible, f"{where}: no rows have these power sums")
        # The same rows fix the first three moments of x twice: from the columns, and from what was folded and
        # kept.
        mean, variance, third = rules.moments_of_x(full, rows, slope)
        off = centre - mean
        twice = np.array([block.folded * off + (x - mean).sum(),
                          p2 + block.folded * off**2 + ((x - mean) ** 2).sum() - rows * variance,
                          p3 + 3 * off * p2 + block.folded * off**3 + ((x - mean) ** 3).sum() - rows * third])
        _require((np.abs(twice) <= 1e-9 * rows).all(), f"{where}: its sums contradict its rows")
        return block

    def prediction(self, stage: int, z: float, slope: float) -> tuple[float, float]:
        """Centre and scale of the grid that this rival's first stage implies, given the slope recorded for
        it.
        """
        sums, rows = np.zeros(9), 0
        for block in self.blocks:
            if rows < stage:
                sums, rows = sums + block.sums, rows + block.rows
        _require(rows == stage, f"{self.name}: the first stage is not complete")
        centre, slope_used = 0.0, 0.0
        if self.sloped and stage == 0:
            slope_used = 1.0
        elif self.sloped:
            choice, value = rules.slope_choice(sums, stage, self.n, z, 0.0)
            # Near-ties between slopes may fall either way by rounding; both then promise the same.
            log_slope = math.log(max(slope, 1.0))
            promised = rules.slope_value(log_slope, sums, stage, self.n, z, 0.0)
            tied = abs(promised - value) <= AGREEMENT * (1.0 + abs(value))
            centre, slope_used = max(value, 0.0), slope if tied else math.exp(choice)
        mean, variance, _ = rules.moments_of_x(sums, stage, slope_used)
        error = math.sqrt((1.0 + stage * variance) / (4.0 + stage) / self.n)
        if not self.sloped:
            return mean - z * error, error
        level = max(centre, 0.05)
        d = level / 2 - math.log(slope_used) / level
        vega = math.exp(-d * d / 2) / math.sqrt(2 * math.pi)
        return centre, (1 + slope_used) * error / max(vega, 1e-3)

    def prove(self, nulls: np.ndarray, fast: bool) -> None:
        """Replay all `nulls`; each must be rejected, and the last one by the recorded bets."""
        alive = nulls.copy()
        capital = np.zeros(nulls.size)
        sums, used, chosen, slope = np.zeros(9), 0, 0.8 * self.first_choice, self.first_slope
        target = self.log_level + 1e-13 * self.n
        bets, final = [], 0.0
        for k, block in enumerate(self.blocks):
            if alive.size == 0:
                break
            if self.sloped and used >= 1.25 * chosen:
                slope, chosen = self._slope(k, sums, used), used
            _require(abs(block.slope / slope - 1.0) <= 1e-12 if self.sloped else block.slope == 0.0,
                     f"{self.name}, block {k + 1}: its slope is not the one that earlier rows imply")
            means = rules.mean_under_null(alive, block.slope)
            _require(means.max() < 1.0, f"{self.name}, block {k + 1}: a null allows every mean")
            moments = rules.moments_of_x(sums, used, block.slope)
            bet = (rules.fast_bet(moments[1], used, self.n, self.log_level, means) if fast else
                   rules.digital_bet(moments, used, self.n, self.first_stage, self.log_level, means, capital))
            capital = capital + rules.growth(block, bet, means)
            if alive[-1] == nulls[-1]:
                bets.append(float(bet[-1]))
                final = float(capital[-1])
            open_ = capital < target
            alive, capital = alive[open_], capital[open_]
            sums, used = sums + block.sums, used + block.rows
        same = len(bets) == self.bets.size and np.allclose(bets, self.bets, rtol=AGREEMENT, atol=AGREEMENT)
        _require(same, f"{self.name}: a bet is not the one that earlier rows imply")
        _require(alive.size == 0,
                 f"{self.name}: the capital against the null {alive[:1]} stays below 1/alpha")
        _require(abs(final - self.final) <= AGREEMENT, f"{self.name}: the final capital is another one")

    def _slope(self, k: int, sums: np.ndarray, used: int) -> float:
        """The slope that block k must have; the recorded one where it promises as much as the rule's choice.
        """
        recorded = self.blocks[k].slope
        _require(1.0 <= recorded <= math.exp(8.0) * (1 + 1e-12),
                 f"{self.name}, block {k + 1}: slope out of range")
        choice, value = rules.slope_choice(sums, used, self.n, self.slope_z, self.log_level)
        if abs(math.log(recorded) - choice) <= 1e-9:
            return recorded
        on_lattice = abs(math.log(recorded) / 0.02 - round(math.log(recorded) / 0.02)) <= 1e-6
        promised = rules.slope_value(math.log(recorded), sums, used, self.n, self.slope_z, self.log_level)
        tied = on_lattice and abs(promised - value) <= 1e-9 * (1.0 + abs(value))
        return recorded if tied else math.exp(choice)

    def compare(self, u: np.ndarray, v: np.ndarray) -> None:
        """Recompute the block statistics from the columns."""
        a, b = (u, v) if self.sloped else (0.5 * (1.0 + u - v), np.zeros(u.size))
        start = 0
        for k, block in enumerate(self.blocks):
            x_a, x_b = a[start:start + block.rows], b[start:start + block.rows]
            start += block.rows
            where = f"{self.name}, block {k + 1}"
            _require(x_a.size == block.rows, f"{where}: there are fewer rows than it needs")
            full = np.array([(x_a**i * x_b**j).sum() for i, j in
                             ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3))])
            x = np.sort((x_a - block.slope * x_b + block.slope) / (1.0 + block.slope))
            folded = self._without(x, block.kept, where)
            mean = folded.mean() if folded.size else block.centre
            found = np.array([folded.min(initial=block.lowest), mean])
            powers = np.array([((folded - found[1]) ** power).sum() for power in range(2, 7)])
            close = (np.allclose(full, block.sums, rtol=1e-9, atol=1e-9)
                     and np.allclose(found, [block.lowest, block.centre], rtol=1e-9, atol=1e-9)
                     and np.allclose(powers, block.powers, rtol=1e-7, atol=1e-11))
            _require(close, f"{where}: its statistics are not those of the rows")

    @staticmethod
    def _without(x: np.ndarray, kept: np.ndarray, where: str) -> np.ndarray:
        """Sorted `x` less the kept rows, each of which must be found in it."""
        free = np.ones(x.size, dtype=bool)
        for value in np.sort(kept).tolist():
            near = int(np.searchsorted(x, value - 1e-12))
            while near < x.size and not free[near]:
                near += 1
            _require(near < x.size and abs(x[near] - value) <= 1e-12,
                     f"{where}: a kept row is not among the rows")
            free[near] = False
        return x[free]
