"""The zoo: worst cases whose suprema are bracketed by proofs, for testing and comparing solvers.

n from 5 to 100,000, alpha from 0.05 to 1e-5, levels of both signs, every functional and statistic; the supremum lies
at q3 = 0, inside the curve, or in the corner where q1 and q2 are small. Levels lie close to the lower bound, where the
tail is about alpha: that is where a solver has to be right.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rsopt.arguments import checked_whole
from rsopt.counts import Counts
from rsopt.domain import Simplex
from rsopt.functional import Functional
from rsopt.functionals import FUNCTIONALS, TaylorProbitMargin
from rsopt.problem import LowerBoundProblem
from rsopt.registry import get_solver
from rsopt.statistics import as_statistic
from rsopt.worst_case import WorstCaseProblem

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bracket:
    """What is proven about a supremum: at_least <= sup P_q(W) <= at_most.

    Attributes:
        at_least: P_q(W) at `point`.
        at_most: proven by rsopt's branch and bound.
        point: the best q known, shape (3,).
    """

    at_least: float
    at_most: float
    point: Array


@dataclass(frozen=True)
class ZooProblem:
    """A lower-bound problem, a level, and the proven bracket of the worst case there.

    Attributes:
        problem: counts, functional, statistic and alpha.
        level: L of the worst case.
    """

    problem: LowerBoundProblem
    level: float

    @property
    def name(self) -> str:
        """A name that tells the problem: n, votes, functional, statistic, alpha."""
        p, c = self.problem, self.problem.counts
        order = "" if p.functional.order is None else f"-{p.functional.order}"
        restricted = "-restricted" if p.family.domain.least_q1 > 0.0 else ""
        return (f"n{c.n}-{c.x1}-{c.x2}-{p.functional.name}{order}{restricted}-{p.statistic.name}-"
                f"{p.alpha:g}")

    @cached_property
    def worst_case(self) -> WorstCaseProblem:
        """The worst case at the level."""
        return self.problem.worst_case(self.level)

    @cached_property
    def bracket(self) -> Bracket:
        """The supremum, proven to a relative 1e-6, or as near as rounding allows (1e-4 at the worst)."""
        found = self.worst_case.solve(get_solver("branch-and-bound", tolerance=1e-6))
        return Bracket(found.tail_attained, found.tail_proven, found.point)

    @property
    def place(self) -> str:
        """Where the supremum lies: "q3 = 0", "corner" (q1 + q2 < 0.1) or "interior"."""
        q1, q2, q3 = self.bracket.point
        if self.problem.counts.n * q3 < 1e-3:
            return "q3 = 0"
        return "corner" if q1 + q2 < 0.1 else "interior"


def zoo(least_n: int = 1, most_n: int = 10_000_000) -> tuple[ZooProblem, ...]:
    """All problems of the zoo with least_n <= n <= most_n, small ones first.

    Raises:
        InvalidInputError: a limit that is no whole number.
    """
    least, most = checked_whole("least_n", least_n), checked_whole("most_n", most_n)
    return tuple(_made(*row) for row in _ROWS if least <= row[0] <= most)


def core() -> tuple[ZooProblem, ...]:
    """Fourteen problems with each place, sign, functional and statistic once or more: for every conformance run."""
    return tuple(_made(*_ROWS[index]) for index in _CORE)


_Row = tuple[int, int, int, str, str, float, float]


def _made(n: int, x1: int, x2: int, functional: str, statistic: str, alpha: float, level: float) -> ZooProblem:
    domain = Simplex()
    g: Functional
    if functional.startswith("taylor"):
        parts = functional.split("-")
        g = TaylorProbitMargin(order=int(parts[1]))
        domain = Simplex(least_q1=0.5 if parts[-1] == "restricted" else 0.0)
    else:
        g = FUNCTIONALS[functional]()
    counts = Counts((x1, x2, n - x1 - x2), 0, 1)
    return ZooProblem(LowerBoundProblem(counts, g, as_statistic(statistic), alpha, domain), level)


# n, votes of the class, votes of the rival, functional, statistic, alpha, level
_ROWS: tuple[_Row, ...] = (
    (5, 1, 1, "probit", "clopper-pearson", 0.05, -1.9063),
    (5, 2, 2, "laplace", "clopper-pearson", 0.05, -2.1539),
    (5, 2, 2, "margin", "clopper-pearson", 1e-05, -0.98149),
    (5, 2, 2, "taylor-3", "clopper-pearson", 0.05, -1.9862),
    (5, 3, 2, "taylor-3", "plugin", 0.001, -2.7545),
    (5, 4, 0, "margin", "plugin", 0.001, -0.51944),
    (5, 5, 0, "logit", "studentized", 0.05, 0.39552),
    (5, 5, 0, "probit", "studentized", 0.05, 0.24769),
    (20, 4, 4, "margin", "plugin", 1e-05, -0.7924),
    (20, 4, 4, "probit", "clopper-pearson", 0.05, -1.0776),
    (20, 6, 10, "logit", "clopper-pearson", 1e-05, -5.5305),
    (20, 6, 10, "margin", "studentized", 0.001, -0.72014),
    (20, 6, 10, "taylor-3", "clopper-pearson", 1e-05, -2.5365),
    (20, 14, 2, "probit", "clopper-pearson", 1e-05, -0.73306),
    (20, 18, 1, "laplace", "plugin", 0.001, -5.9319),
    (20, 18, 1, "probit", "studentized", 0.001, 0.5893),
    (20, 20, 0, "taylor-101", "clopper-pearson", 0.05, 2.1687),
    (50, 10, 10, "taylor-3", "studentized", 1e-05, -1.257),
    (50, 15, 25, "margin", "studentized", 1e-05, -0.68317),
    (50, 15, 25, "probit", "studentized", 0.05, -1.278),
    (50, 28, 20, "logit", "plugin", 0.05, -2.0226),
    (50, 28, 20, "taylor-3", "clopper-pearson", 0.05, -0.24746),
    (50, 35, 5, "margin", "studentized", 0.05, 0.41382),
    (50, 45, 3, "laplace", "studentized", 1e-05, 0.83611),
    (50, 45, 3, "margin", "studentized", 0.001, 0.50592),
    (50, 45, 3, "probit", "studentized", 1e-05, 0.88319),
    (50, 45, 3, "taylor-15", "studentized", 0.001, 1.3674),
    (50, 45, 3, "taylor-15-restricted", "studentized", 0.001, 1.3674),
    (50, 50, 0, "logit", "clopper-pearson", 0.001, 3.819),
    (50, 50, 0, "probit", "studentized", 0.001, 2.2619),
    (200, 40, 40, "taylor-101", "clopper-pearson", 0.05, -0.35395),
    (200, 40, 40, "taylor-15", "studentized", 1e-05, -0.69268),
    (200, 60, 100, "laplace", "studentized", 0.001, -1.0948),
    (200, 60, 100, "probit", "studentized", 0.001, -1.8996),
    (200, 110, 80, "margin", "clopper-pearson", 0.001, -0.079948),
    (200, 140, 20, "logit", "studentized", 0.05, 2.4708),
    (200, 140, 20, "probit", "studentized", 1e-05, 1.0129),
    (200, 140, 20, "taylor-15", "plugin", 0.05, 1.4665),
    (200, 150, 20, "taylor-3-restricted", "studentized", 0.001, 1.3262),
    (200, 180, 12, "laplace", "clopper-pearson", 0.001, 2.3964),
    (200, 180, 12, "probit", "clopper-pearson", 0.001, 2.0654),
    (200, 196, 2, "margin", "clopper-pearson", 0.001, 0.88403),
    (200, 200, 0, "margin", "plugin", 0.05, 0.97027),
    (200, 200, 0, "probit", "clopper-pearson", 0.05, 4.3472),
    (1000, 300, 500, "probit", "studentized", 0.001, -1.4742),
    (1000, 550, 400, "laplace", "studentized", 0.001, 0.10748),
    (1000, 550, 400, "margin", "plugin", 0.05, 0.097295),
    (1000, 550, 400, "probit", "studentized", 0.001, 0.13835),
    (1000, 550, 400, "taylor-101", "plugin", 0.05, 0.13163),
    (1000, 800, 120, "taylor-15-restricted", "clopper-pearson", 0.05, 1.8587),
    (1000, 900, 60, "probit", "clopper-pearson", 1e-05, 2.3499),
    (1000, 900, 60, "taylor-3", "studentized", 0.05, 2.3891),
    (1000, 980, 10, "logit", "studentized", 1e-05, 6.6043),
    (1000, 980, 10, "margin", "studentized", 0.05, 0.95597),
    (1000, 1000, 0, "taylor-101", "plugin", 0.001, 4.8566),
    (10000, 2000, 2000, "taylor-101", "studentized", 1e-05, -0.09675),
    (10000, 3000, 5000, "logit", "clopper-pearson", 0.001, -0.97759),
    (10000, 3000, 5000, "margin", "studentized", 0.05, -0.21442),
    (10000, 3000, 5000, "probit", "studentized", 0.001, -0.93303),
    (10000, 7000, 1000, "laplace", "plugin", 0.05, -1.9262),
    (10000, 7000, 1000, "margin", "plugin", 0.05, 0.58661),
    (10000, 7000, 1000, "probit", "clopper-pearson", 0.05, 1.7557),
    (10000, 10000, 0, "taylor-3", "plugin", 0.05, 3.1602),
    (100000, 20000, 20000, "margin", "plugin", 0.05, -0.0052114),
    (100000, 20000, 20000, "probit", "clopper-pearson", 1e-05, -0.038706),
    (100000, 30000, 50000, "margin", "studentized", 1e-05, -0.2118),
    (100000, 30000, 50000, "probit", "studentized", 1e-05, -1.0635),
    (100000, 55000, 40000, "logit", "studentized", 1e-05, 0.55272),
    (100000, 55000, 40000, "probit", "studentized", 0.05, 0.36619),
    (100000, 70000, 10000, "taylor-15", "clopper-pearson", 0.001, 1.7743),
    (100000, 90000, 6000, "laplace", "clopper-pearson", 0.001, 3.6618),
    (100000, 90000, 6000, "margin", "studentized", 0.001, 0.83501),
    (100000, 90000, 6000, "probit", "clopper-pearson", 1e-05, 2.7865),
    (100000, 90000, 6000, "probit", "studentized", 0.001, 2.8024),
    (100000, 90000, 6000, "taylor-3", "plugin", 0.001, 2.4763),
    (100000, 98000, 1000, "taylor-15", "studentized", 1e-05, 3.8961),
    (100000, 99990, 10, "laplace", "studentized", 0.001, 15.271),
    (100000, 99990, 10, "probit", "studentized", 0.001, 6.9804),
)

_CORE = (2, 7, 12, 15, 19, 27, 37, 40, 44, 53, 66, 73, 23, 67)
