"""Standard normal noise on the host, from a 128-bit key."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["standard_normals"]

_BLOCK = 1 << 16  # values per round: its scratch arrays stay in the second-level cache


def standard_normals(key: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Independent standard normal values of the given shape, float32; a function of key and shape alone.

    The Box–Muller transform of the raw words of NumPy's Philox. Its 128 bits of key are used as they are,
    NumPy keeps its words the same from version to version, and the whole takes less than half the time of
    NumPy's own normals. torch's generator for the CPU is not used, since it reads only the lower 32 bits of
    its seed: a run of 10^5 chunks would probably draw some noise twice. Radii come from 31 bits, (k + 1/2)
    / 2^31, so the tails reach 6.6 standard deviations.

    Args:
        key: in [0, 2^128).
        shape: any shape.
    """
    source = np.random.Philox(key=key)
    values = np.empty(math.prod(shape), dtype=np.float32)
    for start in range(0, values.size, _BLOCK):
        block = values[start:start + _BLOCK]
        half = (block.size + 1) // 2
        words = source.random_raw(half).view(np.uint32)
        radius = np.right_shift(words[:half], np.uint32(1)).view(np.int32).astype(np.float32)
        radius += np.float32(0.5)
        radius *= np.float32(2.0**-31)
        np.log(radius, out=radius)
        radius *= np.float32(-2.0)
        np.sqrt(radius, out=radius)
        angle = words[half:].view(np.int32).astype(np.float32)
        angle *= np.float32(math.pi * 2.0**-31)
        np.multiply(np.cos(angle), radius, out=block[:half])
        rest = block.size - half
        np.multiply(np.sin(angle[:rest]), radius[:rest], out=block[half:])
    return values.reshape(shape)
