"""Noisy copies of an input, a chunk at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rsopt.noise import Additive, Noise, Source
from rsopt.noise.source import draws_itself
from rsopt.smoothing.keys import Stream, device_key, host_key

__all__ = ["NoisyCopies", "noise_source"]


def noise_source(device: torch.device, noise: Noise) -> str:
    """Name of the generator that draws for a device, and how; under different names noise differs."""
    tabulated = isinstance(noise, Additive) and noise.grid is not None
    if draws_itself(device):
        return f"torch {device.type}{', table' if tabulated else ''}"
    return f"numpy Philox, {'table' if tabulated else 'Box-Muller'}"


@dataclass(frozen=True, eq=False)
class NoisyCopies:
    """The noisy copies of one input, in chunks.

    Attributes:
        x: the input, any shape, on the device.
        noise: what is drawn.
        chunk: rows per chunk.
        seed: any nonnegative integer.
        stream: what the samples are for.
        index: number of the input.
    """

    x: torch.Tensor
    noise: Noise
    chunk: int
    seed: int
    stream: Stream
    index: int

    def draw(self, number: int) -> torch.Tensor:
        """Chunk `number`, (chunk, *shape), on the device of x; a function of the fields alone."""
        key = (self.seed, self.stream, self.index, number)
        source = Source(host_key(*key), device_key(*key), self.x.device)
        return self.noise.noisy(self.x.expand(self.chunk, *self.x.shape), source)
