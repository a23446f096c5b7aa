"""The checker of score transcripts: proves a bound again from its file, and from the rows if they are given.

It recomputes every slope, bet and null from earlier blocks by the published rule (`rsopt.checks.replay`), and the
capital of every null that the bound needs: all grid nulls up to the reported one for the digital hedge, the reported
one for fast betting, whose capital decreases in the null. Nothing of the code that produced the bound is used. On
trust, because no file can show it: that rows are independent, and that the certified class, the groups and the sums
over a selection sample were fixed without them; and, unless rows are given, that the block statistics are theirs. With
rows, the file's statistics only say how the rows were summed up: bets and capital are computed from the rows.

A comparison that fails refuses: whatever is no number proves nothing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.special import ndtri

from rsopt.checks import replay as rules
from rsopt.checks.tangents import TANGENTS
from rsopt.checks.transcript_play import prove
from rsopt.checks.transcript_run import AGREEMENT, LARGEST_SLOPE, Run, require
from rsopt.errors import CertificateError
from rsopt.proof_file import shown
from rsopt.transcript import (
    CLOSEST,
    DISTANT,
    EVERY,
    MOST_CLASSES,
    MOST_ROWS,
    SMALLEST_ALPHA,
    StatedGrid,
    Transcript,
)


@dataclass(frozen=True)
class TranscriptCheck:
    """What was proven.

    Attributes:
        lower, alpha, functional, method, top: the statement, as in `rsopt.scores.score_bound.ScoreBound`.
        n: rows that the run was planned for.
        rivals: rivals or groups checked.
        nulls: nulls whose capital was recomputed, for the rival that is asked about the most.
        against_rows: whether the bets were computed from the rows.
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
        scores: the rows (n, classes) that the bound was computed from, in their order; with them everything is computed
            from the rows.

    Raises:
        CertificateError: the transcript does not prove its bound; the text names the first thing that fails.
        StorageError: the file cannot be read.
    """
    transcript = _read(source)
    _check_ranges(transcript)
    # Numbers that a forger made huge become infinite or none, and fail the comparisons that they come to.
    with np.errstate(all="ignore"):
        try:
            return _check(transcript, scores)
        except (ValueError, TypeError, ArithmeticError, IndexError) as error:
            if isinstance(error, CertificateError):
                raise
            raise CertificateError(f"The transcript cannot be followed: {error}.") from error


def _read(source: str | os.PathLike[str] | Mapping[str, Any] | Transcript) -> Transcript:
    if isinstance(source, Transcript):
        # Whoever made the object may have put anything into it.
        try:
            return Transcript.from_dict(source.to_dict())
        except (TypeError, AttributeError) as error:
            raise CertificateError(f"The transcript is malformed: {error}.") from error
    if isinstance(source, Mapping):
        return Transcript.from_dict(source)
    if not isinstance(source, str | os.PathLike):
        raise CertificateError(f"This is no transcript, nor the path of one: {shown(source)}.")
    return Transcript.load(source)


def _check_ranges(t: Transcript) -> None:
    """What the format allows; types were checked on reading."""
    require(SMALLEST_ALPHA <= t.alpha < 0.5, f"alpha must lie in [{SMALLEST_ALPHA:g}, 1/2); found {t.alpha!r}")
    require(1 <= t.n <= MOST_ROWS, f"n must be a number of rows up to {MOST_ROWS:,}; found {t.n!r}")
    require(2 <= t.classes <= MOST_CLASSES and 0 <= t.top < t.classes,
            f"class {t.top!r} of {t.classes!r} cannot be certified")
    require(0 <= t.prior <= MOST_ROWS and t.first_stage == (0 if 50 * t.prior >= t.n else t.n // 10),
            "the first stage is neither a tenth of the rows nor left to a selection sample")
    if t.null is None:
        require(t.lower == (None if t.functional in TANGENTS else -1.0), "a bound is stated, but no null was rejected")
        require(t.grid is None and not t.rivals, "no null was rejected, and yet there are bets")
        return
    require((t.grid is None) == (t.method == "fast-betting"),
            "a grid of nulls belongs to the digital hedge, and only to it")
    require(t.grid is not None or all(rival.step == 1 for rival in t.rivals),
            "a rival is asked about some nulls only, and there is no grid of them")
    listed = [j for rival in t.rivals for j in rival.classes]
    require(all(rival.classes for rival in t.rivals) and len(listed) == t.classes - 1
            and sorted(listed) == [j for j in range(t.classes) if j != t.top],
            "the rivals are not all classes but the certified one")
    if t.functional in TANGENTS:
        require(t.null >= 0.0, "the reported null is out of range")
        require(t.lower is not None and t.lower <= t.null, "the bound lies above the reported null")
    else:
        require(0.0 < t.null < 1.0, "the reported null is out of range")
        require(t.lower is not None and (t.lower == -1.0 or Fraction(t.lower) <= 2 * Fraction(t.null) - 1),
                "the bound lies above the reported null")


def _check(t: Transcript, scores: np.ndarray | None) -> TranscriptCheck:
    if t.null is None:
        least = -math.inf if t.functional in TANGENTS else -1.0
        return TranscriptCheck(least, t.alpha, t.functional, t.method, t.top, t.n, 0, 0, False)
    assert t.lower is not None  # by _check_ranges
    runs = [Run(rival, t, f"rival {list(rival.classes)}") for rival in t.rivals]
    if scores is not None:
        rows = _rows(t, scores)
        for run, rival in zip(runs, t.rivals, strict=True):
            run.take(rows[:, t.top], np.minimum(rows[:, list(rival.classes)].sum(axis=1), 1.0))
    nulls = [np.array([t.null])] * len(runs) if t.grid is None else _nulls(t, t.grid, t.null, runs)
    prove(runs, nulls, t.grid is None)
    return TranscriptCheck(t.lower, t.alpha, t.functional, t.method, t.top, t.n, len(runs),
                           max(levels.size for levels in nulls), scores is not None)


def _rows(t: Transcript, scores: np.ndarray) -> np.ndarray:
    """The rows in double precision, clipped to [0, 1] as the bound has them."""
    rows = np.asarray(scores, dtype=np.float64)
    require(rows.ndim == 2 and rows.shape[1] == t.classes and 1 <= rows.shape[0] <= t.n, "the rows have another shape")
    require(np.isfinite(rows).all(), "the rows hold something that is no number")
    return np.clip(rows, 0.0, 1.0)


def _nulls(t: Transcript, grid: StatedGrid, null: float, runs: list[Run]) -> list[np.ndarray]:
    """The nulls that each rival must reject; the grid must be the one that the first stage implies."""
    tangent = TANGENTS.get(t.functional)
    require((1.0 <= grid.slope <= LARGEST_SLOPE if tangent is not None else grid.slope == 0.0) and grid.index >= 0,
            "the grid of nulls is out of range")
    z = -float(ndtri(t.alpha))
    places = [run.prediction(t.first_stage, z, grid.slope) for run in runs]
    implied = min(places, key=lambda place: place.centre)
    stated = rules.Grid(grid.centre, grid.scale, grid.slope, grid.high, grid.low, grid.lows, grid.doubt)
    units = rules.Grid(implied.scale, implied.scale, 1.0, 1.0, 1.0, implied.doubt, implied.doubt)
    require(np.isfinite(astuple(implied)).all() and implied.scale > 0.0 and implied.doubt > 0.0,
            "the first stage implies no grid of nulls")
    agree = all(abs(here - there) <= AGREEMENT * unit
                for here, there, unit in zip(astuple(stated), astuple(implied), astuple(units), strict=True))
    require(agree, f"the grid of nulls is not the one that the first {t.first_stage} of {t.n} rows imply")
    whole = rules.grid_of_nulls(stated, tangent, t.n, t.alpha)
    nulls = whole[:grid.index + 1]
    require(nulls.size == grid.index + 1 and abs(nulls[-1] - null) <= AGREEMENT * implied.scale,
            "the reported null is not on the grid")
    nulls[-1] = null
    some = _some(whole, grid.index)
    require((np.diff(nulls) >= 0.0).all() and (np.diff(some) >= 0.0).all() and some[-1] >= null,
            "the nulls do not grow")
    _require_distant(t, places, implied)
    return [nulls if rival.step == 1 else some for rival in t.rivals]


def _some(whole: np.ndarray, index: int) -> np.ndarray:
    """Every EVERY-th null and the last of the grid, up to the first from number `index` on."""
    numbers = [k for k in range(whole.size) if (k + 1) % EVERY == 0 or k + 1 == whole.size]
    return np.array([whole[k] for k in numbers[:sum(k < index for k in numbers) + 1]])


def _require_distant(t: Transcript, places: list[rules.Grid], closest: rules.Grid) -> None:
    """Rivals that are asked about some nulls only must be distant by what the first stage predicts."""
    far = [place.centre for place, rival in zip(places, t.rivals, strict=True) if rival.step != 1]
    if not far:
        return
    centres = np.sort([place.centre for place in places])
    require(np.isfinite(centres).all(), "the first stage predicts nothing for a rival")
    least = max(float(centres[min(CLOSEST, centres.size - 1)]), closest.centre + DISTANT * closest.scale)
    require(len(t.rivals) > CLOSEST and min(far) >= least - AGREEMENT * closest.scale,
            "a rival that is asked about some nulls only is predicted to be close")
