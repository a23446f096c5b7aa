"""Lipschitz constants (l2 to l2) of single layers, each an upper bound with its reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rsopt.errors import RefusedError
from rsopt.smoothing.lipschitz.convolution import convolution_norm_bound
from rsopt.smoothing.lipschitz.spectral import spectral_norm_bounds, up

__all__ = ["layer_bound", "supported_layers"]

Shape = tuple[int, ...]

GELU_SLOPE = 1.1290
"""Largest slope of x ndtr(x), at x = sqrt 2 (its second derivative is (2 - x²) phi(x)): 1.128904…, rounded up."""
SILU_SLOPE = 1.0999
"""Largest slope of x sigmoid(x), at the root of 2 = x tanh(x/2): 1.099839…, rounded up."""


def layer_bound(module: nn.Module, name: str, shape: Shape) -> float:
    """Upper bound on the Lipschitz constant of a layer in eval mode, for one image.

    Args:
        module: the layer.
        name: its name in the network, for the error.
        shape: shape of its input without the batch dimension.

    Raises:
        RefusedError: no constant is proven for this layer; the text names it.
    """
    if module._forward_hooks or module._forward_pre_hooks:
        raise RefusedError(f"Layer {name!r} ({type(module).__name__}) has forward hooks, which may do anything. "
                           "Remove them, or fold their work (weight normalisation, say) into the weights.")
    rule = _RULES.get(type(module))
    if rule is None:
        raise RefusedError(f"Layer {name!r} ({type(module).__name__}) has no proven Lipschitz constant here. "
                           f"Known: {', '.join(supported_layers())}.")
    try:
        return rule(module, shape)
    except _Unproven as reason:
        raise RefusedError(f"Layer {name!r} ({type(module).__name__}) has no proven Lipschitz constant: "
                           f"{reason}.") from None


def supported_layers() -> list[str]:
    """Names of the layers `layer_bound` takes."""
    return sorted({kind.__name__ for kind in _RULES})


class _Unproven(Exception):
    """The layer is known, but not in this configuration."""


def _array(tensor: torch.Tensor) -> NDArray[np.float64]:
    return np.asarray(tensor.detach().double().cpu().numpy(), dtype=np.float64)


def _tuple(value: int | tuple[int, ...], d: int) -> tuple[int, ...]:
    return (value,) * d if isinstance(value, int) else tuple(value)


def _linear(module: nn.Linear, shape: Shape) -> float:
    # On inputs of more dimensions the same matrix acts on every vector: block diagonal, the norm of one block.
    return float(spectral_norm_bounds(_array(module.weight)[None])[0])


def _convolution(module: nn.Conv1d | nn.Conv2d | nn.Conv3d, shape: Shape) -> float:
    d = len(module.kernel_size)
    if module.padding_mode not in ("zeros", "circular"):
        raise _Unproven(f"padding mode {module.padding_mode!r} copies parts of the image")
    # torch's own record of the padding of both sides, last dimension first, "same" worked out.
    pairs = module._reversed_padding_repeated_twice
    padding = tuple((pairs[2 * i], pairs[2 * i + 1]) for i in reversed(range(d)))
    if module.padding == "valid":
        padding = ((0, 0),) * d
    try:
        return convolution_norm_bound(
            _array(module.weight), size=shape[1:], stride=_tuple(module.stride, d),
            dilation=_tuple(module.dilation, d), padding=padding,
            circular=module.padding_mode == "circular", groups=module.groups)
    except ValueError as error:
        raise _Unproven(str(error)) from None


def _batch_norm(module: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d, shape: Shape) -> float:
    if module.running_var is None:
        raise _Unproven("it has no running statistics, so it uses those of the batch")
    scale = 1.0 / np.sqrt(_array(module.running_var) + module.eps)
    if module.weight is not None:
        scale = scale * np.abs(_array(module.weight))
    return float(scale.max()) * (1.0 + 1e-15)


def _average_pool(module: nn.AvgPool1d | nn.AvgPool2d | nn.AvgPool3d, shape: Shape) -> float:
    d = len(shape) - 1
    window, padding = _tuple(module.kernel_size, d), _tuple(module.padding, d)
    if module.ceil_mode:
        raise _Unproven("with ceil_mode windows at the border divide by less")
    if any(padding) and not module.count_include_pad:
        raise _Unproven("without count_include_pad windows at the border divide by less")
    divisor = getattr(module, "divisor_override", None) or math.prod(window)
    kernel = np.full((1, 1, *window), 1.0 / divisor)
    return convolution_norm_bound(
        kernel, size=shape[1:], stride=_tuple(module.stride, d), dilation=(1,) * d,
        padding=tuple((p, p) for p in padding), circular=False, groups=1) * (1.0 + 1e-15)


def _adaptive_average_pool(module: nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d | nn.AdaptiveAvgPool3d,
                           shape: Shape) -> float:
    size = shape[1:]
    asked = module.output_size if isinstance(module.output_size, tuple) else (module.output_size,) * len(size)
    cells = tuple(n if a is None else a for n, a in zip(size, asked, strict=True))
    if any(n % c for n, c in zip(size, cells, strict=True)):
        raise _Unproven(f"{size} does not divide into {cells} equal windows")
    return up(1.0 / math.sqrt(math.prod(size) / math.prod(cells)))


def _max_pool(module: nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d, shape: Shape) -> float:
    # |max a - max b|² <= sum of |a - b|² over the window, and an entry lies in at most so many windows.
    if module.return_indices:
        raise _Unproven("it returns indices")
    d = len(shape) - 1
    window, stride = _tuple(module.kernel_size, d), _tuple(module.stride, d)
    windows = [k if step > 1 else -(-k // s)
               for k, s, step in zip(window, stride, _tuple(module.dilation, d), strict=True)]
    return up(math.sqrt(math.prod(windows)))


def _gelu(module: nn.GELU, shape: Shape) -> float:
    if module.approximate != "none":
        raise _Unproven(f"approximate={module.approximate!r} is another function")
    return GELU_SLOPE


def _slope(value: float) -> Callable[[nn.Module, Shape], float]:
    return lambda module, shape: value


_RULES: dict[type[nn.Module], Callable[[Any, Shape], float]] = {
    nn.Linear: _linear,
    nn.Conv1d: _convolution, nn.Conv2d: _convolution, nn.Conv3d: _convolution,
    nn.BatchNorm1d: _batch_norm, nn.BatchNorm2d: _batch_norm, nn.BatchNorm3d: _batch_norm,
    nn.AvgPool1d: _average_pool, nn.AvgPool2d: _average_pool, nn.AvgPool3d: _average_pool,
    nn.AdaptiveAvgPool1d: _adaptive_average_pool, nn.AdaptiveAvgPool2d: _adaptive_average_pool,
    nn.AdaptiveAvgPool3d: _adaptive_average_pool,
    nn.MaxPool1d: _max_pool, nn.MaxPool2d: _max_pool, nn.MaxPool3d: _max_pool,
    nn.Identity: _slope(1.0), nn.Flatten: _slope(1.0), nn.Unflatten: _slope(1.0),
    nn.Dropout: _slope(1.0), nn.Dropout1d: _slope(1.0), nn.Dropout2d: _slope(1.0), nn.Dropout3d: _slope(1.0),
    nn.ReLU: _slope(1.0), nn.ReLU6: _slope(1.0), nn.Hardtanh: _slope(1.0), nn.Tanh: _slope(1.0),
    nn.Softplus: _slope(1.0), nn.Softsign: _slope(1.0), nn.LogSigmoid: _slope(1.0), nn.Sigmoid: _slope(0.25),
    nn.SiLU: _slope(SILU_SLOPE), nn.GELU: _gelu, nn.Softmax: _slope(1.0),
    nn.LeakyReLU: lambda module, shape: max(1.0, abs(module.negative_slope)),
    nn.ELU: lambda module, shape: max(1.0, abs(module.alpha)),
    nn.PReLU: lambda module, shape: max(1.0, float(module.weight.detach().abs().max())),
}
