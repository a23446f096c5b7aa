"""Why noise goes on a grid: with float noise a radius can be too large, for a classifier made for that.

The construction follows Voráček & Hein 2023: adding noise to a float rounds in a way that depends on the float, and a
classifier may look at the last bits.
"""

import numpy as np
import torch
from torch import nn

import rsopt
from rsopt.noise.grid import Grid, GridNoise
from rsopt.smoothing import SmoothedClassifier

SIGMA = 0.25
N = 20_000
# Noise added to one half, in float32, always gives a multiple of 2^-25; added to smaller numbers often not.
HALF = torch.full((64,), 0.5)
LOWER = torch.full((64,), 115 / 256)
DISTANCE = float((HALF - LOWER).norm())


class LastBits(nn.Module):
    """Class 0 where all pixels are multiples of 2^-25."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        whole = (x * 2.0**25).frac().eq(0.0).all(dim=1)
        return torch.stack([whole, ~whole], dim=1)


def certified(votes: np.ndarray) -> float:
    return rsopt.lower_bound(votes.tolist(), top=0, alpha=1e-3).radius(sigma=SIGMA)


def test_float_noise_certifies_a_radius_inside_which_the_class_changes():
    classifier = SmoothedClassifier(LastBits(), SIGMA, 2, chunk=500)
    radius = certified(classifier.counts(HALF, N, 0))
    assert radius > 2 * DISTANCE
    near = classifier.counts(LOWER, N, 0, index=1)
    assert near[1] > 0.6 * N, "another class wins well inside the radius"


def test_noise_on_the_grid_does_not():
    noise = GridNoise.of("gaussian", SIGMA, Grid(1 / 256))
    model = LastBits()
    votes = []
    for key, x in enumerate((HALF, LOWER)):
        point = noise.grid.integers(x.numpy())
        scores = model(torch.from_numpy(noise.copies(point, key, N)))
        votes.append(torch.bincount(scores.int().argmax(dim=1), minlength=2).numpy())
    assert certified(votes[0]) > DISTANCE
    assert certified(votes[1]) > 0.0
