"""Every noise under which a classifier is smoothed: how it is drawn, and the radius that a bound under it gives."""

from rsopt.noise.ablation import Ablation
from rsopt.noise.additive import Additive
from rsopt.noise.coupled import Coupled
from rsopt.noise.coupling import CoupledNoise
from rsopt.noise.deletion import Deletion
from rsopt.noise.flip_margin import FlipMargin
from rsopt.noise.flips import Flips
from rsopt.noise.gaussian import Gaussian
from rsopt.noise.laplace import Laplace
from rsopt.noise.logistic import Logistic
from rsopt.noise.noise import Noise
from rsopt.noise.norms import Conversion
from rsopt.noise.registry import as_noise, get_noise, noise_from_dict, noise_names
from rsopt.noise.source import Source
from rsopt.noise.transformed import Transformed
from rsopt.noise.uniform import Uniform

__all__ = [
    "Ablation", "Additive", "Conversion", "Coupled", "CoupledNoise", "Deletion", "FlipMargin", "Flips", "Gaussian",
    "Laplace", "Logistic", "Noise", "Source", "Transformed", "Uniform", "as_noise", "get_noise", "noise_from_dict",
    "noise_names",
]
