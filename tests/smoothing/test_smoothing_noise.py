"""Noise: keys that never repeat, and values that are standard normal."""

import math

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from scipy.stats import kstest

from rsopt.errors import InvalidInputError
from rsopt.smoothing import Stream
from rsopt.smoothing.gaussian import standard_normals
from rsopt.smoothing.keys import CHUNK_LIMIT, INDEX_LIMIT, device_key, host_key
from rsopt.smoothing.noise import NoisyCopies, float32_at_least


@pytest.mark.parametrize("key", [host_key, device_key])
def test_no_two_chunks_of_a_seed_share_a_key(key):
    places = [0, 1, 2, 3, 255, 256, 2**16, 2**29, CHUNK_LIMIT - 1]
    indices = [*places, 2**30, 2**31, INDEX_LIMIT - 1]
    keys = [key(7, stream, index, chunk) for stream in Stream for index in indices for chunk in places]
    assert len(set(keys)) == len(keys)


def test_the_device_key_is_a_bijection():
    # Undone step by step: what can be undone cannot collide.
    low, high = (int(w) for w in np.random.SeedSequence(7).generate_state(2, np.uint64))
    mask = (1 << 64) - 1

    def unshift(z, by):
        x = z
        for _ in range(64 // by + 1):
            x = z ^ (x >> by)
        return x

    for stream, index, chunk in ((Stream.SELECTION, 0, 0), (Stream.CHECK, INDEX_LIMIT - 1, CHUNK_LIMIT - 1),
                                 (Stream.ESTIMATION, 12345, 678)):
        z = unshift(device_key(7, stream, index, chunk) ^ high, 31)
        z = unshift(z * pow(0x94D049BB133111EB, -1, 2**64) & mask, 27)
        z = unshift(z * pow(0xBF58476D1CE4E5B9, -1, 2**64) & mask, 30)
        assert z ^ low == (stream << 62 | index << 30 | chunk)


def test_seeds_differ_beyond_32_bits():
    assert len({host_key(seed, Stream.ESTIMATION, 0, 0) for seed in (0, 1, 2**32, 2**64, 2**200)}) == 5
    assert len({device_key(seed, Stream.ESTIMATION, 0, 0) for seed in (0, 1, 2**32, 2**64, 2**200)}) == 5


@pytest.mark.parametrize(("place", "text"), [
    ((-1, 0), "index must lie in [0, 4294967296), got -1."), ((INDEX_LIMIT, 0), "index must lie in"),
    ((0, -1), "chunk must lie in [0, 1073741824), got -1."), ((0, CHUNK_LIMIT), "chunk must lie in")])
def test_places_outside_the_key_are_refused(place, text):
    with pytest.raises(InvalidInputError) as error:
        host_key(0, Stream.ESTIMATION, *place)
    assert str(error.value).startswith(text)


def test_a_negative_seed_is_refused():
    with pytest.raises(InvalidInputError, match="seed must be a nonnegative integer, got -3"):
        host_key(-3, Stream.ESTIMATION, 0, 0)


def test_the_values_are_standard_normal():
    # 4e6 values of one fixed key. Each limit is 5 standard errors of the statistic under the normal law.
    z = standard_normals(11, (4_000_000,)).astype(np.float64)
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


def test_different_keys_give_uncorrelated_values():
    a, b = (standard_normals(host_key(3, Stream.ESTIMATION, 0, chunk), (1_000_000,)) for chunk in (0, 1))
    assert abs(float((a.astype(float) * b).mean())) < 5e-3
    assert not np.array_equal(a, b)


@pytest.mark.parametrize("size", [1, 2, 3, 65_535, 65_536, 65_537, 200_001])
def test_every_size_is_filled(size):
    z = standard_normals(5, (size,))
    assert z.shape == (size,)
    assert z.dtype == np.float32
    assert np.isfinite(z).all()
    assert len(np.unique(z)) > 0.99 * size or size < 4


def test_sigma_is_never_rounded_down():
    for sigma in (0.1, 0.25, 0.5, 1 / 3, 1e-3, 12.7, math.pi):
        rounded = float32_at_least(sigma)
        assert sigma <= rounded <= sigma * (1 + 2**-23)
    assert float32_at_least(0.25) == 0.25


def test_the_noise_is_added_in_float32_around_the_input():
    x = torch.linspace(0, 1, 6).reshape(1, 2, 3)
    copies = NoisyCopies(x, 0.5, 5000, 0, Stream.ESTIMATION, 3).draw(2)
    assert copies.shape == (5000, 1, 2, 3)
    assert copies.dtype == torch.float32
    key = host_key(0, Stream.ESTIMATION, 3, 2)
    expected = np.float32(0.5) * standard_normals(key, (5000, 1, 2, 3)) + x.numpy()
    assert np.array_equal(copies.numpy(), expected)
