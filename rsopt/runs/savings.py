"""What the baselines would have had to pay: samples for the radius that our bound certifies."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rsopt.errors import UnknownNameError
from rsopt.methods import BASELINES, COHEN, OWN
from rsopt.question import Question
from rsopt.runs.rows import ReportedLook, Row

Array = npt.NDArray[np.float64]

DEFINITION = ("the n' at which the baseline, at these vote shares (counts times n'/n), reaches our bound; "
              "median over the inputs that we certify")
_MOST = 1e6
_STEPS = 60


@dataclass(frozen=True)
class Savings:
    """Samples that a baseline needs, as multiples of ours.

    Attributes:
        method: the baseline.
        factors: n'/n for every input that our bound certifies; inf where no number of samples is enough, below 1
            where the baseline is the tighter of the two.
    """

    method: str
    factors: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median factor; inf where for half of the inputs no number is enough; NaN without certified inputs."""
        if not self.factors:
            return float("nan")
        ordered = sorted(self.factors)
        # The lower of the two middle values: a mean of them would be infinite as soon as one is.
        return ordered[(len(ordered) - 1) // 2]

    @property
    def never(self) -> int:
        """Inputs for which no number of samples is enough: at these shares the method's limit is below our bound."""
        return sum(math.isinf(factor) for factor in self.factors)

    def __str__(self) -> str:
        median = self.median
        return "–" if np.isnan(median) else "never enough" if np.isinf(median) else f"{median:.2f}×"


def savings(rows: Sequence[Row], method: str, question: Question) -> Savings:
    """The samples that `method` needs to reach our bounds on `rows`, as `DEFINITION` says.

    Counts are those of the look whose bound is reported, and the baseline is given the error of that look.

    Args:
        rows: certified rows with counts; those without a positive radius are left out.
        method: "two-way-clopper-pearson" or "cohen".
        question: what was bounded; the baseline may spend its error on rows that do not say what ours has spent.

    Raises:
        UnknownNameError: no such baseline.
    """
    if method not in BASELINES:
        raise UnknownNameError.of("baseline", method, list(BASELINES))
    certified = [row for row in rows if row.radius() > 0.0]
    if not certified:
        return Savings(method, ())
    looks = [row.reported or ReportedLook(row.n, row.x1, row.x2, question.alpha) for row in certified]
    first = np.array([look.x1 for look in looks], dtype=float)
    second = np.array([look.x2 for look in looks], dtype=float)
    total = np.array([look.n for look in looks], dtype=float)
    target = np.array([row.bounds[OWN].lower for row in certified])
    error = np.array([look.alpha for look in looks])
    value = question.functional.value
    return Savings(method, tuple(_factors(first, second, total, target, method, error, value).tolist()))


def _factors(first: Array, second: Array, total: Array, target: Array, method: str, alpha: Array,
             value: Callable[[Array, Array], Array]) -> Array:
    """Bisection on log n'/n: the limits tighten with the sample size at fixed shares."""

    def reaches(scale: Array) -> npt.NDArray[np.bool_]:
        x1, x2, n = first * scale, second * scale, total * scale
        if method == COHEN:
            lower = special.betaincinv(x1, n - x1 + 1.0, alpha)
            upper = 1.0 - lower
        else:
            lower = special.betaincinv(x1, n - x1 + 1.0, alpha / 2.0)
            upper = special.betainccinv(x2 + 1.0, n - x2, alpha / 2.0)
        reached: npt.NDArray[np.bool_] = value(lower, upper) >= target
        return reached

    low, high = np.full(first.shape, -np.log(_MOST)), np.full(first.shape, np.log(_MOST))
    never = ~reaches(np.exp(high))
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        enough = reaches(np.exp(middle))
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(never, np.inf, np.exp(high))
