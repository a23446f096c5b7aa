"""Norms of single layers: against dense singular values of the materialised operator, never below them."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from rsopt.errors import InvalidInputError, RefusedError
from rsopt.smoothing import lipschitz_constant
from rsopt.smoothing.lipschitz import convolution
from rsopt.smoothing.lipschitz.layer_bounds import GELU_SLOPE, SILU_SLOPE, supported_layers
from rsopt.smoothing.lipschitz.spectral import spectral_norm_bounds

# LAPACK's largest singular value is off by a modest multiple of the unit; bounds may fall below it by that only.
LAPACK = 1e-13


def dense_norm(layer: nn.Module, shape: tuple[int, ...]) -> float:
    """Largest singular value of a linear (or affine) layer, from the images of the unit vectors, in float64."""
    size = math.prod(shape)
    with torch.no_grad():
        layer = layer.double().eval()
        columns = layer(torch.eye(size, dtype=torch.float64).reshape(size, *shape))
        columns = columns - layer(torch.zeros(1, *shape, dtype=torch.float64))
    return float(np.linalg.norm(columns.reshape(size, -1).numpy(), 2))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 30), (60, 60), (100, 20)])
@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1.0, 1e120])
def test_matrices_are_bounded_from_above_and_closely(shape, scale):
    rng = np.random.default_rng(0)
    stack = rng.standard_normal((5, *shape)) * np.array([1, 1e-3, 1e3, 1, 1])[:, None, None]
    stack[3] = np.outer(stack[3, :, 0], stack[3, 0])  # rank one
    stack = stack * scale
    truth = np.linalg.norm(stack, 2, axis=(1, 2))
    bounds = spectral_norm_bounds(stack)
    assert (bounds >= truth * (1 - LAPACK)).all()
    # rank^(2^-11) for the iteration, and roundings counted at 1e-12 or, after underflow, an absolute 1e-149.
    assert (bounds <= truth * min(shape) ** 2.0**-11 * (1 + 1e-10) + 1e-149).all()


def test_equal_singular_values_are_the_worst_case_and_still_close():
    q, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((200, 200)))
    (bound,) = spectral_norm_bounds(q[None])
    assert 1 - LAPACK <= bound <= 200 ** 2.0**-11 * (1 + 1e-10)


def test_complex_matrices_and_zero():
    rng = np.random.default_rng(2)
    stack = rng.standard_normal((4, 9, 6)) + 1j * rng.standard_normal((4, 9, 6))
    truth = np.linalg.norm(stack, 2, axis=(1, 2))
    assert (spectral_norm_bounds(stack) >= truth * (1 - LAPACK)).all()
    assert np.allclose(spectral_norm_bounds(stack), truth, rtol=2e-3)
    assert 0 <= spectral_norm_bounds(np.zeros((1, 4, 4)))[0] < 1e-140


@pytest.mark.parametrize("steps", range(1, 13))
def test_every_number_of_steps_bounds_from_above(steps):
    stack = np.random.default_rng(3).standard_normal((3, 20, 12))
    truth = np.linalg.norm(stack, 2, axis=(1, 2))
    bounds = spectral_norm_bounds(stack, steps)
    assert (bounds >= truth * (1 - LAPACK)).all()
    assert (bounds <= truth * 12 ** 2.0 ** -(steps + 1) * (1 + 1e-10)).all()


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e200])
def test_weights_without_a_norm_are_refused(value):
    with pytest.raises(InvalidInputError, match=r"A weight is NaN, infinite or above 1e150"):
        spectral_norm_bounds(np.array([[[1.0, value]]]))


ZERO_PADDED = [
    (nn.Conv2d(3, 8, 3, padding=1), (3, 8, 8)), (nn.Conv2d(3, 8, 3), (3, 8, 8)),
    (nn.Conv2d(8, 2, 5, padding=2), (8, 7, 9)), (nn.Conv2d(3, 4, 3, padding=1, stride=2), (3, 8, 8)),
    (nn.Conv2d(3, 4, 3, padding=1, stride=2), (3, 9, 7)), (nn.Conv2d(2, 4, 2, stride=3), (2, 10, 11)),
    (nn.Conv2d(3, 8, 4, stride=4), (3, 8, 8)), (nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2), (4, 9, 7)),
    (nn.Conv2d(2, 3, (3, 2), padding="same"), (2, 7, 8)), (nn.Conv2d(2, 3, 3, padding="valid"), (2, 7, 8)),
    (nn.Conv2d(2, 3, 3, padding=5), (2, 4, 4)), (nn.Conv2d(4, 4, 3, padding=1, groups=4), (4, 6, 6)),
    (nn.Conv2d(3, 5, 1), (3, 4, 4)), (nn.Conv2d(2, 3, (1, 5), stride=(2, 3), padding=(0, 2)), (2, 6, 12)),
    (nn.Conv1d(2, 3, 5, padding=4), (2, 20)), (nn.Conv1d(2, 3, 4, stride=3, padding=2, dilation=2), (2, 40)),
    (nn.Conv1d(2, 3, 5, padding=2), (2, 100)), (nn.Conv1d(2, 2, 12, padding=6), (2, 90)),
    (nn.Conv3d(2, 3, 2, padding=1, stride=2), (2, 4, 4, 4))]


@pytest.mark.parametrize(("layer", "shape"), ZERO_PADDED, ids=str)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_zero_padded_convolutions_are_bounded_from_above(layer, shape):
    for seed in range(2):
        torch.manual_seed(seed)
        layer.reset_parameters()
        truth = dense_norm(layer, shape)
        bound = lipschitz_constant(layer, shape)
        assert bound >= truth * (1 - LAPACK)
        # What zero padding loses on images this small; the torus is exact for images without a border.
        assert bound <= 1.25 * truth


@pytest.mark.parametrize(("kernel", "stride", "size"), [(3, 1, 8), (3, 2, 8), (4, 2, 8), (5, 1, 6), (3, 3, 9)])
def test_circular_convolutions_are_exact(kernel, stride, size):
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, kernel, stride=stride, padding=kernel // 2 if kernel % 2 else (kernel - 1) // 2,
                      padding_mode="circular")
    truth = dense_norm(layer, (3, size, size))
    bound = lipschitz_constant(layer, (3, size, size))
    assert bound >= truth * (1 - LAPACK)
    if size % stride == 0 and kernel % 2:
        assert bound <= truth * 3 ** 2.0**-11 * (1 + 1e-9)
    else:
        assert bound <= 1.1 * truth


def test_a_circular_convolution_whose_stride_does_not_divide_the_torus():
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 3, stride=2, padding=1, padding_mode="circular")
    assert dense_norm(layer, (2, 9, 9)) * (1 - LAPACK) <= lipschitz_constant(layer, (2, 9, 9))


@pytest.mark.parametrize(("taps", "length"), [(2, 200), (3, 101), (7, 150), (12, 400)])
def test_the_grid_of_large_tori_bounds_all_frequencies(monkeypatch, taps, length):
    # The same torus with all its frequencies, then with 48 or so: the second must not be below the first.
    weight = np.random.default_rng(taps).standard_normal((2, 3, taps))
    options = {"size": (length,), "stride": (1,), "dilation": (1,), "padding": ((0, 0),), "circular": True, "groups": 1}
    coarse = convolution.convolution_norm_bound(weight, **options)
    monkeypatch.setattr(convolution, "_EXACT_TORUS", 1000)
    fine = convolution.convolution_norm_bound(weight, **options)
    assert fine * (1 - 1e-3) <= coarse <= fine * 1.03


def test_one_tap_differences_reach_the_grid_bound():
    # |1 - exp(-i w)| is largest at pi, which a grid of odd length misses: the factor must make up for it.
    options = {"stride": (1,), "dilation": (1,), "padding": ((0, 0),), "circular": True, "groups": 1}
    for length in (49, 51, 1001):
        bound = convolution.convolution_norm_bound(np.array([[[1.0, -1.0]]]), size=(length,), **options)
        assert 2 * math.cos(math.pi / (2 * length)) <= bound <= 2.01


def test_power_iteration_stays_below_on_a_larger_image():
    torch.manual_seed(0)
    layer = nn.Conv2d(16, 16, 3, padding=1, stride=2)
    v, weight = torch.randn(1, 16, 32, 32), layer.weight.detach()
    for _ in range(100):
        image = nn.functional.conv2d(v, weight, stride=2, padding=1)
        v = nn.functional.conv_transpose2d(image, weight, stride=2, padding=1, output_padding=1)
        v = v / v.norm()
    below = float(nn.functional.conv2d(v, weight, stride=2, padding=1).norm())
    bound = lipschitz_constant(layer, (16, 32, 32))
    assert below <= bound <= 1.05 * below


@pytest.mark.parametrize(("layer", "shape", "slack"), [
    (nn.Linear(30, 20), (30,), 1.002), (nn.Linear(5, 6), (4, 5), 1.002),
    (nn.AvgPool2d(2), (2, 8, 8), 1 + 1e-9), (nn.AvgPool2d(3, 2, 1), (2, 9, 9), 1.2),
    (nn.AvgPool1d(4), (2, 16), 1 + 1e-9),
    (nn.AvgPool2d(2, divisor_override=1), (1, 4, 4), 1 + 1e-9), (nn.AvgPool3d(2), (1, 4, 4, 4), 1 + 1e-9),
    (nn.AdaptiveAvgPool2d(1), (3, 5, 7), 1 + 1e-12), (nn.AdaptiveAvgPool2d((2, None)), (3, 4, 6), 1 + 1e-12),
    (nn.AdaptiveAvgPool1d(3), (2, 9), 1 + 1e-12), (nn.Flatten(), (2, 3), 1 + 1e-12), (nn.Identity(), (4,), 1 + 1e-12)])
def test_other_linear_layers(layer, shape, slack):
    torch.manual_seed(0)
    truth = dense_norm(layer, shape)
    assert truth * (1 - LAPACK) <= lipschitz_constant(layer, shape) <= truth * slack


def test_batch_normalisation_in_eval_mode_is_diagonal():
    layer = nn.BatchNorm2d(3)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, -6.0, 0.5]))
        layer.running_var.copy_(torch.tensor([0.01, 4.0, 0.04]))
    truth = dense_norm(layer, (3, 2, 2))
    assert truth * (1 - LAPACK) <= lipschitz_constant(layer.float().train(), (3, 2, 2)) <= truth * (1 + 1e-6)
    assert layer.training, "the mode is put back"


@pytest.mark.parametrize("layer", [
    nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 1), nn.MaxPool2d(2, dilation=2, stride=1),
    nn.MaxPool2d(3, 2, ceil_mode=True)])
def test_max_pooling_moves_no_further_than_its_constant(layer):
    # The worst case: one entry that is the maximum of every window it lies in.
    constant = lipschitz_constant(layer, (1, 12, 12))
    x = torch.zeros(144, 1, 12, 12)
    x.view(144, 144).fill_diagonal_(1.0)
    moved = (layer(x) - layer(torch.zeros(1, 1, 12, 12))).flatten(1).norm(dim=1)
    assert moved.max() <= constant * (1 + 1e-6)
    assert moved.max() >= constant * (0.7 if layer.dilation == 1 else 0.4)
    a, b = torch.randn(2, 500, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    assert ((layer(a) - layer(b)).flatten(1).norm(dim=1) / (a - b).flatten(1).norm(dim=1)).max() <= constant


@pytest.mark.parametrize(("layer", "slope"), [
    (nn.ReLU(), 1.0), (nn.ReLU6(), 1.0), (nn.Hardtanh(), 1.0), (nn.Tanh(), 1.0), (nn.Softplus(), 1.0),
    (nn.Softsign(), 1.0), (nn.LogSigmoid(), 1.0), (nn.Sigmoid(), 0.25), (nn.SiLU(), SILU_SLOPE),
    (nn.GELU(), GELU_SLOPE), (nn.LeakyReLU(0.2), 1.0), (nn.LeakyReLU(3.0), 3.0), (nn.ELU(2.0), 2.0),
    (nn.PReLU(init=-1.5), 1.5), (nn.Dropout(0.9), 1.0)])
def test_slopes_of_activations_are_bounded_and_attained(layer, slope):
    x = torch.linspace(-30, 30, 600_001, dtype=torch.float64)[:, None].requires_grad_()
    layer.double().eval()
    (gradient,) = torch.autograd.grad(layer(x).sum(), x)
    steepest = float(gradient.abs().max())
    constant = lipschitz_constant(layer, (1,))
    assert constant == pytest.approx(slope, rel=1e-12)
    assert 0.999 * slope <= steepest <= constant


@pytest.mark.parametrize(("layer", "shape", "text"), [
    (nn.LayerNorm(4), (4,), "(LayerNorm) has no proven Lipschitz constant here. Known: AdaptiveAvgPool1d, "),
    (nn.InstanceNorm1d(3), (3, 4), "(InstanceNorm1d) has no proven Lipschitz constant here. Known: "),
    (nn.GELU("tanh"), (4,), "(GELU) has no proven Lipschitz constant: approximate='tanh' is another function."),
    (nn.BatchNorm1d(3, track_running_stats=False), (3, 2),
     "(BatchNorm1d) has no proven Lipschitz constant: it has no running statistics, so it uses those of the batch."),
    (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), (1, 5, 5),
     "(Conv2d) has no proven Lipschitz constant: padding mode 'reflect' copies parts of the image."),
    (nn.Conv2d(1, 1, 3, padding=2, padding_mode="circular"), (1, 5, 5),
     "(Conv2d) has no proven Lipschitz constant: circular padding by more than the kernel repeats outputs."),
    (nn.AvgPool2d(3, 2, 1, count_include_pad=False), (1, 5, 5),
     "(AvgPool2d) has no proven Lipschitz constant: without count_include_pad windows at the border divide by less."),
    (nn.AvgPool2d(2, ceil_mode=True), (1, 5, 5),
     "(AvgPool2d) has no proven Lipschitz constant: with ceil_mode windows at the border divide by less."),
    (nn.AdaptiveAvgPool2d(2), (1, 5, 5),
     "(AdaptiveAvgPool2d) has no proven Lipschitz constant: (5, 5) does not divide into (2, 2) equal windows.")])
def test_layers_without_a_proof_are_refused_by_name(layer, shape, text):
    with pytest.raises(RefusedError) as error:
        lipschitz_constant(nn.Sequential(nn.ReLU(), layer.eval()), shape)
    assert str(error.value).startswith(f"Layer '1' {text}")


def test_a_shape_the_layer_does_not_take_is_refused():
    with pytest.raises(InvalidInputError, match=r"^The network does not take inputs of shape \(5,\): "):
        lipschitz_constant(nn.Linear(4, 3), (5,))


def test_the_known_layers_are_listed():
    assert {"Linear", "Conv2d", "ReLU", "MaxPool2d", "BatchNorm2d", "Dropout"} <= set(supported_layers())
