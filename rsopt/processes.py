"""Independent work spread over processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def mapped(work: Callable[[T], R], items: Sequence[T], jobs: int) -> Iterator[R]:
    """`work` of each item, in order, in so many processes; in this one where few items would not pay for others.

    Args:
        work: a function that other processes can import.
        items: what can be pickled.
        jobs: processes, at least 1.
    """
    if jobs == 1 or len(items) < 2 * jobs:
        yield from map(work, items)
        return
    # Spawned, not forked: the caller may have threads of its own (a progress bar, torch) that a fork would cut off.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, items, chunksize=max(1, min(32, len(items) // (4 * jobs))))
