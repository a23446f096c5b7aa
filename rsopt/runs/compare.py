"""Two runs side by side: what was asked differently, and what came of it, input by input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from scipy.stats import binomtest

from rsopt.errors import InvalidInputError
from rsopt.methods import OWN
from rsopt.runs.overview import Overview
from rsopt.runs.results import radius_grid
from rsopt.runs.rows import Row

LARGEST_CHANGES = 10


@dataclass(frozen=True)
class Option:
    """Something that decides results and differs between the runs; None where a run does not know it."""

    name: str
    first: Any
    second: Any


@dataclass(frozen=True)
class ShareAt:
    """Certified shares of the common inputs at one radius.

    Attributes:
        radius: the radius; at 0, any radius counts.
        first, second: share of the common inputs that are certified as their label, or certified where no label is
            known.
        only_first, only_second: inputs that only one of the runs certifies there.
        p_value: of the exact sign test on these (McNemar): how probable so uneven a split is if neither is better.
    """

    radius: float
    first: float
    second: float
    only_first: int
    only_second: int
    p_value: float


@dataclass(frozen=True)
class Change:
    """An input whose radius differs: its number, and class, samples and radius in both runs."""

    idx: int
    label: int | None
    first_class: int | None
    second_class: int | None
    first_samples: int
    second_samples: int
    first_radius: float
    second_radius: float


@dataclass(frozen=True)
class RunComparison:
    """Two runs on their common inputs.

    Attributes:
        first, second: names of the runs.
        common: inputs finished in both.
        only_first, only_second: inputs finished in one only.
        identical: whether all common rows are equal, bit for bit, but for times.
        same_votes: common inputs with equal votes.
        options: what was asked differently.
        shares: certified shares, by radius.
        mean_radius: over the common inputs, those not certified (as their label) at 0; (first, second).
        samples: selection and estimation samples on the common inputs; (first, second).
        seconds: sampling and proving time on them; (first, second).
        changes: the inputs whose radius differs most.
    """

    first: str
    second: str
    common: int
    only_first: int
    only_second: int
    identical: bool
    same_votes: int
    options: tuple[Option, ...]
    shares: tuple[ShareAt, ...]
    mean_radius: tuple[float, float]
    samples: tuple[int, int]
    seconds: tuple[float, float]
    changes: tuple[Change, ...]

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        return asdict(self)


def compare_runs(first: Overview, second: Overview) -> RunComparison:
    """Compares two runs on the inputs that both have finished.

    Args:
        first, second: the runs, as `Overview.read` reads them.

    Raises:
        InvalidInputError: no input in common, or one with different labels: the data are not the same.
    """
    mine, theirs = ({row.idx: row for row in run.rows} for run in (first, second))
    pairs = [(mine[idx], theirs[idx]) for idx in sorted(mine.keys() & theirs.keys())]
    if not pairs:
        raise InvalidInputError(f"The runs {first.name} and {second.name} have no finished input in common.")
    for one, other in pairs:
        if one.label != other.label:
            raise InvalidInputError(f"Input {one.idx} has label {one.label} in {first.name} and {other.label} in "
                                    f"{second.name}: these runs are on different data.")
    radii = [(_radius(one), _radius(other)) for one, other in pairs]
    return RunComparison(
        first.name, second.name, len(pairs), len(mine) - len(pairs), len(theirs) - len(pairs),
        identical=all(replace(one, seconds=0.0) == replace(other, seconds=0.0) for one, other in pairs),
        same_votes=sum(one.counts == other.counts for one, other in pairs),
        options=_options(first.facts, second.facts),
        shares=tuple(_share(radius, radii) for radius in _grid({*first.targets, *second.targets}, radii)),
        mean_radius=(math.fsum(one for one, _ in radii) / len(pairs), math.fsum(two for _, two in radii) / len(pairs)),
        samples=(sum(one.n0 + one.n for one, _ in pairs), sum(other.n0 + other.n for _, other in pairs)),
        seconds=(math.fsum(one.seconds for one, _ in pairs), math.fsum(other.seconds for _, other in pairs)),
        changes=_changes(pairs))


def _radius(row: Row) -> float:
    """The radius that counts: 0 where another class than the label was certified."""
    return row.radius() if row.label is None or row.correct() else 0.0


def _grid(targets: set[float], pairs: Sequence[tuple[float, float]]) -> list[float]:
    """The targets of either run, beyond which adaptive sampling proves nothing on purpose; without them round steps."""
    return sorted(targets) or radius_grid(max(max(pair) for pair in pairs))


def _share(radius: float, pairs: Sequence[tuple[float, float]]) -> ShareAt:
    def certified(found: float) -> bool:
        return found > 0.0 and found >= radius

    one = sum(certified(mine) for mine, _ in pairs)
    two = sum(certified(theirs) for _, theirs in pairs)
    only_one = sum(certified(mine) and not certified(theirs) for mine, theirs in pairs)
    only_two = only_one - one + two
    split = binomtest(only_one, only_one + only_two, 0.5).pvalue if only_one + only_two else 1.0
    return ShareAt(radius, one / len(pairs), two / len(pairs), only_one, only_two, float(split))


def _options(first: dict[str, Any], second: dict[str, Any]) -> tuple[Option, ...]:
    return tuple(Option(name, first.get(name), second.get(name)) for name in sorted({*first, *second})
                 if first.get(name) != second.get(name))


def _changes(pairs: Sequence[tuple[Row, Row]]) -> tuple[Change, ...]:
    differing = sorted(((one, other) for one, other in pairs if _radius(one) != _radius(other)),
                       key=lambda pair: (-abs(_radius(pair[0]) - _radius(pair[1])), pair[0].idx))
    return tuple(Change(one.idx, one.label, one.top, other.top, one.n, other.n, one.radius(OWN), other.radius(OWN))
                 for one, other in differing[:LARGEST_CHANGES])
