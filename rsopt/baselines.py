"""Baselines in closed form: two-way Clopper–Pearson, Cohen's one-sided bound, K-way Bonferroni.

Same arguments and result type as `rsopt.lower_bound`. All limits are rounded to the safe side.
"""

from __future__ import annotations

import math
import time

import numpy as np

from rsopt.arguments import Real, Whole
from rsopt.bound import Bound
from rsopt.counts import Counts, VotesLike, as_counts, checked_alpha
from rsopt.functionals import FunctionalLike, as_functional
from rsopt.statistics import clopper_pearson_lower, clopper_pearson_upper

_SAFE = 1e-12


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


def _closed_form(method: str, counts: Counts | VotesLike, top: Whole | None, functional: FunctionalLike,
                 alpha: Real, order: Whole | None) -> Bound:
    started = time.perf_counter()
    observed, g, level = as_counts(counts, top), as_functional(functional, order), checked_alpha(alpha)
    share = {"cohen": level, "two-way-clopper-pearson": level / 2.0, "bonferroni": level / len(observed.votes)}[method]
    low = max(float(clopper_pearson_lower(observed.x1, observed.n, share)) * (1.0 - _SAFE), 0.0)
    if method == "cohen":
        high = 1.0 - low
    else:
        high = min(float(clopper_pearson_upper(observed.x2, observed.n, share)) * (1.0 + _SAFE), 1.0)
    value = float(g.value(np.array(low), np.array(high)))
    lower = max(value - 4e-15 * abs(value), g.range[0]) if math.isfinite(value) else value
    return Bound(lower=lower, lower_at_most=math.nan, searched=math.nan, proven=True, method=method, functional=g,
                 statistic=None, alpha=level, solver=None, counts=observed, proof=None, evaluations=0,
                 seconds=time.perf_counter() - started)
