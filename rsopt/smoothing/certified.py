"""The result of certifying one input by sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rsopt.bound import Bound
from rsopt.noise import Noise
from rsopt.smoothing.provenance import Provenance

__all__ = ["CertifiedInput"]


@dataclass(frozen=True, eq=False)
class CertifiedInput:
    """A class, the radius inside which the smoothed classifier keeps it, and where both come from.

    With probability at least 1 - `alpha` over the n estimation samples the statement holds: no change of the input
    within `radius`, in the norm and units of the noise (l2 under Gaussian noise), to another input on the grid where
    the noise has one, makes the smoothed classifier leave class `predict`.

    Attributes:
        index: number of the input; it keys the noise.
        bound: the proven bound on the votes, which it holds with n, the certified class, and its own alpha: what the
            draws leave of the statement's.
        noise: under which the input was certified, fitted to its shape.
        radius: certified radius, `noise.radius_name` in `noise.unit`; 0 where the bound is not positive.
        selection_counts: votes of the n0 samples that chose the class, int64 (K,); None where it was given.
        seconds: wall-clock time, sampling and proof.
        provenance: what the samples depend on.
        alpha: probability that the statement is false.
        total_variation: the part of alpha that the draws take (`Noise.total_variation`); 0 for noise in float32.
    """

    index: int
    bound: Bound
    noise: Noise
    radius: float
    selection_counts: NDArray[np.int64] | None
    seconds: float
    provenance: Provenance
    alpha: float
    total_variation: float

    @property
    def predict(self) -> int:
        """The class certified."""
        return self.bound.counts.top

    @property
    def chosen(self) -> Literal["label", "selection"]:
        """How the class came about: it was given, or it won the selection samples."""
        return "label" if self.selection_counts is None else "selection"

    @property
    def abstain(self) -> bool:
        """Whether nothing is certified: the bound is not positive."""
        return self.bound.abstain
