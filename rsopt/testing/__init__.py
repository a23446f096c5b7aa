"""What ships for those who extend rsopt: checks of solvers and noises, and a zoo of problems with proven suprema.

Zoos of models, for the check that the rows of a batch are separate, are in `rsopt.testing.models`, which needs torch.
"""

from rsopt.testing.conformance import Outcome, check_solver
from rsopt.testing.noise import check_noise
from rsopt.testing.zoo import Bracket, ZooProblem, core, zoo

__all__ = ["Bracket", "Outcome", "ZooProblem", "check_noise", "check_solver", "core", "zoo"]
