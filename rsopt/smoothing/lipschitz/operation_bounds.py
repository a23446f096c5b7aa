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
from rsopt.smoothing.lipschitz.layer_bounds import layer_bound
from rsopt.smoothing.lipschitz.spectral import up

__all__ = ["operation_bound", "refuse_shared"]

Bounds = dict[fx.Node, float]

_REARRANGES = {torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze, torch.permute, torch.transpose, "flatten",
               "reshape", "view", "squeeze", "unsqueeze", "permute", "transpose", "contiguous"}
_SLOPE_AT_MOST_ONE = {functional.relu, torch.relu, "relu", functional.relu6, torch.tanh, "tanh", torch.abs, "abs",
                      operator.neg, torch.neg}
_SHAPE_ONLY = {"size", "dim", "numel"}
_SUMS = {operator.add, operator.sub, torch.add, torch.sub, "add", "sub"}
_PRODUCTS = {operator.mul, operator.truediv, torch.mul, torch.div, "mul", "div"}
_QUOTIENTS = {operator.truediv, torch.div, "div"}
_MEANS = {torch.mean, "mean"}
_AS_LAYER: dict[Any, Callable[..., nn.Module]] = {
    functional.avg_pool2d: nn.AvgPool2d, functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
    functional.leaky_relu: nn.LeakyReLU, functional.elu: nn.ELU, functional.gelu: nn.GELU,
    functional.silu: nn.SiLU, functional.softplus: nn.Softplus, torch.sigmoid: nn.Sigmoid}


def operation_bound(node: fx.Node, bounds: Bounds, constants: nn.Module) -> float:
    """Upper bound on the Lipschitz constant of a function or method node, as a function of the network's input.

    Args:
        node: the call; nodes that are tensors have their shape in ``meta["shape"]``.
        bounds: constants of the nodes before it; 0 for what does not depend on the input.
        constants: the traced module, which owns the parameters that the graph reads.

    Raises:
        RefusedError: no rule for this operation, named in the text.
    """
    live = [argument for argument in node.all_input_nodes if bounds[argument] > 0.0]
    first = node.args[0] if node.args else None
    if not live or node.target in _SHAPE_ONLY:
        return 0.0
    if node.target is getattr and node.args[1] in ("shape", "ndim", "dtype", "device"):
        return 0.0
    if node.target in _SUMS and not node.kwargs:
        # a + a counts twice: arguments, not nodes.
        return _total([bounds[a] * _repeats(a, node) for a in node.args if isinstance(a, fx.Node)])
    if node.target is torch.cat and isinstance(first, list | tuple):
        return up(up(math.hypot(*(bounds[a] for a in first if isinstance(a, fx.Node)))) * (1.0 + 1e-15))
    if len(live) == 1 and node.target in _PRODUCTS and len(node.args) == 2 and not node.kwargs:
        return up(up(bounds[live[0]] * _size_of_factor(node, live[0], constants)) * _repeats(live[0], node))
    if len(live) != 1 or first is not live[0]:
        raise _refused(node)
    before = bounds[live[0]]
    if node.target in _REARRANGES or node.target in _SLOPE_AT_MOST_ONE:
        return before
    if node.target in _MEANS:
        return up(before / math.sqrt(math.prod(_shape(live[0])) / math.prod(_shape(node))) * (1.0 + 1e-15))
    if node.target is functional.dropout and node.kwargs.get("training") is False:
        return before
    if node.target is functional.max_pool2d:
        layer: nn.Module = nn.MaxPool2d(**_max_pool_options(node))
    elif node.target in _AS_LAYER:
        layer = _AS_LAYER[node.target](*node.args[1:], **node.kwargs)
        if getattr(layer, "inplace", False):
            refuse_shared(node)
    else:
        raise _refused(node)
    return up(before * layer_bound(layer, node.name, _shape(live[0])[1:]))


def refuse_shared(node: fx.Node) -> None:
    """Refuses an operation that overwrites a tensor which something else reads too.

    The graph would say that the other reader gets the old values, and it gets the new ones. Operations of
    slope at most 1 need no such care: new values then have no larger constant than old ones.

    Raises:
        RefusedError: the tensor, or one that shares its memory, has another reader.
    """
    overwritten = node.all_input_nodes[0]
    while len(overwritten.users) == 1:
        if overwritten.op == "call_module" and overwritten.meta.get("fresh"):
            return
        if overwritten.op == "call_function" and overwritten.target in _SUMS:
            return
        if overwritten.op == "placeholder":
            return
        if not overwritten.all_input_nodes:
            break
        overwritten = overwritten.all_input_nodes[0]
    raise RefusedError(f"Operation {node.name!r} overwrites a tensor that something else may read. "
                       "Use its form that is not in place.")


def _refused(node: fx.Node) -> RefusedError:
    target = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", repr(node.target))
    return RefusedError(f"Operation {node.name!r} ({target}) has no proven Lipschitz constant here. Known are "
                        "sums, concatenation, products with constants, means, reshaping, pooling and activations.")


def _shape(node: fx.Node) -> tuple[int, ...]:
    shape: tuple[int, ...] | None = node.meta.get("shape")
    if shape is None:
        raise _refused(node)
    return shape


def _repeats(argument: fx.Node, node: fx.Node) -> float:
    # Broadcasting repeats every entry the same number of times, which multiplies norms by its square root.
    if "shape" not in argument.meta:
        return 1.0
    return up(math.sqrt(math.prod(_shape(node)) / math.prod(_shape(argument))))


def _total(parts: list[float]) -> float:
    return up(math.fsum(parts))


def _size_of_factor(node: fx.Node, live: fx.Node, constants: nn.Module) -> float:
    if node.target in _QUOTIENTS and node.args[0] is not live:
        raise _refused(node)
    factor = node.args[1] if node.args[0] is live else node.args[0]
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
