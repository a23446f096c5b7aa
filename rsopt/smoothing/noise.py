"""Noisy copies of an input, a chunk at a time, drawn and added in float32."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rsopt.smoothing.keys import Stream, device_key, host_key

__all__ = ["NoisyChunks", "float32_at_least"]


def float32_at_least(sigma: float) -> np.float32:
    """The smallest float32 that is not below sigma.

    Rounded up, because a radius is computed from sigma in float64: noise that is wider than stated makes the
    radius too small by the rounding, noise that is narrower would make it too large.
    """
    nearest = np.float32(sigma)
    return nearest if float(nearest) >= sigma else np.nextafter(nearest, np.float32(np.inf))


@dataclass(frozen=True)
class NoisyChunks:
    """Draws the noisy copies of one input.

    On accelerators with a torch generator of their own (CUDA, XPU, MPS) noise is drawn there. Everywhere
    else it comes from NumPy's Philox on the host, not from torch's CPU generator: that one uses only the
    lower 32 bits of its seed, so a run of 10^5 chunks would probably use some noise twice.

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

    DEVICE_GENERATORS = ("cuda", "xpu", "mps")

    @classmethod
    def source(cls, device: torch.device) -> str:
        """Name of the generator used for a device; runs with different names have different noise."""
        return f"torch {device.type}" if device.type in cls.DEVICE_GENERATORS else "numpy Philox"

    def on_device(self, chunk: int) -> torch.Tensor:
        """Chunk number `chunk`, shape (chunk, *x.shape), drawn by the device's own generator."""
        generator = torch.Generator(device=self.x.device)
        generator.manual_seed(device_key(self.seed, self.stream, self.index, chunk))
        noise = torch.randn((self.chunk, *self.x.shape), generator=generator,
                            device=self.x.device, dtype=torch.float32)
        return noise.mul_(float(float32_at_least(self.sigma))).add_(self.x)

    def on_host(self, chunk: int, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Chunk number `chunk` around the host copy `x` of the input, shape (chunk, *x.shape)."""
        key = host_key(self.seed, self.stream, self.index, chunk)
        generator = np.random.Generator(np.random.Philox(key=key))
        noise = np.empty((self.chunk, *x.shape), dtype=np.float32)
        generator.standard_normal(dtype=np.float32, out=noise)
        noise *= float32_at_least(self.sigma)
        noise += x
        return noise

    def stream_chunks(self, chunks: Iterable[int], ahead: int) -> Iterator[tuple[int, torch.Tensor]]:
        """Yields (number, noisy chunk on the device) in the order of `chunks`.

        Args:
            chunks: numbers of the chunks wanted.
            ahead: how many chunks a second thread may prepare while the model is busy; 0 for none. Only
                host noise uses it: an accelerator runs ahead by itself.
        """
        if self.x.device.type in self.DEVICE_GENERATORS:
            for number in chunks:
                yield number, self.on_device(number)
            return
        x = self.x.cpu().numpy()
        if ahead == 0:
            for number in chunks:
                yield number, torch.from_numpy(self.on_host(number, x)).to(self.x.device)
            return
        waiting: deque[tuple[int, Future[NDArray[np.float32]]]] = deque()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="rsopt-noise") as pool:
            try:
                for number in chunks:
                    waiting.append((number, pool.submit(self.on_host, number, x)))
                    if len(waiting) > ahead:
                        yield self._next(waiting)
                while waiting:
                    yield self._next(waiting)
            finally:
                for _, future in waiting:
                    future.cancel()

    def _next(self, waiting: deque[tuple[int, Future[NDArray[np.float32]]]]) -> tuple[int, torch.Tensor]:
        number, future = waiting.popleft()
        return number, torch.from_numpy(future.result()).to(self.x.device)
