"""The forms a problem is offered in. Each is a type that says what a solver may know.

All forms pose the same task: maximise log P_q(W) over the q of the domain with g(q) <= L. From the top down
they tell less: `TermList` tells all coefficients, `SmoothOracle` values and derivatives, `BlackBox` values
only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rsopt.signomials import LevelSignomials
from rsopt.solving.curve import LevelCurve
from rsopt.solving.meter import Meter
from rsopt.solving.terms import monomials

Array = npt.NDArray[np.float64]

#: Points of the curve that monomials are judged at. With half as many, ones that hold .1% of the tail at the optimum
#: fell between two of them at n = 1,000 (a Laplace margin, close call); with these what is left out is below 1e-8 of
#: alpha for all problems of the zoo of 200 to 1,000 votes.
_POINTS = 48
#: e^-37 = 1e-16: no cell probability below it changes a tail in double precision.
LEAST_LOG = -37.0


@dataclass(frozen=True, eq=False)
class BlackBox:
    """Values of a batch of points: (b, 1) -> (b,). The coordinate is the curve's `from_unit`, in [0, 1].

    Attributes:
        curve: the level curve.
        meter: counts and limits the evaluations.
    """

    curve: LevelCurve
    meter: Meter
    dimension: int = 1

    def log_tails(self, t: npt.ArrayLike) -> Array:
        """log P_q(W) at coordinates t in [0, 1], shape (b, 1) -> (b,); to be maximised.

        Raises:
            SearchEnded: the search is decided or the budget is spent; a solver need not catch it.
        """
        return self.meter.log_tails(self.curve.from_unit(np.asarray(t, dtype=float).reshape(-1)))

    def point(self, t: npt.ArrayLike) -> Array:
        """q at one coordinate, shape (1,) -> (3,)."""
        q: Array = self.curve.points(self.curve.from_unit(np.asarray(t, dtype=float).reshape(-1)))[0]
        return q

    def coordinate(self, q: npt.ArrayLike) -> float:
        """The coordinate t of the point of the curve with the q2 of q, shape (3,)."""
        return self.curve.to_unit(self.curve.coordinate(q))


@dataclass(frozen=True, eq=False)
class SmoothOracle:
    """Value, gradient and Hessian of log F at q on the simplex, F(q) being homogeneous and equal to P_q(W)
    there.

    The constraints are q1 <= h(q2) with `curve.tangent` for h and its derivatives, sum q = 1, q >= 0 and the
    domain's `least_q1`.

    Attributes:
        curve: the level curve q1 = h(q2).
        meter: counts and limits the evaluations.
    """

    curve: LevelCurve
    meter: Meter

    def log_tail(self, q: Array) -> float:
        """log F(q), shape (3,) -> float; to be maximised.

        Raises:
            SearchEnded: the budget is spent.
        """
        self.meter.spend(1)
        return float(self.curve.tail_set.log_probability(q)) + self.curve.tail_set.n * math.log(float(np.sum(q)))

    def gradient(self, q: Array) -> Array:
        """Gradient of log F at q on the simplex, shape (3,) -> (3,). Raises SearchEnded as `log_tail`."""
        self.meter.spend(4)
        return self.curve.tail_set.log_gradient(q)

    def hessian(self, q: Array) -> Array:
        """Hessian of log F at q on the simplex, shape (3,) -> (3, 3). Raises SearchEnded as `log_tail`."""
        self.meter.spend(10)
        return self.curve.tail_set.log_hessian(q)


@dataclass(frozen=True, eq=False)
class TermList:
    """Maximise the posynomial F(q) = sum_k exp(log_coefficients[k]) q^exponents[k] (equal to P_q(W) on the
    simplex).

    Equivalently minimise t subject to t·F(q) >= 1. Monomials whose mass is below `negligible` / m at every
    point of a grid of the curve are left out; F then only becomes smaller.

    Attributes:
        curve: the level curve.
        meter: counts and limits the evaluations.
        negligible: mass that may be left out; 0 keeps every monomial.
    """

    curve: LevelCurve
    meter: Meter
    negligible: float = 0.0

    @cached_property
    def _terms(self) -> tuple[Array, npt.NDArray[np.int64]]:
        with np.errstate(divide="ignore"):
            log_q = np.maximum(np.log(self.curve.points(self.curve.grid(_POINTS))), -1e4)
        least = -math.inf
        if self.negligible > 0.0:
            least = math.log(self.negligible / self.curve.tail_set.size())
        logs, exponents = [], []
        for block, powers in monomials(self.curve.tail_set):
            largest = np.full(block.size, -math.inf)
            for row in log_q:
                np.maximum(largest, block + powers @ row, out=largest)
            keep = largest >= least
            logs.append(block[keep])
            exponents.append(powers[keep])
        return np.concatenate(logs), np.concatenate(exponents)

    @property
    def log_coefficients(self) -> Array:
        """Logs of the coefficients n!/(x1! x2! x3!), shape (m,)."""
        return self._terms[0]

    @property
    def exponents(self) -> npt.NDArray[np.int64]:
        """Exponents (x1, x2, x3), shape (m, 3)."""
        return self._terms[1]

    @property
    def size(self) -> int:
        """Number of monomials m that are kept."""
        return self.log_coefficients.size

    def log_sum(self, q: Array) -> float:
        """log F(q) from the monomials that are kept, shape (3,) -> float; no evaluation is counted."""
        return float(np.logaddexp.reduce(self.log_coefficients + self.exponents @ np.log(np.maximum(q, 1e-300))))

    def too_many(self, most_terms: int) -> str | None:
        """Why a solver that takes so many monomials refuses these; None where it takes them."""
        if self.size <= most_terms:
            return None
        return (f"Written out, the tail has {self.size:,} monomials that matter; the model takes {most_terms:,} (field "
                "most_terms).")

    @cached_property
    def level_constraint(self) -> LevelSignomials | None:
        """g(q) <= L as (sig/posy)nomials; None where it is none, and q1 <= h(q2) is known by `curve.tangent` only."""
        return self.curve.functional.level_signomials(self.curve.level, self.curve.domain.least_q1)


Form = TermList | SmoothOracle | BlackBox
