"""The tail probability, its gradient and its Hessian against exact and ball arithmetic, up to the corners."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from arb_tail import exact_polynomial, log_tail
from flint import arb, ctx

import rsopt
from rsopt.checks.arb_rows import tail_ball
from rsopt.errors import InvalidInputError
from rsopt.functionals import as_functional
from rsopt.kernels.tail import log_tail as compiled_log_tail
from rsopt.staircase import ACCURATE, TailSet
from rsopt.statistics import as_statistic

Array = npt.NDArray[np.float64]


def ball_of(q: Array, rows: npt.NDArray[np.int64], n: int) -> arb:
    """The checker's ball around P_q(W); of the rows that are not summed it leaves 1e-30 open."""
    stairs = [*rows.tolist(), *[n + 1] * (n + 1 - rows.size)]
    return tail_ball((arb(q[0]), arb(q[1]), arb(q[2])), 0, stairs, n, math.log(1e-30))


def dyadic(q1: float, q2: float) -> Array:
    """q with cells that are multiples of 2^-52 and sum to exactly 1, so that no rounding of the input is measured."""
    first, second = int(q1 * 2 ** 52), int(q2 * 2 ** 52)
    return np.array([first, second, 2 ** 52 - first - second]) / 2 ** 52


def corner_grid(n: int) -> list[Array]:
    """Points at and near every face and corner: q3 = 0, q2 = 0, q2 near 1/n, q1 near 1, q1 = 0, q2 near 1."""
    small = (0.0, 2.0 ** -52, 1e-9, 0.1 / n, 1.0 / n, min(3.0 / n, 1.0))
    points = [(a, b) for a, b in itertools.product((*small, 0.2, 0.5, 0.8), repeat=2) if a + b <= 1.0]
    for e in small:
        points += [(1.0 - e, 0.0), (1.0 - e, e), (1.0 - e, e / 3), (0.0, 1.0 - e), (e / 2, 1.0 - e), (0.7 - e, 0.3)]
    return [dyadic(a, b) for a, b in points if min(a, b) >= 0.0 and a + b <= 1.0]


def far_corners() -> list[Array]:
    """Points so near to the corners and to q1 = q2 = 1/2 that their largest cells round to 1 or 1/2."""
    e = 1e-300
    return [np.array(q) for q in [(1.0, e, 0.0), (1.0, 0.0, e), (1.0, e, e), (e, 1.0, e), (e, e, 1.0), (0.5, 0.5, e),
                                  (math.nextafter(0.5, 0.0), 0.5, 2.0 ** -54), (0.5 - 2.0 ** -53, 0.5, 2.0 ** -53)]]


def random_sets(n: int, number: int, seed: int) -> list[TailSet]:
    """Staircases of every shape: steep, flat, with long jumps, with empty rows, the whole space."""
    rng = np.random.default_rng(seed)
    sets = [TailSet.everything(n), TailSet.from_stairs(np.full(n + 1, n // 2)),
            TailSet.from_stairs(np.minimum(np.arange(n + 1) + n // 3, n + 1))]
    for _ in range(number):
        steps = rng.integers(1, max(n, 2) + 1)
        sets.append(TailSet.from_stairs(np.sort(rng.choice(rng.integers(0, n + 2, size=steps), size=n + 1))))
    return sets


def observed_set(n: int, share1: float, share2: float, statistic: str, functional: str, alpha: float) -> TailSet:
    x1, x2 = round(share1 * n), round(share2 * n)
    counts = rsopt.Counts((x1, x2, n - x1 - x2), 0, 1)
    chosen = as_statistic(statistic)
    return chosen.tail_set(counts, as_functional(functional), alpha)


def assert_accurate(value: float, exact: float) -> None:
    """The required accuracy: 1e-11 relative, or 1e-14 absolute where the tail is below 1e-12."""
    if exact < 1e-12:
        assert abs(value - exact) <= 1e-14
    else:
        assert abs(value - exact) <= 1e-11 * exact


@pytest.mark.parametrize("n", [1, 2, 3, 7, 16])
def test_against_exact_fractions(n: int) -> None:
    for tail_set in random_sets(n, 3, seed=n):
        rows = tail_set.rows()
        for q in corner_grid(n):
            assert_accurate(float(tail_set.probability(q)), float(arb(exact_polynomial(q, rows, n))))


@pytest.mark.parametrize("n", [40, 300])
def test_against_the_sum_of_monomials(n: int) -> None:
    """In the logarithm, so that tails far below double range count as much as the others."""
    for tail_set in random_sets(n, 2, seed=n):
        rows = tail_set.rows()
        for q in corner_grid(n):
            exact = log_tail(q, rows, n)
            value = float(tail_set.log_probability(q))
            if not exact > arb("-inf"):
                assert value == -math.inf, q
            else:
                # 1e-11 relative, plus what a relative error of one unit in each q_i^x_i allows far out.
                assert abs(value - float(exact.mid())) <= 1e-11 + 2e-15 * abs(float(exact.mid())), q


def test_corners_that_round_to_a_corner() -> None:
    """Accurate there too; what is below every double is never said to be less likely than it is."""
    n = 40
    for tail_set in random_sets(n, 4, seed=1):
        rows = tail_set.rows()
        for q in far_corners():
            exact, value = log_tail(q, rows, n), float(tail_set.log_probability(q))
            if exact > -700.0:
                assert_accurate(math.exp(value), float(exact.exp().mid()))
            assert value >= float(exact.upper()) - 1e-10 or not exact > arb("-inf"), q
            assert value <= 1e-14


@pytest.mark.parametrize(("n", "share1", "share2", "statistic"), [
    (1000, 0.9, 0.06, "studentized"), (1000, 0.6, 0.4, "clopper-pearson"), (1000, 1.0, 0.0, "studentized"),
    (100_000, 0.8, 0.15, "studentized"), (100_000, 0.99999, 0.00001, "studentized"),
    (1_000_000, 0.99, 0.0002, "studentized"), (1_000_000, 0.6, 0.399, "studentized")])
def test_observed_sets_up_to_a_million_draws(n: int, share1: float, share2: float, statistic: str) -> None:
    tail_set = observed_set(n, share1, share2, statistic, "probit", 1e-3)
    rows = tail_set.rows()
    spread = math.sqrt(share1 * (1.0 - share1) / n) + 2.0 / n
    previous, ctx.prec = ctx.prec, 160
    try:
        for shift in (0.5, 3.5) if n == 1_000_000 else (-1.0, 0.5, 2.0, 3.5, 5.0):
            q1 = max(min(share1 - shift * spread, 1.0), 0.0)
            for q2 in {min(max(share2 + 0.5 * shift * spread, 0.0), 1.0 - q1), 1.0 / n, 1.0 - q1}:
                q = dyadic(q1, min(q2, 1.0 - q1))
                ball = ball_of(q, rows, n)
                assert float(ball.rad()) <= 1e-13 * float(ball.mid()) + 1e-16
                assert_accurate(float(tail_set.probability(q)), float(ball.mid()))
    finally:
        ctx.prec = previous


def test_the_ball_used_above_agrees_with_the_sum_of_monomials() -> None:
    n = 200
    tail_set = observed_set(n, 0.7, 0.2, "studentized", "margin", 0.01)
    rows = tail_set.rows()
    previous, ctx.prec = ctx.prec, 160
    try:
        for q in corner_grid(n):
            ball = ball_of(q, rows, n)
            exact = log_tail(q, rows, n)
            low, high = float(ball.lower()), float(ball.upper())
            value = float(exact.exp().mid()) if exact > arb("-inf") else 0.0
            assert low * (1.0 - 1e-14) - 1e-29 <= value <= high * (1.0 + 1e-14) + 1e-29
    finally:
        ctx.prec = previous


def test_a_ball_that_says_nothing_proves_nothing() -> None:
    ball = ball_of(np.array([math.nan, 0.2, 0.3]), np.arange(3), 5)
    assert ball.contains(0)
    assert ball.contains(1)


@pytest.mark.parametrize(("n", "q1", "q2"), [
    (5000, 0.1, 0.5), (5000, 0.001, 0.9), (2000, 0.0, 0.2), (2000, 1e-9, 1e-9), (2000, 1e-9, 0.99), (5000, 0.7, 0.2)])
def test_far_tails_are_finite_and_right(n: int, q1: float, q2: float) -> None:
    """Logs down to -30,000: an underflow to -inf would be a tail that is too small, and could prove anything."""
    q = dyadic(q1, q2)
    for tail_set in (observed_set(n, 0.8, 0.1, "studentized", "probit", 1e-3), TailSet.from_stairs(
            np.sort(np.random.default_rng(n).integers(0, n + 2, size=n + 1)))):
        exact = float(log_tail(q, tail_set.rows(), n).mid())
        value = float(tail_set.log_probability(q))
        if exact == -math.inf:
            assert value == -math.inf
        else:
            assert abs(value - exact) <= 1e-11 + 2e-15 * abs(exact)


@pytest.mark.parametrize("q1", [1e-3, 0.3, 0.7])
def test_far_tail_of_a_million_draws_without_a_rival(q1: float) -> None:
    """q2 = 0 leaves one row, whose binomial tail the monomials give at any n; log P falls to -6,000,000."""
    n = 1_000_000
    tail_set = observed_set(n, 0.95, 0.02, "studentized", "margin", 1e-3)
    q = dyadic(q1, 0.0)
    exact = float(log_tail(q, tail_set.rows()[:1], n).mid())
    assert exact < -10_000.0
    assert abs(float(tail_set.log_probability(q)) - exact) <= 1e-14 * abs(exact)


def test_a_floor_only_adds() -> None:
    """With a floor the value may be larger, by the floor on each side, and never smaller."""
    n = 2000
    tail_set = observed_set(n, 0.7, 0.2, "studentized", "probit", 1e-3)
    for q in corner_grid(n):
        exact = float(tail_set.log_probability(q))
        for floor in (-5.0, -20.0, -200.0):
            value = compiled_log_tail(*q.tolist(), tail_set.compiled, 1e-7, floor)
            room = math.exp(floor) * 2.0
            assert value >= exact - 1e-11
            assert math.exp(value) <= (math.exp(exact) + room) * (1.0 + 2.1e-7)


def test_q_is_divided_by_its_sum() -> None:
    tail_set = observed_set(200, 0.7, 0.2, "studentized", "probit", 1e-3)
    q = dyadic(0.6, 0.25)
    # Powers of two scale exactly.
    assert float(tail_set.log_probability(4.0 * q)) == float(tail_set.log_probability(q))
    many = tail_set.log_probability(np.stack([q, 2.0 * q]))
    assert many.shape == (2,)
    assert many[0] == many[1]


@pytest.mark.parametrize("n", [1, 2, 6, 11])
def test_derivatives_against_exact_fractions(n: int) -> None:
    """log_gradient and log_hessian are those of the homogeneous polynomial F_W, on the faces too."""
    unit = np.eye(3, dtype=int)
    for tail_set in random_sets(n, 2, seed=10 + n):
        rows = tail_set.rows()
        for q in corner_grid(n)[::5]:
            value = exact_polynomial(q, rows, n)
            if value <= 0 or float(arb(value)) < 1e-290:
                continue
            first = [exact_polynomial(q, rows, n, tuple(unit[i])) / value for i in range(3)]
            assert np.allclose(tail_set.log_gradient(q), [float(arb(v)) for v in first], rtol=1e-11, atol=0.0)
            second = [[float(arb(exact_polynomial(q, rows, n, tuple(unit[i] + unit[j])) / value - first[i] * first[j]))
                       for j in range(3)] for i in range(3)]
            scale = np.abs(np.outer([float(arb(v)) for v in first], [float(arb(v)) for v in first])).max() + n * n
            assert np.abs(tail_set.log_hessian(q) - second).max() <= 1e-11 * scale


@pytest.mark.parametrize("n", [50, 2000, 100_000])
def test_eulers_identity(n: int) -> None:
    """F is homogeneous of degree n: q · grad log F = n, and differentiated once more, H q + grad log F = 0."""
    tail_set = observed_set(n, 0.8, 0.12, "studentized", "probit", 1e-3)
    for q in (dyadic(0.78, 0.13), dyadic(0.75, 0.25), dyadic(0.5, 1.0 / n), dyadic(0.7, 0.0), dyadic(0.3, 0.3)):
        gradient = tail_set.log_gradient(q)
        assert float(gradient @ q) == pytest.approx(n, rel=1e-10)
        hessian = tail_set.log_hessian(q)
        # The Hessian is a difference of numbers of size gradient², good to 1e-11 and, far out, to rounding of log P.
        scale = float(np.max(np.abs(gradient))) * n
        good_to = 2e-11 + 1e-14 * abs(float(tail_set.log_probability(q)))
        assert np.abs(hessian @ q + gradient).max() <= good_to * scale


def test_gradient_against_finite_differences_of_balls() -> None:
    n = 300
    tail_set = observed_set(n, 0.8, 0.12, "studentized", "margin", 1e-3)
    rows, q, h = tail_set.rows(), dyadic(0.75, 0.15), 2.0 ** -20
    gradient = tail_set.log_gradient(q)
    for i in range(2):
        # Mass moves between cell i and cell 3, so that q stays a distribution.
        step = np.zeros(3)
        step[i], step[2] = h, -h
        slope = (log_tail(q + step, rows, n) - log_tail(q - step, rows, n)) / (2 * h)
        # The error of a central difference is h²/6 times the third derivative, here below n³.
        assert gradient[i] - gradient[2] == pytest.approx(float(slope.mid()), abs=h * h * n ** 3 / 6 + 1e-9 * n)


def test_zero_and_certain_tails() -> None:
    empty = TailSet.from_stairs(np.full(6, 6))
    assert float(empty.log_probability([0.3, 0.3, 0.4])) == -math.inf
    assert float(TailSet.everything(5).probability([0.3, 0.3, 0.4])) == pytest.approx(1.0, abs=1e-14)
    only_top = TailSet.from_stairs([5, 6, 6, 6, 6, 6])
    assert float(only_top.log_probability([0.0, 0.5, 0.5])) == -math.inf
    assert float(only_top.log_probability([1.0, 0.0, 0.0])) == 0.0
    assert float(only_top.probability([0.5, 0.25, 0.25])) == pytest.approx(0.5 ** 5, rel=1e-14)


@pytest.mark.parametrize(("q", "message"), [
    ([0.5, 0.5], r"q must have shape \(3,\) or \(b, 3\); found \(2,\)"),
    ([0.5, -0.1, 0.6], "finite and non-negative"), ([0.5, math.nan, 0.5], "finite and non-negative"),
    ([0.0, 0.0, 0.0], "positive sum")])
def test_bad_points(q: list[float], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        TailSet.everything(3).log_probability(q, ACCURATE)


@pytest.mark.parametrize("stairs", [[2, 1, 0], [-1, 0, 0], [0]])
def test_bad_stairs(stairs: list[int]) -> None:
    with pytest.raises(InvalidInputError, match=r"nondecreasing, non-negative and n \+ 1 long"):
        TailSet.from_stairs(stairs)
