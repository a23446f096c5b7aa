"""Noise on the grid has the law of rounded noise, to what the table says, and is the same everywhere."""

import hashlib
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from rsopt.errors import InvalidInputError, UnknownNameError
from rsopt.noise.grid import Grid, GridNoise
from rsopt.noise.tails import LAWS

BYTES = Grid(1 / 255)
CDF = {"gaussian": mpmath.ncdf, "laplace": lambda z: mpmath.exp(z) / 2 if z < 0 else 1 - mpmath.exp(-z) / 2,
       "logistic": lambda z: 1 / (1 + mpmath.exp(-z)), "uniform": lambda z: min(max((1 + z) / 2, mpmath.mpf(0)), 1)}


def exact_cells(noise: GridNoise) -> list[mpmath.mpf]:
    """P(K <= k) for k from -reach - 1 to reach + 1, of the exact law."""
    h = noise.grid.exact / Fraction(noise.scale)
    places = [(k + Fraction(1, 2)) * h for k in range(-noise.reach - 1, noise.reach + 2)]
    return [CDF[noise.law](mpmath.mpf(z.numerator) / z.denominator) for z in places]


@pytest.mark.parametrize(("law", "scale", "step"), [
    *((law, 0.25, 1 / 255) for law in LAWS), *((law, 0.7, 0.3) for law in LAWS), ("gaussian", 1.0, 1 / 255),
    ("gaussian", 0.12, 1 / 16), ("gaussian", 1e-3, 1 / 255), ("uniform", 0.5, 0.25)])
def test_every_threshold_is_within_a_unit_and_the_variation_within_its_bound(law, scale, step):
    noise = GridNoise.of(law, scale, Grid(step))
    with mpmath.workdps(60):
        cells = exact_cells(noise)
        unit = mpmath.mpf(2) ** -64
        for threshold, cell in zip(noise.thresholds.tolist(), cells[1:-1], strict=False):
            assert abs(threshold * unit - cell) <= unit
        drawn = [mpmath.mpf(0), *(t * unit for t in noise.thresholds.tolist()), mpmath.mpf(1), mpmath.mpf(1)]
        variation = sum(abs((drawn[k + 1] - drawn[k]) - (cells[k + 1] - cells[k])) for k in range(len(cells) - 1))
        variation = (variation + cells[0] + 1 - cells[-1]) / 2
        assert variation <= noise.total_variation(1)
        assert noise.total_variation(1) <= (2 * noise.reach + 2) * unit


def test_the_tables_are_symmetric_and_as_large_as_said():
    assert [GridNoise.of(law, 0.25, BYTES).reach for law in LAWS] == [584, 2828, 2872, 64]
    for law in LAWS:
        thresholds = GridNoise.of(law, 0.25, BYTES).thresholds.tolist()
        assert thresholds == sorted(thresholds)
        assert [(1 << 64) - t for t in reversed(thresholds)] == thresholds
    assert GridNoise.of("gaussian", 0.25, BYTES).total_variation(10**5 * 150_528) == pytest.approx(9.54e-7, rel=1e-3)
    assert GridNoise.of("gaussian", 0.25, BYTES).total_variation(10**20) == 1.0


def directly(noise: GridNoise, key: int, size: int) -> np.ndarray:
    """The same draws by the definition, from the 64 bits of every value."""
    source = np.random.Philox(key=key)
    upper = [word >> 16 * part & 0xFFFF for word in source.random_raw(-(-size // 4)).tolist() for part in range(4)]
    values = []
    for high in upper[:size]:
        low, top = ((high << 48) + offset for offset in (0, (1 << 48) - 1))
        counts = [sum(t <= word for t in noise.thresholds.tolist()) for word in (low, top)]
        if counts[0] != counts[1]:
            word = low + (int(source.random_raw()) >> 16)
            counts[0] = sum(t <= word for t in noise.thresholds.tolist())
        values.append(counts[0] - noise.reach)
    return np.array(values)


@pytest.mark.parametrize(("law", "scale", "step"), [("gaussian", 0.25, 1 / 255), ("laplace", 0.1, 1 / 255),
                                                    ("uniform", 0.5, 0.25)])
def test_draws_are_the_definition(law, scale, step):
    noise = GridNoise.of(law, scale, Grid(step))
    assert np.array_equal(noise.draw(5, (1001,)), directly(noise, 5, 1001))


def test_the_lower_bits_are_asked_for_where_a_threshold_lies_among_them():
    for law in LAWS:
        noise = GridNoise.of(law, 0.25, BYTES)
        among = {int(t) >> 48 for t in noise.thresholds if int(t) % (1 << 48)}
        assert set(np.flatnonzero(noise._guide == -(1 << 15)).tolist()) == among


@pytest.mark.parametrize(("law", "told"), [
    ("gaussian", "3f2889ac5a360cf5"), ("laplace", "2fc6f6e0e18e37b4"), ("logistic", "cbe9046645554575"),
    ("uniform", "b678cab8b12de2d1")])
def test_draws_are_the_same_on_every_machine(law, told):
    draws = GridNoise.of(law, 0.25, BYTES).draw(2**100 + 17, (3, 50_000))
    assert draws.dtype == np.int16
    assert hashlib.sha256(draws.astype("<i2").tobytes()).hexdigest()[:16] == told


def test_a_draw_depends_on_its_key_and_shape_alone():
    noise = GridNoise.of("gaussian", 0.25, BYTES)
    assert np.array_equal(noise.draw(4, (200, 700)), noise.draw(4, (140_000,)).reshape(200, 700))
    assert not np.array_equal(noise.draw(4, (1000,)), noise.draw(5, (1000,)))
    assert noise.draw(4, (0, 3)).shape == (0, 3)


@pytest.mark.parametrize("law", LAWS)
def test_frequencies(law):
    """Counts of a million draws, cell by cell, within five standard deviations; the key is fixed."""
    noise, n = GridNoise.of(law, 0.02, BYTES), 1_000_000
    counts = np.bincount(noise.draw(11, (n,)).astype(int) + noise.reach, minlength=2 * noise.reach + 1)
    cells = [float(cell) for cell in exact_cells(noise)]
    p = np.diff(cells)[: 2 * noise.reach + 1]
    likely = n * p > 20
    assert likely.sum() > 8
    assert (np.abs(counts - n * p)[likely] < 5 * np.sqrt(n * p)[likely]).all()


def test_bytes_are_on_the_grid_and_come_back_as_they_were():
    images = np.arange(256, dtype=np.uint8)
    floats = images.astype(np.float32)
    for x in (floats / np.float32(255), images / 255, floats * np.float32(1 / 255)):
        assert np.array_equal(BYTES.integers(x), images)
    assert np.array_equal(BYTES.points(floats.copy()), floats / np.float32(255))
    assert Grid(float(np.float32(1 / 255))).exact == Fraction(1, 255)
    assert Grid(0.3).exact == Fraction(0.3)
    assert np.array_equal(Grid(2.0).points(Grid(2.0).integers(np.array([-4.0, 6.0])).astype(np.float32)), [-4, 6])


@pytest.mark.parametrize(("x", "found"), [([0.0, 0.5], "0.5"), ([1 / 255, math.nan], "nan"), ([math.inf], "inf")])
def test_inputs_off_the_grid_are_refused(x, found):
    with pytest.raises(InvalidInputError, match=rf"Inputs must be multiples of 1/255; found .*{found}.*Round"):
        BYTES.integers(np.array(x))


def test_copies_are_the_input_and_whole_steps_beside_it():
    noise = GridNoise.of("gaussian", 0.25, BYTES)
    point = np.arange(0, 256, 17, dtype=np.int32).reshape(4, 4)
    copies = noise.copies(point, 9, 50)
    assert copies.shape == (50, 4, 4)
    assert copies.dtype == np.float32
    expected = (point + noise.draw(9, (50, 4, 4)).astype(np.int64)) / 255
    assert np.array_equal(copies, expected.astype(np.float32))


@pytest.mark.parametrize(("arguments", "kind", "text"), [
    (("gaussian", 0.0, BYTES), InvalidInputError, "The scale of noise must be positive and finite; found 0.0."),
    (("gaussian", 9.0, BYTES), InvalidInputError, "Noise of scale 9 reaches over more than 16,384 steps of 1/255."),
    (("gaussian", 1e-5, BYTES), InvalidInputError, "Noise of scale 1e-05 never leaves a step of 1/255."),
    (("normal", 0.25, BYTES), UnknownNameError, "There is no law of noise named 'normal'.")])
def test_what_is_refused(arguments, kind, text):
    with pytest.raises(kind) as error:
        GridNoise.of(*arguments)
    assert str(error.value).startswith(text)
    with pytest.raises(InvalidInputError, match=r"The step of a grid must be positive and finite; found 0\.0\."):
        Grid(0.0)
