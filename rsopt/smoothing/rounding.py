"""When are two rows of scores the same up to rounding?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

__all__ = ["Difference", "Rounding", "rounding_allowance"]

ULPS = 8
"""Units in the last place of a score by which two evaluations may differ, however little else varies."""
SMALL = 0.2
"""Share of the rows whose deviations count as small: so many decide what is small in a column, not the rest."""


def rounding_allowance(dtypes: Sequence[torch.dtype], reduced: bool) -> float:
    """How far two evaluations of one row may differ, relative to the size of what varies, before it counts.

    The square root of the coarsest precision in play: half of the digits. Other kernels for another place
    in the batch, atomics on a GPU and experts that see groups of another size lose the last few digits;
    statistics taken over the batch, dropout and leaks from row to row move the leading ones. A heuristic: a
    dependence below it goes unseen.

    Args:
        dtypes: dtypes of the computation; those that are not floating point are ignored.
        reduced: whether float32 products may run in TF32 (10 bits, like float16).
    """
    return math.sqrt(_precision(dtypes, reduced))


def _precision(dtypes: Sequence[torch.dtype], reduced: bool) -> float:
    coarse = [torch.finfo(dtype).eps for dtype in dtypes if dtype.is_floating_point]
    if reduced:
        coarse.append(torch.finfo(torch.float16).eps)
    return float(max(coarse, default=torch.finfo(torch.float32).eps))


@dataclass(frozen=True)
class Difference:
    """Where two evaluations of equal rows lie furthest apart, in units of what rounding explains.

    Attributes:
        column: the class.
        by: how far its score, or its distance from the largest score of the row, differs.
        allowed: what rounding explains there.
        votes: rows whose vote differs.
    """

    column: int
    by: float
    allowed: float
    votes: int

    @property
    def beyond_rounding(self) -> bool:
        """Whether rounding does not explain it."""
        return not self.by <= self.allowed

    def __str__(self) -> str:
        return f"by {self.by:.3g} for class {self.column}, where rounding explains {self.allowed:.3g}"


class Rounding:
    """What rounding explains for each entry of a table of scores.

    For every entry the allowance is relative to what varies in its own column: how far the entry lies from the
    column's median, or what a small deviation is among the column's entries, whichever is more. A common offset, a
    masked class, a large constant, outlying rows widen nothing but themselves, even if they are most of the rows. An
    entry of a column in which most are equal must stay equal. To that come a few units in the last place of the entry.
    The same is asked of the distances from the row's largest score, which decide the votes; there what all classes of
    a row share cancels, and a distance counts by itself where it is smaller than its deviation.

    Args:
        scores: scores of rows, (rows, classes), on the host; those that are not floating point allow nothing.
        dtypes: dtypes of the computation behind them, the scores' own apart.
        reduced: whether float32 products may run in TF32.
    """

    def __init__(self, scores: torch.Tensor, dtypes: Sequence[torch.dtype], reduced: bool) -> None:
        self.scores = scores
        exact = not scores.is_floating_point()
        coarse = [scores.dtype, *dtypes]
        self._share = 0.0 if exact else rounding_allowance(coarse, reduced)
        self._unit = 0.0 if exact else ULPS * _precision([scores.dtype], False)
        values = scores.double()
        top = values.amax(dim=1, keepdim=True)
        size = values.where(torch.isfinite(values), 0.0).abs()
        self._tables = [(values, self._allowed(values, size, [_from_median(values)])),
                        (values - top, self._allowed(values - top, size + top.abs(),
                                                     [_from_median(values - top), (values - top).abs()]))]

    def difference(self, others: torch.Tensor, rows: torch.Tensor) -> Difference:
        """The largest difference of `others` (m, classes) from the rows with these numbers (m,), and changed votes."""
        found = others.double()
        worst = Difference(0, 0.0, 0.0, int(others.argmax(dim=1).ne(self.scores[rows].argmax(dim=1)).sum()))
        beyond = 0.0
        for (mine, allowed), theirs in zip(self._tables, (found, found - found.amax(dim=1, keepdim=True)), strict=True):
            # Equal infinities (a class masked by -inf) differ by nan.
            apart = torch.where(mine[rows] == theirs, 0.0, (mine[rows] - theirs).abs().nan_to_num(nan=torch.inf))
            excess = torch.where(apart == 0.0, 0.0, apart / allowed[rows])
            place = int(excess.argmax())
            if float(excess.flatten()[place]) > beyond:
                beyond = float(excess.flatten()[place])
                worst = Difference(place % excess.shape[1], float(apart.flatten()[place]),
                                   float(allowed[rows].flatten()[place]), worst.votes)
        return worst

    def _allowed(self, values: torch.Tensor, size: torch.Tensor, deviations: list[torch.Tensor]) -> torch.Tensor:
        own = torch.stack(deviations).amin(dim=0)
        small = torch.stack([_small(deviation) for deviation in deviations]).amin(dim=0)
        still = 2 * (values == values.median(dim=0).values).sum(dim=0) > len(values)
        varies = torch.where(still & (deviations[0] == 0.0), 0.0, torch.maximum(own, small))
        return self._share * varies + self._unit * size


def _from_median(values: torch.Tensor) -> torch.Tensor:
    """Distances from each column's median, (rows, classes); 0 for infinite entries."""
    finite = values.where(torch.isfinite(values), torch.nan)
    return (finite - finite.nanmedian(dim=0).values).abs().nan_to_num(nan=0.0)


def _small(deviations: torch.Tensor) -> torch.Tensor:
    """What is small among the deviations in each column that are not 0, (classes,); 0 where there are none."""
    moved = torch.where((deviations > 0.0) & torch.isfinite(deviations), deviations, torch.inf).sort(dim=0).values
    count = torch.isfinite(moved).sum(dim=0, keepdim=True)
    return moved.gather(0, (SMALL * (count - 1).clamp_min(0)).long())[0].nan_to_num(posinf=0.0)
