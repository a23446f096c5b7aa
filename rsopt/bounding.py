"""The function that most people call: from counts to a proven lower bound.

The file has another name than the function, which is an attribute of the package as a submodule would be.
"""

from __future__ import annotations

from rsopt.arguments import Real, Whole
from rsopt.bound import Bound
from rsopt.counts import Counts, VotesLike, as_counts
from rsopt.functionals import FunctionalLike, TaylorProbitMargin, as_functional
from rsopt.problem import LowerBoundProblem
from rsopt.solver import Budget, SolverLike
from rsopt.statistics import StatisticLike, as_statistic
from rsopt.taylor_route import published_bound


def lower_bound(counts: Counts | VotesLike, top: Whole | None = None, *, functional: FunctionalLike = "probit",
                statistic: StatisticLike = "studentized", alpha: Real = 1e-3, solver: SolverLike = "scipy",
                order: Whole | None = None, budget: Budget | None = None) -> Bound:
    """The exact, proven lower confidence bound on the margin between the certified class and every other class.

    LCB = sup { L : Pi(L) <= alpha } (equation 8). One pair suffices for all rivals: the bound is least against the
    empirical runner-up, and the minimum over rivals is valid without correction (fact 7).

    Args:
        counts: votes per class, shape (K,), K >= 2, in the order of the classes, or a `Counts`.
        top: index of the certified class. Required with bare votes: it is a known label or was chosen on separate
            samples, never the argmax of these votes (fact 8).
        functional: "margin", "probit" or "taylor-probit", an instance or its class.
        statistic: "studentized", "clopper-pearson" or "plugin", an instance or its class.
        alpha: probability that the statement "g(p) >= lower" is false.
        solver: name, instance or class of the solver that proposes; the bound is proven whatever it proposes.
        order: order of the Taylor polynomial, with ``functional="taylor-probit"``.
        budget: limits of each search of the solver.

    Returns:
        a certified `Bound`.

    Raises:
        InvalidInputError: counts, top, alpha or order have no meaning (see the text).
        UnknownNameError: an unknown functional, statistic or solver.
        MissingDependencyError: the solver's package is not installed.
        RefusedError: the solver cannot take this problem.
        SolverFailedError: the solver raised or returned no answer.
    """
    chosen, limits = as_functional(functional, order), Budget() if budget is None else budget
    if isinstance(chosen, TaylorProbitMargin) and chosen.as_published:
        return published_bound(as_counts(counts, top), chosen, as_statistic(statistic), alpha, solver, limits)
    problem = LowerBoundProblem(as_counts(counts, top), chosen, as_statistic(statistic), alpha)
    return problem.solve(solver, limits)
