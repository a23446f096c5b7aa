"""Logs that others published: whole count vectors, or Cohen's tables, from which the top count can be recovered."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import special

from rsopt.errors import InvalidInputError
from rsopt.files import read_text
from rsopt.statistics import clopper_pearson_lower

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_COUNT = re.compile(r"[0-9]{1,18}(?:\.0*)?")
_LARGEST_CELL = 1 << 24
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
        # Half a unit in the last place; trailing zeros may have been dropped, and three digits are Cohen's format. Many
        # digits may be those of a number in single precision.
        digits = max(len(printed.as_tuple().digits), 3)
        half = max(0.5 * 10.0 ** (printed.adjusted() - digits + 1), 2.0**-23 * float(printed)) * (1.0 + 1e-9)
        first = int(np.searchsorted(self._radii, float(printed) - half))
        if first == self._radii.size or self._radii[first] > float(printed) + half:
            raise InvalidInputError(f"No count of {self.n:,} gives the radius {radius} at sigma {self.sigma:g} and "
                                    f"alpha {self.alpha:g}. Give the sigma, n and alpha that the log was made with. "
                                    "Radii of other bounds, such as those that rsopt export writes unless --method "
                                    "cohen, determine no count: recertify the table with the counts instead.")
        return self.n // 2 + first

    @cached_property
    def _radii(self) -> npt.NDArray[np.float64]:
        """The radius of every count from half of n on, increasing."""
        counts = np.arange(self.n // 2, self.n + 1)
        radii: npt.NDArray[np.float64] = special.ndtri(clopper_pearson_lower(counts, self.n, self.alpha))
        return self.sigma * radii


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
        InvalidInputError: columns are missing or named twice, the last line does not end, a line has other cells than
            the header or no meaning, or an input stands twice; the text names the line.
    """
    columns, lines = _table(path, read_text(path, "The log"))
    read = _reader(path, columns, top, cohen)
    found: dict[int, LoggedInput] = {}
    stands: dict[int, int] = {}
    for place, (number, cells) in enumerate(lines):
        try:
            if len(cells) != len(columns):
                raise InvalidInputError(f"it has {len(cells)} cells, and the header has {len(columns)}.")
            line = read(dict(zip(columns, cells, strict=True)), place)
            if line.idx in found:
                raise InvalidInputError(f"input {line.idx} stands in line {stands[line.idx]} already.")
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}, line {number}: {error}") from error
        found[line.idx], stands[line.idx] = line, number
    return list(found.values())


def _table(path: Path, text: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The columns, and the cells of each line below with its number; empty lines are left out."""
    head, _, _ = text.partition("\n")
    if head.lstrip().startswith(("[", "{", "- ", "---")):
        raise InvalidInputError(f"{path} looks like JSON or YAML, and a log is a table: a header and a line an input, "
                                "separated by commas or tabs.")
    reader = csv.reader(io.StringIO(text), delimiter="\t" if "\t" in head else ",", strict=True)
    # The counts of many classes are one cell.
    limit = csv.field_size_limit(_LARGEST_CELL)
    try:
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        raise InvalidInputError(f"{path}, line {reader.line_num}: {error}.") from error
    finally:
        csv.field_size_limit(limit)
    columns = [name.strip() for name in lines[0][1]] if lines else []
    if columns and all(_COUNT.fullmatch(name) for name in columns):
        raise InvalidInputError(f"{path} has no header: its first line is {head.strip()!r}. Name the columns there.")
    if len(lines) < 2:
        raise InvalidInputError(f"{path} has no lines below its header.")
    if repeated := [name for name, times in Counter(columns).items() if times > 1]:
        raise InvalidInputError(f"{path} has more than one column {repeated[0]!r}.")
    if not text.endswith("\n"):
        raise InvalidInputError(f"{path}, line {lines[-1][0]}: the line does not end, so the file may be cut off. If "
                                "it is whole, end it with a line break.")
    return columns, lines[1:]


def _reader(path: Path, columns: Sequence[str], top: str | None,
            cohen: CohenLog | None) -> Callable[[Mapping[str, str], int], LoggedInput]:
    votes = count_columns(path, [] if "counts" in columns else columns)
    if len(votes) >= 2 or "counts" in columns:
        named = top or next((name for name in ("top", "label") if name in columns), None)
        if named is None or named not in columns:
            raise InvalidInputError(
                f"{path} has no column {named or 'top or label'!r} with the certified class; it has "
                f"{', '.join(columns)}. Name the column with --top. It must hold a known label or a class chosen on "
                "other samples: the winner of these very counts would void the bound.")
        return lambda line, number: _of_counts(line, number, [votes[cls] for cls in range(len(votes))], named)
    if missing := [name for name in ("predict", "radius") if name not in columns]:
        raise InvalidInputError(f"{path} has neither count columns (c0, c1, …) nor {' and '.join(missing)} of Cohen's "
                                f"format; it has {', '.join(columns)}.")
    if cohen is None:
        raise InvalidInputError(f"{path} is in Cohen's format, which has no counts. Give --sigma and --n of the log, "
                                "so that the top count can be recovered from the radius.")
    return lambda line, number: _of_cohen(line, number, cohen)


def count_columns(path: Path, columns: Sequence[str]) -> dict[int, str]:
    """The columns of votes by their class, found by their names: c0, c1, …; fewer than two may be something else.

    Raises:
        InvalidInputError: a class has two columns, or one between the first and the last has none.
    """
    named = [(int(match[1]), name) for name in columns if (match := _COUNT_COLUMN.fullmatch(name))]
    votes = dict(named)
    if len(votes) < len(named):
        place, twice = next((place, name) for place, (cls, name) in enumerate(named)
                            if any(cls == other for other, _ in named[place + 1:]))
        raise InvalidInputError(f"{path} has two columns of counts for one class: {twice!r} and "
                                f"{votes[named[place][0]]!r}.")
    if len(votes) >= 2 and sorted(votes) != list(range(len(votes))):
        raise InvalidInputError(f"{path}: the count columns must be numbered 0 to {len(votes) - 1}; found "
                                f"{', '.join(votes.values())}.")
    return votes


def is_count(text: str) -> bool:
    """Whether a cell reads as a count."""
    return _COUNT.fullmatch(text.strip()) is not None


def _of_counts(line: Mapping[str, str], number: int, votes: Sequence[str], named: str) -> LoggedInput:
    texts = [line[name] for name in votes] if votes else line["counts"].split(",")
    top = _whole_number(named, line[named])
    counts = tuple(_count(text) for text in texts)
    if not 0 <= top < len(counts):
        raise InvalidInputError(f"the certified class {top} is no class: there are {len(counts)}, numbered from 0.")
    return LoggedInput(_number(line, number), _label(line), top, top, counts, merged=False)


def _of_cohen(line: Mapping[str, str], number: int, log: CohenLog) -> LoggedInput:
    predicted = _whole_number("predict", line["predict"])
    if predicted < 0:
        return LoggedInput(_number(line, number), _label(line), 0, None, (), merged=True)
    x1 = log.top_count(line["radius"])
    return LoggedInput(_number(line, number), _label(line), 0, predicted, (x1, log.n - x1), merged=True)


def _count(text: str) -> int:
    if not is_count(text):
        raise InvalidInputError(f"{text!r} is no count.")
    return int(text.partition(".")[0])


def _whole_number(name: str, text: str) -> int:
    if not _WHOLE.fullmatch(text.strip()):
        raise InvalidInputError(f"{name} {text!r} is no whole number.")
    return int(text)


def _number(line: Mapping[str, str], place: int) -> int:
    idx = _whole_number("idx", line["idx"]) if line.get("idx") else place
    if idx < 0:
        raise InvalidInputError(f"idx {idx} is no number of an input: they are counted from 0.")
    return idx


def _label(line: Mapping[str, str]) -> int | None:
    label = _whole_number("label", line["label"]) if line.get("label") else -1
    return None if label < 0 else label
