"""The monomials of P_q(W) and the level constraint as signomials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rsopt.domain import Domain
from rsopt.functionals import Functional, Margin, TaylorProbitMargin
from rsopt.staircase import TailSet

Array = npt.NDArray[np.float64]

BLOCK = 262_144


def monomials(tail_set: TailSet) -> Iterator[tuple[Array, npt.NDArray[np.int64]]]:
    """The monomials of F(q) = P_q(W), streamed in blocks of at most about 262,144.

    Args:
        tail_set: W.

    Yields:
        (log coefficients log n!/(x1! x2! x3!), shape (b,); exponents (x1, x2, x3), shape (b, 3)).
    """
    n = tail_set.n
    rows = tail_set.rows()
    lengths = n - np.arange(rows.size) - rows + 1
    ends = np.cumsum(np.maximum(lengths, 0))
    first = 0
    while first < rows.size:
        done = int(ends[first - 1]) if first else 0
        last = max(int(np.searchsorted(ends, done + BLOCK, side="right")), first + 1)
        x2 = np.repeat(np.arange(first, last), lengths[first:last])
        offsets = np.arange(x2.size) - np.repeat(ends[first:last] - lengths[first:last] - done, lengths[first:last])
        x1 = rows[x2] + offsets
        x3 = n - x1 - x2
        logs = (special.gammaln(n + 1.0) - special.gammaln(x1 + 1.0) - special.gammaln(x2 + 1.0)
                - special.gammaln(x3 + 1.0))
        yield logs, np.stack([x1, x2, x3], axis=1)
        first = last


@dataclass(frozen=True, eq=False)
class Signomial:
    """sum_k coefficients[k] · prod_i v_i^exponents[k, i] <= 0.

    Attributes:
        coefficients: shape (m,), of either sign.
        exponents: shape (m, v), one column for each variable.
    """

    coefficients: Array
    exponents: Array


@dataclass(frozen=True, eq=False)
class LevelSignomials:
    """g(q) <= L as signomials.

    Attributes:
        variables: names of the columns: q1, q2, q3 and, for the Taylor functional, y1 = q1 - 1/2 and y2 = 1/2
            - q2.
        constraints: each <= 0.
    """

    variables: tuple[str, ...]
    constraints: tuple[Signomial, ...]


def level_signomials(functional: Functional, domain: Domain, level: float) -> LevelSignomials | None:
    """g(q) <= level as signomials, where it is one.

    The margin is linear: q1 - q2 <= L. The Taylor functional with q1 >= 1/2 and L > 0 is a posynomial in y1
    and y2 (fact 10), tied to q by q1 <= 1/2 + y1 and 1/2 <= q2 + y2; expanded in q itself its coefficients
    alternate and reach 10^40 at order 101. The probit margin is none.
    """
    if isinstance(functional, Margin):
        terms = [(1.0, (1, 0, 0)), (-1.0, (0, 1, 0))] + ([(-level, (0, 0, 0))] if level != 0.0 else [])
        return LevelSignomials(("q1", "q2", "q3"), (_signomial(terms),))
    if isinstance(functional, TaylorProbitMargin) and domain.least_q1 >= 0.5 and level > 0.0:
        series = [(float(c) * 2.0 ** (2 * k + 1), 2 * k + 1) for k, c in enumerate(functional.coefficients)]
        posynomial = [(c, (0, 0, 0, p, 0)) for c, p in series] + [(c, (0, 0, 0, 0, p)) for c, p in series]
        return LevelSignomials(("q1", "q2", "q3", "y1", "y2"), (
            _signomial([*posynomial, (-level, (0, 0, 0, 0, 0))]),
            _signomial([(1.0, (1, 0, 0, 0, 0)), (-0.5, (0, 0, 0, 0, 0)), (-1.0, (0, 0, 0, 1, 0))]),
            _signomial([(0.5, (0, 0, 0, 0, 0)), (-1.0, (0, 1, 0, 0, 0)), (-1.0, (0, 0, 0, 0, 1))])))
    return None


def _signomial(terms: Sequence[tuple[float, tuple[int, ...]]]) -> Signomial:
    return Signomial(np.array([c for c, _ in terms]), np.array([powers for _, powers in terms], dtype=float))
