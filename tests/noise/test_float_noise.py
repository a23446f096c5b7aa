"""Why noise goes on a grid: with float noise a radius can be too large, for a classifier made for that.

The construction follows Voráček & Hein 2023: adding noise to a float rounds in a way that depends on the float, and a
classifier may look at the last bits.
"""

import torch
from torch import nn

from rsopt.noise import Gaussian, Noise
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


def certified(noise: Noise) -> tuple[float, float, int]:
    """The radius of class 0 at one half, that at the input beside it, and votes for the other class there."""
    classifier = SmoothedClassifier(LastBits(), noise, 2, chunk=500)
    found = [classifier.certify(x, label=0, n=N, alpha=1e-3, seed=0, index=k) for k, x in enumerate((HALF, LOWER))]
    return found[0].radius, found[1].radius, found[1].bound.counts.votes[1]


def test_float_noise_certifies_a_radius_inside_which_the_class_changes():
    radius, _, others = certified(Gaussian(SIGMA))
    assert radius > 2 * DISTANCE
    assert others > 0.6 * N, "another class wins well inside the radius"


def test_noise_on_the_grid_does_not():
    radius, beside, others = certified(Gaussian(SIGMA, grid=1 / 256))
    assert radius > 2 * DISTANCE
    assert beside > DISTANCE
    assert others == 0
