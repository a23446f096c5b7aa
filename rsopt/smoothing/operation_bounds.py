"""How the Lipschitz constants of an operation's arguments combine, for operations written in a network's `forward`."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from rsopt.errors import RefusedError
from rsopt.smoothing.layer_bounds import layer_bound
from rsopt.smoothing.spectral import up

__all__ = ["operation_bound"]

Bounds = dict[fx.Node, float]

_REARRANGES = {torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze, torch.permute, torch.transpose, "flatten",
               "reshape", "view", "squeeze", "unsqueeze", "permute", "transpose", "contiguous"}
_SLOPE_AT_MOST_ONE = {functional.relu, torch.relu, "relu", functional.relu6, torch.tanh, "tanh", torch.abs, "abs",
                      operator.neg, torch.neg}
_SHAPE_ONLY = {"size", "dim", "numel"}
_SUMS = {operator.add, operator.iadd, operator.sub, operator.isub, torch.add, torch.sub, "add", "sub"}
_PRODUCTS = {operator.mul, operator.imul, operator.truediv, torch.mul, torch.div, "mul", "div"}
_QUOTIENTS = {operator.truediv, torch.div, "div"}
_MEANS = {torch.mean, "mean"}
_AS_LAYER: dict[Any, Callable[..., nn.Module]] = {
    functional.avg_pool2d: nn.AvgPool2d, functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
    functional.leaky_relu: nn.LeakyReLU, functional.elu: nn.ELU, functional.gelu: nn.GELU,
    functional.silu: nn.SiLU, functional.softplus: nn.Softplus, torch.sigmoid: nn.Sigmoid}


def operation_bound(node: fx.Node, bounds: Bounds, constants: nn.Module) -> float:
    """Upper bound on the Lipschitz constant of a function or method node, as a function of the network's input.

    Args:
        node: the call, with the shapes that `ShapeProp` found.
        bounds: constants of the nodes before it; 0 for what does not depend on the input.
        constants: the traced module, which owns the parameters that the graph reads.

    Raises:
        RefusedError: no rule for this operation, named in the text.
    """
    live = [argument for argument in node.all_input_nodes if bounds[argument] > 0.0]
    if not live or node.target in _SHAPE_ONLY:
        return 0.0
    if node.target is getattr and node.args[1] in ("shape", "ndim", "dtype", "device"):
        return 0.0
    if node.target in _SUMS and not node.kwargs:
        # a + a counts twice: arguments, not nodes.
        return _total([bounds[a] * _repeats(a, node) for a in node.args if isinstance(a, fx.Node)])
    if node.target is torch.cat and isinstance(node.args[0], list | tuple):
        return up(up(math.hypot(*(bounds[a] for a in node.args[0] if isinstance(a, fx.Node)))) * (1.0 + 1e-15))
    if len(live) != 1 or node.args[0] is not live[0]:
        raise _refused(node)
    before = bounds[live[0]]
    if node.target in _REARRANGES or node.target in _SLOPE_AT_MOST_ONE:
        return before
    if node.target in _PRODUCTS and len(node.args) == 2 and not node.kwargs:
        return up(up(before * _size_of_factor(node, constants)) * _repeats(live[0], node))
    if node.target in _MEANS:
        return up(before / math.sqrt(math.prod(_shape(live[0])) / math.prod(_shape(node))) * (1.0 + 1e-15))
    if node.target is functional.dropout and node.kwargs.get("training") is False:
        return before
    if node.target is functional.max_pool2d:
        layer: nn.Module = nn.MaxPool2d(**_max_pool_options(node))
    elif node.target in _AS_LAYER:
        options = {name: value for name, value in node.kwargs.items() if name != "inplace"}
        layer = _AS_LAYER[node.target](*node.args[1:], **options)
    else:
        raise _refused(node)
    return up(before * layer_bound(layer, node.name, _shape(live[0])[1:]))


def _refused(node: fx.Node) -> RefusedError:
    target = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", repr(node.target))
    return RefusedError(f"Operation {node.name!r} ({target}) has no proven Lipschitz constant here. Known are "
                        "sums, concatenation, products with constants, means, reshaping, pooling and activations.")


def _shape(node: fx.Node) -> tuple[int, ...]:
    found = node.meta.get("tensor_meta")
    if found is None or not hasattr(found, "shape"):
        raise _refused(node)
    return tuple(found.shape)


def _repeats(argument: fx.Node, node: fx.Node) -> float:
    # Broadcasting repeats every entry the same number of times, which multiplies norms by its square root.
    if "tensor_meta" not in argument.meta:
        return 1.0
    return up(math.sqrt(math.prod(_shape(node)) / math.prod(_shape(argument))))


def _total(parts: list[float]) -> float:
    return up(math.fsum(parts))


def _size_of_factor(node: fx.Node, constants: nn.Module) -> float:
    factor = node.args[1]
    if isinstance(factor, fx.Node) and factor.op == "get_attr":
        owner, _, name = str(factor.target).rpartition(".")
        tensor = getattr(constants.get_submodule(owner), name).detach().abs().double()
        size = float(1.0 / tensor.min() if node.target in _QUOTIENTS else tensor.max())
    elif isinstance(factor, int | float):
        size = abs(1.0 / factor if node.target in _QUOTIENTS else factor)
    else:
        raise _refused(node)
    if not math.isfinite(size):
        raise _refused(node)
    return up(size)


def _max_pool_options(node: fx.Node) -> dict[str, Any]:
    # The function and the layer take their last two arguments in another order, so all go by name.
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    return {**dict(zip(names, node.args[1:], strict=False)), **node.kwargs}
