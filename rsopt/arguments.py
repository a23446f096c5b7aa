"""Arguments as callers hand them over: numbers of Python and NumPy, seeds, and classes in place of instances."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from rsopt.errors import InvalidInputError, shown

Real = float | np.floating[Any] | np.integer[Any]
Whole = int | np.integer[Any]
T = TypeVar("T")


def as_real(value: object) -> float | None:
    """`value` as a float where it is a real number, infinities and NaN included; None for everything else.

    True is no number here, nor is text. An integer beyond the floats is infinite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def as_whole(value: object) -> int | None:
    """`value` as an int where it is one, of Python or NumPy; None for everything else, True and 3.0 included."""
    return int(value) if isinstance(value, int | np.integer) and not isinstance(value, bool) else None


def checked_whole(name: str, value: object, least: int | None = None) -> int:
    """`value` as an int, also from NumPy.

    Raises:
        InvalidInputError: it is no whole number, or below `least`; the text calls it by `name`.
    """
    number = as_whole(value)
    if number is None or (least is not None and number < least):
        raise InvalidInputError(f"{name} must be an integer{'' if least is None else f' of at least {least}'}, got "
                                f"{shown(value)}.")
    return number


def as_name(value: object) -> str:
    """`value` where it is text; for everything else a text that names nothing, so that tables of names can be asked."""
    return value if isinstance(value, str) else ""


def checked_instance(value: object, kind: type[T], name: str) -> T:
    """`value`, once it is sure that it is one of a kind.

    Raises:
        InvalidInputError: it is not; the text calls it by `name`.
    """
    if not isinstance(value, kind):
        raise InvalidInputError(f"{name} must be a {kind.__name__}; found {shown(value)}.")
    return value


def iterated(values: Iterable[T], name: str) -> Iterator[T]:
    """The items of a row of things, one by one: it may be without end.

    Raises:
        InvalidInputError: it is no row; the message calls it by `name`.
    """
    try:
        return iter(values)
    except TypeError:
        raise InvalidInputError(f"{name} must be a row of items; found {shown(values)}.") from None


def checked_seed(seed: object) -> int:
    """`seed` as an int, or an error unless it is a whole number from 0 on."""
    whole = as_whole(seed)
    if whole is None or whole < 0:
        raise InvalidInputError(f"seed must be a whole number from 0 on; found {shown(seed)}.")
    return whole


def instance_of(thing: object) -> object:
    """What a class makes without arguments; anything else as it is.

    Raises:
        InvalidInputError: a class that cannot be made without arguments.
    """
    if not isinstance(thing, type):
        return thing
    try:
        return thing()
    except TypeError as error:
        raise InvalidInputError(f"{thing.__name__} cannot be made without arguments: {error}. Give an instance."
                                ) from error
