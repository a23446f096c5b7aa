"""A run with a real network, small enough to be done many times."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch
from torch import nn

from rsopt.question import Question
from rsopt.runs.task import Task
from rsopt.sequential.policy import FixedSamples
from rsopt.smoothing import SmoothedClassifier

SIGMA = 0.25
CLASSES = 5
SEED = 11
TASK = Task(Question(SIGMA), FixedSamples(450, 0.01), n0=50)
IMAGES = torch.rand((8, 1, 6, 6), generator=torch.Generator().manual_seed(3))
LABELS = {idx: idx % CLASSES for idx in range(len(IMAGES))}


class Net(nn.Module):
    """A convolutional network with random weights.

    Args:
        once: kills its process at a forward pass as long as this file is there, and removes it.
        poisoned: returns NaN for inputs brighter than this on average.
        pace: seconds that a forward pass takes at least.
    """

    def __init__(self, once: Path | None = None, poisoned: float = 5.0, pace: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, CLASSES))
        self.once = once
        self.poisoned = poisoned
        self.pace = pace

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.once is not None and self.once.exists():
            self.once.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.pace)
        scores = self.layers(x)
        return torch.where(x.mean(dim=(1, 2, 3), keepdim=True).flatten(1) > self.poisoned, torch.nan, scores)


def slow() -> Net:
    """The network, slow enough to be hit in the middle of a run."""
    return Net(pace=0.08)


def classifier(net: Net | None = None) -> SmoothedClassifier:
    """The network under noise, in chunks of 50."""
    return SmoothedClassifier(net or Net(), SIGMA, CLASSES, chunk=50, batch=50, progress=False)
