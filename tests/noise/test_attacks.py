"""Attacks on trained models: inside a certified radius none changes the class of the smoothed classifier.

Each noise has a small network that was trained under it and an attack that lowers the lead of the certified class on
draws of its own. Then new votes are cast at the worst input that it found. A radius is false with probability at most
ERROR, and where the certified class is ahead, the votes for a rival exceed its own by `significant` with probability
at most ERROR (Hoeffding's inequality for a sum of -1, 0 and 1 of mean at most 0, over all rivals). All noises, inputs
and votes together are below 1e-6.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import own_noise
import pytest
import torch
from torch import Tensor, nn

from rsopt.noise import (
    Ablation,
    CoupledNoise,
    Deletion,
    Flips,
    Gaussian,
    Laplace,
    Logistic,
    Noise,
    Source,
    Transformed,
    Uniform,
)
from rsopt.smoothing import SmoothedClassifier, digits_data

ERROR, TRIED, INPUTS = 1e-9, 30, 4
N, VOTES, DRAWS = 3000, 20_000, 50
LETTERS, LENGTH = 5, 16

Lead = Callable[[Tensor], Tensor]
Attack = Callable[[Lead, Tensor, float], Tensor]


def significant(classes: int) -> float:
    """By how many of VOTES votes a rival that is not ahead exceeds the class with probability at most ERROR."""
    return math.sqrt(2.0 * VOTES * math.log(classes / ERROR))


def projected(change: Tensor, size: float, order: int) -> Tensor:
    """The nearest change of l1 or l2 norm at most `size`."""
    if float(change.norm(order)) <= size:
        return change
    if order == 2:
        return change * (size / change.norm())
    # What is above a threshold is left, less the threshold: the one at which the norm is the size.
    falling = change.abs().flatten().sort(descending=True).values
    above = falling - (falling.cumsum(0) - size) / torch.arange(1, len(falling) + 1)
    place = int((above > 0.0).nonzero().max())
    threshold = (falling[:place + 1].sum() - size) / (place + 1)
    return change.sign() * (change.abs() - threshold).clamp(min=0.0)


def gradient(order: int) -> Attack:
    """Projected gradient in the ball, from the input."""
    def attack(lead: Lead, x: Tensor, size: float) -> Tensor:
        change = torch.zeros_like(x)
        for _ in range(30):
            change.requires_grad_(True)
            (slope,) = torch.autograd.grad(lead(x + change), change)
            step = slope / slope.norm().clamp(min=1e-12) if order == 2 else slope.sign() * (
                slope.abs() >= slope.abs().flatten().kthvalue(slope.numel() - 3).values)
            change = projected(change.detach() - 0.25 * size * step, size, order)
        return x + change
    return attack


def greedy(neighbours: Callable[[Tensor], Iterator[Tensor]]) -> Attack:
    """The best of all single changes, again and again."""
    def attack(lead: Lead, x: Tensor, size: float) -> Tensor:
        for _ in range(int(size)):
            x = min(neighbours(x), key=lambda other: float(lead(other)))
        return x
    return attack


def grid(apply: Callable[[Tensor, Tensor], Tensor], parameters: Callable[[float], Tensor]) -> Attack:
    """All parameters of a grid, up to the size."""
    def attack(lead: Lead, x: Tensor, size: float) -> Tensor:
        moved = [apply(x[None], parameter[None])[0] for parameter in parameters(size)]
        return min(moved, key=lambda other: float(lead(other)))
    return attack


def pixels(x: Tensor) -> Iterator[Tensor]:
    """One pixel black or white."""
    for place in range(x.numel()):
        for value in (0.0, 1.0):
            other = x.clone()
            other.view(-1)[place] = value
            yield other


def edits(x: Tensor) -> Iterator[Tensor]:
    """One token deleted, replaced or inserted; padding stays at the end."""
    tokens = [token for token in x.tolist() if token]
    for place in range(len(tokens) + 1):
        others = [tokens[:place] + tokens[place + 1:]] if tokens[place:] else []
        for token in range(1, LETTERS + 1):
            others += [[*tokens[:place], token, *tokens[place:]]] + (
                [[*tokens[:place], token, *tokens[place + 1:]]] if tokens[place:] else [])
        for other in others:
            yield torch.tensor(other + [0] * (2 * LENGTH - len(other)))


def whole_shifts(size: float) -> Tensor:
    """Numbers of pixels to the right below the size."""
    most = math.ceil(size) - 1
    return torch.arange(-most, most + 1.0)[:, None]


@dataclass(frozen=True)
class Case:
    """A noise, data, and an attack; `beyond` is how much further it goes where it must succeed."""

    noise: Noise
    attack: Attack
    beyond: float
    data: str = "digits"


CASES = [
    Case(Gaussian(0.5), gradient(2), 4.0), Case(Laplace(0.3), gradient(1), 6.0), Case(Logistic(0.25), gradient(1), 6.0),
    Case(Uniform(0.8), gradient(1), 6.0), Case(Ablation(8), greedy(pixels), 6.0),
    Case(Flips(0.3, 0.4), greedy(pixels), 6.0, "bits"), Case(Deletion(0.8), greedy(edits), 6.0, "letters"),
    Case(Transformed(Gaussian(0.3), own_noise.brighter, 1),
         grid(own_noise.brighter, lambda size: torch.linspace(-size, size, 41)[:, None]), 6.0),
    Case(Transformed(Laplace(0.5), own_noise.rolled, 1, step=1.0), grid(own_noise.rolled, whole_shifts), 6.0)]


def digits(train: bool) -> tuple[Tensor, Tensor]:
    """The digits, as pictures."""
    data = digits_data(train=train)
    return data.images, data.labels


def bits(train: bool) -> tuple[Tensor, Tensor]:
    """The noughts and ones of the digits, as bits."""
    images, labels = digits(train)
    return (images[labels < 2] > 0.5).float(), labels[labels < 2]


def letters(train: bool) -> tuple[Tensor, Tensor]:
    """Sequences in which one of three letters stands more often than the others."""
    generator = torch.Generator().manual_seed(int(train))
    labels = torch.arange(600 if train else 30) % 3
    weights = torch.ones(len(labels), LETTERS)
    weights[torch.arange(len(labels)), labels] = 20.0
    words = 1 + torch.multinomial(weights, LENGTH, replacement=True, generator=generator)
    return torch.cat([words, torch.zeros_like(words)], dim=1), labels


class Letters(nn.Module):
    """How often each letter stands in a sequence, and two layers; padding counts for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = nn.Sequential(nn.Linear(LETTERS, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, x: Tensor) -> Tensor:
        counts = nn.functional.one_hot(x, LETTERS + 1).sum(dim=1)[:, 1:].float()
        scores: Tensor = self.answer(counts)
        return scores


def trained(noise: Noise, inputs: Tensor, labels: Tensor, epochs: int = 12) -> nn.Module:
    """A small network, trained under the noise; less than a second."""
    torch.manual_seed(0)
    width = noise.noisy(inputs[:1], Source.of(0)).numel()
    model = nn.Sequential(nn.Flatten(), nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, int(labels.max()) + 1)) \
        if inputs.is_floating_point() else Letters()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(epochs):
        noisy = noise.noisy(inputs, Source.of(epoch))
        for part in torch.randperm(len(labels)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(noisy[part]), labels[part]).backward()
            optimizer.step()
    return model.eval().requires_grad_(False)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For networks this small the threads of one pass wait for each other longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.noise.title)
def test_no_attack_succeeds_inside_a_certified_radius(case: Case) -> None:
    data = {"digits": digits, "bits": bits, "letters": letters}[case.data]
    inputs, labels = data(False)
    noise = case.noise.fitted(tuple(inputs[0].shape))
    model = trained(noise, *data(True))
    classes = int(labels.max()) + 1
    smoothed = SmoothedClassifier(model, noise, classes, progress=False)

    def excess(x: Tensor, top: int, index: int) -> int:
        """By how many new votes the strongest rival exceeds the class."""
        votes = smoothed.counts(x, VOTES, seed=2, index=index).tolist()
        return max(vote for name, vote in enumerate(votes) if name != top) - votes[top]

    attacked, overcome = 0, 0
    for index in range(TRIED):
        found = smoothed.certify(inputs[index], n=N, n0=100, alpha=ERROR, seed=1, index=index)
        # A radius of one pixel or less speaks of no shift by whole pixels.
        if not found.radius > (noise.step or 0.0 if isinstance(noise, Transformed) else 0.0):
            continue

        def lead(x: Tensor, top: int = found.predict) -> Tensor:
            shares = model(noise.noisy(x.expand(DRAWS, *x.shape), Source.of(3))).softmax(dim=1).mean(dim=0)
            rivals = torch.arange(classes) != top
            return shares[top] - shares[rivals].max()

        # A coupled radius is reached by whole numbers, any other one is not.
        size = found.radius * (1.0 if isinstance(noise, CoupledNoise) else 1.0 - 1e-6)
        worst = case.attack(lead, inputs[index], size)
        assert excess(worst, found.predict, index) < significant(classes)
        further = case.attack(lead, inputs[index], case.beyond * found.radius)
        overcome += excess(further, found.predict, index) >= significant(classes)
        attacked += 1
        if attacked == INPUTS:
            break
    assert attacked == INPUTS
    # The attack is one: further away it succeeds.
    assert overcome


def test_the_statements_hold_at_once() -> None:
    assert len(CASES) * (TRIED + INPUTS) * ERROR <= 1e-6
