"""Radii of additive noise against the truth: never beyond the distance at which the smoothed class changes, and equal
to it in the worst case."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import integrate, stats
from scipy.optimize import brentq
from worst_case_shift import distance

import rsopt
from rsopt.functionals import as_functional
from rsopt.noise import Additive, Gaussian, Laplace, Logistic, Uniform
from rsopt.scores.score_bound import ScoreBound

LAWS = {"gaussian": stats.norm, "laplace": stats.laplace, "logistic": stats.logistic, "uniform": stats.uniform(-1, 2)}
NOISES: list[Additive] = [Laplace(0.7), Logistic(0.4), Uniform(1.3), Gaussian(0.6)]
PAIRS = [(0.9, 0.05), (0.6, 0.4), (0.55, 0.1), (0.999, 0.0005), (0.4, 0.2), (0.7, 0.1)]


def value(noise: Additive, p_a: float, p_b: float, functional: str | None = None) -> float:
    return float(as_functional(functional or noise.functionals[0]).value(np.array(p_a), np.array(p_b)))


def scale(noise: Additive) -> float:
    assert isinstance(noise.spread, float)
    return noise.spread


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
@pytest.mark.parametrize(("p_a", "p_b"), PAIRS)
def test_the_radius_is_what_neyman_and_pearson_allow(noise: Additive, p_a: float, p_b: float) -> None:
    true = scale(noise) * distance(LAWS[noise.name], p_a, p_b)
    radius = noise.radius(noise.functionals[0], value(noise, p_a, p_b))
    # Cells of 5e-4 make the search coarse by their square.
    assert radius == pytest.approx(true, rel=1e-6)
    for other in noise.functionals[1:]:
        if other != "taylor-probit":
            assert noise.radius(other, value(noise, p_a, p_b, other)) <= true * (1.0 + 1e-6)


@pytest.mark.parametrize(("p_a", "p_b"), PAIRS)
def test_laplace_radii_are_never_below_those_of_teng(p_a: float, p_b: float) -> None:
    teng = max(0.5 * math.log(p_a / p_b), -math.log(1.0 - p_a + p_b))
    assert Laplace(1.0).radius("laplace", value(Laplace(1.0), p_a, p_b)) >= teng * (1.0 - 1e-14)


def test_the_example_of_the_page() -> None:
    noise = Laplace(1.0)
    assert noise.radius("laplace", value(noise, 0.9, 0.05)) == pytest.approx(1.956, abs=5e-4)
    assert max(0.5 * math.log(0.9 / 0.05), -math.log(0.15)) == pytest.approx(1.897, abs=5e-4)
    assert noise.radius("laplace", value(noise, 0.9, 0.1)) == pytest.approx(1.609, abs=5e-4)


def on_the_line(rng: np.random.Generator, classes: int = 3) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Intervals of the line, each of some class: unions of half-lines and intervals."""
    edges = np.sort(rng.normal(0.0, 1.5, size=rng.integers(1, 7)))
    return edges, rng.integers(0, classes, size=len(edges) + 1)


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
def test_no_radius_exceeds_the_distance_for_unions_of_intervals(noise: Additive) -> None:
    rng, tried = np.random.default_rng(5), 0
    for _ in range(60):
        edges, owner = on_the_line(rng)

        def shares(x: float, edges: npt.NDArray[np.float64] = edges,
                   owner: npt.NDArray[np.int64] = owner) -> npt.NDArray[np.float64]:
            parts = np.diff(np.r_[0.0, noise.cdf((edges - x) / scale(noise)), 1.0])
            return np.bincount(owner, parts, minlength=3)

        p = shares(0.0)
        top = int(p.argmax())
        radii = [noise.radius(name, value(noise, p[top], np.delete(p, top).max(), name)) for name in noise.functionals]
        steps = np.linspace(-1.0, 1.0, 2001)
        for radius in radii:
            if not 0.0 < radius < math.inf:
                continue
            tried += 1
            leads = [s[top] - np.delete(s, top).max() for s in (shares(step * radius * (1.0 - 1e-9)) for step in steps)]
            assert min(leads) >= -1e-12, (edges, owner, radius)
    assert tried >= 50


def soft_bound(lower: float, functional: str = "margin") -> ScoreBound:
    """A bound on scores, as if it were the truth."""
    return ScoreBound(lower, 1e-3, functional, "digital-hedge", 0, (1,), 1000, False)


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
def test_no_radius_of_scores_exceeds_the_distance(noise: Additive) -> None:
    """Scores in [0, 1] that need not add up to 1, constant on intervals, on a fine grid of shifts."""
    rng, tried, near = np.random.default_rng(6), 0, 1.0
    for trial in range(60):
        edges, _ = on_the_line(rng)
        scores = rng.random((len(edges) + 1, 3)) if trial % 2 else rng.integers(0, 2, (len(edges) + 1, 3)).astype(float)

        def means(x: npt.NDArray[np.float64], edges: npt.NDArray[np.float64] = edges,
                  scores: npt.NDArray[np.float64] = scores) -> npt.NDArray[np.float64]:
            ends = np.pad(noise.cdf((edges - x[:, None]) / scale(noise)), ((0, 0), (1, 1)), constant_values=(0.0, 1.0))
            return np.diff(ends, axis=1) @ scores

        p = means(np.zeros(1))[0]
        top = int(p.argmax())
        radius = soft_bound(p[top] - np.delete(p, top).max()).radius(noise)
        if not 0.0 < radius < math.inf:
            continue
        moved = means(np.linspace(-1.0, 1.0, 4001) * radius * (1.0 - 1e-9))
        leads = moved[:, top] - np.delete(moved, top, axis=1).max(axis=1)
        assert leads.min() >= -1e-12, (edges, scores, radius)
        tried, near = tried + 1, min(near, float(leads.min()))
    assert tried >= 30
    # Where A falls and B rises at once nothing is left: those on which the radius is the distance.
    assert near <= 0.02


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 4, 1.1])
def test_no_radius_exceeds_the_distance_to_a_half_space_at_any_angle(noise: Additive, angle: float) -> None:
    # The smoothed classifier of a half-space changes its class on its edge.
    w = np.array([math.cos(angle), math.sin(angle)])
    law, s = LAWS[noise.name], scale(noise)
    for offset in (0.1, 0.5, 1.0):
        if angle == 0.0:
            p = float(noise.cdf(np.array(offset / s)))
        else:
            p = integrate.quad(lambda z, c=offset: law.cdf((c / s - w[1] * z) / w[0]) * law.pdf(z), -40.0, 40.0,
                               points=[-1.0, 0.0, 1.0], limit=400, epsabs=1e-12)[0]
        edge = offset / (np.abs(w).max() if noise.ball == "l1" else np.linalg.norm(w))
        radius = noise.radius(noise.functionals[0], value(noise, p, 1.0 - p))
        assert radius <= edge * (1.0 + 1e-9)
        if angle == 0.0 or noise.ball == "l2":
            assert radius == pytest.approx(min(edge, s) if noise.name == "uniform" else edge, rel=1e-6)


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
def test_two_half_spaces_on_either_side_meet_the_radius_at_once(noise: Additive) -> None:
    # A beyond t_a, B below -t_b, the rest C in between: along the axis B catches up exactly where the theorem says.
    law, s = LAWS[noise.name], scale(noise)
    for p_a, p_b in ((0.7, 0.1), (0.55, 0.25), (0.9, 0.02)):
        t_a, t_b = -law.ppf(p_a), law.ppf(p_b)
        true = brentq(lambda d, a=t_a, b=t_b: law.sf(a + d) - law.cdf(b + d), 0.0, 50.0, xtol=1e-14)
        radius = noise.radius(noise.functionals[0], value(noise, p_a, p_b))
        assert radius == pytest.approx(s * true, rel=1e-6)
        assert radius <= s * true * (1.0 + 1e-12)


@pytest.mark.parametrize("kind", [Laplace, Logistic, Uniform, Gaussian])
def test_scales_of_their_own_give_the_weighted_norm(kind: Callable[..., Additive]) -> None:
    scales = np.array([0.2, 0.5, 1.1])
    noise, one = kind(scales), kind(1.0)
    g = noise.functionals[0]
    assert noise.norm == f"weighted {one.norm}"
    assert noise.radius(g, 0.8) == one.radius(g, 0.8)
    # A half-space along axis i at distance t has radius t/s_i in the weighted norm: exactly the same statement.
    for s in scales:
        t = 0.3
        lower = value(one, float(one.cdf(np.array(t / s))), float(one.cdf(np.array(-t / s))))
        assert noise.radius(g, lower) == pytest.approx(min(t / s, 1.0) if kind is Uniform else t / s, rel=1e-9)
    assert noise.radius(g, 0.8, norm=one.norm) == pytest.approx(0.2 * noise.radius(g, 0.8), rel=1e-12)


def test_a_radius_in_another_norm_lies_inside_the_ball() -> None:
    rng, d = np.random.default_rng(2), 12
    for noise, order in ((Laplace(0.5), 1), (Gaussian(0.5), 2)):
        own = noise.radius(noise.functionals[0], 1.7)
        for norm, p in (("l1", 1), ("l2", 2), ("linf", np.inf)):
            if norm == "l1" and order == 1:
                continue
            radius = noise.radius(noise.functionals[0], 1.7, norm=norm, dimension=d)
            worst = np.ones(d) if order < p else np.eye(d)[0]
            for direction in [worst, *rng.normal(size=(200, d))]:
                moved = radius * direction / np.linalg.norm(direction, p)
                assert np.linalg.norm(moved, order) <= own * (1.0 + 1e-14)
            assert np.linalg.norm(radius * worst / np.linalg.norm(worst, p), order) == pytest.approx(own, rel=1e-12)


def test_bounds_say_their_radius_under_any_noise() -> None:
    votes = [900, 60, 40]
    for noise in (Laplace(0.5), Logistic(0.5), Uniform(0.5), Gaussian(0.5)):
        bound = rsopt.lower_bound(votes, top=0, functional=noise.functionals[0])
        assert bound.radius(noise) == noise.radius(bound.functional, bound.lower) > 0.0
        assert bound.radius(noise, norm="linf", dimension=100) < bound.radius(noise)
    assert bound.radius(0.5) == bound.radius(sigma=0.5) == bound.radius(Gaussian(0.5))
