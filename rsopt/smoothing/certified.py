"""The result of certifying one input by sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rsopt.bound import Bound
from rsopt.smoothing.provenance import Provenance

__all__ = ["CertifiedInput"]


@dataclass(frozen=True, eq=False)
class CertifiedInput:
    """A class, the radius inside which the smoothed classifier keeps it, and where both come from.

    With probability at least 1 - alpha over the n estimation samples the statement holds: no input within
    `radius` (l2, units of the input) makes the smoothed classifier leave class `predict`.

    Attributes:
        index: number of the input; it keys the noise.
        predict: the class certified.
        chosen: "label": it was given; "selection": it won `selection_counts`, on samples of their own.
        selection_counts: votes of the n0 selection samples, int64 (K,), or None in label mode.
        counts: votes of the n estimation samples, int64 (K,).
        alpha: probability that the statement is false.
        bound: result of `rsopt.lower_bound` on `counts` with top = `predict`.
        radius: certified l2 radius; 0 where the bound is not positive.
        seconds: wall-clock time, sampling and proof.
        provenance: what the samples depend on.
    """

    index: int
    predict: int
    chosen: Literal["label", "selection"]
    selection_counts: NDArray[np.int64] | None
    counts: NDArray[np.int64]
    alpha: float
    bound: Bound
    radius: float
    seconds: float
    provenance: Provenance

    @property
    def n(self) -> int:
        """Estimation samples."""
        return int(self.counts.sum())

    @property
    def n0(self) -> int:
        """Selection samples; 0 in label mode."""
        return 0 if self.selection_counts is None else int(self.selection_counts.sum())

    @property
    def abstain(self) -> bool:
        """Whether nothing is certified: the bound is not positive."""
        return self.bound.abstain
