"""Upper bounds on the Lipschitz constant of a network, layer by layer."""

from rsopt.smoothing.lipschitz.network_bounds import lipschitz_constant

__all__ = ["lipschitz_constant"]
