"""Which noise a chunk gets: keys made of (seed, stream, input index, chunk), never one twice in a run."""

from __future__ import annotations

import enum
import operator
from functools import lru_cache

import numpy as np

from rsopt.arguments import as_whole
from rsopt.errors import InvalidInputError, shown

__all__ = ["CHUNK_LIMIT", "INDEX_LIMIT", "Stream", "device_key", "host_key"]

INDEX_LIMIT = 1 << 32
"""Input indices lie below this."""
CHUNK_LIMIT = 1 << 30
"""Chunk numbers lie below this."""
_MASK = (1 << 64) - 1


class Stream(enum.IntEnum):
    """What samples are for. Different streams never share noise, whatever the index and the chunk."""

    SELECTION = 0
    """The n0 samples on which the certified class is chosen."""
    ESTIMATION = 1
    """The n samples from which the bound is computed."""
    CHECK = 2
    """The samples that show whether a model treats the rows of a batch separately."""
    LIKENESS = 3
    """The samples that show whether a model is the one that began a run."""


@lru_cache(maxsize=64)
def _seed_words(seed: int) -> tuple[int, int]:
    words = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    return int(words[0]), int(words[1])


def _position(stream: Stream, index: int, chunk: int) -> int:
    if not isinstance(stream, Stream):
        raise InvalidInputError(f"stream must be a rsopt.smoothing.Stream; found {shown(stream)}.")
    for name, value, limit in (("index", index, INDEX_LIMIT), ("chunk", chunk, CHUNK_LIMIT)):
        number = as_whole(value)
        if number is None or not 0 <= number < limit:
            raise InvalidInputError(f"{name} must lie in [0, {limit}), got {shown(value)}.")
    return (int(stream) << 62) | (int(index) << 30) | int(chunk)


def _seed(seed: int) -> tuple[int, int]:
    if operator.index(seed) < 0:
        raise InvalidInputError(f"seed must be a nonnegative integer, got {seed}.")
    return _seed_words(operator.index(seed))


def host_key(seed: int, stream: Stream, index: int, chunk: int) -> int:
    """The 128-bit key of a chunk for NumPy's Philox generator.

    The low half is (stream, index, chunk) itself, 2 + 32 + 30 bits, so that within one seed no two chunks
    share a key; the high half is a hash of the seed.

    Args:
        seed: any nonnegative integer.
        stream: what the samples are for.
        index: number of the input, in [0, 2^32).
        chunk: number of the chunk, in [0, 2^30).

    Raises:
        InvalidInputError: a value outside its range.
    """
    return (_seed(seed)[0] << 64) | _position(stream, index, chunk)


def device_key(seed: int, stream: Stream, index: int, chunk: int) -> int:
    """The 64-bit key of a chunk for the generator of an accelerator; arguments and errors as in `host_key`.

    (stream, index, chunk) is combined with the hash of the seed by a bijection of the 64-bit words (the
    finaliser of SplitMix64), so within one seed no two chunks share a key here either.
    """
    low, high = _seed(seed)
    z = _position(stream, index, chunk) ^ low
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return (z ^ (z >> 31)) ^ high
