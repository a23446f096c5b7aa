"""What the double arithmetic may be off, measured against balls: the derived bounds hold, up to n = 10,000,000."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from flint import arb

import rsopt
from rsopt.certificate import Certificate
from rsopt.checks import columns, flips
from rsopt.checks.arb import Arb, precision
from rsopt.checks.arb_links import BallLink
from rsopt.checks.arb_rows import tail_ball
from rsopt.checks.arb_stairs import BallOrder
from rsopt.checks.double import Double
from rsopt.checks.links import CheckedLink
from rsopt.checks.quantiles import quantiles
from rsopt.checks.stairs import TIE, Order
from rsopt.statistics import tie_tolerance

LINKS = [("margin", None), ("probit", None), ("taylor-probit", 1), ("taylor-probit", 15), ("taylor-probit", 1001),
         ("laplace", None), ("logit", None)]


def random_stairs(random: np.random.Generator, n: int) -> tuple[np.ndarray, list[int]]:
    """A tail set as t(x1) for all columns and as s(x2) for all rows."""
    slope, shift = random.uniform(0.2, 3.0), random.normal(0.2, 0.3) * n
    x1 = np.arange(n + 1)
    t = np.clip(np.floor(slope * (x1 - shift)), -1, n).astype(np.int64)
    rows = np.searchsorted(t, x1)
    return t, np.where(rows <= n - x1, rows, n + 1).tolist()


def test_tails_are_within_their_own_bounds() -> None:
    random = np.random.default_rng(0)
    for _ in range(250):
        n = int(random.choice([1, 2, 5, 30, 200, 1500]))
        q = random.dirichlet(random.choice([0.1, 1.0, 5.0], 3))
        if random.random() < 0.25:
            q[random.integers(3)] *= random.choice([0.0, 1e-12, 1e-200])
        t, s = random_stairs(random, n)
        with precision():
            ball = tail_ball(tuple(map(arb, q)), 0, s, n, -90.0)
            low, high = float(ball.lower()), float(ball.upper())
        for log_negligible in (-25.0, -60.0, -250.0):
            first = int(random.integers(0, 2) * random.integers(0, n + 1))
            found = columns.tail(*q, n, first, t[first:], log_negligible)
            assert found[0] <= high
            assert low <= found[1]
        if high > 1e-30:
            assert found[1] - found[0] <= 1e-10 * high + 1e-100 or first > 0


@pytest.mark.parametrize("n", [10**4, 10**5, 10**6, 10**7])
def test_the_rounding_of_large_tails(n: int) -> None:
    """The derived bound is never reached, and it is a thousandth of the headroom of a proof."""
    for q, spread in (((0.45, 0.40, 0.15), 3.0), ((0.9, 0.07, 0.03), 3.0), ((1e-3, 5e-4, 0.9985), 2.0)):
        d = int(n * (q[0] - q[1]) + spread * math.sqrt(n * (q[0] + q[1])))
        first = max(int(n * q[0] - 9 * math.sqrt(n * q[0]) - 80), 0)
        last = min(int(n * q[0] + 9 * math.sqrt(n * q[0]) + 80), n)
        x1 = np.arange(first, last + 1)
        t = np.maximum(x1 - d, -1)
        low_row = max(int(n * q[1] - 10 * math.sqrt(n * q[1]) - 90), 0)
        high_row = min(int(n * q[1] + 10 * math.sqrt(n * q[1]) + 90), n)
        s = [max(x2 + d, 0) if 2 * x2 + d <= n else n + 1 for x2 in range(low_row, high_row + 1)]
        with precision():
            ball = tail_ball(tuple(map(arb, q)), low_row, s, n, -75.0)
            exact, error = float(ball.mid()), float(ball.rad())
        assert error < 1e-14 * exact
        low, high = columns.tail(*q, n, first, t, -60.0)
        assert low < exact < high
        derived = math.log(high / low) / 2.0
        assert derived < 2e-9
        assert abs(0.5 * (low + high) / exact - 1.0) < 0.2 * derived


@pytest.mark.parametrize(("functional", "order"), LINKS)
def test_points_of_the_level_curve_are_within_their_bounds(functional: str, order: int | None) -> None:
    random = np.random.default_rng(1)
    link, balls = CheckedLink(functional, order), BallLink(functional, order)
    reach = 0.99 if functional == "margin" else min(6.0, 0.98 * link.largest)
    for level in [*random.uniform(-reach, reach, 12 if order != 1001 else 3).tolist(), 0.0]:
        ends = link.segment(level, True, 0.0)
        assert ends is not None
        with precision():
            exact_ends = balls.ends(arb(level), True, 0.0)
            assert ends[0] <= exact_ends[0].lower()
            assert exact_ends[1].upper() <= ends[1]
            # Relatively close, where the curve ends at a tiny share.
            assert link.largest_q1(level) >= balls.largest_q1(arb(level)).upper()
        shares = np.sort(np.concatenate([random.random(8), 10.0 ** random.uniform(-12, -2, 6)]))
        cuts = ends[0] + (ends[1] - ends[0]) * shares
        low, high, q3_low, q3_high = link.nodes(level, cuts)
        for i, q2 in enumerate(cuts.tolist()):
            with precision():
                node = balls.node(arb(level), arb(q2))
                assert arb(low[i]) <= node[0]
                assert node[1] <= arb(high[i]) or node[1] <= balls.largest_q1(arb(level)).upper()
                assert arb(q3_low[i]) <= node[2]
                assert node[3] <= arb(q3_high[i])
        assert np.all(high - low <= 1e-12)


@pytest.mark.parametrize(("functional", "order"), LINKS)
def test_factors_of_convex_pieces_are_rounded_up(functional: str, order: int | None) -> None:
    link, balls = CheckedLink(functional, order), BallLink(functional, order)
    for level in (-0.5, 0.1, 0.7):
        ends = link.segment(level, True, 0.0)
        assert ends is not None
        cuts = ends[0] + (ends[1] - ends[0]) * np.array([0.01, 0.0103, 0.2, 0.21, 0.5, 0.9, 0.901])
        nodes = link.nodes(level, cuts)
        r = link.factors(cuts, *nodes)
        with precision():
            exact = [balls.node(arb(level), arb(q2)) for q2 in cuts]
            for i in range(cuts.size - 1):
                factors = balls.factors(arb(cuts[i]), arb(cuts[i + 1]), exact[i], exact[i + 1])
                assert factors is not None
                for found, ball in zip(r[i], factors, strict=True):
                    assert ball.lower() <= found
                    assert found <= float(ball) * (1.0 + 1e-9) + 1e-10 * (float(ball) - 1.0)


@pytest.mark.parametrize("statistic", ["studentized", "plugin", "clopper-pearson"])
@pytest.mark.parametrize(("functional", "order"), [*LINKS[:2], LINKS[3], *LINKS[5:]])
def test_statistics_are_told_apart_far_above_their_rounding(functional: str, order: int | None, statistic: str) -> None:
    random = np.random.default_rng(2)
    for n in (7, 300, 5000) if statistic == "clopper-pearson" else (7, 1000, 10**6):
        for alpha in (0.3, 1e-3, 1e-9):
            tables = Order.of(statistic, n, alpha, CheckedLink(functional, order))
            balls = BallOrder(statistic, n, alpha, BallLink(functional, order))
            for _ in range(4):
                x1 = int(random.integers(1, n))
                x2 = int(random.integers(1, n - x1 + 1))
                with precision():
                    exact = balls.value(x1, x2)
                    assert abs(tables.value(x1, x2) - float(exact.mid())) <= 0.05 * TIE * (1.0 + abs(float(exact)))


def test_quantiles_solve_their_equation() -> None:
    """SciPy 1.17's do not, for a = 1000 among others: 0.2504 for 0.1073 here."""
    from scipy import special

    a, b, error = np.array([1000.0, 12.0]), np.array([9109.0, 80.0]), 0.0054930262382540005 / 2
    found = quantiles(a, b, error, below=False)
    assert found[0] == pytest.approx(0.10734, abs=1e-4)
    assert special.betaincc(a, b, found) == pytest.approx(np.full(2, error), rel=1e-9)
    mirrored = quantiles(b, a, error, below=True)
    assert mirrored[0] == pytest.approx(1.0 - found[0], abs=1e-12)


def statement(votes: tuple[int, int, int], alpha: float, lower: float, **changes: Any) -> Certificate:
    x1, x2, x3 = votes
    values = {"n": x1 + x2 + x3, "x1": x1, "x2": x2, "alpha": alpha, "functional": "probit", "order": None,
              "statistic": "studentized", "observed": 0.0, "third_cell": True, "least_q1": 0.0, "lower": lower,
              "lower_at_most": None, "witness": None, "cuts": (), "kinds": ()}
    return Certificate(**{**values, **changes})


@pytest.mark.parametrize("functional", ["margin", "probit", "taylor-probit"])
def test_both_arithmetics_bound_the_same_points(functional: str) -> None:
    """Point by point: the double bound lies above the ball, by no more than the proof's headroom of 2e-6."""
    votes, alpha = (5200, 4100, 700), 1e-3
    bound = rsopt.lower_bound(rsopt.Counts(votes, 0, 1), functional=functional, alpha=alpha,
                              order=15 if functional == "taylor-probit" else None)
    double, ball = Double(bound.certificate), Arb(bound.certificate)
    cuts = list(bound.certificate.cuts)
    curve = double.curve()
    assert curve is not None
    cuts[0], cuts[-1] = curve
    some = range(2, len(cuts) - 2, max(len(cuts) // 12, 1))
    points, exact = [], []
    double.cut(cuts)
    ball.cut(cuts)
    points.append(double.corner(0))
    exact.append(ball.corner(0))
    for node in some:
        one, other = double.node(node, (node - 1, node)), ball.node(node, (node - 1, node))
        assert one is not None
        assert other is not None
        points.append(one)
        exact.append(other)
    double.prepare(points)
    ball.prepare(exact)
    for one, other in zip(points, exact, strict=True):
        above, below = double.upper(one), ball.upper(other)
        assert below <= above
        if below > math.log(alpha) - 5.0:
            assert above <= below + 1e-6


@pytest.mark.parametrize("arithmetic", [Double, Arb])
def test_places_where_the_statistic_is_not_monotone(arithmetic: Any) -> None:
    """Few votes for the class and nearly all for the rival: the hull is found by boxes, as a table has it."""
    n, alpha = 300, 1e-5
    order = Order.of("studentized", n, alpha, CheckedLink("margin", None))
    for x1, x2 in ((1, 290), (2, 293), (1, 299), (0, 300), (0, 250)):
        assert (order.threshold(x1, x2) > order.value(x1, x2)) == (x1 > 0)
        one = arithmetic(statement((x1, x2, n - x1 - x2), alpha, 0.0, functional="margin"))
        everywhere = [(0.5, 0.5, 0.0), (0.001, 0.9, 0.099), (0.001, 0.0, 0.999), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)]
        one.prepare(everywhere if arithmetic is Double else [tuple(map(arb, q)) for q in everywhere])
        expected = rsopt.Studentized().tail_set(rsopt.Counts((x1, x2, n - x1 - x2), 0, 1), rsopt.Margin(), alpha)
        for a in range(n + 1):
            for b in range(n + 1 - a):
                assert one.contains(a, b) == expected.contains(a, b), (x1, x2, a, b)


@pytest.mark.parametrize("votes", [(1, 290, 9), (1, 1985, 14), (2, 2900, 5), (1, 4990, 9)])
def test_certificates_of_such_places_hold(votes: tuple[int, int, int]) -> None:
    bound = rsopt.lower_bound(rsopt.Counts(votes, 0, 1), functional="margin", alpha=1e-5)
    assert rsopt.check_certificate(bound.certificate).lower == bound.certificate.lower


def test_a_tie_of_the_checks_is_half_of_one_of_the_proof() -> None:
    """As the format says: the set that is rebuilt lies within the one that was proven, and no rounding decides."""
    for value in (0.0, 1.0, -3.5):
        assert TIE * (1.0 + abs(value)) == pytest.approx(0.5 * tie_tolerance(value), rel=1e-12)
    assert float(BallOrder.tie.p) / float(BallOrder.tie.q) == TIE == flips.TIE
