"""What selection rows promise of a bound to come. Heuristics: choices rest on them, and nothing is proven by them."""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv, ndtri

from rsopt.functionals import CompiledFunctional
from rsopt.intervals.slope import best_slope

#: Strongest rivals that a promise looks at.
RIVALS = 3


def level_by_bets(rows: np.ndarray, n: int, alpha: float, functional: CompiledFunctional) -> float:
    """The bound that bets on n rows with the moments of `rows` would give; 0 for none.

    Args:
        rows: selection rows, (n0, classes), in the simplex; the class with the most votes is the certified one.
        n, alpha, functional: of the bound to come.
    """
    scores, top, rivals = _ranked(rows)
    u = scores[:, top]
    products = [(u, v, u * u, u * v, v * v, u**3, u * u * v, u * v * v, v**3) for v in scores[:, rivals].T]
    return _by_moments([[s.sum() for s in of_rival] for of_rival in products], len(scores), n, alpha, functional)


def level_by_bets_on_votes(rows: np.ndarray, n: int, alpha: float, functional: CompiledFunctional) -> float:
    """The bound that bets would give on votes drawn from the rows: the law is one-hot and has the same means.

    Below `level_by_bets` by what the variance of the draw costs. Arguments as there.
    """
    scores, top, rivals = _ranked(rows)
    p, shares = scores[:, top].sum(), scores[:, rivals].sum(axis=0)
    return _by_moments([[p, q, p, 0.0, q, p, 0.0, 0.0, q] for q in shares], len(scores), n, alpha,
                       functional)


def level_by_votes(rows: np.ndarray, n: int, alpha: float, functional: CompiledFunctional) -> float:
    """A bound near the exact one on n votes that fall as the mean scores say; 0 for none.

    The better of Clopper and Pearson's limits for the top class and its strongest rival, each at alpha/2, and of
    their limit for the top class alone, at alpha; counts may be fractions. Arguments as in `level_by_bets`.
    """
    scores, top, rivals = _ranked(rows)
    votes = n * scores.mean(axis=0)

    def least(count: float, error: float) -> float:
        return float(betaincinv(count, max(n - count, 0.0) + 1.0, error)) if count > 0.0 else 0.0

    pairs = ((least(votes[top], 0.5 * alpha), 1.0 - least(n - votes[rivals[0]], 0.5 * alpha)),
             (share := least(votes[top], alpha), 1.0 - share))
    return max(*(float(functional.value(np.array(p), np.array(q))) for p, q in pairs), 0.0)


def _ranked(rows: np.ndarray) -> tuple[np.ndarray, int, list[int]]:
    """The rows in double precision, the class with the most votes, and its strongest rivals by mean score."""
    scores = rows.astype(np.float64)
    top = int(np.bincount(scores.argmax(axis=1)).argmax())
    return scores, top, [int(j) for j in np.argsort(-scores.mean(axis=0), kind="stable") if j != top][:RIVALS]


def _by_moments(sums: list[list[float]], rows: int, n: int, alpha: float, functional: CompiledFunctional) -> float:
    """The least over rivals of what their nine sums promise, see `rsopt.intervals.slope.moments`."""
    z, kind = -float(ndtri(alpha)), functional.compiled.kind
    return max(min(float(best_slope(kind, np.array(of_rival), rows, n, z)[1]) for of_rival in sums), 0.0)
