"""What a model leaves behind when it is called: changed state, and random numbers drawn."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from rsopt.smoothing.provenance import tensor_bytes

__all__ = ["Traces"]

_Mark = tuple[object, ...]


@dataclass(frozen=True)
class Traces:
    """The state of a model and of the random generators that it may use, at one moment.

    Attributes:
        state: by name, a mark of every parameter and buffer, and of every tensor, number or collection among the
            modules' attributes: of a collection the size.
        generators: by name, a mark of every global generator.
        kept: the tensors behind the marks, so that no other takes the place of one in memory.
    """

    state: dict[str, _Mark]
    generators: dict[str, _Mark]
    kept: tuple[torch.Tensor, ...]

    @classmethod
    def of(cls, model: nn.Module) -> Traces:
        """The traces of a model as it is now. Costs no copies but of tensors that were made in inference mode."""
        state: dict[str, _Mark] = {}
        kept: list[torch.Tensor] = []
        for name, value in _values(model):
            if isinstance(value, torch.Tensor):
                kept.append(value)
            state[name] = _mark(value)
        return cls(state, _generators(), tuple(kept))

    def changed(self, later: Traces) -> list[str]:
        """Names of what differs from a later moment, or is there at one of the two only."""
        return [name for name in {**self.state, **later.state} if self.state.get(name) != later.state.get(name)]

    def drawn(self, later: Traces) -> list[str]:
        """Names of the generators from which something was drawn between two moments."""
        return [name for name, mark in self.generators.items() if later.generators.get(name) != mark]


def _values(model: nn.Module) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = [*model.named_parameters(), *model.named_buffers()]
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        found += [(f"{prefix}{key}", value) for key, value in vars(module).items()
                  if isinstance(value, torch.Tensor | int | float | list | dict | set)]
    return found


def _mark(value: object) -> _Mark:
    if isinstance(value, list | dict | set):
        return (len(value),)
    if not isinstance(value, torch.Tensor):
        return (value,)
    if value.is_inference():
        # Such tensors count no versions. They are few and small: what a model computes once, such as tables of angles.
        return (value.data_ptr(), tensor_bytes(value))
    return (value.data_ptr(), value._version)


def _generators() -> dict[str, _Mark]:
    name, words, *rest = np.random.get_state(legacy=True)  # noqa: NPY002  (looked at, not drawn from)
    found: dict[str, _Mark] = {"torch": (tensor_bytes(torch.get_rng_state()),),
                               "NumPy": (name, np.asarray(words).tobytes(), *rest), "Python": (random.getstate(),)}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        for number in range(torch.cuda.device_count()):
            found[f"torch cuda:{number}"] = (tensor_bytes(torch.cuda.get_rng_state(number)),)
    return found
