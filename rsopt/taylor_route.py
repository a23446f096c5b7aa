"""The published Taylor route: a test of p_A > 1/2, then a restricted bound or a fallback (fact 10)."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np

from rsopt.arguments import Real
from rsopt.bound import Bound
from rsopt.counts import Counts, checked_alpha
from rsopt.domain import Edge, Simplex
from rsopt.errors import InvalidInputError
from rsopt.functionals import ProbitMargin, TaylorProbitMargin
from rsopt.limits import lower_limits, upper_limits
from rsopt.problem import LowerBoundProblem
from rsopt.solver import Budget, SolverLike
from rsopt.statistics import Statistic


def published_bound(counts: Counts, functional: TaylorProbitMargin, statistic: Statistic, alpha: Real,
                    solver: SolverLike, budget: Budget) -> Bound:
    """A lower bound on the probit margin by the published route, with the levels split so that it is proven at alpha.

    With gamma = `functional.gamma_share` · alpha and beta = alpha - gamma: if the one-sided Clopper–Pearson limit of
    p_A at beta exceeds 1/2, the bound is that of the Taylor margin at beta over the nulls with q1 >= 1/2; otherwise it
    is the probit margin at two Clopper–Pearson limits, p_A at beta and p_B at gamma.

    Valid at alpha: if p_A < 1/2, a passed test and a lower limit above p_A both lie in the one event
    {limit at beta > p_A}, so that event and {upper limit at gamma < p_B} hold all errors. If p_A >= 1/2, the fallback
    is taken only with a lower limit of at most 1/2 <= p_A, so it errs by p_B alone (gamma), and the Taylor bound errs
    with probability at most beta; for p_A >= 1/2 >= p_B the Taylor margin does not exceed the probit margin.

    The route of `TaylorProbitMargin()` itself, at full alpha and without a test, needs none of this and certifies more.

    Args:
        counts: the observation.
        functional: order and split.
        statistic: the designated statistic of the Taylor bound, taken at beta.
        alpha: probability that the statement "probit margin >= lower" is false.
        solver: name, class or instance.
        budget: limits of each of the solver's searches.

    Returns:
        a certified `Bound`; `method` says which branch was taken, and its certificate, if any, is at beta.

    Raises:
        InvalidInputError: a functional that does not ask for this route, or alpha out of range.
        Otherwise as `rsopt.lower_bound`.
    """
    if not functional.as_published:
        raise InvalidInputError("Ask for the published route by TaylorProbitMargin(as_published=True).")
    started = time.perf_counter()
    level = checked_alpha(alpha, statistic.largest_alpha)
    gamma = functional.gamma_share * level
    # Rounded down, so that beta + gamma never exceeds alpha.
    beta = math.nextafter(level - gamma, 0.0)
    low = float(lower_limits(counts.x1, counts.n, beta))
    limit = f"the limit of p_A at beta = {beta:.6g} is {low:.6g}"
    if low > 0.5:
        domain = Edge() if counts.two_classes else Simplex(least_q1=0.5)
        plain = dataclasses.replace(functional, as_published=False)
        bound = LowerBoundProblem(counts, plain, statistic, beta, domain).solve(solver, budget)
        return dataclasses.replace(
            bound, functional=functional, alpha=level, method="published route, Taylor bound over q1 >= 1/2",
            seconds=time.perf_counter() - started,
            message=f"Test passed: {limit}, above 1/2; the bound is at beta. {bound.message}".strip())
    high = float(upper_limits(counts.x2, counts.n, gamma))
    value = float(ProbitMargin().value(np.array(low), np.array(high)))
    lower = value - 4e-15 * abs(value) if math.isfinite(value) else value
    return Bound(
        lower=lower, lower_at_most=math.nan, searched=math.nan, proven=True,
        method="published route, two-way Clopper–Pearson fallback", functional=functional, statistic=None, alpha=level,
        solver=None, counts=counts, proof=None, evaluations=0, seconds=time.perf_counter() - started,
        message=f"Test failed: {limit}, not above 1/2; probit margin at that limit and at the limit {high:.6g} of p_B "
                f"at gamma = {gamma:.6g}.")
