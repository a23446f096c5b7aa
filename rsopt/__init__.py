"""rsopt: proven confidence bounds for randomized smoothing."""

from rsopt.bound import Bound, lower_bound
from rsopt.certificate import Certificate
from rsopt.counts import Counts
from rsopt.functionals import Margin, ProbitMargin, TaylorProbitMargin
from rsopt.problem import LowerBoundProblem
from rsopt.registry import get_solver, solver_names

__all__ = ["Bound", "Certificate", "Counts", "LowerBoundProblem", "Margin", "ProbitMargin", "TaylorProbitMargin",
           "get_solver", "lower_bound", "solver_names"]
