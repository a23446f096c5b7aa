"""Many statements from the same draws, all right at once: pixels, nodes, points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsopt.arguments import Real, Whole, as_real
from rsopt.counts import VotesLike, counts_of_rows, one_rival
from rsopt.errors import InvalidInputError, shown
from rsopt.functionals import FunctionalLike
from rsopt.problem import LowerBoundProblem
from rsopt.statistics import StatisticLike


@dataclass(frozen=True, eq=False)
class Simultaneous:
    """Which of m statements "g(p) > level" hold, all at once except with probability alpha.

    Attributes:
        p_values: proven, of "g(p) <= level" for each, shape (m,).
        adjusted: by Holm's step-down, shape (m,): a statement is certified at every alpha from its adjusted p-value on.
        certified: whether the adjusted p-value is at most alpha, shape (m,).
        level: what every functional is to exceed.
        alpha: probability that any certified statement is false.
    """

    p_values: npt.NDArray[np.float64]
    adjusted: npt.NDArray[np.float64]
    certified: npt.NDArray[np.bool_]
    level: float
    alpha: float


def simultaneous(counts: Sequence[VotesLike] | npt.NDArray[np.integer], tops: Sequence[Whole], level: Real = 0.0, *,
                 alpha: Real = 1e-3, functional: FunctionalLike = "probit", statistic: StatisticLike = "studentized"
                 ) -> Simultaneous:
    """Certifies many positions of one input from the same noisy draws, with one error for all (theorem N5).

    At level 0 a certified position keeps its class under the noise itself; for a radius r take the level that certifies
    r, `Question(noise).level(r)`. Holm's step-down needs no independence, so that the votes of all positions may come
    from the same draws. Positions with equal votes are proven once.

    Args:
        counts: votes, shape (m, K), one row a position.
        tops: the certified classes, shape (m,), fixed without these votes.
        level: as above.
        alpha: probability that any certified statement is false.
        functional, statistic: as in `rsopt.lower_bound`.

    Raises:
        InvalidInputError: no rows, rows without meaning or with a fixed rival that has fewer votes than another class
            (the text names the row), other numbers of rows and classes, or a level or alpha without meaning.
        UnknownNameError: an unknown functional or statistic.
    """
    rows, number = counts_of_rows(counts, tops), as_real(level)
    if number is None or number != number:
        raise InvalidInputError(f"level must be a number; found {shown(level)}.")
    known: dict[tuple[int, int, int, bool], float] = {}
    p_values = np.empty(len(rows))
    error = 0.0
    for k, observed in enumerate(rows):
        if observed.stronger is not None:
            raise InvalidInputError(f"Row {k}: {one_rival(observed, 'A certified position')}")
        key = observed.reduced
        if key not in known:
            problem = LowerBoundProblem(observed, functional, statistic, alpha)
            error = problem.alpha
            known[key] = problem.p_value(number).at_most
        p_values[k] = known[key]
    adjusted = holm(p_values)
    return Simultaneous(p_values, adjusted, adjusted <= error, number, error)


def holm(p_values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Adjusted p-values by the step-down of Holm (1979), shape as given; never below the exact products."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(p_values.size, 0, -1)
    products = p_values[order] * factors
    # Rounded to the nearest double a product may lie below the exact one; times 1 it is exact.
    steps = np.maximum.accumulate(np.where(factors == 1, products, np.nextafter(products, np.inf)))
    adjusted = np.empty(p_values.size)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
