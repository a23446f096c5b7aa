"""Certified accuracy of a data set at every radius: on these inputs, on new ones, and what the mean radius says."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsopt.arguments import Real
from rsopt.counts import checked_alpha
from rsopt.data_set.columns import column, flags
from rsopt.data_set.confidence import CONFIDENCE, error_of
from rsopt.data_set.smirnov import smirnov_offset
from rsopt.limits import lower_limits, most_false, upper_limits

Array = npt.NDArray[np.float64]

_SAFE = 1e-12
"""Relative rounding of sums of radii, with room."""


@dataclass(frozen=True, eq=False)
class CertifiedAccuracy:
    """What N certified rows say about accuracy at every radius.

    An input is *certified* at r if its radius is positive and at least r, and its certified class is right where that
    is known. It is *robust* at r if the smoothed classifier answers right for every change of less than r (or as the
    radius of the noise says it); where no labels are known, if it answers the same class for all of them. Robust
    accuracy is the share of robust inputs. Every statement holds with probability `confidence`, over the noise that was
    drawn for the votes and, on new inputs, over the draw of these N. Those "at all radii" hold at every r at once, at
    radii chosen afterwards too.

    Attributes:
        radius: where the columns below hold, rising, shape (R,); 0 stands for any positive radius.
        share: certified inputs among these, shape (R,).
        on_these_inputs: robust accuracy on these N inputs is at least that, at all radii (theorem D1), shape (R,).
        on_new_inputs: robust accuracy on the distribution that these inputs are drawn from is at least that, at all
            radii (theorem D3), shape (R,).
        certified_low, certified_high: between them lies the probability that a new input is certified, at all radii
            (theorem D3), shape (R,) each. It is a property of model, n and alpha together.
        single_low, single_high: the same at one radius by itself, fixed in advance (Clopper–Pearson), shape (R,) each.
        single_on_new_inputs: robust accuracy on new inputs is at least that, at one radius by itself, shape (R,).
        inputs: N, those included that failed or got no radius.
        alpha: probability that a single row is false.
        confidence: of each statement by itself.
        false_rows: at most so many of the rows are false (theorem D1).
        off_these_inputs: what D1 takes off the share, false_rows / N.
        off_new_inputs: what D3 takes off the share for robust accuracy, alpha included.
        off_certified: what D3 takes off and adds for the share that is certified.
        mean_radius: of these inputs, one that is not certified counting 0. It mixes model, n and alpha, is moved most
            by the easiest inputs, and says nothing about any one radius.
        mean_on_these_inputs: the mean robust radius of these inputs is at least that (theorem D5).
        mean_on_new_inputs: that of new ones is at least that (theorem D5).
        mean_low, mean_high: between them lies the mean certified radius of new inputs, each radius cut at the largest
            one here (theorem D5).
    """

    radius: Array
    share: Array
    on_these_inputs: Array
    on_new_inputs: Array
    certified_low: Array
    certified_high: Array
    single_low: Array
    single_high: Array
    single_on_new_inputs: Array
    inputs: int
    alpha: float
    confidence: float
    false_rows: int
    off_these_inputs: float
    off_new_inputs: float
    off_certified: float
    mean_radius: float
    mean_on_these_inputs: float
    mean_on_new_inputs: float
    mean_low: float
    mean_high: float


def certified_accuracy(radii: npt.ArrayLike, correct: npt.ArrayLike | None = None, *, alpha: Real,
                       confidence: Real = CONFIDENCE, at: npt.ArrayLike | None = None) -> CertifiedAccuracy:
    """Statements about a data set from its certified radii (theorems D1 to D3 and D5).

    Each radius must be false with probability at most alpha, for whatever class it certifies, and the votes of the
    inputs must be drawn independently of each other. What is said of new inputs needs these N to be independent draws
    from their distribution, not inputs that were picked.

    Args:
        radii: certified radii, shape (N,), 0 for an abstention or a failure. Every input of the data set has one: who
            leaves some out after seeing them voids the statements.
        correct: whether the certified class is the label, shape (N,); None where no labels are known.
        alpha: probability that a single radius is false.
        confidence: of each statement, from 0.5.
        at: radii of the columns, from 0; None for 0 and every radius at which the share falls.

    Raises:
        InvalidInputError: no inputs, radii that are negative, infinite or NaN, other than one truth value for each, or
            alpha or confidence without meaning.
    """
    found = column("radii", radii, 0.0, np.inf)
    right = np.ones(found.size, dtype=bool) if correct is None else flags("correct", correct, found.size)
    rate, error = checked_alpha(alpha), error_of(confidence)
    certified = np.sort(found[right & (found > 0.0)])
    grid = np.unique([0.0, *certified] if at is None else column("at", at, 0.0, np.inf))
    n = found.size
    counts = certified.size - np.searchsorted(certified, grid, side="left")
    share = counts / n
    false, offset, wide = most_false(n, rate, error), smirnov_offset(n, error), smirnov_offset(n, error / 2.0)
    off_new = float(np.nextafter(offset + rate, np.inf))
    # The share of inputs that are certified at radii above the one before and up to this one.
    steps, heights = np.diff(certified, prepend=0.0), np.arange(certified.size, 0, -1) / n
    kept = certified[:max(certified.size - false, 0)]

    def area(curve: Array) -> float:
        return float(np.dot(steps, np.clip(curve, 0.0, 1.0)))

    return CertifiedAccuracy(
        radius=grid, share=share, on_these_inputs=np.maximum(counts - false, 0) / n,
        on_new_inputs=np.maximum(share - off_new, 0.0), certified_low=np.maximum(share - wide, 0.0),
        certified_high=np.minimum(share + wide, 1.0), single_low=lower_limits(counts, n, error / 2.0),
        single_high=upper_limits(counts, n, error / 2.0),
        single_on_new_inputs=np.maximum(np.nextafter(lower_limits(counts, n, error) - rate, -1.0), 0.0),
        inputs=n, alpha=rate, confidence=1.0 - error,
        false_rows=false, off_these_inputs=false / n, off_new_inputs=off_new, off_certified=wide,
        mean_radius=math.fsum(certified) / n, mean_on_these_inputs=math.fsum(kept) / n * (1.0 - _SAFE),
        mean_on_new_inputs=area(heights - off_new) * (1.0 - _SAFE), mean_low=area(heights - wide) * (1.0 - _SAFE),
        mean_high=area(heights + wide) * (1.0 + _SAFE))
