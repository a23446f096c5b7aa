"""Noise on the grid has the law of rounded noise, to what the table says, and is the same everywhere."""

import hashlib
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch

import rsopt
from rsopt.errors import InvalidInputError, UnknownNameError
from rsopt.noise import Gaussian, Laplace, Logistic, Source, Transformed, Uniform, noise_from_dict
from rsopt.noise.additive import on_grid
from rsopt.noise.gaussian import plain_sigma, the_sigma
from rsopt.noise.grid import FURTHEST, Grid, GridNoise
from rsopt.noise.options import options_of, with_grid
from rsopt.noise.tails import LAWS
from rsopt.testing import check_noise

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
def test_every_threshold_is_the_nearest_unit_and_the_variation_within_its_bound(law, scale, step):
    noise = GridNoise.of(law, scale, Grid(step))
    with mpmath.workdps(60):
        cells = exact_cells(noise)
        unit = mpmath.mpf(2) ** -64
        for threshold, cell in zip(noise.thresholds.tolist(), cells[1:-1], strict=False):
            assert abs(threshold * unit - cell) <= 0.75 * unit
        assert cells[0] + 1 - cells[-2] <= 1.5 * unit, "what lies beyond the reach"
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


def drawn(noise: GridNoise, key: int, shape: tuple[int, ...]) -> np.ndarray:
    return noise.draw(np.random.Philox(key=key), shape) - np.int16(noise.reach)


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
    assert np.array_equal(drawn(noise, 5, (1001,)), directly(noise, 5, 1001))


def test_the_lower_bits_are_asked_for_where_a_threshold_lies_among_them():
    for law in LAWS:
        noise = GridNoise.of(law, 0.25, BYTES)
        among = {int(t) >> 48 for t in noise.thresholds if int(t) % (1 << 48)}
        assert set(np.flatnonzero(noise._guide == -(1 << 15)).tolist()) == among


@pytest.mark.parametrize(("law", "told"), [
    ("gaussian", "3f2889ac5a360cf5"), ("laplace", "2fc6f6e0e18e37b4"), ("logistic", "cbe9046645554575"),
    ("uniform", "b678cab8b12de2d1")])
def test_draws_are_the_same_on_every_machine(law, told):
    draws = drawn(GridNoise.of(law, 0.25, BYTES), 2**100 + 17, (3, 50_000))
    assert draws.dtype == np.int16
    assert hashlib.sha256(draws.astype("<i2").tobytes()).hexdigest()[:16] == told


def test_a_draw_depends_on_its_key_and_shape_alone():
    noise = GridNoise.of("gaussian", 0.25, BYTES)
    assert np.array_equal(drawn(noise, 4, (200, 700)), drawn(noise, 4, (140_000,)).reshape(200, 700))
    assert not np.array_equal(drawn(noise, 4, (1000,)), drawn(noise, 5, (1000,)))
    assert drawn(noise, 4, (0, 3)).shape == (0, 3)


@pytest.mark.parametrize("law", LAWS)
def test_frequencies(law):
    """Counts of a million draws, cell by cell, within five standard deviations; the key is fixed."""
    noise, n = GridNoise.of(law, 0.02, BYTES), 1_000_000
    counts = np.bincount(drawn(noise, 11, (n,)).astype(int) + noise.reach, minlength=2 * noise.reach + 1)
    cells = [float(cell) for cell in exact_cells(noise)]
    p = np.diff(cells)[: 2 * noise.reach + 1]
    likely = n * p > 20
    assert likely.sum() > 8
    assert (np.abs(counts - n * p)[likely] < 5 * np.sqrt(n * p)[likely]).all()


@pytest.mark.parametrize("law", LAWS)
def test_words_of_an_accelerator_give_the_definition(law):
    """At the thresholds themselves, beside them and at the ends of the words, which torch takes to have a sign."""
    noise = GridNoise.of(law, 0.25, BYTES)
    near = {0, (1 << 64) - 1, *(t + by for t in noise.thresholds.tolist() for by in (-1, 0, 1))}
    near -= {-1, 1 << 64}
    words = np.array(sorted(near), dtype=np.uint64)
    expected = np.searchsorted(noise.thresholds, words, side="right")
    found = noise.of_words(torch.from_numpy((words ^ np.uint64(1 << 63)).view(np.int64)))
    assert found.dtype == torch.int32
    assert np.array_equal(found.numpy(), expected)


def test_bytes_are_on_the_grid_and_come_back_as_they_were():
    images = torch.arange(256, dtype=torch.float32)
    for x in (images / 255, images * (1 / 255), (images.double() / 255).float()):
        BYTES.check(x)
        assert torch.equal(BYTES.multiples(x), images)
    # The correctly rounded quotient, which NumPy computes too.
    assert np.array_equal(BYTES.points(images.clone()).numpy(), images.numpy() / np.float32(255))
    assert Grid(float(np.float32(1 / 255))).exact == Fraction(1, 255)
    assert Grid(0.3).exact == Fraction(0.3)
    assert (str(Grid(1 / 255)), str(Grid(0.3)), str(Grid(2.0))) == ("1/255", "0.3", "2")
    assert Grid(2.0).points(Grid(2.0).multiples(torch.tensor([-4.0, 6.0]))).tolist() == [-4.0, 6.0]


@pytest.mark.parametrize("step", [1 / 255, 1 / 3, 0.3, 1 / 65535, 7.0])
def test_inputs_are_taken_for_their_multiple_as_far_out_as_they_may_lie(step):
    """Whatever a float32 near a multiple is rounded from; the quotient, too, is off by less than a quarter."""
    grid = Grid(step)
    whole = np.unique(np.concatenate([np.arange(-1000, 1000), np.geomspace(1, FURTHEST, 20_000).astype(np.int64)]))
    exact = whole.astype(np.longdouble) * (np.longdouble(grid.exact.numerator) / grid.exact.denominator)
    for nudge in (0.0, -np.inf, np.inf):
        x = exact.astype(np.float32)
        x = torch.from_numpy(x if nudge == 0.0 else np.nextafter(x, np.float32(nudge)))
        if nudge == 0.0:
            grid.check(x)
        assert np.array_equal(grid.multiples(x).numpy(), whole)


@pytest.mark.parametrize(("x", "found"), [([0.0, 0.5], "0.5"), ([1 / 255, math.nan], "nan"), ([math.inf], "inf"),
                                          ([5000.0], "5000")])
def test_inputs_off_the_grid_are_refused(x, found):
    with pytest.raises(InvalidInputError, match=rf"Inputs must be multiples of 1/255, .*found {found}\. Round .*"
                                                r"\(x \* 255\)\.round\(\) / 255, and the rounded inputs"):
        BYTES.check(torch.tensor(x))
    with pytest.raises(InvalidInputError, match=r"\(x / 0\.3\)\.round\(\) \* 0\.3"):
        Grid(0.3).check(torch.tensor([0.4]))


def test_copies_are_the_input_and_whole_steps_beside_it():
    noise = Gaussian(0.25, grid=1 / 255)
    point = torch.arange(0, 256, 17)
    x = (point / 255).reshape(4, 4)
    copies = noise.noisy(x.expand(50, 4, 4), Source(9, 0, torch.device("cpu")))
    steps = drawn(GridNoise.of("gaussian", 0.25, BYTES), 9, (50, 4, 4)).astype(np.int64)
    expected = (point.numpy().reshape(4, 4) + steps).astype(np.float32) / np.float32(255)
    assert np.array_equal(copies.numpy(), expected)
    # A batch of several inputs is no other than each by itself.
    assert torch.equal(noise.noisy(x.repeat(50, 1, 1), Source(9, 0, torch.device("cpu"))), copies)


@pytest.mark.parametrize(("arguments", "kind", "text"), [
    (("gaussian", 0.0, BYTES), InvalidInputError, "The scale of noise must be positive and finite; found 0.0."),
    (("gaussian", 9.0, BYTES), InvalidInputError, "Noise of scale 9 reaches over more than 16,384 steps of 1/255."),
    (("gaussian", 1e-5, BYTES), InvalidInputError, "Noise of scale 1e-05 never leaves a step of 1/255."),
    (("normal", 0.25, BYTES), UnknownNameError, "There is no law of noise named 'normal'.")])
def test_what_a_table_refuses(arguments, kind, text):
    with pytest.raises(kind) as error:
        GridNoise.of(*arguments)
    assert str(error.value).startswith(text)
    with pytest.raises(InvalidInputError, match=r"The step of a grid must be positive and finite; found 0\.0\."):
        Grid(0.0)


NOISES = [Gaussian(0.25, grid=1 / 255), Laplace(0.2, grid=1 / 255), Logistic(0.1, 1 / 255), Uniform(0.3, grid=1 / 255)]


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
def test_a_noise_knows_its_grid(noise):
    check_noise(noise, torch.arange(12).reshape(3, 4) / 255)
    assert noise.title.endswith(" on the grid of 1/255")
    assert repr(noise).endswith(", grid=0.00392156862745098)")
    assert "grid" not in repr(on_grid(noise, None))
    assert noise.within.startswith("change of the input to other multiples of 1/255 by less than the radius")
    assert noise_from_dict(noise.to_dict()) == noise
    assert noise.total_variation(1000, 12) == noise.table.total_variation(12_000) > 0.0
    plain = on_grid(noise, None)
    assert plain.grid is None
    assert "grid" not in plain.to_dict()
    assert plain.total_variation(1000, 12) == 0.0
    assert plain.radius(plain.functionals[0], 0.7) == noise.radius(noise.functionals[0], 0.7)
    assert options_of(noise) == options_of(plain)


def test_sigma_alone_says_no_grid():
    noise = Gaussian(0.25, grid=1 / 255)
    assert (plain_sigma(noise), the_sigma(noise), plain_sigma(Gaussian(0.25))) == (None, 0.25, 0.25)


def shifted(batch: torch.Tensor, parameters: torch.Tensor) -> torch.Tensor:
    return batch + parameters


def test_parameters_on_a_grid_pay_for_themselves():
    noise = Transformed(Gaussian(0.25, grid=1 / 16), shifted, 1)
    assert noise.total_variation(1000, 784) == Gaussian(0.25, grid=1 / 16).total_variation(1000, 1) > 0.0
    drawn = noise.parameters(100, torch.zeros(2), Source.of(0)) * 16
    assert torch.equal(drawn, drawn.round())
    assert len(drawn.unique()) > 5


class Cauchy(Laplace):
    name = "cauchy"


@pytest.mark.parametrize(("make", "text"), [
    (lambda: Gaussian(0.25, grid=0.0), "The step of a grid must be positive and finite; found 0.0."),
    (lambda: Gaussian(0.25, grid=5e-324), "Noise of scale 0.25 reaches over more than 16,384 steps of 4.94066e-324."),
    (lambda: Gaussian(0.25, grid="bytes"), "grid must be the step of the grid that inputs lie on, such as 1/255"),
    (lambda: Gaussian([0.25, 0.5], grid=1 / 255), "Noise on a grid takes one sigma for all coordinates; found 2."),
    (lambda: Cauchy(0.25, grid=1 / 255), "The noise 'cauchy' has no grid: tables are of gaussian, laplace, logistic"),
    (lambda: Laplace(9.0, grid=1 / 255), "Noise of scale 9 reaches over more than 16,384 steps of 1/255."),
    (lambda: with_grid(Gaussian(0.25), "pixel", None), "--grid is the step of the grid that inputs lie on"),
    (lambda: with_grid(Gaussian(0.25), "1/0", None), "--grid is the step of the grid that inputs lie on"),
    (lambda: with_grid(rsopt.noise.Ablation(3), "1/255", None), "--grid has no meaning for the noise 'ablation'")])
def test_grids_without_meaning(make, text):
    with pytest.raises(InvalidInputError) as error:
        make()
    assert str(error.value).startswith(text)


@pytest.mark.parametrize(("noise", "said", "step", "expected"), [
    (Gaussian(0.25), None, None, None), (Gaussian(0.25), None, 1 / 255, 1 / 255),
    (Gaussian(0.25), "none", 1 / 255, None), (Gaussian(0.25), "1/16", 1 / 255, 1 / 16),
    (Gaussian(0.25), "0.5", None, 0.5),
    (Gaussian((0.25, 0.5)), None, 1 / 255, None), (Gaussian(0.25, 1 / 16), None, 1 / 255, 1 / 16)])
def test_the_grid_is_that_of_the_data_unless_another_is_said(noise, said, step, expected):
    assert with_grid(noise, said, step).grid == expected


def test_noise_that_does_not_fit_the_grid_of_the_data_says_how_to_go_on():
    with pytest.raises(InvalidInputError, match=r"never leaves a step of 1/16\. .*--grid none takes noise in float32"):
        with_grid(Uniform(0.01), None, 1 / 16)


def test_noise_without_a_grid_stays_as_it_is():
    assert with_grid(rsopt.noise.Ablation(3), None, 1 / 255) == rsopt.noise.Ablation(3)


def test_what_is_left_of_alpha():
    noise = Gaussian(0.25, grid=1 / 255)
    question = rsopt.Question(noise, alpha=0.01)
    taken = Fraction(noise.total_variation(10**5, 784))
    left = question.left_of(0.01, 10**5, 784)
    assert 0 <= Fraction(0.01) - taken - Fraction(left) <= Fraction(0.01) * Fraction(2) ** -52
    # Looks share what the draws take as they share alpha, so that together they spend no more than what is left.
    shares = [question.left_of(share, 10**5, 784) for share in (0.004, 0.006)]
    assert sum(map(Fraction, shares)) <= Fraction(0.01) - taken
    assert rsopt.Question(0.25, alpha=0.01).left_of(0.004, 10**5, 784) == 0.004
    with pytest.raises(InvalidInputError, match=r"10,000,000 draws of 100,000,000,000 coordinates are up to .* in "
                                                r"total variation from Gaussian noise, .*alpha is 0\.01\. Take fewer"):
        question.left_of(0.01, 10**7, 10**11)
