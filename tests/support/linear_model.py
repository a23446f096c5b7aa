"""A linear classifier of three classes in the plane, and four inputs for it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from small_run import SIGMA
from torch import nn

from rsopt.runs.inputs import Inputs
from rsopt.smoothing import SmoothedClassifier

POINTS = torch.tensor([[1.0, 0.0], [0.2, 0.1], [-0.7, 0.4], [0.0, 0.9]])
ANSWERS = [0, 0, 1, 2]


class Linear(nn.Module):
    """Three classes, told apart by fixed directions."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight.T


def classifier(chunk: int = 64) -> SmoothedClassifier:
    return SmoothedClassifier(Linear(), SIGMA, 3, chunk=chunk, batch=128, progress=False)


def inputs(labels: Sequence[int | None] = ANSWERS, chosen: Sequence[int] = range(4)) -> Inputs:
    return Inputs(POINTS, labels, list(chosen))


class Odd(nn.Module):
    """Raises for some inputs what no library of ours knows."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Linear(2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool((x.mean(dim=1) > 5.0).any()):
            raise KeyError("an odd input")
        return self.inside(x)
