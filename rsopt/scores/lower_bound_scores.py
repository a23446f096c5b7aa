"""Lower confidence bounds on the margin of mean scores: the public entry for soft outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rsopt.arguments import as_name
from rsopt.errors import InvalidInputError, UnknownNameError
from rsopt.functionals import CompiledFunctional, score_functional
from rsopt.intervals import get, is_time_uniform, names
from rsopt.intervals.values import check_alpha
from rsopt.scores.rows import check_groups, check_rows, check_top, pooled_columns, pooled_groups
from rsopt.scores.score_bound import ScoreBound

_BETTING = ("digital-hedge", "fast-betting")
#: The method that draws votes and bounds them exactly.
DRAWN = "drawn-votes"
#: Methods whose bounds come with a transcript or a certificate.
PROVEN = (*_BETTING, DRAWN)
_CLASSICAL = tuple(name for name in names() if name not in _BETTING)
_SUFFIX = "-bonferroni"


def score_methods(functional: str = "probit") -> list[str]:
    """Names of the methods that bound this functional of scores, the default first.

    Raises:
        UnknownNameError: the functional is not one of margin, probit, laplace and logit.
    """
    two_way = [name + _SUFFIX for name in _CLASSICAL]
    return [*PROVEN, *(_CLASSICAL if score_functional(functional).linear else ()), *two_way]


def lower_bound_scores(scores: object, *, top: int, functional: str = "probit", method: str = "digital-hedge",
                       alpha: float = 1e-3, groups: Sequence[Sequence[int]] | None = None,
                       selection: object = None, seed: int = 0) -> ScoreBound:
    """Lower bound on a margin of class `top` over every other class: the probit margin or another one.

    The functional is f(E[X_A]) - f(max E[X_j]) with f = ndtri, or the quantile function of the Laplace or the logistic
    law, or f(p) = p: the one that makes a radius under the noise. The bound is the minimum over
    the rivals' bounds at alpha each: the rival with the smallest true margin is fixed, and the minimum does
    not exceed that rival's bound, so there is no correction for their number (proposition P1).

    Methods: "digital-hedge" (default) and "fast-betting" bet on X_A - b X_j directly and use its covariance;
    "drawn-votes" draws votes with the scores as probabilities and bounds them exactly, with a certificate, for
    alpha up to 0.4 and 10,000,000 rows: best where scores are nearly zero or one (see `rsopt.scores.drawn_votes`);
    a classical interval by its own name bounds the mean of X_A - X_j (margin only); with "-bonferroni" it
    bounds E[X_A] and E[X_j] apart, at alpha/2 each. Scores are read in the order they were drawn, clipped to
    [0, 1] (see `rsopt.scores.rows.pooled_columns`), and summed in float64.

    Args:
        scores: (n, m), independent rows in the simplex within 1e-3; may be a memory-mapped file.
        top: the certified class, 0 … m - 1, chosen without these rows: a label, or from a selection sample.
        functional: "probit", "laplace", "logit" or "margin".
        method: one of ``score_methods(functional)``.
        alpha: probability that the bound is false, in (0, 1/2).
        groups: a partition of the rivals, fixed beforehand; a group's members are bounded together by their
        sum.
        selection: separate rows (n0, m); they fix the groups, unless given, and the first bets. Drawn votes need
        neither.
        seed: of the draw, for "drawn-votes"; fixed before its outcome is seen.

    Raises:
        InvalidInputError: rows that are not scores, alpha or top outside their range, groups that are no
        partition, a seed that is none.
        UnknownNameError: an unknown functional or method.
    """
    g, known = score_functional(functional), score_methods(functional)
    if as_name(method) not in known:
        if as_name(method) in _CLASSICAL:
            raise InvalidInputError(
                f"Method {method!r} bounds the mean of X_A - X_j, which is the margin; for "
                f"{functional!r} use 'digital-hedge', 'fast-betting' or "
                f"{method + _SUFFIX!r}.")
        raise UnknownNameError.of(f"method for the {functional!r} functional on scores", method, known)
    alpha = check_alpha(alpha)
    rows = np.asarray(scores) if isinstance(scores, np.ndarray) else check_rows(scores)
    if rows.ndim != 2 or rows.shape[0] == 0 or rows.shape[1] < 2:
        check_rows(rows)
    if method in _BETTING:
        # Compiled code is loaded when it is needed, not when rsopt is imported.
        from rsopt.scores.stream import PORTION, ScoreStream

        stream = ScoreStream(rows.shape[0], rows.shape[1], top=top, functional=functional, method=method,
                             alpha=alpha, groups=groups, selection=selection)
        for start in range(0, rows.shape[0], step := max(1, PORTION // rows.shape[1])):
            stream.push(rows[start:start + step])
        return stream.bound()
    top = check_top(top, rows.shape[1])
    sample = None if selection is None else check_rows(selection, rows.shape[1])
    if method == DRAWN:
        # Counts show the strongest rival at no cost, and pooled rivals would have more votes than any of them.
        return _from_drawn_votes(rows, top, check_groups(groups, top, rows.shape[1]), g, alpha, seed)
    checked = check_rows(rows)
    pooled = None if sample is None else pooled_groups(sample, top)
    parts = check_groups(pooled if groups is None else groups, top, checked.shape[1])
    columns = pooled_columns(checked, top, parts)
    if method.endswith(_SUFFIX):
        bounds = _two_way(columns, g, method.removesuffix(_SUFFIX), alpha)
    else:
        interval = get(method)
        bounds = [interval(columns[0] - rival, alpha=alpha, lo=-1.0, hi=1.0) for rival in columns[1:]]
    i = int(np.argmin(bounds))
    return ScoreBound(lower=bounds[i], alpha=alpha, functional=functional, method=method, top=top,
                      runner_up=parts[i], n=checked.shape[0],
                      time_uniform=is_time_uniform(method.removesuffix(_SUFFIX)))


def _from_drawn_votes(rows: np.ndarray, top: int, groups: tuple[tuple[int, ...], ...],
                      functional: CompiledFunctional, alpha: float, seed: int) -> ScoreBound:
    # Compiled code is loaded when it is needed, not when rsopt is imported.
    from rsopt.scores.drawn_votes import drawn_votes_bound

    bound, rival = drawn_votes_bound(rows, top, groups, functional.name, alpha, seed)
    # As for every bound on scores, a negative margin of links is not resolved.
    lower = bound.lower if functional.linear or bound.lower >= 0.0 else -math.inf
    return ScoreBound(lower=lower, alpha=alpha, functional=functional.name, method=DRAWN, top=top, runner_up=rival,
                      n=rows.shape[0], time_uniform=False, proof=bound.proof)


def _two_way(columns: np.ndarray, functional: CompiledFunctional, name: str, alpha: float) -> list[float]:
    """Bounds from intervals for E[X_A] and E[X_j] apart, each at alpha/2; one a rival."""
    interval = get(name)
    low = interval(columns[0], alpha=0.5 * alpha, lo=0.0, hi=1.0)
    highs = [1.0 - interval(1.0 - rival, alpha=0.5 * alpha, lo=0.0, hi=1.0) for rival in columns[1:]]
    if functional.linear:
        return [max(-1.0, low - high - 4e-16) for high in highs]
    # Links are right to a few ulp; their arguments move by an ulp of 1 at most.
    least = np.array(max(low - 1e-15, 0.0))
    return [float(functional.value(least, np.array(min(high + 1e-15, 1.0)))) - 1e-12 for high in highs]
