"""How often a lower bound lies above the truth, by enumeration of all votes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rsopt.counts import Counts
from rsopt.functional import Functional
from rsopt.problem import LowerBoundProblem
from rsopt.statistics import Statistic

Array = npt.NDArray[np.float64]


def largest_error(functional: Functional, statistic: Statistic, n: int, alpha: float, points: int = 24
                  ) -> tuple[float, Array]:
    """The largest probability that the bound at n votes of three classes exceeds g(p), over a grid of p.

    Args:
        functional, statistic, alpha: of the bound.
        n: votes; all (n + 1)(n + 2)/2 outcomes are enumerated.
        points: the grid has steps of 1/points.

    Returns:
        (the probability, the p of three classes at which it is reached, shape (3,)).
    """
    votes = [(x1, x2) for x1 in range(n + 1) for x2 in range(n + 1 - x1)]
    lower = np.array([LowerBoundProblem(Counts((x1, x2, n - x1 - x2), 0, 1), functional, statistic, alpha).solve().lower
                      for x1, x2 in votes])
    ways = np.array([math.comb(n, x1) * math.comb(n - x1, x2) for x1, x2 in votes], dtype=float)
    x = np.array([(x1, x2, n - x1 - x2) for x1, x2 in votes], dtype=float)
    p = np.array([(i, j, points - i - j) for i in range(points + 1) for j in range(points + 1 - i)]) / points
    mass = ways * np.prod(np.power(p[:, None, :], x[None, :, :]), axis=2)
    truth = functional.value(p[:, 0], p[:, 1])
    error = np.sum(mass * (lower[None, :] > truth[:, None]), axis=1)
    worst = int(error.argmax())
    return float(error[worst]), p[worst]
