"""Buehler's theorem: on its own statistic, the exact bound is never below the bound that the statistic is."""

from __future__ import annotations

import pytest
from enumeration import FUNCTIONALS, all_bounds, width

from rsopt import Counts, baselines


@pytest.mark.parametrize(("n", "alpha"), [(5, 0.05), (5, 0.001), (12, 0.01), (25, 0.05), (40, 0.001)])
@pytest.mark.parametrize("functional", ["margin", "probit", "taylor-15"])
def test_never_below_two_way_clopper_pearson(functional: str, n: int, alpha: float) -> None:
    for (x1, x2), bound in all_bounds(n, functional, "clopper-pearson", alpha).items():
        plain = baselines.two_way_clopper_pearson(Counts((x1, x2, n - x1 - x2), 0, 1),
                                                  functional=FUNCTIONALS[functional], alpha=alpha).lower
        assert bound.lower_at_most >= plain, (x1, x2)
        if plain > bound.functional.range[0]:
            # What the proven bound gives up: at most half a percent of the width.
            assert bound.lower >= plain - 0.005 * width(bound, plain), (x1, x2)
