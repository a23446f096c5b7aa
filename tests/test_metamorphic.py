"""Relations between bounds on related votes, at any size: a change that can only help never makes the bound smaller.

The reported brackets hold the exact bounds, so exact(a) <= exact(b) shows as lower(a) <= lower_at_most(b), without a
tolerance.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rsopt

SIZES = st.integers(0, 18).map(lambda power: round(10.0 ** (power / 3.0)))
CASES = pytest.mark.parametrize("functional", ["probit", "margin"])


@st.composite
def votes(draw: st.DrawFn, largest: int = 10**6) -> tuple[int, int, int]:
    """(top, rival, rest) of 1 to `largest` votes, often near an edge of the simplex."""
    n = draw(SIZES.filter(lambda size: size <= largest))
    share = draw(st.sampled_from([0.0, 1e-4, 0.01, 0.2, 0.5, 0.9, 0.999, 1.0]))
    x1 = round(n * share)
    x2 = min(draw(st.sampled_from([0, 1, 2, x1 // 2, x1, n // 3, n])), n - x1)
    return x1, x2, n - x1 - x2


def bound(counts: tuple[int, int, int], functional: str, statistic: str, alpha: float) -> rsopt.Bound:
    """The bound with cell 1 as the rival, also where the rest has more votes."""
    return rsopt.lower_bound(rsopt.Counts(counts, 0, 1), functional=functional, statistic=statistic, alpha=alpha)


@CASES
@given(votes(), st.sampled_from(["rival to top", "rest to top", "rival to rest"]),
       st.sampled_from(["studentized", "clopper-pearson", "plugin"]), st.sampled_from([0.05, 1e-3, 1e-5]))
@settings(max_examples=50, derandomize=True, deadline=None)
def test_a_vote_that_moves_in_favour_never_lowers_the_bound(functional: str, counts: tuple[int, int, int], move: str,
                                                            statistic: str, alpha: float) -> None:
    source, target = {"rival to top": (1, 0), "rest to top": (2, 0), "rival to rest": (1, 2)}[move]
    moved = list(counts)
    if moved[source] == 0:
        return
    moved[source] -= 1
    moved[target] += 1
    before = bound(counts, functional, statistic, alpha)
    after = bound((moved[0], moved[1], moved[2]), functional, statistic, alpha)
    assert before.lower <= after.lower_at_most


@CASES
@given(votes(), st.sampled_from([(0.05, 0.01), (0.01, 1e-3), (1e-3, 1e-6)]))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_a_smaller_error_never_raises_the_bound(functional: str, counts: tuple[int, int, int],
                                                alphas: tuple[float, float]) -> None:
    """With a statistic that does not depend on alpha; the tail set is then the same."""
    loose, strict = (bound(counts, functional, "plugin", alpha) for alpha in alphas)
    assert strict.lower <= loose.lower_at_most


@CASES
@given(votes(10_000), st.sampled_from(["studentized", "clopper-pearson", "plugin"]),
       st.sampled_from([0.05, 1e-3, 1e-5]))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_brackets_and_proofs(functional: str, counts: tuple[int, int, int], statistic: str, alpha: float) -> None:
    """Every bound is confirmed by the checker that shares no code with the proof."""
    result = bound(counts, functional, statistic, alpha)
    assert result.proven
    assert result.lower <= result.lower_at_most
    # Of a rival that another class beats there is a bound, and no radius.
    if result.for_all_rivals:
        assert result.radius(sigma=0.25) >= 0.0
    checked = rsopt.check_certificate(result.certificate.to_dict()).lower
    assert max(checked, rsopt.functionals.FUNCTIONALS[functional]().range[0]) == result.lower
