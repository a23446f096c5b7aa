"""Functions that a noise holds: by themselves, or by name where a noise was read from a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rsopt.errors import InvalidInputError
from rsopt.named import load_named
from rsopt.noise.source import Source

if TYPE_CHECKING:
    from torch import Tensor

Draw = Callable[["Tensor", Source], "Tensor"]
Apply = Callable[["Tensor", "Tensor"], "Tensor"]


def called(function: Draw | Apply | str) -> Callable[..., Tensor]:
    """The function, also from ``module:function``. Nothing is imported before it is to be called.

    Raises:
        InvalidInputError: there is none of that name, or it is no function.
    """
    if not isinstance(function, str):
        return function
    found = load_named(function)
    if not callable(found):
        raise InvalidInputError(f"The noise needs the function {function!r}, which is {found!r}.")
    return found
