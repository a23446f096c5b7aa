"""Noisy copies: keys that never repeat, and what is drawn from them."""

import numpy as np
import pytest
import torch

from rsopt.errors import InvalidInputError
from rsopt.noise import Gaussian
from rsopt.noise.laws import standard_normals
from rsopt.smoothing import Stream
from rsopt.smoothing.keys import CHUNK_LIMIT, INDEX_LIMIT, device_key, host_key
from rsopt.smoothing.noise import NoisyCopies


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


def test_the_noise_is_added_in_float32_around_the_input():
    x = torch.linspace(0, 1, 6).reshape(1, 2, 3)
    copies = NoisyCopies(x, Gaussian(0.5), 5000, 0, Stream.ESTIMATION, 3).draw(2)
    assert copies.shape == (5000, 1, 2, 3)
    assert copies.dtype == torch.float32
    key = host_key(0, Stream.ESTIMATION, 3, 2)
    expected = np.float32(0.5) * standard_normals(np.random.Philox(key=key), (5000, 1, 2, 3)) + x.numpy()
    assert np.array_equal(copies.numpy(), expected)
