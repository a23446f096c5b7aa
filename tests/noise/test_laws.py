"""Values of the standard laws on the host, against their distribution functions and moments."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr
from scipy.stats import kstest

from rsopt.noise.additive import float32_at_least
from rsopt.noise.laws import standard_laplaces, standard_logistics, standard_normals, symmetric_uniforms

# The distance of an empirical distribution function of n values from the true one exceeds this with probability at most
# 1e-9 (Dvoretzky, Kiefer and Wolfowitz with Massart's constant); keys are fixed, so a test that passes goes on passing.
N = 1_000_000
APART = math.sqrt(math.log(2e9) / (2 * N))


def test_the_values_are_standard_normal():
    # 4e6 values of one fixed key. Each limit is 5 standard errors of the statistic under the normal law.
    z = standard_normals(np.random.Philox(key=11), (4_000_000,)).astype(np.float64)
    n = z.size
    assert abs(z.mean()) < 5 / math.sqrt(n)
    assert abs((z**2).mean() - 1) < 5 * math.sqrt(2 / n)
    assert abs((z**3).mean()) < 5 * math.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 5 * math.sqrt(96 / n)
    for t in (1.0, 2.0, 3.0, 4.0, 4.5):
        expected = 2 * n * ndtr(-t)
        assert abs((np.abs(z) > t).sum() - expected) < 5 * math.sqrt(expected)
    assert kstest(z[:1_000_000], "norm").pvalue > 1e-4
    for lag in (1, 2, 1 << 15):
        assert abs((z[:-lag] * z[lag:]).mean()) < 5 / math.sqrt(n - lag)
    # Box and Muller make pairs from one radius: their squares must be uncorrelated too (variance of z² is 2).
    half = 1 << 15
    pairs = z[:n // (2 * half) * 2 * half].reshape(-1, 2, half)
    product = (pairs[:, 0] ** 2 - 1) * (pairs[:, 1] ** 2 - 1)
    assert abs(product.mean()) < 5 * 2 / math.sqrt(product.size)


@pytest.mark.parametrize(("law", "true"), [
    (standard_normals, stats.norm), (standard_laplaces, stats.laplace), (standard_logistics, stats.logistic),
    (symmetric_uniforms, stats.uniform(-1, 2))])
def test_the_values_have_the_stated_law(law, true):
    z = law(np.random.Philox(key=17), (N,)).astype(np.float64)
    assert kstest(z, true.cdf).statistic < APART
    # Neighbours, and the two that could share a word or a block, must be independent: so must their sizes.
    for values in (z, np.abs(z) - np.abs(z).mean()):
        for lag in (1, 2, 1 << 15, 1 << 16):
            assert abs((values[:-lag] * values[lag:]).mean()) < 6 * values.var() / math.sqrt(N - lag)


@pytest.mark.parametrize(("law", "true", "reach"), [
    (standard_laplaces, stats.laplace, 8.0), (standard_logistics, stats.logistic, 8.0)])
def test_the_tails_are_as_heavy_as_stated(law, true, reach):
    z = law(np.random.Philox(key=23), (4_000_000,))
    for t in (4.0, 6.0, reach):
        expected = 2 * z.size * true.sf(t)
        assert abs((np.abs(z) > t).sum() - expected) < 6 * math.sqrt(expected)


@pytest.mark.parametrize("law", [standard_laplaces, standard_logistics, symmetric_uniforms])
def test_a_sign_does_not_tell_the_size(law):
    z = law(np.random.Philox(key=29), (N,))
    assert abs(np.corrcoef(np.sign(z), np.abs(z))[0, 1]) < 6 / math.sqrt(N)


@pytest.mark.parametrize("law", [standard_normals, standard_laplaces, standard_logistics, symmetric_uniforms])
@pytest.mark.parametrize("size", [1, 2, 3, 65_535, 65_536, 65_537, 200_001])
def test_every_size_is_filled(law, size):
    z = law(np.random.Philox(key=5), (size,))
    assert z.shape == (size,)
    assert z.dtype == np.float32
    assert np.isfinite(z).all()
    assert len(np.unique(z)) > 0.99 * size or size < 4


def test_a_scale_is_never_rounded_down():
    for sigma in (0.1, 0.25, 0.5, 1 / 3, 1e-3, 12.7, math.pi):
        rounded = float32_at_least(sigma)
        assert sigma <= rounded <= sigma * (1 + 2**-23)
    assert float32_at_least(0.25) == 0.25
