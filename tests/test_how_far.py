"""The limits of docs/how-far.md, as the examples compute them, against independent computations at small n."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
from places import EXAMPLES
from scipy.optimize import linprog
from scipy.special import ndtri, rel_entr

import rsopt

Array = npt.NDArray[np.float64]
ALPHA = 1e-3


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as context:
        context.syspath_prepend(EXAMPLES)
        yield context


@pytest.fixture(scope="module")
def limits(patch: pytest.MonkeyPatch) -> ModuleType:
    return importlib.import_module("power_envelope")


@pytest.fixture(scope="module")
def samples(patch: pytest.MonkeyPatch) -> ModuleType:
    return importlib.import_module("sequential_limit")


def distribution(p_a: float, p_j: float) -> Array:
    return np.array([p_a, p_j, 1.0 - p_a - p_j])


def most_power(chances: Array, nulls: Array) -> float:
    found = linprog(-chances, A_ub=nulls / ALPHA, b_ub=np.ones(len(nulls)), bounds=(0.0, 1.0))
    assert found.success
    return -float(found.fun)


def test_probabilities_are_those_of_the_multinomial_law(limits: ModuleType) -> None:
    x = limits.outcomes(12)
    chances = limits.probabilities(x, distribution(0.6, 0.3)[None])[0]
    drawn = np.random.default_rng(0).multinomial(12, (0.6, 0.3, 0.1), size=200_000)
    assert x.shape == (3, 13 * 14 // 2)
    assert abs(chances.sum() - 1.0) < 1e-12
    seen = np.mean((drawn[:, 0] == 7) & (drawn[:, 1] == 4))
    assert abs(chances[(x[0] == 7) & (x[1] == 4)][0] - seen) < 1e-3


def test_one_null_gives_the_power_of_neyman_and_pearson(limits: ModuleType) -> None:
    x = limits.outcomes(15)
    p, q = limits.probabilities(x, np.stack([distribution(0.8, 0.1), distribution(0.45, 0.4)]))
    left, power = ALPHA, 0.0
    for k in np.argsort(q / p):
        taken = min(1.0, left / q[k])
        left, power = left - taken * q[k], power + taken * p[k]
    assert limits.power_at_most(p, q, ALPHA) == pytest.approx(power, abs=1e-12)
    assert limits.power_at_most(p, 0.5 * ALPHA * q, ALPHA) == pytest.approx(1.0, abs=1e-12)


def test_no_mixture_of_nulls_gives_less_than_the_linear_program(limits: ModuleType) -> None:
    rng, x = np.random.default_rng(1), limits.outcomes(20)
    chances = limits.probabilities(x, distribution(0.8, 0.1)[None])[0]
    nulls = limits.probabilities(x, limits.on_curve(0.5, limits.curve_grid(0.5, 20, 0.5)))
    most = most_power(chances, nulls)
    for _ in range(50):
        weights = rng.dirichlet(np.full(len(nulls), 0.05))
        assert limits.power_at_most(chances, weights @ nulls, ALPHA) >= most - 1e-9
    q2, weights = limits.least_favourable(x, chances, 0.5, ALPHA, 0.5)
    best = limits.power_at_most(chances, weights @ limits.probabilities(x, limits.on_curve(0.5, q2)), ALPHA)
    assert best == pytest.approx(most, abs=1e-9)


@pytest.mark.parametrize("p", [(0.97, 0.02), (0.75, 0.15), (0.6, 0.1), (0.5, 0.35)])
def test_nulls_below_the_curve_take_nothing_away(limits: ModuleType, p: tuple[float, float]) -> None:
    """The envelope at n = 20 beside a program with nulls all over {g <= L}."""
    x, truth = limits.outcomes(20), float(ndtri(p[0]) - ndtri(p[1]))
    chances = limits.probabilities(x, distribution(*p)[None])[0]
    levels = truth * np.arange(31) / 32.0
    most = limits.envelope(x, chances, np.full(chances.size, np.inf), levels, ALPHA, 0.25)
    assert (np.diff(most) <= 0.0).all()
    for k in (0, 10, 20, 30):
        curves = [limits.on_curve(levels[k] - down, limits.curve_grid(levels[k] - down, 20, 0.25))
                  for down in (0.0, 0.1, 0.3, 1.0, 3.0)]
        everywhere = most_power(chances, limits.probabilities(x, np.concatenate(curves)))
        assert everywhere <= most[k] <= everywhere * (1.0 + 1e-4) + 2.0 * limits.ROUNDING
    # A rule that says "infinite" with probability alpha, whatever the votes, is valid.
    assert (most >= ALPHA).all()


def test_moving_mixtures_between_two_programs_loses_little(limits: ModuleType) -> None:
    x = limits.outcomes(20)
    chances = limits.probabilities(x, distribution(0.8, 0.1)[None])[0]
    levels = np.linspace(0.5, 0.54, 2 * limits.STEPS + 1)
    most = limits.envelope(x, chances, np.full(chances.size, np.inf), levels, ALPHA, 0.25)
    for k, level in enumerate(levels):
        best = most_power(chances, limits.probabilities(x, limits.on_curve(level, limits.curve_grid(level, 20, 0.25))))
        # The grids of neighbouring levels hold different nulls.
        assert 0.999 * best <= most[k] <= 1.02 * best


def test_unanimous_votes_certify_what_clopper_and_pearson_say(limits: ModuleType) -> None:
    """Without randomisation no bound at (n, 0, 0) exceeds the one-sided limit, which the exact bound reaches."""
    x, n = limits.outcomes(20), 20
    until = limits.too_likely_from(x, 3.0, ALPHA)
    at = until[(x[0] == n)][0]
    assert at == pytest.approx(-2.0 * ndtri(1.0 - ALPHA ** (1.0 / n)), abs=1e-6)
    assert rsopt.lower_bound(rsopt.Counts((n, 0, 0), top=0, rival=1), alpha=ALPHA).lower == pytest.approx(at, abs=1e-3)
    for x1, x2 in ((18, 1), (15, 2), (14, 4)):
        bound = rsopt.lower_bound(rsopt.Counts((x1, x2, n - x1 - x2), top=0, rival=1), alpha=ALPHA).lower
        assert bound <= until[(x[0] == x1) & (x[1] == x2)][0]


def test_rules_that_do_not_randomise_have_the_lower_envelope(limits: ModuleType) -> None:
    one = limits.shown(distribution(0.97, 0.02), 20, ALPHA, 10, 0.25,
                       lambda name, x1, x2: limits.METHODS[name](rsopt.Counts((x1, x2, 20 - x1 - x2), top=0, rival=1),
                                                                 alpha=ALPHA).lower)
    assert (one.most_fixed <= one.most).all()
    assert one.largest_fixed_mean < 0.9 * one.largest_mean
    for power in one.power.values():
        assert (power <= one.most_fixed).all()
    assert one.means["rsopt"] > one.means["Clopper–Pearson"] > 0.0


def test_a_bound_that_is_too_large_passes_the_envelope(limits: ModuleType) -> None:
    """At ten times the error the exact bound is none at alpha, and is seen to be none."""
    one = limits.shown(distribution(0.75, 0.15), 20, ALPHA, 10, 0.25,
                       lambda name, x1, x2: rsopt.lower_bound(rsopt.Counts((x1, x2, 20 - x1 - x2), top=0, rival=1),
                                                              alpha=10.0 * ALPHA).lower)
    assert (one.power["rsopt"] > one.most).any()


@pytest.mark.parametrize("p", [(0.9, 0.03), (0.75, 0.15), (0.5, 0.35)])
def test_the_nearest_null_to_a_level(samples: ModuleType, p: tuple[float, float]) -> None:
    cells = distribution(*p)
    truth = float(ndtri(p[0]) - ndtri(p[1]))
    # At level 0 the nearest null shares what p_A and p_j have together.
    q, divergence = samples.nearest_null(cells, 0.0)
    middle = 0.5 * (p[0] + p[1])
    assert q == pytest.approx([middle, middle, cells[2]], abs=1e-6)
    assert divergence == pytest.approx(p[0] * np.log(p[0] / middle) + p[1] * np.log(p[1] / middle), abs=1e-12)
    # Elsewhere no null of a fine grid over the whole set is nearer.
    level = 0.6 * truth
    q, divergence = samples.nearest_null(cells, level)
    q1, q2 = np.meshgrid(np.linspace(0.001, 0.999, 999), np.linspace(0.001, 0.999, 999))
    nulls = (q1 + q2 < 1.0) & (ndtri(q1) - ndtri(q2) <= level)
    grid = np.stack([q1[nulls], q2[nulls], 1.0 - q1[nulls] - q2[nulls]])
    nearest = float(rel_entr(cells[:, None], grid).sum(axis=0).min())
    assert divergence <= nearest <= 1.1 * divergence
    assert ndtri(q[0]) - ndtri(q[1]) == pytest.approx(level, abs=1e-9)
    assert samples.nearest_null(cells, truth)[1] == 0.0


def test_the_limit_is_below_what_a_fixed_number_of_samples_takes(samples: ModuleType) -> None:
    """Two simple hypotheses about a coin, in the normal approximation of the best test."""
    p, q, power = 0.8, 0.5, 0.95
    limit = samples.coins(power, ALPHA) / samples.coins(p, q)
    fixed = ((ndtri(1.0 - ALPHA) * np.sqrt(q * (1.0 - q)) + ndtri(power) * np.sqrt(p * (1.0 - p))) / (p - q)) ** 2
    assert 0.4 * fixed < limit < fixed
    assert samples.coins(0.3, 0.3) == 0.0
    assert samples.coins(1.0, ALPHA) == pytest.approx(np.log(1.0 / ALPHA))
