"""What every designated statistic must do, checked for one of your own.

Use it in its tests:

    from rsopt.testing import check_statistic

    def test_my_statistic_conforms():
        check_statistic(MyStatistic())
"""

from __future__ import annotations

import math
from itertools import pairwise

from rsopt.counts import Counts
from rsopt.errors import RsoptError
from rsopt.functionals import FunctionalLike, as_functional
from rsopt.statistics import Statistic, StatisticLike, as_statistic
from rsopt.testing.coverage import largest_error
from rsopt.testing.rules import demand

_VOTES, _ALPHA = 7, 0.1


def check_statistic(statistic: StatisticLike, functional: FunctionalLike = "margin") -> None:
    """Check what can be checked of a statistic; raises at the first breach.

    1. It has a name and a largest alpha.
    2. Every observation lies in its own tail set, and has a value that is a number.
    3. The tail sets of all observations are nested: they come from one order of the votes. Without this nothing that is
       proven of a single set bounds how often the limit errs.
    4. Bounds on it lie above the truth no more often than alpha: all votes of n = 7 are enumerated.

    Args:
        statistic: an instance, a class or a name.
        functional: that it orders the evidence for.

    Raises:
        AssertionError: a breach; the text says which rule and what was found.
    """
    try:
        chosen, g = as_statistic(statistic), as_functional(functional)
    except RsoptError as error:
        raise AssertionError(f"{statistic!r} is no statistic: {error}") from error
    _demand(isinstance(chosen.name, str) and bool(chosen.name), chosen, "has a name", repr(chosen))
    _demand(0.0 < chosen.largest_alpha <= 0.5, chosen, "has a largest alpha in (0, 1/2]", repr(chosen.largest_alpha))
    alpha = min(_ALPHA, 0.5 * chosen.largest_alpha)
    sets = {}
    for x1 in range(_VOTES + 1):
        for x2 in range(_VOTES + 1 - x1):
            counts = Counts((x1, x2, _VOTES - x1 - x2), 0, 1)
            tail_set = chosen.tail_set(counts, g, alpha)
            _demand(tail_set.contains(x1, x2), chosen, "has every observation in its own tail set",
                    f"{counts.votes} is outside")
            _demand(not math.isnan(chosen.value(counts, g, alpha)), chosen, "has a value at every observation",
                    f"NaN at {counts.votes}")
            sets[counts.votes] = frozenset((a, b) for a in range(_VOTES + 1) for b in range(_VOTES + 1 - a)
                                           if tail_set.contains(a, b))
    ordered = sorted(sets.items(), key=lambda item: len(item[1]))
    for (one, inner), (other, outer) in pairwise(ordered):
        _demand(inner <= outer, chosen, "has tail sets that are nested",
                f"neither that of {one} nor that of {other} holds the other")
    often, p = largest_error(g, chosen, _VOTES, alpha)
    _demand(often <= alpha, chosen, f"errs with at most alpha = {alpha:g}",
            f"bounds on {_VOTES} votes exceed the truth with probability {often:.4g} at p = {p.tolist()}")


def _demand(holds: bool, statistic: Statistic, rule: str, found: str) -> None:
    demand(holds, statistic, "statistic", rule, found)
