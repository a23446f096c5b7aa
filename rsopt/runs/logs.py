"""Logs that others published: whole count vectors, or Cohen's tables, from which the top count can be recovered."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
from scipy import special

from rsopt.errors import InvalidInputError, StorageError
from rsopt.statistics import clopper_pearson_lower

_COUNT_COLUMN = re.compile(r"(?:c|count|class)?[ _]?(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class LoggedInput:
    """One line of a log.

    Attributes:
        idx: its number there.
        label: its known label, or None.
        top: the certified class as an index into `counts`.
        predicted: the certified class as the log numbers it; None for an abstention.
        counts: votes; with `merged` all rivals in one cell.
        merged: whether only the top count is known.
    """

    idx: int
    label: int | None
    top: int
    predicted: int | None
    counts: tuple[int, ...]
    merged: bool


@dataclass(frozen=True)
class CohenLog:
    """How the log of Cohen et al. was made: needed to find the counts behind its radii.

    Attributes:
        sigma: noise level, in the units of the input.
        n: estimation samples.
        alpha: error of the log's own bounds.
    """

    sigma: float
    n: int
    alpha: float

    def top_count(self, radius: str) -> int:
        """The smallest count of the top class whose radius prints like this one.

        Cohen's radius is sigma ndtri(p), p the one-sided Clopper–Pearson limit at x of n, printed in a few digits;
        the smallest of the counts that fit is the safe one.

        Raises:
            InvalidInputError: no count fits: the log was made with another sigma, n or alpha.
        """
        try:
            printed = Decimal(radius)
        except InvalidOperation:
            raise InvalidInputError(f"The radius {radius!r} is no number.") from None
        if not printed.is_finite() or printed <= 0:
            raise InvalidInputError(f"The radius {radius!r} must be positive where a class is predicted.")
        # Half a unit in the last place; trailing zeros may have been dropped, and three digits are Cohen's format.
        digits = max(len(printed.as_tuple().digits), 3)
        half = 0.5 * 10.0 ** (printed.adjusted() - digits + 1) * (1.0 + 1e-9)
        counts = np.arange(self.n // 2, self.n + 1)
        radii = self.sigma * special.ndtri(clopper_pearson_lower(counts, self.n, self.alpha))
        fits = counts[abs(radii - float(printed)) <= half]
        if not fits.size:
            raise InvalidInputError(f"No count of {self.n:,} gives the radius {radius} at sigma {self.sigma:g} and "
                                    f"alpha {self.alpha:g}. Give the sigma, n and alpha that the log was made with.")
        return int(fits[0])


def read_log(path: Path, *, top: str | None, cohen: CohenLog | None) -> list[LoggedInput]:
    """The inputs of a log, comma- or tab-separated with a header.

    Args:
        path: the file. Counts are columns c0, c1, … (or a column "counts" with the vector); without them it is
            Cohen's format with idx, label, predict, radius.
        top: column that holds the certified class; None for the first of "top", "label" that exists. In Cohen's
            format it is always "predict".
        cohen: how a log in Cohen's format was made.

    Raises:
        StorageError: the file cannot be read.
        InvalidInputError: columns are missing, or a line has no meaning; the text names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is not a text file ({error.reason}).") from error
    head, _, _ = text.partition("\n")
    lines = list(csv.DictReader(text.splitlines(), delimiter="\t" if "\t" in head else ","))
    columns = list(lines[0]) if lines else []
    if not lines:
        raise InvalidInputError(f"{path} has no lines below its header.")
    read = _reader(path, columns, top, cohen)
    found = []
    for number, line in enumerate(lines, start=2):
        try:
            found.append(read(line, number - 2))
        except (InvalidInputError, ValueError, TypeError) as error:
            raise InvalidInputError(f"{path}, line {number}: {error}") from error
    return found


def _reader(path: Path, columns: Sequence[str], top: str | None,
            cohen: CohenLog | None) -> Callable[[Mapping[str, str], int], LoggedInput]:
    numbered = [] if "counts" in columns else columns
    votes = {int(match[1]): name for name in numbered if (match := _COUNT_COLUMN.fullmatch((name or "").strip()))}
    if len(votes) >= 2 or "counts" in columns:
        if sorted(votes) != list(range(len(votes))):
            raise InvalidInputError(f"{path}: the count columns must be numbered 0 to {len(votes) - 1}; found "
                                    f"{', '.join(votes.values())}.")
        named = top or next((name for name in ("top", "label") if name in columns), None)
        if named is None or named not in columns:
            raise InvalidInputError(
                f"{path} has no column {named or 'top or label'!r} with the certified class; it has "
                f"{', '.join(columns)}. Name the column with --top. It must hold a known label or a class chosen on "
                "other samples: the winner of these very counts would void the bound.")
        return lambda line, number: _whole(line, number, [votes[cls] for cls in range(len(votes))], named)
    if missing := [name for name in ("predict", "radius") if name not in columns]:
        raise InvalidInputError(f"{path} has neither count columns (c0, c1, …) nor {' and '.join(missing)} of Cohen's "
                                f"format; it has {', '.join(columns)}.")
    if cohen is None:
        raise InvalidInputError(f"{path} is in Cohen's format, which has no counts. Give --sigma and --n of the log, "
                                "so that the top count can be recovered from the radius.")
    return lambda line, number: _of_cohen(line, number, cohen)


def _whole(line: Mapping[str, str], number: int, votes: Sequence[str], named: str) -> LoggedInput:
    texts = [line[name] for name in votes] if votes else line["counts"].split(",")
    top = int(line[named])
    counts = tuple(_count(text) for text in texts)
    if not 0 <= top < len(counts):
        raise InvalidInputError(f"the certified class {top} is no class: there are {len(counts)}, numbered from 0.")
    return LoggedInput(_number(line, number), _label(line), top, top, counts, merged=False)


def _of_cohen(line: Mapping[str, str], number: int, log: CohenLog) -> LoggedInput:
    predicted = int(line["predict"])
    if predicted < 0:
        return LoggedInput(_number(line, number), _label(line), 0, None, (), merged=True)
    x1 = log.top_count(line["radius"])
    return LoggedInput(_number(line, number), _label(line), 0, predicted, (x1, log.n - x1), merged=True)


def _count(text: str) -> int:
    value = float(text)
    if value != int(value) or value < 0:
        raise InvalidInputError(f"{text!r} is no count.")
    return int(value)


def _number(line: Mapping[str, str], number: int) -> int:
    return int(line["idx"]) if line.get("idx") else number


def _label(line: Mapping[str, str]) -> int | None:
    label = int(line["label"]) if line.get("label") else -1
    return None if label < 0 else label
