"""The tail set W = {x : T(x) >= T(x_obs)} as a staircase, and its probability, gradient and Hessian."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rsopt.errors import InvalidInputError
from rsopt.kernels.links import IDENTITY, Link
from rsopt.kernels.statistics import TABULATED, Rule, last_row, stair
from rsopt.kernels.tail import Staircase, log_tails

Array = npt.NDArray[np.float64]

ACCURATE = 1e-14


@dataclass(frozen=True, eq=False)
class TailSet:
    """W = {x : x1 >= s(x2)} with s nondecreasing (fact 1), for n draws over three cells.

    Rows are filled in when they are first needed; only the window that matters is ever computed.

    Attributes:
        n: number of draws.
        stairs: int32 array of length n + 1; s(x2) + 1 where known, 0 where not yet asked for.
        rule: how a missing row is computed (see `rsopt.kernels.statistics`).
        top_row: the largest x2 whose row is not empty.
    """

    n: int
    stairs: npt.NDArray[np.int32]
    rule: Rule
    top_row: int

    @classmethod
    def from_rule(cls, rule: Rule) -> TailSet:
        """A tail set whose rows are computed on demand by a compiled statistic."""
        stairs = np.zeros(rule.n + 1, dtype=np.int32)
        return cls(rule.n, stairs, rule, last_row(stairs, rule))

    @classmethod
    def from_stairs(cls, stairs: npt.ArrayLike) -> TailSet:
        """A tail set given by all of its stairs.

        Args:
            stairs: whole numbers of shape (n + 1,), nondecreasing; n - x2 + 1 or more marks an empty row.

        Raises:
            InvalidInputError: stairs that decrease or are negative.
        """
        s = np.asarray(stairs)
        n = s.size - 1
        if n < 1 or np.any(np.diff(s) < 0) or s[0] < 0:
            raise InvalidInputError("The stairs of a tail set must be nondecreasing, non-negative and n + 1 long.")
        rows = np.flatnonzero(s <= n - np.arange(n + 1))
        rule = Rule(n, TABULATED, Link(IDENTITY, np.zeros(0)), 0.0, 0.0)
        top = int(rows[-1]) if rows.size else -1
        return cls(n, (np.minimum(s, n + 1) + 1).astype(np.int32), rule, top)

    @classmethod
    def everything(cls, n: int) -> TailSet:
        """The whole sample space: the tail set of an observation that is no evidence at all."""
        return cls.from_stairs(np.zeros(n + 1, dtype=np.int64))

    @cached_property
    def compiled(self) -> Staircase:
        """W for compiled code."""
        return Staircase(self.n, self.stairs, self.rule, self.top_row)

    def stair(self, x2: int) -> int:
        """s(x2): the least x1 with (x1, x2) in W; above n - x2 if there is none."""
        return int(stair(self.stairs, self.rule, x2))

    def rows(self) -> npt.NDArray[np.int64]:
        """All stairs s(0), …, s(top_row), shape (top_row + 1,). Fills every row: for small n and for exports."""
        for x2 in range(self.top_row, -1, -1):
            if self.stairs[x2] == 0:
                stair(self.stairs, self.rule, x2)
        return self.stairs[: self.top_row + 1].astype(np.int64) - 1

    def contains(self, x1: int, x2: int) -> bool:
        """Whether the outcome (x1, x2, n - x1 - x2) lies in W."""
        return x2 <= self.top_row and x1 >= self.stair(x2)

    def size(self) -> int:
        """Number of outcomes in W, which is the number of monomials of P_q(W)."""
        rows = self.rows()
        return int(np.sum(self.n - np.arange(rows.size) - rows + 1))

    def log_probability(self, q: npt.ArrayLike, rtol: float = ACCURATE) -> Array:
        """log P_q(W).

        Args:
            q: cell probabilities (q1, q2, q3), shape (3,) or (b, 3), non-negative; each row is divided by its sum.
            rtol: relative size of what the summation window may leave out; it is added as a bound.

        Returns:
            shape () or (b,).

        Raises:
            InvalidInputError: a negative or non-finite entry, or a wrong shape.
        """
        return self._evaluate(q, self.n, 0, 0, rtol)

    def probability(self, q: npt.ArrayLike) -> Array:
        """P_q(W); shapes as in `log_probability`."""
        return np.exp(self.log_probability(q))

    def log_gradient(self, q: npt.ArrayLike) -> Array:
        """Gradient of log F at q, F the homogeneous polynomial of degree n that equals P_q(W) on the simplex.

        dF/dq_i = n P_{n-1}(X + e_i in W), free of singularities at the faces.

        Args:
            q: shape (3,) or (b, 3), on the simplex.

        Returns:
            shape (3,) or (b, 3).
        """
        log_f = self.log_probability(q)
        parts = [self._evaluate(q, self.n - 1, *_SHIFT[i], ACCURATE) for i in range(3)]
        log_n = math.log(self.n)
        with np.errstate(invalid="ignore", over="ignore"):
            return np.stack([np.exp(np.where(np.isneginf(part), -np.inf, part + log_n - log_f)) for part in parts],
                            axis=-1)

    def log_hessian(self, q: npt.ArrayLike) -> Array:
        """Hessian of log F at one point q on the simplex, shape (3,) -> (3, 3).

        d²F/dq_i dq_j = n (n - 1) P_{n-2}(X + e_i + e_j in W); the Hessian of log F subtracts the outer product of
        `log_gradient`.
        """
        log_f = self.log_probability(q)
        gradient = self.log_gradient(q)
        hessian = np.zeros((3, 3))
        if self.n >= 2:
            log_nn = math.log(self.n) + math.log(self.n - 1)
            for i in range(3):
                for j in range(i, 3):
                    shift = (_SHIFT[i][0] + _SHIFT[j][0], _SHIFT[i][1] + _SHIFT[j][1])
                    part = float(self._evaluate(q, self.n - 2, *shift, ACCURATE))
                    hessian[i, j] = hessian[j, i] = math.exp(part + log_nn - float(log_f))
        return hessian - np.outer(gradient, gradient)

    def _evaluate(self, q: npt.ArrayLike, draws: int, d1: int, d2: int, rtol: float) -> Array:
        points = np.asarray(q, dtype=float)
        if points.ndim not in (1, 2) or points.shape[-1] != 3:
            raise InvalidInputError(f"q must have shape (3,) or (b, 3); found {points.shape}.")
        if not np.all(np.isfinite(points)) or np.any(points < 0.0) or np.any(points.sum(axis=-1) <= 0.0):
            raise InvalidInputError("q must be finite and non-negative with a positive sum.")
        rows = np.ascontiguousarray(points.reshape(-1, 3))
        values: Array = log_tails(rows, draws, self.compiled, d1, d2, rtol)
        return values.reshape(points.shape[:-1])


_SHIFT: Sequence[tuple[int, int]] = ((1, 0), (0, 1), (0, 0))


def hull_stairs(table: Array, threshold: float) -> npt.NDArray[np.int64]:
    """Stairs of {x : hull of T >= threshold} from a full table of T.

    Args:
        table: T(x1, x2), shape (n + 1, n + 1), -inf where x1 + x2 > n.
        threshold: T_hull(x_obs), lowered by the tolerance for near-ties.

    Returns:
        s(x2), shape (n + 1,).
    """
    n = table.shape[0] - 1
    inside = table >= threshold
    first = np.where(inside.any(axis=0), inside.argmax(axis=0), n + 1)
    stairs: npt.NDArray[Any] = np.minimum.accumulate(first[::-1])[::-1]
    return stairs.astype(np.int64)
