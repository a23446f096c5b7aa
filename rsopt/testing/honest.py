"""Models whose answer for a row depends on the row alone, and look as if it did not."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rsopt.testing.network import CLASSES, SHAPE, Wrapped, network


class Buffered(Wrapped):
    """Returns the same tensor every time, filled anew."""

    def __init__(self) -> None:
        super().__init__()
        self._out = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        scores = super().forward(x)
        if self._out.shape != scores.shape:
            self._out = torch.empty_like(scores)
        return self._out.copy_(scores)


class Counting(Wrapped):
    """Counts its calls, for nobody; builds a table when it is first called."""

    batches: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        self.table: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        self.calls += 1
        self.batches += 1
        if self.table is None:
            self.table = torch.linspace(0.9, 1.1, CLASSES).to(x)
        return super().forward(x) * self.table


class Experts(nn.Module):
    """Each row goes to one of three experts, which see groups of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(network(scale=scale) for scale in (3.0, 6.0, 9.0))

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        choice = (x.flatten(1).sum(dim=1) * 7.0).floor().long() % 3
        scores = torch.zeros(len(x), CLASSES, dtype=x.dtype, device=x.device)
        for number, expert in enumerate(self.experts):
            chosen = choice == number
            if bool(chosen.any()):
                scores[chosen] = expert(x[chosen])
        return scores


class Recurring(nn.Module):
    """Reads the lines of an image with a hidden state of its own for each row of the batch."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(8)
            self.reader, self.head = nn.GRU(24, 16, batch_first=True), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        hidden = self.reader(x.movedim(1, 3).flatten(2))[1][0]
        return 6.0 * self.head(hidden)  # type: ignore[no-any-return]  # a module's call is Any


class Projecting(Wrapped):
    """Draws the same random weights for every batch, and leaves the generator as it was."""

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(9)
            weights = torch.randn(CLASSES, CLASSES).to(x)
        return super().forward(x) @ weights


class Ranged(Wrapped):
    """Says what it takes, and raises for anything else."""

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        if bool((x.flatten(1).mean(dim=1) - 0.5).abs().amax() > 0.4) or bool(x.abs().amax() > 3.0):
            raise ValueError("these are no images")
        return super().forward(x)


class Guided(Wrapped):
    """Takes a gradient on the way, and returns scores that require one."""

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        with torch.inference_mode(False), torch.enable_grad():
            moved = x.clone().requires_grad_()
            (slope,) = torch.autograd.grad(super().forward(moved).square().sum(), moved)
            return super().forward(moved + 0.01 * slope)


def in_place(x: Tensor) -> Tensor:
    """Normalises its input in place."""
    x -= 0.5
    x /= 0.25
    return x


def rounds_by_place(scores: Tensor) -> Tensor:
    """Rounds as kernels may that treat the last rows of a batch in another loop."""
    return scores * (1.0 + 2e-7 * (torch.arange(len(scores), device=scores.device) % 3)[:, None])


def uneven(scores: Tensor) -> Tensor:
    """Each class has scores of another size."""
    return scores * torch.logspace(-3, 3, CLASSES).to(scores)


def channels_last() -> nn.Module:
    """The network with its weights laid out channel by channel."""
    model = network()
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.to(memory_format=torch.channels_last)
    return model


def exported() -> nn.Module:
    """The network as torch.export gives it back, for any number of rows."""
    rows = torch.export.Dim("rows", min=1, max=4096)
    program = torch.export.export(network().eval(), (torch.zeros(4, *SHAPE),), dynamic_shapes=({0: rows},))
    module: nn.Module = program.module()
    return module
