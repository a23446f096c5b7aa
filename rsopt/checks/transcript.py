"""The checker of score transcripts: proves a bound again from its file, and from the rows if they are given.

It recomputes every slope, bet and null from earlier blocks by the published rule (`rsopt.checks.replay`), and the
capital of every null that the bound needs: all grid nulls up to the reported one for the digital hedge, the reported
one for fast betting, whose capital decreases in the null. Nothing of the code that produced the bound is used. On
trust, because no file can show it: that rows are independent, and that the certified class, the groups and the sums
over a selection sample were fixed without them; and, unless rows are given, that the block statistics are theirs.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri

from rsopt.checks import replay as rules
from rsopt.checks.transcript_play import prove
from rsopt.checks.transcript_run import AGREEMENT, Run, require
from rsopt.errors import CertificateError, StorageError
from rsopt.scores.transcript import FORMAT, Transcript


@dataclass(frozen=True)
class TranscriptCheck:
    """What was proven.

    Attributes:
        lower, alpha, functional, method, top: the statement, as in `rsopt.scores.score_bound.ScoreBound`.
        n: rows that the run was planned for.
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
    functional, method, top = content["functional"], content["method"], int(content["top"])
    n, classes, alpha = int(content["n"]), int(content["classes"]), float(content["alpha"])
    null, lower = content["null"], content["lower"]
    require(functional in ("margin", "probit"), f"unknown functional {functional!r}")
    require(method in ("digital-hedge", "fast-betting"), f"unknown method {method!r}")
    require(0.0 < alpha < 0.5 and n >= 1 and classes >= 2 and 0 <= top < classes,
            "alpha, n, classes or top is off")
    prior = int(content["prior"])
    require(prior >= 0 and content["first_stage"] == (0 if 50 * prior >= n else n // 10),
            "the first stage is neither a tenth of the rows nor left to a selection sample")
    sloped, fast = functional == "probit", method == "fast-betting"
    trivial = None if sloped else -1.0
    if null is None:
        require(lower == trivial, "a bound is stated, but no null was rejected")
        return TranscriptCheck(-math.inf if sloped else -1.0, alpha, functional, method, top, n, 0, 0, False)
    require(lower <= (null if sloped else max(-1.0, 2.0 * null - 1.0)),
            "the bound lies above the reported null")
    require(null >= 0.0 if sloped else 0.0 < null < 1.0, "the reported null is out of range")
    rivals = content["rivals"]
    listed = sorted(j for rival in rivals for j in rival["classes"])
    require(listed == [j for j in range(classes) if j != top],
            "the rivals are not all classes but the certified one")
    runs = [Run(rival, content, f"rival {rival['classes']}") for rival in rivals]
    nulls = np.array([null]) if fast else _grid(content, runs)
    prove(runs, nulls, fast)
    if scores is not None:
        rows = np.clip(np.asarray(scores, dtype=np.float64), 0.0, 1.0)
        require(rows.ndim == 2 and rows.shape[1] == classes and rows.shape[0] <= n,
                "the rows have another shape")
        for run, rival in zip(runs, rivals, strict=True):
            run.compare(rows[:, top], np.minimum(rows[:, rival["classes"]].sum(axis=1), 1.0))
    return TranscriptCheck(lower, alpha, functional, method, top, n, len(runs), nulls.size,
                           scores is not None)


def _grid(content: Mapping[str, Any], runs: list[Run]) -> np.ndarray:
    """The nulls that must be rejected; the grid must be the one that the first stage implies."""
    grid, n, stage = content["grid"], int(content["n"]), int(content["first_stage"])
    sloped = content["functional"] == "probit"
    z = -float(ndtri(content["alpha"]))
    implied = min((run.prediction(stage, z, grid["slope"]) for run in runs), key=lambda place: place.centre)
    stated = rules.Grid(**{field.name: float(grid[field.name]) for field in fields(rules.Grid)})
    units = rules.Grid(implied.scale, implied.scale, 1.0, 1.0, 1.0, implied.doubt, implied.doubt)
    agree = all(abs(here - there) <= AGREEMENT * unit
                for here, there, unit in zip(astuple(stated), astuple(implied), astuple(units), strict=True))
    require(agree, f"the grid of nulls is not the one that the first {stage} of {n} rows imply")
    nulls = rules.grid_of_nulls(stated, sloped, n, float(content["alpha"]))[:grid["index"] + 1]
    require(nulls.size == grid["index"] + 1 and abs(nulls[-1] - content["null"]) <= 1e-6 * implied.scale,
            "the reported null is not on the grid")
    nulls[-1] = content["null"]
    return nulls
