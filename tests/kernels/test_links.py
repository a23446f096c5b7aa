"""Links, level curves, normal and binomial functions against ball arithmetic, and what the proof asks of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from enumeration import functional_value, taylor_exact, taylor_link
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

import rsopt
from rsopt.checks.arb_links import BallLink
from rsopt.checks.links import CheckedLink
from rsopt.functionals import CompiledFunctional as LinkFunctional
from rsopt.functionals import taylor_coefficients
from rsopt.kernels import links
from rsopt.kernels import mesh as mesh_kernel
from rsopt.kernels.binomial import log_pmf, upper_tail
from rsopt.kernels.normal import density, ndtr, ndtri

Array = npt.NDArray[np.float64]

EPS = links.EPS
ORDERS = (1, 3, 15, 101, 1001)
FUNCTIONALS: list[LinkFunctional] = [rsopt.Margin(), rsopt.ProbitMargin(),
                                     rsopt.LaplaceMargin(), rsopt.LogitMargin(),
                                     *(rsopt.TaylorProbitMargin(order=order) for order in ORDERS)]
# Shares from the smallest that counts can lead to up to 1/2; mirrored below.
SMALL = np.concatenate([[1e-18, 1e-12, 1e-9], np.geomspace(1e-7, 0.4, 25), [0.075, 0.0750001, 0.49, 0.4999999, 0.5]])
SHARES = np.concatenate([SMALL, 1.0 - SMALL[SMALL > 1e-15]])


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    previous, ctx.prec = ctx.prec, 256
    yield
    ctx.prec = previous


def exact_ndtri(p: Any) -> Any:
    return -(2 * p).erfcinv() * arb(2).sqrt() if p < 0.5 else (2 * (1 - p)).erfcinv() * arb(2).sqrt()


def exact_ndtr(z: Any) -> Any:
    return (-z / arb(2).sqrt()).erfc() / 2


class ExactLink:
    """f in ball arithmetic, for the coefficients that rsopt uses."""

    def __init__(self, functional: LinkFunctional) -> None:
        self.kind = functional.compiled.kind
        self.coefficients = [arb(float(c)) for c in functional.compiled.coefficients]

    def value(self, q: Any) -> Any:
        if self.kind == links.IDENTITY:
            return q - arb(1) / 2
        if self.kind == links.PROBIT:
            if not 0 < q < 1:
                return arb("inf") if q >= 1 else arb("-inf")
            return exact_ndtri(q)
        if self.kind in (links.LAPLACE, links.LOGIT):
            if not 0 < q < 1:
                return arb("inf") if q >= 1 else arb("-inf")
            if self.kind == links.LOGIT:
                return (q / (1 - q)).log()
            return (2 * q).log() if q <= 0.5 else -(2 * (1 - q)).log()
        u, total = 2 * q - 1, arb(0)
        for c in reversed(self.coefficients):
            total = total * u * u + c
        return total * u


def test_ndtri() -> None:
    for p in SHARES.tolist():
        exact = float(exact_ndtri(arb(p)))
        assert abs(ndtri(p) - exact) <= 4 * EPS * abs(exact)
    assert (ndtri(0.0), ndtri(1.0), ndtri(0.5)) == (-math.inf, math.inf, 0.0)
    assert all(math.isnan(ndtri(p)) for p in (-0.1, 1.1, math.nan))


def test_ndtr_and_density() -> None:
    for z in np.linspace(-37.0, 8.0, 91).tolist():
        exact = float(exact_ndtr(arb(z)))
        # exp(-z²/2) turns a rounding of z²/2 into that many units.
        assert abs(ndtr(z) - exact) <= (4.0 + z * z) * EPS * exact
        exact = float((-arb(z) ** 2 / 2).exp() / (2 * arb.pi()).sqrt())
        assert abs(density(z) - exact) <= (4.0 + z * z) * EPS * exact


def test_log_pmf() -> None:
    for n, p in [(1, 0.3), (7, 1e-9), (16, 0.5), (1000, 0.999), (100_000, 0.37), (10_000_000, 1e-6),
                 (10_000_000, 0.83)]:
        for k in {0, 1, n // 3, int(n * p), min(int(n * p) + 3, n), n - 1, n}:
            if not 0 <= k <= n:
                continue
            share = arb(p)
            exact = float(arb(n + 1).lgamma() - arb(k + 1).lgamma() - arb(n - k + 1).lgamma()
                          + k * share.log() + (n - k) * (1 - share).log())
            # 1 - p as a double is off by half an ulp, which the n - k draws multiply.
            assert abs(log_pmf(k, n, p, 1.0 - p) - exact) <= 1e-12 + 4 * EPS * abs(exact) + n * 2.0 ** -53


@pytest.mark.parametrize(("n", "p"), [(1, 0.5), (12, 0.01), (500, 0.3), (500, 0.999)])
def test_upper_tail(n: int, p: float) -> None:
    terms = [(arb(n + 1).lgamma() - arb(k + 1).lgamma() - arb(n - k + 1).lgamma() + k * arb(p).log()
              + (n - k) * (1 - arb(p)).log()).exp() for k in range(n + 1)]
    total = arb(0)
    for s in range(n, -1, -1):
        total += terms[s]
        scale, value = upper_tail(s, n, p, 1.0 - p, 1e-15)
        assert scale + math.log(value) == pytest.approx(float(total.log()), abs=1e-12 + n * 2.0 ** -53)
    assert upper_tail(n + 1, n, p, 1.0 - p, 1e-15)[1] == 0.0


@pytest.mark.parametrize("order", [1, 3, 15, 101, 401])
def test_taylor_coefficients_are_just_below_the_exact_ones(order: int) -> None:
    stored = taylor_coefficients((order + 1) // 2) * 2.0 ** np.arange(1, order + 1, 2)
    exact = np.array(taylor_exact(order)[1::2])
    assert np.all(stored < exact)
    assert np.all(stored > exact * (1.0 - 2e-12))
    # The checker has its own, from another recursion.
    powers = 2.0 ** np.arange(1, order + 1, 2)
    assert np.allclose(CheckedLink("taylor-probit", order).coefficients * powers, exact * (1.0 - 1e-12), rtol=1e-15)


@pytest.mark.parametrize("order", ORDERS)
def test_the_taylor_margin_never_exceeds_the_probit_margin(order: int) -> None:
    q1, q2 = np.meshgrid(SHARES, SHARES)
    ahead = q1 >= q2
    taylor = rsopt.TaylorProbitMargin(order=order).value(q1[ahead], q2[ahead])
    assert np.all(taylor <= functional_value("probit", q1[ahead], q2[ahead]) + 1e-15)
    if order <= 15:
        exact = taylor_link(order, q1[ahead]) - taylor_link(order, q2[ahead])
        assert np.allclose(taylor, exact, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("functional", FUNCTIONALS, ids=repr)
def test_what_the_proof_asks_of_a_link(functional: LinkFunctional) -> None:
    """Increasing; odd about 1/2; slope symmetric and least at 1/2; second derivative nondecreasing."""
    q = np.sort(np.concatenate([SHARES, np.linspace(0.001, 0.999, 999)]))
    f, slope, bend = functional.link(q), functional.link_slope(q), functional.link_curvature(q)
    scale = np.abs(f) + 1.0
    assert np.all(np.diff(f) >= 0.0)
    mirrored = (q > 1e-12) & (q < 1.0 - 1e-12)
    assert np.allclose(functional.link(1.0 - q)[mirrored], -f[mirrored], rtol=1e-3, atol=1e-12)
    assert np.all(slope >= functional.link_slope(np.array(0.5)) * (1.0 - 1e-14))
    assert np.all(np.diff(bend) >= -1e-12 * np.abs(bend[1:]))
    # Derivatives against central differences in the middle, where those are accurate.
    h = 1e-6
    inner = q[(q > 0.05) & (q < 0.95) & (abs(q - 0.5) > h)]  # the slope of the Laplace link has a kink at 1/2
    assert np.allclose((functional.link(inner + h) - functional.link(inner - h)) / (2 * h),
                       functional.link_slope(inner), rtol=1e-6)
    assert np.allclose((functional.link_slope(inner + h) - functional.link_slope(inner - h)) / (2 * h),
                       functional.link_curvature(inner), rtol=1e-5, atol=1e-5)
    back = functional.link_inverse(f)
    # f^{-1} returns q to a few units of f's own rounding.
    assert np.all(np.abs(back - q) <= 8.0 * EPS * scale * (1.0 + scale) / slope + 4.0 * EPS)


@pytest.mark.parametrize("functional", FUNCTIONALS, ids=repr)
def test_curve_within_its_stated_error(functional: LinkFunctional) -> None:
    """`curve_q1_error` bounds the error of h_L(q2), and the checker's own nodes hold the exact q1 between them."""
    exact = ExactLink(functional)
    f = functional.compiled
    checked = CheckedLink(functional.name, getattr(functional, "order", None))
    for level in (-2.5, -0.4, -1e-9, 0.0, 1e-6, 0.05, 0.7, 2.0, 6.0):
        if abs(level) >= functional.range[1]:
            continue
        start, end = links.curve_start(f, level), links.curve_end(f, level)
        far = [1e-300] if functional.name in ("laplace", "logit") else []
        cuts = start + np.concatenate([far, SMALL, [1.0]]) * (end - start)
        lows, highs, _, _ = checked.nodes(level, cuts)
        for q2, low, high in zip(cuts.tolist(), lows.tolist(), highs.tolist(), strict=True):
            target = arb(level) + exact.value(arb(q2))
            if q2 <= 0.0 or target < exact.value(arb(0)) or target > exact.value(arb(1)):
                continue
            q1 = links.curve_q1(f, level, q2)
            error = arb(links.curve_q1_error(f, q1, q2, level))
            assert exact.value(q1 - error) <= target <= exact.value(q1 + error), (level, q2)
            assert exact.value(arb(low)) <= target
            assert target <= exact.value(arb(high)) or high == checked.largest_q1(level)


@pytest.mark.parametrize("functional", FUNCTIONALS, ids=repr)
def test_curve_ends_are_rounded_outwards(functional: LinkFunctional) -> None:
    exact = ExactLink(functional)
    f = functional.compiled
    for level in (-3.1, -1.0, -0.7, -1e-4, 0.0, 1e-4, 0.3, 0.99, 3.0):
        if abs(level) >= functional.range[1]:
            continue
        half = -arb(level) / 2
        end = links.curve_end(f, level)
        assert exact.value(arb(end)) >= half or end == 1.0
        assert exact.value(arb(end) * (1 - arb(1e-13)) - arb(1e-15)) <= half
        start = links.curve_start(f, level)
        if level >= 0.0 or links.endless(f):
            assert start == 0.0
        else:
            below = exact.value(arb(0)) - arb(level)
            assert exact.value(arb(start)) <= below <= exact.value(arb(start) + arb(1e-14))


@pytest.mark.parametrize("functional", [rsopt.LaplaceMargin(), rsopt.LogitMargin()], ids=repr)
def test_links_of_logs_up_to_the_corners(functional: LinkFunctional) -> None:
    """At q near 0, 1/2 from both sides and 1: in double precision, and in the checker's balls beyond it."""
    exact, balls = ExactLink(functional), BallLink(functional.name, None)
    inside = [5e-324, 1e-300, 1e-17, math.nextafter(0.5, 0.0), 0.5, math.nextafter(0.5, 1.0), 1.0 - 2.0 ** -53]
    for q in inside:
        value = exact.value(arb(q))
        assert abs(arb(float(functional.link(np.array(q)))) - value) <= 4 * EPS * abs(value) + EPS * (q > 0.25)
        side = arb(q).min(1 - arb(q)) if functional.name == "laplace" else arb(q) * (1 - arb(q))
        if q > 1e-307:  # below, the slope is no double
            assert abs(arb(float(functional.link_slope(np.array(q)))) * side - 1) <= 4 * EPS
    assert (functional.link(np.array(0.0)), functional.link(np.array(1.0))) == (-np.inf, np.inf)
    tiny, half = arb(10) ** -300, arb(1) / 2
    ctx.prec = 1200
    for q in [tiny, half - arb(2) ** -70, half - tiny, half, half + tiny, half + arb(2) ** -70, 1 - tiny]:
        value = balls.f(q)
        assert value.rad() <= arb(2) ** -150
        assert value.overlaps(exact.value(q))
        assert value.overlaps(-balls.f(1 - q))
        assert balls.inverse(value).overlaps(q)
        # By the derivative of the inverse: e^-|y|/2, and e^-y/(1 + e^-y)².
        share = (-abs(value)).exp() / 2 if functional.name == "laplace" else (-value).exp() / (1 + (-value).exp()) ** 2
        assert (balls.slope(q) * share).overlaps(arb(1))
        # A curve that starts or ends there passes through the point.
        for level in (arb(-3), arb(2)):
            low, high, rest_low, rest_high = balls.node(level, q)
            if (level + value) <= balls.f(1 - q):
                assert low <= balls.inverse(level + value) <= high or balls.inverse(level + value).overlaps(
                    low.union(high))
                assert rest_low <= 1 - q - low
                assert 1 - q - high <= rest_high


def test_rest_is_one_minus_both() -> None:
    rng = np.random.default_rng(0)
    for q1, q2 in [*(10.0 ** -rng.uniform(0.0, 18.0, (400, 2)) * 0.5).tolist(), (0.7, 0.3), (1.0, 0.0), (0.9, 0.2)]:
        exact = 1 - arb(q1) - arb(q2)
        assert abs(arb(links.rest(q1, q2)) - max(exact, arb(0))) <= 2.0 ** -52 * abs(exact) + 2.0 ** -53 * EPS


@settings(max_examples=300, deadline=None, derandomize=True)
@given(which=st.integers(0, len(FUNCTIONALS) - 2), level=st.floats(-2.0, 3.0), first=st.floats(1e-6, 1.0),
       second=st.floats(1e-6, 1.0), narrow=st.sampled_from([1.0, 0.3, 0.03, 0.003]))
def test_convex_pieces_cover_the_curve(which: int, level: float, first: float, second: float, narrow: float) -> None:
    """Fact 5: q_i on the curve is at most r_i a_i^(1-l) b_i^l, for the proof's factors and for the checker's."""
    functional = FUNCTIONALS[which]
    f = functional.compiled
    if abs(level) >= functional.range[1]:
        return
    start, end = links.curve_start(f, level), links.level_to_end(f, level)
    a2 = start + (end - start) * min(first, second)
    b2 = a2 + (start + (end - start) * max(first, second) - a2) * narrow
    if not a2 < b2 < end:
        return
    curve = mesh_kernel.Curve(f, level, start, end)
    own = np.array(mesh_kernel._factors(curve, *(mesh_kernel._node(curve, v) for v in (a2, b2))))
    checked = CheckedLink(functional.name, functional.order)
    cuts = np.array([a2, b2])
    theirs = checked.factors(cuts, *checked.nodes(level, cuts))[0]
    share = np.linspace(0.0, 1.0, 65)
    q2 = a2 + share * (b2 - a2)
    q1 = functional.curve(level, q2)
    q = np.stack([q1, q2, 1.0 - q1 - q2])
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        geometric = q[:, :1] ** (1.0 - share) * q[:, -1:] ** share
        for r in (own, theirs):
            if np.all(np.isfinite(r)):
                # The rounding of q3 where it is nearly zero is no fault of the factors.
                assert np.all(q <= r[:, None] * geometric * (1.0 + 1e-12) + 1e-15)


def test_arrays_are_done_entry_by_entry() -> None:
    q = np.array([[0.0, 0.2, 0.5], [0.9, 1.0, 1e-9]])
    for functional in FUNCTIONALS:
        for array, single in ((functional.link, links.link_value), (functional.link_slope, links.link_slope),
                              (functional.link_curvature, links.link_curvature)):
            values = array(q)
            assert values.shape == q.shape
            assert values.tolist() == [[single(functional.compiled, v) for v in row]
                                       for row in q.tolist()]
        up, down = functional.gradient(np.array(0.7), np.array(0.2))
        assert up == functional.link_slope(np.array(0.7))
        assert down == -functional.link_slope(np.array(0.2))
