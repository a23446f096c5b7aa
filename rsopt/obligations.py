"""What a bound rests on that rsopt cannot prove of a functional written by its user: checked on a grid, and said."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rsopt.errors import InvalidInputError
from rsopt.functional import Functional, LinkFunctional

Array = npt.NDArray[np.float64]

# Both ends of [0, 1] geometrically, where links are steep and tails live, and the middle evenly.
_SIDE = np.concatenate([[0.0], np.geomspace(1e-15, 4e-3, 60)])
GRID = np.unique(np.concatenate([_SIDE, np.linspace(0.005, 0.995, 199), 1.0 - _SIDE]))
POINTS = int(np.sum(np.add.outer(GRID, GRID) <= 1.0))

# How far g may fall between neighbours of the grid: what rounding does to a sum of terms of its size.
_ROUNDING = 1e-11


@dataclass(frozen=True)
class _Values:
    """g on the part of the grid with q1 + q2 <= 1; NaN elsewhere, shape (m, m), first index q1."""

    table: Array
    inside: npt.NDArray[np.bool_]


def check_monotone(functional: Functional) -> None:
    """Refuse a functional that is seen to break what every bound rests on.

    On a grid of `POINTS` points of the simplex g must be a number, lie in its stated range, not fall in q1 and not rise
    in q2; a link must not fall, and its slope must fit its differences. Functionals that ship are proven instead
    (tests/kernels). What holds on the grid may still fail between its points: that stays the user's obligation
    (`obligation`).

    Raises:
        InvalidInputError: the first points where the functional breaks a rule, with its values there.
    """
    if functional.monotone:
        return
    try:
        _checked(functional)
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        _checked.__wrapped__(functional)


def obligation(functional: Functional) -> str:
    """What stays on trust about a user's functional, in a sentence; empty for those that ship."""
    if functional.monotone:
        return ""
    return (f"On trust: that {functional.name!r} rises in q1 and falls in q2 everywhere, which was checked at "
            f"{POINTS:,} points.")


@lru_cache(maxsize=256)
def _checked(functional: Functional) -> None:
    values = _values(functional)
    least, largest = functional.range
    if not least < largest:
        raise InvalidInputError(f"The range of {functional.name!r} must be two numbers, the smaller first; found "
                                f"{functional.range!r}.")
    slack = _ROUNDING * (1.0 + np.abs(np.where(np.isfinite(values.table), values.table, 0.0)))
    _refuse_where(values.inside & ((values.table < least - slack) | (values.table > largest + slack)), functional,
                  values, f"leaves its stated range {functional.range!r}")
    _refuse_where(_falls(values.table, slack, axis=0), functional, values, "falls while q1 grows")
    _refuse_where(_falls(-values.table, slack, axis=1), functional, values, "rises while q2 grows")
    if isinstance(functional, LinkFunctional):
        _check_slope(functional)


def _values(functional: Functional) -> _Values:
    q1, q2 = np.meshgrid(GRID, GRID, indexing="ij")
    inside = q1 + q2 <= 1.0
    with np.errstate(all="ignore"):
        found = np.asarray(functional.value(q1[inside], q2[inside]), dtype=float)
    if found.shape != (POINTS,):
        raise InvalidInputError(f"{functional.name!r}: value(q1, q2) must return an array of the shape of its "
                                f"arguments, {(POINTS,)}; found {found.shape}.")
    table = np.full(q1.shape, np.nan)
    table[inside] = found
    missing = np.isnan(found)
    if missing.any():
        where = int(missing.argmax())
        raise InvalidInputError(f"{functional.name!r} is NaN at q1 = {q1[inside][where]:.6g}, q2 = "
                                f"{q2[inside][where]:.6g}. Every point of the simplex needs a value, -inf and inf "
                                "included.")
    return _Values(table, inside)


def _falls(table: Array, slack: Array, axis: int) -> npt.NDArray[np.bool_]:
    """Where a value is below its neighbour before it along the axis, by more than rounding; shape of the table."""
    before = np.roll(table, 1, axis=axis)
    np.moveaxis(before, axis, 0)[0] = np.nan
    with np.errstate(invalid="ignore"):
        return table < before - np.maximum(slack, np.roll(slack, 1, axis=axis))


def _refuse_where(broken: npt.NDArray[np.bool_], functional: Functional, values: _Values, what: str) -> None:
    places = np.argwhere(broken)
    if places.size == 0:
        return
    shown = "; ".join(f"g({GRID[i]:.6g}, {GRID[j]:.6g}) = {values.table[i, j]:.6g}" for i, j in places[:3])
    raise InvalidInputError(f"The functional {functional.name!r} {what}: {shown} ({len(places):,} of {POINTS:,} points "
                            "checked). A bound rests on g rising in q1 and falling in q2 within its range; no bound is "
                            "made of anything else.")


def _check_slope(functional: LinkFunctional) -> None:
    """The slope of a link against its differences: a wrong one gives needlessly small bounds."""
    q = np.linspace(0.02, 0.98, 97)
    step = 1e-5
    differences = (functional.link(q + step) - functional.link(q - step)) / (2.0 * step)
    stated = functional.link_slope(q)
    off = np.abs(stated - differences) > 1e-3 * (np.abs(differences) + 1e-9)
    # A kink has a slope on each side and none in the middle.
    off &= np.abs(stated - (functional.link(q + step) - functional.link(q)) / step) > 1e-3 * np.abs(differences)
    if off.any():
        where = int(off.argmax())
        raise InvalidInputError(f"The link of {functional.name!r} has slope {differences[where]:.6g} at q = "
                                f"{q[where]:.4g} and link_slope says {stated[where]:.6g}. Give the "
                                "derivative of the link.")
