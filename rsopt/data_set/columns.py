"""Columns of numbers as callers hand them over: one entry an input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsopt.errors import InvalidInputError, shown

Array = npt.NDArray[np.float64]


def column(name: str, values: object, least: float, most: float, *, whole: bool = False) -> Array:
    """`values` as floats, shape (N,), N at least 1.

    Raises:
        InvalidInputError: no row of real numbers, none at all, or one that is NaN, infinite, below `least`, above
            `most`, or, with `whole`, no whole number; the text calls the column by `name`.
    """
    found = _array(values)
    if found is None or found.ndim != 1 or not found.size or found.dtype.kind not in "iuf":
        raise InvalidInputError(f"{name} must be a row of numbers, one an input, at least one; found {shown(values)}.")
    numbers = found.astype(np.float64)
    wrong = ~((numbers >= least) & (numbers <= most) & np.isfinite(numbers))
    if whole:
        wrong |= numbers != np.floor(numbers)
    if wrong.any():
        place = int(wrong.argmax())
        kind = "whole numbers" if whole else "finite numbers"
        upto = "" if most == np.inf else f" to {most:,.10g}"
        raise InvalidInputError(f"{name} must be {kind} from {least:g}{upto}; found {found[place]} at {place}.")
    return numbers


def flags(name: str, values: object, rows: int) -> npt.NDArray[np.bool_]:
    """`values` as truth values, shape (rows,).

    Raises:
        InvalidInputError: they are none, or another number of them.
    """
    found = _array(values)
    if found is None or found.dtype != np.bool_ or found.shape != (rows,):
        raise InvalidInputError(f"{name} must be {rows:,} truth values, one an input; found {shown(values)}.")
    return found.astype(np.bool_)


def _array(values: object) -> npt.NDArray[np.generic] | None:
    """An array as NumPy makes it; None where it makes none."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
