"""How the probability of the certified class is distributed over a data set: a band for its distribution function."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsopt.arguments import Real, as_real
from rsopt.counts import MAX_DRAWS
from rsopt.data_set.columns import column
from rsopt.data_set.confidence import CONFIDENCE, error_of
from rsopt.data_set.smirnov import smirnov_offset
from rsopt.errors import InvalidInputError, shown
from rsopt.limits import lower_limits, most_false, upper_limits

Array = npt.NDArray[np.float64]

_LEAST = 1e-15


@dataclass(frozen=True, eq=False)
class ProbabilityBand:
    """A band for H(t), the share of inputs whose certified class has probability p_A <= t under the noise.

    p_A is the probability with which the model answers the certified class when the input is noised: of the known
    label, or of the class that separate samples chose. Low and high hold together, at every t at once, with probability
    `confidence` (theorem D4). Where no `at` was asked for they are between neighbours as at the smaller one.

    Attributes:
        probability: t, rising, shape (T,).
        these_low, these_high: H of these N inputs lies between them, shape (T,) each.
        new_low, new_high: H of the distribution that these inputs are drawn from does, shape (T,) each.
        row_low, row_high: each input's own limits on p_A, each false with probability at most `row_error`, shape (N,);
            0 and 1 where nothing was sampled.
        row_error: as above.
        false_limits: at most so many of the row limits are false on either side.
        off_these_inputs: what is taken off and added for these inputs, false_limits / N.
        off_new_inputs: for new ones, row_error included.
        confidence: of each of the two bands by itself.
    """

    probability: Array
    these_low: Array
    these_high: Array
    new_low: Array
    new_high: Array
    row_low: Array
    row_high: Array
    row_error: float
    false_limits: int
    off_these_inputs: float
    off_new_inputs: float
    confidence: float


def probability_band(votes: npt.ArrayLike, samples: npt.ArrayLike, *, confidence: Real = CONFIDENCE,
                     error: Real | None = None, look_share: npt.ArrayLike | None = None, variation: Real = 0.0,
                     at: npt.ArrayLike | None = None) -> ProbabilityBand:
    """A band for the distribution of p_A over inputs, from the votes for the certified class (theorem D4).

    The votes of the inputs must be drawn independently of each other, and each certified class fixed without them. What
    is said of new inputs needs these N to be independent draws from their distribution.

    Args:
        votes: those for the certified class, shape (N,).
        samples: how many were drawn, shape (N,), fixed in advance or as `look_share` says; 0 for an input that failed,
            of which nothing is known.
        confidence: of each of the two bands, from 0.5.
        error: probability at most which a row's limit on p_A is false on either side, fixed without the votes; None for
            1/(10 √N), about a twelfth of what the limited number of inputs costs at 95%.
        look_share: where sampling stops by looks, the share of the error that was set aside in advance for the look
            whose votes these are, shape (N,); shares of all looks that an input might take add up to at most 1. None
            where samples were fixed in advance.
        variation: total variation by which the draws of one input may differ from the stated noise.
        at: t of the columns, from 0 to 1; None for 0, 1 and every t at which the band steps.

    Raises:
        InvalidInputError: no inputs, columns of different lengths, votes that are no whole numbers from 0 to samples,
            shares outside of (0, 1], or a confidence, error or variation without meaning.
    """
    n = column("samples", samples, 0, MAX_DRAWS, whole=True)
    x = column("votes", votes, 0, MAX_DRAWS, whole=True)
    shares = np.ones(n.size) if look_share is None else column("look_share", look_share, _LEAST, 1.0)
    if not x.size == n.size == shares.size:
        raise InvalidInputError(f"votes, samples and look_share must have an entry for each input; found {x.size:,}, "
                                f"{n.size:,} and {shares.size:,}.")
    if (x > n).any():
        place = int((x > n).argmax())
        raise InvalidInputError(f"Input {place} has {x[place]:,.0f} votes of {n[place]:,.0f} samples.")
    rows, outside = n.size, error_of(confidence)
    each = 1.0 / (10.0 * math.sqrt(rows)) if error is None else _checked("error", error, _LEAST)
    false = float(np.nextafter(each + _checked("variation", variation, 0.0), 1.0))
    low, high = np.zeros(rows), np.ones(rows)
    for spent in np.unique(shares):
        here = (shares == spent) & (n > 0)
        low[here] = lower_limits(x[here], n[here], each * spent)
        high[here] = upper_limits(x[here], n[here], each * spent)
    grid = np.unique([0.0, 1.0, *low, *high] if at is None else column("at", at, 0.0, 1.0))
    surely = np.searchsorted(np.sort(high), grid, side="right")
    perhaps = np.searchsorted(np.sort(low), grid, side="right")
    limits = most_false(rows, false, outside / 2.0)
    off = float(np.nextafter(smirnov_offset(rows, outside / 2.0) + false, np.inf))
    whole = grid >= 1.0
    return ProbabilityBand(
        probability=grid, these_low=np.where(whole, 1.0, np.maximum(surely - limits, 0) / rows),
        these_high=np.minimum(perhaps + limits, rows) / rows,
        new_low=np.where(whole, 1.0, np.maximum(surely / rows - off, 0.0)),
        new_high=np.minimum(perhaps / rows + off, 1.0), row_low=low, row_high=high, row_error=false,
        false_limits=limits, off_these_inputs=limits / rows, off_new_inputs=off, confidence=1.0 - outside)


def _checked(name: str, value: object, least: float) -> float:
    number = as_real(value)
    if number is None or not least <= number < 0.5:
        raise InvalidInputError(f"{name} must be a number from {least:g} to below 1/2; found {shown(value)}.")
    return number
