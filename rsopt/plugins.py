"""What other packages bring: entry points, found by their group and loaded when they are asked for."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Any

from rsopt.errors import RsoptError


@cache
def plugins(group: str, own: frozenset[str]) -> dict[str, metadata.EntryPoint]:
    """The entry points of a group by name.

    A third party can add a name but not replace one of ours: results must not change with what else is installed.

    Args:
        group: of entry points.
        own: the names that are ours.
    """
    return {point.name: point for point in metadata.entry_points(group=group) if point.name not in own}


def loaded(kind: str, point: metadata.EntryPoint, error: type[RsoptError]) -> Any:
    """What an entry point names.

    Args:
        kind: what it is, for the error: "solver".
        point: the entry point.
        error: the class of the error where it cannot be loaded.
    """
    try:
        return point.load()
    except Exception as reason:  # a plugin may raise anything when it is imported
        raise error(f"The {kind} {point.name!r} is registered as {point.value!r} and cannot be loaded: "
                    f"{type(reason).__name__}: {reason}. Reinstall or remove the package that brings it.") from reason
