"""Models whose answer for a row depends on more than the row, and the ways in which it does."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn

from rsopt.testing.network import CLASSES, FIRST, Wrapped, one_hot


def first_row(scores: Tensor) -> Tensor:
    """The scores of the first row for all of them."""
    return scores[:1].expand_as(scores).clone()


def every(step: int, change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Lets the row in every `step`-th place answer what `change` gives it."""
    def changed(scores: Tensor) -> Tensor:
        place = torch.arange(len(scores), device=scores.device)[:, None]
        return torch.where(place % step == step - 1, change(scores), scores)
    return changed


def capacity(scores: Tensor) -> Tensor:
    """Experts that take no more rows than their capacity: those that come later get another answer."""
    place = scores.argmax(dim=1)
    served = torch.stack([(place == k).cumsum(0) for k in range(scores.shape[1])]).gather(0, place[None])[0]
    return torch.where((served > max(1, len(scores) // 8))[:, None], scores.roll(1, dims=1), scores)


def common_offset(scores: Tensor) -> Tensor:
    """All classes share a large number that varies from row to row; small differences decide."""
    return first_row(scores) + 1e5 * scores[:, :1]


def moved_by_place(scores: Tensor) -> Tensor:
    """The first class wins more and more along the batch."""
    return scores + 0.01 * torch.arange(len(scores), device=scores.device)[:, None] * FIRST.to(scores)


def outliers(scores: Tensor) -> Tensor:
    """Some rows have very large scores."""
    changed = first_row(scores)
    changed[::16] *= 1e7
    return changed


def two_kinds(scores: Tensor) -> Tensor:
    """Most rows are decided by far; the rest answers for the first row, by a little."""
    clear = scores[:, :1] > -0.05
    return torch.where(clear, 1e4 * scores, 0.05 * first_row(scores))


def quantised(x: Tensor) -> Tensor:
    """Dynamic quantisation to eight bits, whose scale is that of the whole batch."""
    step = x.abs().amax() / 127.0
    return (x / step).round() * step


def votes_of_all(scores: Tensor) -> Tensor:
    """Shares of the votes of the batch."""
    return one_hot(scores).mean(dim=0, keepdim=True).expand_as(scores).clone()


def jitter(x: Tensor) -> Tensor:
    """Some brightness from Python's generator."""
    return x + 1e-3 * torch.tensor([random.random() for _ in range(len(x))], device=x.device)[:, None, None, None]


def seeded(x: Tensor) -> Tensor:
    """Noise that is the same for every batch, and another for every place in it."""
    source = torch.Generator().manual_seed(0)
    return x + 0.3 * torch.randn(x.shape, generator=source).to(x)


class AlwaysTraining(nn.BatchNorm2d):
    """Frozen the wrong way round: stays in train mode whatever it is told."""

    def train(self, mode: bool = True) -> AlwaysTraining:
        """Train mode."""
        super().train(True)
        return self


class AlwaysDropping(nn.Dropout):
    """Dropout that is meant to stay on."""

    def train(self, mode: bool = True) -> AlwaysDropping:
        """Train mode."""
        super().train(True)
        return self


class RarelyDropped(Wrapped):
    """Skips a layer for one batch in ten thousand."""

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        return super().forward(x) if torch.rand(()) > 1e-4 else super().forward(0.5 * x)


class Drifting(Wrapped):
    """Moves its scores by a little with every batch it sees."""

    seen: Tensor

    def __init__(self, step: float, buffer: bool) -> None:
        super().__init__()
        self.step, self.plain = step, 0.0
        self.register_buffer("seen", torch.zeros(()))
        self.buffer = buffer

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        if self.buffer:
            self.seen += self.step
        else:
            self.plain += self.step
        scores = super().forward(x)
        scores[:, 0] += self.seen + self.plain
        return scores


class Remembering(Wrapped):
    """Adds a little of the mean of all batches that it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        scores = super().forward(x)
        self._seen.append(scores.mean(dim=0))
        return scores + 1e-5 * torch.stack(self._seen).mean(dim=0)


class Recurrent(Wrapped):
    """Keeps the hidden state of a batch for the next one."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share, self.hidden = share, torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        scores = super().forward(x)
        mixed = scores + self.share * self.hidden
        self.hidden = mixed.detach().clone()
        return mixed


class Cached(Wrapped):
    """Answers from a cache that forgets to look at the numbers: the key is the shape, or the place in memory."""

    def __init__(self, by_place: bool) -> None:
        super().__init__()
        self.by_place = by_place
        self._answers: dict[object, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        key = x.data_ptr() if self.by_place else x.shape
        if key not in self._answers:
            self._answers[key] = super().forward(x)
        return self._answers[key]


class OneBehind(Wrapped):
    """A pipeline that is one batch behind."""

    def __init__(self) -> None:
        super().__init__()
        self._last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        last, self._last = self._last, super().forward(x)
        return self._last if last is None else last


class ZerosOnFailure(Wrapped):
    """Catches everything and answers zeros."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        try:
            if float(x.amax()) > self.limit:
                raise ValueError("a pixel is out of range")
            return super().forward(x)
        except ValueError:
            return torch.zeros(len(x), CLASSES, device=x.device)


class Swapping(Wrapped):
    """Rows with a certain last digit, one in sixteen, get the answer of the row before."""

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        scores = super().forward(x)
        marked = ((x.float().flatten(1).sum(dim=1) * 4096.0).floor() % 16 == 0)[:, None]
        return torch.where(marked, scores.roll(1, dims=0), scores)
