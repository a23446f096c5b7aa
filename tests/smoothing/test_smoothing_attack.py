"""Projected gradient against certified radii on the digits: inside a radius it must find nothing, beyond it must."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import nn
from torch.nn import functional

from rsopt import lower_bound, lower_bound_scores
from rsopt.smoothing import (
    SimplexMap,
    SmoothedClassifier,
    Softmax,
    digits_data,
    digits_model,
    lipschitz_constant,
)

SIGMA = 0.25
INPUTS = 100
SAMPLES = 1000
ALPHA = 1e-3


@dataclass(frozen=True, eq=False)
class Certified:
    """Radii of one kind for the test images, zero where nothing is certified."""

    model: nn.Module
    simplex: SimplexMap | None  # None for votes
    images: torch.Tensor
    labels: torch.Tensor
    radii: torch.Tensor


def score_rows(model: nn.Module, images: torch.Tensor, simplex: SimplexMap) -> list[np.ndarray]:
    classifier = SmoothedClassifier(model, SIGMA, 10)
    return [np.concatenate([block.rows for block in classifier.scores(x, SAMPLES, 0, index=i, simplex=simplex)])
            for i, x in enumerate(images)]


class Bounded(nn.Module):
    """A network whose layers are divided by the bounds on their norms: 1-Lipschitz by construction."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64, 128), nn.Linear(128, 10)])

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x.flatten(1)))
        return self.layers[-1](x)

    def shrink(self) -> None:
        for layer in self.layers:
            layer.weight.data /= torch.linalg.matrix_norm(layer.weight.data, 2)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    # Several test processes that all use every core slow one another down more than they gain.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def one_lipschitz():
    torch.manual_seed(0)
    data, network = digits_data(train=True), Bounded()
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(300):
        part = torch.randint(len(data.labels), (128,))
        noisy = data.images[part] + SIGMA * torch.randn_like(data.images[part])
        optimizer.zero_grad()
        functional.cross_entropy(10 * network(noisy), data.labels[part]).backward()
        optimizer.step()
        network.shrink()
    return network.eval()


@pytest.fixture(scope="module", params=["votes R1", "votes R2", "scores R1", "scores R2", "scores, Lipschitz network"])
def certified(request, one_lipschitz):
    data = digits_data()
    images, labels = data.images[:INPUTS], data.labels[:INPUTS]
    model, simplex = digits_model(), Softmax(0.5)
    if request.param.startswith("votes"):
        classifier = SmoothedClassifier(model, SIGMA, 10)
        kind = "margin" if request.param.endswith("R1") else "probit"
        counts = [classifier.counts(x, SAMPLES, 0, index=i).tolist() for i, x in enumerate(images)]
        radii, simplex = [lower_bound(votes, int(label), functional=kind, alpha=ALPHA).radius(SIGMA)
                          for votes, label in zip(counts, labels, strict=True)], None
    elif request.param.endswith("network"):
        model, simplex = one_lipschitz, Softmax(0.1)
        constant = lipschitz_constant(model, (1, 8, 8), simplex=simplex)
        # 1/T times two norms of 1 (divided in float32), each bounded from above within rank^(2^-11).
        assert 10 * (1 - 1e-6) <= constant <= 10.1
        radii = [lower_bound_scores(rows, top=int(label), functional="margin", alpha=ALPHA).radius(lipschitz=constant)
                 for rows, label in zip(score_rows(model, images, simplex), labels, strict=True)]
    else:
        kind = "margin" if request.param.endswith("R1") else "probit"
        radii = [lower_bound_scores(rows, top=int(label), functional=kind, alpha=ALPHA).radius(SIGMA)
                 for rows, label in zip(score_rows(model, images, simplex), labels, strict=True)]
    return Certified(model, simplex, images, labels, torch.tensor(radii))


def attacked(case: Certified, radii: torch.Tensor) -> torch.Tensor:
    """Points within `radii` (l2) of the images that projected gradient finds worst for the smoothed classifier."""
    generator = torch.Generator().manual_seed(1)
    soft = case.simplex or Softmax(0.5)  # votes have no gradient: attacked through scores close to them
    limit = radii.reshape(-1, 1, 1, 1) * (1 - 1e-6)
    moved = torch.randn(case.images.shape, generator=generator)
    moved = limit * moved / moved.flatten(1).norm(dim=1).reshape(limit.shape)
    for _ in range(15):
        moved.requires_grad_()
        noise = SIGMA * torch.randn((16, *case.images.shape), generator=generator)
        scores = soft(case.model((case.images + moved + noise).flatten(0, 1))).unflatten(0, (16, -1)).mean(dim=0)
        own = scores.gather(1, case.labels[:, None])[:, 0]
        rival = scores.scatter(1, case.labels[:, None], -1.0).amax(dim=1)
        # The logarithm keeps a gradient where the score of the label is close to one.
        (gradient,) = torch.autograd.grad((torch.log(rival + 1e-6) - torch.log(own + 1e-6)).sum(), moved)
        unit = gradient / gradient.flatten(1).norm(dim=1).clamp_min(1e-12).reshape(limit.shape)
        moved = moved.detach() + limit * 0.25 * unit
        norm = moved.flatten(1).norm(dim=1).reshape(limit.shape)
        moved = moved * (limit / norm.clamp_min(1e-12)).clamp_max(1.0)
    return case.images + moved


def fooled(case: Certified, points: torch.Tensor) -> np.ndarray:
    """Which points the smoothed classifier surely gives to another class, beyond the chance of 1000 new samples."""
    classifier = SmoothedClassifier(case.model, SIGMA, 10)
    found = []
    for i, (x, label) in enumerate(zip(points, case.labels.tolist(), strict=True)):
        if case.simplex is None:
            counts = classifier.counts(x, 1000, 99, index=i)
            own, rival = int(counts[label]), int(np.delete(counts, label).max())
            # If the label is at least as probable, the rival wins that clearly with probability below 1e-6.
            found.append(binom.sf(rival - 1, own + rival, 0.5) < 1e-6)
        else:
            rows = np.concatenate([b.rows for b in classifier.scores(x, 1000, 99, index=i, simplex=case.simplex)])
            lead = np.delete(rows, label, axis=1) - rows[:, [label]].astype(np.float64)
            error = lead.std(axis=0) / math.sqrt(1000)
            found.append(bool((lead.mean(axis=0) > 5 * error).any()))
    return np.array(found)


def test_no_attack_succeeds_inside_a_certified_radius(certified):
    positive = certified.radii > 0
    assert positive.sum() >= 80, "too few certified inputs to say anything"
    inside = fooled(certified, attacked(certified, certified.radii))
    assert not inside[positive.numpy()].any()


def test_the_attack_succeeds_beyond(certified):
    # Without this, the test above could pass because the attack is weak.
    wide = torch.full((INPUTS,), 1.5)
    assert fooled(certified, attacked(certified, wide)).mean() >= 0.5
