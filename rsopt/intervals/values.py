"""The input that every interval takes: values, or rows with weights, their range and the level."""

from __future__ import annotations

import math

import numpy as np

from rsopt.arguments import as_real
from rsopt.errors import InvalidInputError, shown

#: Values may leave the range by this share of its width, by rounding; they are put back.
TOLERANCE = 1e-9
#: Below, 1/alpha overflows.
SMALLEST_ALPHA = 1e-300


def check_alpha(alpha: float) -> float:
    """alpha as a float in (0, 1/2).

    Raises:
        InvalidInputError: it is anything else.
    """
    if isinstance(alpha, bool) or not isinstance(alpha, int | float | np.integer | np.floating):
        raise InvalidInputError(
            "alpha must be a number in (0, 1/2), the probability that the bound is false; "
            f"got {alpha!r}.")
    value = float(alpha)
    if not SMALLEST_ALPHA <= value < 0.5:
        raise InvalidInputError("alpha must lie in (0, 1/2), and not below 1e-300: it is the probability that the "
                                f"bound is false; got {value!r}.")
    return value


def unit_values(rows: object, *, alpha: float, lo: float, hi: float, weights: object = None) -> np.ndarray:
    """Values mapped from [lo, hi] to [0, 1], (n,), float64.

    Args:
        rows: values, (n,), or rows, (n, k), to be combined with `weights`.
        alpha: checked here, so that every interval refuses the same levels.
        lo, hi: range that the values (after weighting) cannot leave, whatever the data.
        weights: (k,), when rows have two dimensions: the value of a row is ``row @ weights``.

    Raises:
        InvalidInputError: no values, wrong shape, NaN or infinite values, a value outside [lo, hi] by more
            than rounding, an empty range, alpha outside (0, 1/2).
    """
    check_alpha(alpha)
    low, high = as_real(lo), as_real(hi)
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InvalidInputError("The range must satisfy lo < hi, both finite numbers; found "
                                f"lo = {shown(lo)}, hi = {shown(hi)}.")
    values = _floats(rows, "rows")
    if weights is not None:
        combination = _floats(weights, "weights")
        if values.ndim != 2 or combination.shape != (values.shape[1],):
            raise InvalidInputError(f"Weights of shape (k,) need rows of shape (n, k); got weights of shape "
                                    f"{combination.shape} and rows of shape {values.shape}.")
        values = values @ combination
    if values.ndim != 1:
        raise InvalidInputError(f"Without weights, rows must have shape (n,); got {values.shape}.")
    if values.size == 0:
        raise InvalidInputError("There are no rows: a bound needs at least one.")
    if not np.isfinite(values).all():
        first = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InvalidInputError(f"Row {first} is {values[first]}; every value must be finite.")
    unit: np.ndarray = (values - low) / (high - low)
    outside = np.flatnonzero((unit < -TOLERANCE) | (unit > 1.0 + TOLERANCE))
    if outside.size:
        raise InvalidInputError(f"Row {outside[0]} has the value {float(values[outside[0]])!r}, outside "
                                f"[{low}, {high}]; the bound is only valid when no value can leave the range.")
    return unit.clip(0.0, 1.0)


def from_unit(bound: float, lo: float, hi: float) -> float:
    """A lower bound in [0, 1] mapped back to [lo, hi] and rounded down."""
    if not bound > 0.0:
        return float(lo)
    value = float(lo + bound * (hi - lo))
    return max(float(lo), value - 1e-15 * (abs(value) + abs(lo) + abs(hi)))


def _floats(values: object, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiub":
            raise TypeError
        return array.astype(np.float64)
    except (TypeError, ValueError):
        found = type(values).__name__
        raise InvalidInputError(f"{name} must be an array of real numbers; got {found}.") from None
