"""What a backend says by itself: kept apart from what rsopt prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout

from rsopt.errors import InvalidInputError, shown

Options = tuple[tuple[str, int | float | str], ...]
"""Options of a backend by its own names, in the order of the names."""


@contextmanager
def on_stderr(wanted: bool) -> Iterator[None]:
    """Sends what is printed in the block, by Python or by compiled code, to stderr; does nothing unless `wanted`.

    stdout is for results, which other programs read.
    """
    if not wanted:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def as_options(options: Mapping[str, object] | Options) -> Options:
    """Options of a backend from a mapping, or from pairs.

    Raises:
        InvalidInputError: a name that is no text, or a value that is neither number nor text.
    """
    if not isinstance(options, Mapping | tuple):
        raise InvalidInputError(f"Options of a backend are a mapping from its names; found {shown(options)}.")
    pairs = dict(options)
    for name, value in pairs.items():
        if not isinstance(name, str) or not isinstance(value, int | float | str):
            raise InvalidInputError(f"Options of a backend are numbers or texts by name; found {shown(name)}: "
                                    f"{shown(value)}.")
    return tuple(sorted(pairs.items()))  # type: ignore[arg-type]  # checked above
