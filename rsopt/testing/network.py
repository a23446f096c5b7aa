"""What the models of both zoos are made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

SHAPE = (3, 8, 8)
"""Shape of an input of every model, pixels in [0, 1]."""
CLASSES = 5
"""Columns of every model's output."""
# 1 for the first class.
FIRST = torch.eye(CLASSES)[0]


class Wrapped(nn.Module):
    """A small network whose inputs and scores go through functions."""

    def __init__(self, after: Callable[[Tensor], Tensor] | None = None,
                 before: Callable[[Tensor], Tensor] | None = None, body: nn.Module | None = None) -> None:
        super().__init__()
        self.body = network() if body is None else body
        self.after, self.before = after, before

    def forward(self, x: Tensor) -> Tensor:
        """Scores (rows, CLASSES)."""
        scores: Tensor = self.body(x if self.before is None else self.before(x))
        return scores if self.after is None else self.after(scores)


def network(*layers: nn.Module, scale: float = 6.0) -> nn.Sequential:
    """A convolutional network with fixed random weights whose votes are spread over the classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        head = nn.Linear(8 * 16, CLASSES)
        body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, stride=2), nn.ReLU(), *layers, nn.Flatten(), head)
    with torch.no_grad():
        head.weight *= scale
        head.bias.zero_()
    return body


def with_last(value: float) -> Callable[[Tensor], Tensor]:
    """Gives the last class this score in every row."""
    def put(scores: Tensor) -> Tensor:
        return torch.cat([scores[:, :-1], torch.full_like(scores[:, :1], value)], dim=1)
    return put


def chain(*steps: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """One step after the other."""
    def chained(scores: Tensor) -> Tensor:
        for step in steps:
            scores = step(scores)
        return scores
    return chained


def one_hot(scores: Tensor) -> Tensor:
    """One at the first largest score, zero elsewhere."""
    return torch.zeros_like(scores).scatter_(1, scores.argmax(dim=1, keepdim=True), 1.0)


class Attention(nn.Module):
    """Attention among the channels of an image; without `batch_first`, its axes exchanged, among the images."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(6)
            self.attention = nn.MultiheadAttention(16, 2, batch_first=batch_first)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the same shape."""
        tokens = x.flatten(2)
        mixed: Tensor = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return mixed.reshape(x.shape) + x
