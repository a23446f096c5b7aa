"""Noisy copies of an input, a chunk at a time, drawn and added in float32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rsopt.smoothing.gaussian import standard_normals
from rsopt.smoothing.keys import Stream, device_key, host_key

__all__ = ["NoisyCopies", "float32_at_least", "noise_source"]

_DEVICE_GENERATORS = ("cuda", "xpu", "mps")


def float32_at_least(sigma: float) -> float:
    """The smallest float32 that is not below sigma.

    Rounded up, because a radius is computed from sigma in float64: noise that is wider than stated makes the
    radius too small by the rounding, noise that is narrower would make it too large.
    """
    nearest = np.float32(sigma)
    return float(nearest if float(nearest) >= sigma else np.nextafter(nearest, np.float32(np.inf)))


def noise_source(device: torch.device) -> str:
    """Name of the generator that draws for a device; under different names noise differs.

    Accelerators with a torch generator of their own draw there; everything else gets host noise.
    """
    return f"torch {device.type}" if device.type in _DEVICE_GENERATORS else "numpy Philox, Box-Muller"


@dataclass(frozen=True, eq=False)
class NoisyCopies:
    """The noisy copies of one input, in chunks.

    Attributes:
        x: the input, any shape, float32, on the device.
        sigma: standard deviation of the noise, in the units of x.
        chunk: rows per chunk.
        seed: any nonnegative integer.
        stream: what the samples are for.
        index: number of the input.
    """

    x: torch.Tensor
    sigma: float
    chunk: int
    seed: int
    stream: Stream
    index: int

    def draw(self, number: int) -> torch.Tensor:
        """Chunk `number`, float32 (chunk, *x.shape), on the device of x; a function of the fields alone."""
        shape = (self.chunk, *self.x.shape)
        device = self.x.device
        if device.type in _DEVICE_GENERATORS:
            generator = torch.Generator(device=device)
            generator.manual_seed(device_key(self.seed, self.stream, self.index, number))
            noise = torch.randn(shape, generator=generator, device=device, dtype=torch.float32)
        else:
            key = host_key(self.seed, self.stream, self.index, number)
            noise = torch.from_numpy(standard_normals(key, shape)).to(device)
        return noise.mul_(float32_at_least(self.sigma)).add_(self.x)
