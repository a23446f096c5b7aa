"""What ships for those who extend rsopt: checks of solvers, functionals, statistics and noises, and a zoo of problems
with proven suprema.

Zoos of models, for the check that the rows of a batch are separate, are in `rsopt.testing.models`, which needs torch.
"""

from rsopt.testing.conformance import Outcome, check_solver
from rsopt.testing.functional import check_functional
from rsopt.testing.noise import check_noise
from rsopt.testing.statistic import check_statistic
from rsopt.testing.zoo import Bracket, ZooProblem, core, zoo

__all__ = ["Bracket", "Outcome", "ZooProblem", "check_functional", "check_noise", "check_solver",
           "check_statistic", "core", "zoo"]
