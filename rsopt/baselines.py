"""Baselines: two-way Clopper–Pearson, Cohen's one-sided bound and K-way Bonferroni in closed form; the melded limit.

Same arguments and result type as `rsopt.lower_bound`. The closed forms are proven, their limits rounded to the safe
side; the melded limit is conjectured, and no radius is made of it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
from scipy import special
from scipy.optimize import brentq

from rsopt.arguments import Real, Whole
from rsopt.bound import Bound
from rsopt.counts import Counts, VotesLike, as_counts, checked_alpha
from rsopt.functional import Functional
from rsopt.functionals import FunctionalLike, as_functional
from rsopt.limits import lower_limits, upper_limits
from rsopt.methods import CLOPPER_PEARSON, COHEN, MELDED

_SAFE = 1e-12
#: Gauss–Legendre nodes on each of so many pieces of the law of B.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_PIECES = 12
#: Points at which a functional is looked at; those that ship are least at the last one, or at the first.
_POINTS = 513
#: Quantiles of T beside which the integrand turns: pieces end there.
_TURNS = np.array([1e-12, 1e-6, 1e-3, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0 - 1e-3, 1.0 - 1e-6, 1.0 - 1e-12])


def two_way_clopper_pearson(counts: Counts | VotesLike, top: Whole | None = None, *,
                            functional: FunctionalLike = "probit", alpha: Real = 1e-3,
                            order: Whole | None = None) -> Bound:
    """g at the Clopper–Pearson limits of p_A (from below) and p_j (from above), each at alpha/2 (equations 4 to 6).

    j is the empirical runner-up, which is enough for all rivals (fact 7). With two classes p_j = 1 - p_A, and the split
    is still made.

    Args, Returns, Raises: as `rsopt.lower_bound`.
    """
    return _closed_form("two-way-clopper-pearson", counts, top, functional, alpha, order)


def cohen(counts: Counts | VotesLike, top: Whole | None = None, *, functional: FunctionalLike = "probit",
          alpha: Real = 1e-3, order: Whole | None = None) -> Bound:
    """g(p, 1 - p) at the one-sided Clopper–Pearson limit p of p_A at alpha (Cohen et al. 2019): p_B := 1 - p_A.

    Args, Returns, Raises: as `rsopt.lower_bound`.
    """
    return _closed_form("cohen", counts, top, functional, alpha, order)


def bonferroni(counts: Counts | VotesLike, top: Whole | None = None, *, functional: FunctionalLike = "probit",
               alpha: Real = 1e-3, order: Whole | None = None) -> Bound:
    """g at Clopper–Pearson limits of all K classes at alpha/K each: p_A from below, the largest rival from above.

    Args, Returns, Raises: as `rsopt.lower_bound`.
    """
    return _closed_form("bonferroni", counts, top, functional, alpha, order)


def melded(counts: Counts | VotesLike, top: Whole | None = None, *, functional: FunctionalLike = "margin",
           alpha: Real = 1e-3, order: Whole | None = None) -> Bound:
    """The melded lower limit of p_A - p_j for paired proportions (Fay & Lumbard 2021), and what follows of it for g.

    With m = x_A + x_j votes for the pair, the limit is the alpha quantile of T (2B - 1). B ~ Beta(x_A, x_j + 1) is the
    lower confidence distribution of the share of the class within the pair, and T that of the share of the pair:
    Beta(m, n - m + 1), or Beta(m + 1, n - m) where 2B - 1 is negative. A Beta with a first parameter 0 is 0, with a
    second one 0 it is 1; with two classes T is 1. j is the empirical runner-up. The bound on another
    g is its least value where q1 - q2 >= limit, of 513 points; for f(q1) - f(q2) with f' least at 1/2 it lies at
    q1 + q2 = 1, and a negative limit says nothing where f is unbounded.

    That the limit errs with probability at most alpha is *conjectured* by its authors, and not proven: the result is
    not `proven`, certifies nothing, and gives no radius. It is here to be compared with.

    Args, Returns: as `rsopt.lower_bound`.

    Raises:
        InvalidInputError: as `rsopt.lower_bound`.
    """
    started = time.perf_counter()
    observed, g, level = as_counts(counts, top), as_functional(functional, order), checked_alpha(alpha)
    if observed.two_classes:
        limit = 2.0 * float(lower_limits(observed.x1, observed.n, level)) - 1.0
    else:
        limit = _melded_limit(observed.x1, observed.x2, observed.n, level)
    return Bound(lower=_of_margin(g, limit), lower_at_most=math.nan, searched=math.nan, proven=False, method=MELDED,
                 functional=g, statistic=None, alpha=level, solver=None, counts=observed, proof=None, evaluations=0,
                 seconds=time.perf_counter() - started, message="conjectured, not proven: it certifies nothing")


def _melded_limit(x: int, y: int, n: int, alpha: float) -> float:
    """The alpha quantile of T (2B - 1) for x and y votes of n."""
    m = x + y
    if x == 0:
        # B is 0, and the limit that of minus the share of the pair.
        return -1.0 if m == n else -float(special.betainccinv(m + 1.0, n - m, alpha)) * (1.0 + _SAFE)
    low = float(special.betaincinv(x, y + 1.0, 1e-9 * alpha))
    high = 1.0 - float(special.betaincinv(y + 1.0, x, 1e-9 * alpha))
    edges = np.linspace(low, high, _PIECES + 1)
    turns, norm = special.betaincinv(m, n - m + 1.0, _TURNS), float(special.betaln(x, y + 1.0))

    def excess(limit: float) -> float:
        """P(T (2B - 1) <= limit) - alpha."""
        turned = 0.5 * (1.0 + limit / turns)
        at = np.sort(np.clip(np.concatenate([edges, turned, [0.5, 0.5 * (1.0 + limit)]]), low, high))
        wide = np.flatnonzero(np.diff(at))
        half = 0.5 * np.diff(at)[wide, None]
        b = (at[wide, None] + half + half * _NODES).ravel()
        density = np.exp(special.xlogy(x - 1.0, b) + special.xlog1py(y, -b) - norm)
        gap = 2.0 * b - 1.0
        # T at most, or in the negative at least, limit / (2b - 1).
        share = np.clip(limit / np.where(gap == 0.0, math.nan, gap), 0.0, 1.0)
        if limit >= 0.0:
            chance = np.where(gap > 0.0, special.betainc(m, n - m + 1.0, share), 1.0)
        else:
            above = special.betaincc(m + 1.0, n - m, share) if m < n else np.where(share < 1.0, 1.0, 0.0)
            chance = np.where(gap < 0.0, above, 0.0)
        return float((half * _WEIGHTS).ravel() @ (density * chance)) - alpha

    # The normal approximation of the share's difference tells where to look; from there the bracket widens.
    difference = (x - y) / n
    deviation = math.sqrt(max(m / n - difference * difference, 1.0 / n) / n)
    near = min(max(difference + float(special.ndtri(alpha)) * deviation, -1.0), 1.0)
    below, above, step = near, near, 0.1 * deviation
    while excess(above) <= 0.0 and above < 1.0:
        below, above, step = above, min(above + step, 1.0), 4.0 * step
    while below == above or (excess(below) > 0.0 and below > -1.0):
        above, below, step = below, max(below - step, -1.0), 4.0 * step
    # Rounded down, far beyond what quadrature and bisection lose.
    return max(float(brentq(excess, below, above, xtol=1e-13, rtol=1e-13)) - 1e-10, -1.0)


def _of_margin(g: Functional, limit: float) -> float:
    """The least value of g where q1 - q2 >= limit, which is where they are equal, from q2 least to q1 + q2 = 1."""
    if g.name == "margin":
        return limit
    q2 = np.linspace(max(-limit, 0.0), 0.5 * (1.0 - limit), _POINTS)
    return max(float(np.min(g.value(np.maximum(q2 + limit, 0.0), q2))), g.range[0])


def _closed_form(method: str, counts: Counts | VotesLike, top: Whole | None, functional: FunctionalLike,
                 alpha: Real, order: Whole | None) -> Bound:
    started = time.perf_counter()
    observed, g, level = as_counts(counts, top), as_functional(functional, order), checked_alpha(alpha)
    share = {"cohen": level, "two-way-clopper-pearson": level / 2.0, "bonferroni": level / len(observed.votes)}[method]
    low = float(lower_limits(observed.x1, observed.n, share))
    high = 1.0 - low if method == "cohen" else float(upper_limits(observed.x2, observed.n, share))
    value = float(g.value(np.array(low), np.array(high)))
    lower = max(value - 4e-15 * abs(value), g.range[0]) if math.isfinite(value) else value
    return Bound(lower=lower, lower_at_most=math.nan, searched=math.nan, proven=True, method=method, functional=g,
                 statistic=None, alpha=level, solver=None, counts=observed, proof=None, evaluations=0,
                 seconds=time.perf_counter() - started)


BY_NAME: dict[str, Callable[..., Bound]] = {CLOPPER_PEARSON: two_way_clopper_pearson, COHEN: cohen, MELDED: melded}
"""What runs compute beside our own bound on the same votes (`rsopt.methods.RIVALS`)."""
