"""What adaptive sampling is made of: shares of the error, looks, levels of radii, and limits from above."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from enumeration import FUNCTIONALS, GAUSSIAN, STATISTICS, all_bounds
from scipy.stats import binom

import rsopt
from rsopt.counts import Counts
from rsopt.errors import InvalidInputError, RsoptError, UnknownNameError
from rsopt.question import ABOVE_ZERO, Question, least_samples, level_for_radius
from rsopt.radius import probit_radius, smoothed_margin_radius
from rsopt.sequential.levels import largest_share, level_reached, upper_limit
from rsopt.sequential.looks import Looks
from rsopt.sequential.spending import LEAST_SHARE, SPENDING, as_spending, look_alphas, obrien_fleming, power
from rsopt.statistics import as_statistic, clopper_pearson_lower

SIGMA = 0.25


@pytest.mark.parametrize("name", list(SPENDING))
def test_levels_add_up_to_at_most_alpha_exactly(name: str) -> None:
    for most, growth, alpha in itertools.product((1, 19, 20, 333, 100_000, 10_000_000), (1.05, 1.35, 4.0), (0.4, 1e-3)):
        sizes = Looks(most, alpha, growth=growth).sizes
        for idle in {0, len(sizes) // 2, len(sizes) - 1}:
            levels = look_alphas(as_spending(name), alpha, sizes, idle)
            total = sum(Fraction(level) for level in levels)
            assert len(levels) == len(sizes)
            assert total <= Fraction(alpha)
            spends_all = name != "open-ended"
            assert total >= Fraction(alpha) * (Fraction(97, 100) if spends_all else Fraction(48, 100))
            assert min(levels) >= 0.999 * LEAST_SHARE * alpha
            assert sum(levels[:idle]) <= 1.001 * idle * LEAST_SHARE * alpha


def test_shares_have_the_shapes_they_are_named_for() -> None:
    looks = (100, 200, 400, 800)
    times = np.array(looks) / 800.0
    assert as_spending("equal")(looks).tolist() == [0.25] * 4
    assert np.allclose(as_spending("linear")(looks), [0.1, 0.2, 0.3, 0.4])
    assert np.allclose(as_spending("open-ended")(looks), [1 / 2, 1 / 6, 1 / 12, 1 / 20])
    assert np.allclose(np.cumsum(power(looks, 2.0)), times**2)
    assert np.allclose(np.cumsum(as_spending("pocock")(looks)), np.log(1.0 + (math.e - 1.0) * times))
    last = obrien_fleming(looks)
    assert last[-1] > 0.9
    assert last[0] < 1e-12


@pytest.mark.parametrize(("most", "first", "growth", "chunk"), [
    (100_000, 20, 1.35, 1), (100_000, 20, 1.35, 250), (2000, 20, 1.35, 50), (10_000_000, 1, 1.05, 1), (99, 20, 3.0, 50),
    (30, 50, 2.0, 50), (7, 7, 2.0, 1)])
def test_looks_grow_in_whole_chunks_up_to_the_most(most: int, first: int, growth: float, chunk: int) -> None:
    sizes = Looks(most, 0.001, first, growth, chunk).sizes
    assert sizes[-1] == most
    assert all(n % chunk == 0 for n in sizes[:-1])
    assert all(before < after for before, after in itertools.pairwise(sizes))
    assert sizes[0] == min(most, chunk * math.ceil(first / chunk))
    # Rounding up to whole chunks moves a look by less than a chunk.
    assert all(after < growth * before + chunk + 1e-6 for before, after in itertools.pairwise(sizes))
    assert all(look.n == n for look, n in zip(Looks(most, 0.001, first, growth, chunk).planned(), sizes, strict=True))


def greedy(looks: Sequence[int]) -> np.ndarray:
    """Spends more than there is."""
    return np.full(len(looks), 1.1 / len(looks))


def negative(looks: Sequence[int]) -> np.ndarray:
    return np.linspace(-0.1, 0.2, len(looks))


@pytest.mark.parametrize(("build", "kind", "text"), [
    (lambda: Looks(0), InvalidInputError, "most must be a whole number of samples from 1 to 10,000,000; found 0"),
    (lambda: Looks(100.0), InvalidInputError, "found 100.0"),
    (lambda: Looks(100, first=0), InvalidInputError, "first must be a whole number of samples"),
    (lambda: Looks(100, chunk=True), InvalidInputError, "chunk must be a whole number of samples"),
    (lambda: Looks(100, growth=1.0), InvalidInputError, "growth must lie between 1.05 and 100"),
    (lambda: Looks(100, growth=math.nan), InvalidInputError, "found nan"),
    (lambda: Looks(100, alpha=0.5), InvalidInputError, "alpha must lie strictly between"),
    (lambda: Looks(100, spending="equals"), UnknownNameError, "named 'equals'. Did you mean 'equal'?"),
    (lambda: Looks(100, spending=3), InvalidInputError, "3 is no spending function"),
    (lambda: Looks(100, spending=greedy).planned(), InvalidInputError,
     "The shares of 'greedy' must be one a look, non-negative, with a sum of at most 1"),
    (lambda: Looks(100, spending=negative).planned(), InvalidInputError, "non-negative"),
    (lambda: look_alphas(as_spending("equal"), 0.1, [3, 3]), InvalidInputError, "growing numbers of samples"),
    (lambda: look_alphas(as_spending("equal"), 0.1, []), InvalidInputError, "growing numbers of samples"),
    (lambda: look_alphas(as_spending("equal"), 1e-12, [3]), InvalidInputError, "too small to be shared out"),
    (lambda: power([1, 2], 0.0), InvalidInputError, "rho must be a positive number"),
    (lambda: obrien_fleming([1, 2], 0.7), InvalidInputError, "alpha must lie strictly between")])
def test_looks_without_meaning_are_refused(build, kind: type[RsoptError], text: str) -> None:
    with pytest.raises(kind) as refused:
        build()
    assert text in str(refused.value)


@pytest.mark.parametrize("functional", GAUSSIAN)
@pytest.mark.parametrize("radius", [0.0, 1e-12, 1e-3, 0.1, 0.25, 0.31])
@pytest.mark.parametrize("sigma", [0.25, 1.0, 3.7])
def test_a_level_is_the_least_that_certifies_its_radius(functional: str, radius: float, sigma: float) -> None:
    to_radius = smoothed_margin_radius if functional == "margin" else probit_radius
    level = level_for_radius(FUNCTIONALS[functional], radius, sigma)
    assert to_radius(level, sigma) >= radius
    assert to_radius(level, sigma) > 0.0
    assert level == ABOVE_ZERO or to_radius(level * (1.0 - 1e-14), sigma) < radius


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("functional", ["margin", "probit", "taylor-15"])
def test_a_level_is_reached_where_the_bound_reaches_it(functional: str, statistic: str) -> None:
    alpha, g, t = 0.05, FUNCTIONALS[functional], as_statistic(statistic)
    reached = 0
    for bound in all_bounds(12, functional, statistic, alpha).values():
        if not math.isfinite(bound.lower) or bound.lower <= g.range[0]:
            continue
        assert level_reached(bound.counts, bound.lower, Question(1.0, g, statistic=t, alpha=alpha))
        assert not level_reached(bound.counts, bound.lower_at_most + 1e-6, Question(1.0, g, statistic=t, alpha=alpha))
        reached += bound.lower > 0.0
    assert reached >= 4 or statistic == "plugin"


@pytest.mark.parametrize("votes", [(900, 60, 40), (7000, 2500, 500), (96_000, 4000)])
def test_a_level_is_reached_on_large_counts(votes: tuple[int, ...]) -> None:
    counts, g, t = Counts(votes, 0), rsopt.ProbitMargin(), as_statistic("studentized")
    bound = rsopt.lower_bound(counts, alpha=1e-4)
    assert level_reached(counts, bound.lower, Question(1.0, g, statistic=t, alpha=1e-4))
    assert not level_reached(counts, bound.lower_at_most + 1e-9, Question(1.0, g, statistic=t, alpha=1e-4))


@pytest.mark.parametrize("functional", ["margin", "probit", "taylor-3"])
@pytest.mark.parametrize(("radius", "alpha"), [(0.0, 1e-3), (0.0, 0.3), (0.1, 0.01), (0.25, 1e-3)])
def test_the_least_samples_are_those_at_which_all_votes_reach_it(functional: str, radius: float, alpha: float) -> None:
    g, t = FUNCTIONALS[functional], as_statistic("studentized")
    level = level_for_radius(g, radius, SIGMA)
    least = least_samples(g, level, alpha)
    for classes in (2, 3):
        enough, short = Counts((least, *[0] * (classes - 1)), 0), Counts((least - 1, *[0] * (classes - 1)), 0)
        assert level_reached(enough, level, Question(1.0, g, statistic=t, alpha=alpha))
        assert not level_reached(short, level, Question(1.0, g, statistic=t, alpha=alpha))
        assert rsopt.baselines.cohen(short, functional=g, alpha=alpha).lower < level
    if radius == 0.0:
        assert least == math.ceil(math.log(alpha) / math.log(0.5))


@pytest.mark.parametrize("alpha", [0.3, 0.05, 1e-3])
@pytest.mark.parametrize("n", [1, 2, 6, 15])
def test_the_share_of_the_strongest_rival_is_covered(n: int, alpha: float) -> None:
    """The rivals as even as can be, where the error is largest, and uneven ones; the rest votes for the class."""
    for rivals in (1, 2, 3, 5, 20, 200):
        limits = [largest_share(x, n, rivals, alpha) for x in range(n + 1)]
        assert limits[0] == 0.0
        assert limits == sorted(limits)
        even = [[t] * min(rivals, int(1.0 / t + 1e-9)) for t in (1.0, 0.5, 0.34, 0.2, 0.1, 0.05, 0.01)]
        edge = [[t * (1.0 - 1e-9)] * min(rivals, int(1.0 / t)) for t in limits if t > 0.0]
        uneven = [[t, *[0.5 * t] * min(rivals - 1, int((1.0 - t) / (0.5 * t)))] for t in (0.6, 0.3, 0.1)]
        for shares in (*even, *edge, *uneven):
            p = [*shares, max(1.0 - sum(shares), 0.0)]
            first = next((x for x in range(n + 1) if limits[x] > max(shares)), None)
            if first is not None:
                # The class itself never counts as a rival: its cell is left free.
                free = 1.0 - unreached(first, n, shares, p[-1])
                assert free <= alpha * (1.0 + 1e-9)


def unreached(votes: int, n: int, shares: Sequence[float], rest: float) -> float:
    """P(no rival has `votes` votes or more), the rest of the votes being free."""
    ways = np.array([rest**k / math.factorial(k) for k in range(n + 1)])
    for share in shares:
        series = np.array([share**k / math.factorial(k) if k < votes else 0.0 for k in range(n + 1)])
        ways = np.convolve(ways, series)[: n + 1]
    return float(math.factorial(n) * ways[n])


def test_a_strong_rival_is_not_punished_for_the_number_of_classes() -> None:
    alone = float(clopper_pearson_lower(300, 1000, 0.01))
    bonferroni = float(clopper_pearson_lower(300, 1000, 0.01 / 999))
    many = largest_share(300, 1000, 999, 0.01)
    assert bonferroni < many < alone
    assert many == pytest.approx(float(clopper_pearson_lower(300, 1000, 0.01 * many)), rel=1e-3)
    assert largest_share(300, 1000, 1, 0.01) == pytest.approx(alone, rel=1e-9)
    assert binom.sf(299, 1000, many) / many <= 0.01


def test_an_upper_limit_against_one_rival_is_cheaper() -> None:
    votes, g = (600, 300, 50, 50), rsopt.ProbitMargin()
    fixed, free = (upper_limit(Counts(votes, 0, rival), g, 0.01) for rival in (1, None))
    assert fixed < free
    assert free < fixed + 0.1
    assert upper_limit(Counts((700, 300), 0), g, 0.01) < upper_limit(Counts((700, 300, 0), 0), g, 0.01)
