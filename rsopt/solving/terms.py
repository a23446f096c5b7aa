"""The monomials of P_q(W)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import special

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
