"""The random numbers of one chunk of samples, on the host or on an accelerator."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rsopt.errors import InvalidInputError
from rsopt.noise import laws
from rsopt.noise.grid import GridNoise

if TYPE_CHECKING:
    from torch import Generator, Tensor, device

WORDS = 1 << 63
"""How many words there are: `Source.words` draws them uniformly from 0 on."""

_OWN_GENERATORS = ("cuda", "xpu", "mps")


def threshold(probability: float) -> int:
    """The number below which a word lies with this probability, below 1: the next multiple of 2^-63, upwards."""
    return math.ceil(Fraction(probability) * WORDS)


def draws_itself(place: device) -> bool:
    """Whether a device draws with a generator of its own; everything else gets host noise."""
    return place.type in _OWN_GENERATORS


class Source:
    """Random numbers that are a function of a key: what is asked for first is drawn first.

    Accelerators with a torch generator of their own draw there; everything else is drawn on the host and brought over.
    Numbers of different kinds of device differ.

    Args:
        host_key: in [0, 2^128), for NumPy's Philox.
        device_key: in [0, 2^64), for the generator of an accelerator.
        device: where the numbers are wanted.
    """

    def __init__(self, host_key: int, device_key: int, device: device) -> None:
        self.device = device
        self._host_key = host_key
        self._device_key = device_key

    @classmethod
    def of(cls, seed: int, device: device | str = "cpu") -> Source:
        """The numbers of a seed: for training and for trying things out. Runs key every chunk of every input.

        Raises:
            InvalidInputError: a negative seed.
        """
        import torch

        if seed < 0:
            raise InvalidInputError(f"seed must be a nonnegative integer, got {seed}.")
        low, high, other = (int(word) for word in np.random.SeedSequence(seed).generate_state(3, np.uint64))
        return cls(high << 64 | low, other, torch.device(device))

    @cached_property
    def _philox(self) -> np.random.Philox:
        return np.random.Philox(key=self._host_key)

    @cached_property
    def _generator(self) -> Generator:
        import torch

        return torch.Generator(device=self.device).manual_seed(self._device_key)

    def normals(self, shape: tuple[int, ...]) -> Tensor:
        """Standard normal values, float32."""
        import torch

        if draws_itself(self.device):
            return torch.randn(shape, generator=self._generator, device=self.device, dtype=torch.float32)
        return torch.from_numpy(laws.standard_normals(self._philox, shape)).to(self.device)

    def laplaces(self, shape: tuple[int, ...]) -> Tensor:
        """Values of density exp(-|z|)/2, float32: on an accelerator the difference of two exponential ones."""
        import torch

        if draws_itself(self.device):
            return self._exponentials(shape).sub_(self._exponentials(shape))
        return torch.from_numpy(laws.standard_laplaces(self._philox, shape)).to(self.device)

    def logistics(self, shape: tuple[int, ...]) -> Tensor:
        """Values of distribution function 1/(1 + exp(-z)), float32: on an accelerator the logarithm of the quotient of
        two exponential ones.
        """
        import torch

        if draws_itself(self.device):
            return self._exponentials(shape).log_().sub_(self._exponentials(shape).log_())
        return torch.from_numpy(laws.standard_logistics(self._philox, shape)).to(self.device)

    def uniforms(self, shape: tuple[int, ...]) -> Tensor:
        """Uniform values on [-1, 1], float32, symmetric about 0."""
        import torch

        if draws_itself(self.device):
            # Multiples of 2^-24 from 0 on: half a step moves them to the middle.
            cells = torch.rand(shape, generator=self._generator, device=self.device, dtype=torch.float32)
            return cells.mul_(2.0).sub_(1.0 - 2.0**-24)
        return torch.from_numpy(laws.symmetric_uniforms(self._philox, shape)).to(self.device)

    def words(self, shape: tuple[int, ...]) -> Tensor:
        """Whole numbers, uniform on [0, 2^63), int64: for coins and for the order of positions."""
        import torch

        if draws_itself(self.device):
            return torch.empty(shape, dtype=torch.int64, device=self.device).random_(generator=self._generator)
        words = self._philox.random_raw(int(np.prod(shape))) >> np.uint64(1)
        return torch.from_numpy(words.view(np.int64).reshape(shape)).to(self.device)

    def steps(self, noise: GridNoise, shape: tuple[int, ...]) -> Tensor:
        """Whole numbers of steps of the law of a table, K + `reach`: int16 on the host, int32 on an accelerator."""
        import torch

        if draws_itself(self.device):
            words = torch.empty(shape, dtype=torch.int64, device=self.device)
            return noise.of_words(words.random_(-1 << 63, None, generator=self._generator))
        return torch.from_numpy(noise.draw(self._philox, shape)).to(self.device)

    def _exponentials(self, shape: tuple[int, ...]) -> Tensor:
        import torch

        return torch.empty(shape, dtype=torch.float32, device=self.device).exponential_(generator=self._generator)
