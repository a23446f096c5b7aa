"""Lipschitz constants (l2 to l2) of whole networks: layers multiplied along paths, paths added where they meet."""

from __future__ import annotations

import math

import torch
from torch import fx, nn

from rsopt.arguments import as_whole, checked_instance
from rsopt.errors import InvalidInputError, RefusedError, shown
from rsopt.smoothing.evaluation import eval_mode, forward_mode, input_dtype, model_device
from rsopt.smoothing.lipschitz.layer_bounds import layer_bound
from rsopt.smoothing.lipschitz.operation_bounds import operation_bound, refuse_shared
from rsopt.smoothing.lipschitz.spectral import up
from rsopt.smoothing.simplex import SimplexMap, simplex_map

_ALLOCATING = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
"""Layers whose output surely shares no memory with their input."""


def lipschitz_constant(network: nn.Module, input_shape: tuple[int, ...], *,
                       simplex: SimplexMap | None = None) -> float:
    """Upper bound L(f) on the Lipschitz constant of a network in eval mode: ||f(x) - f(y)||_2 <= L ||x - y||_2.

    The network is traced (torch.fx), so residual connections written in `forward` are seen: along a path constants
    multiply, at a sum they add, at a concatenation their squares add. Linear and convolutional layers
    are bounded from above (`spectral_norm_bounds`, `convolution_norm_bound`), never estimated. The constant is that
    of the real-valued function; rounding in the network's own precision is not part of it.

    Args:
        network: the model.
        input_shape: shape of one input, without a batch dimension.
        simplex: the map behind the network; its constant is multiplied in. With the hardmax there is none.

    Returns:
        L > 0; for radii of score bounds, R1 = M / (sqrt(2) L).

    Raises:
        RefusedError: a layer or operation without a proven constant, control flow that cannot be traced, or a
            simplex map that is not Lipschitz; the text names it.
        InvalidInputError: weights that are not finite, or an input shape the network does not take.
    """
    checked_instance(network, nn.Module, "network")
    if not isinstance(input_shape, tuple | list) or any(not (as_whole(size) or 0) > 0 for size in input_shape):
        raise InvalidInputError(f"input_shape must be a row of positive whole numbers; found {shown(input_shape)}.")
    simplex = None if simplex is None else simplex_map(simplex)
    if simplex is not None and not math.isfinite(simplex.lipschitz):
        raise RefusedError(f"{type(simplex).__name__} is not Lipschitz: behind it a network's own constant says "
                           "nothing. Use softmax or sparsemax scores, or the constant of Gaussian smoothing.")
    with eval_mode(network):
        graph = _traced(network, input_shape)
        bounds: dict[fx.Node, float] = {}
        for node in graph.graph.nodes:
            if node.op == "output":
                if not isinstance(node.args[0], fx.Node) or bounds[node.args[0]] == 0.0:
                    raise RefusedError("The network does not return one tensor that depends on its input.")
                constant = bounds[node.args[0]]
                return constant if simplex is None else up(constant * simplex.lipschitz)
            bounds[node] = _node_bound(node, bounds, graph)
    raise RefusedError(f"{type(network).__name__} returns nothing.")


def _node_bound(node: fx.Node, bounds: dict[fx.Node, float], graph: fx.GraphModule) -> float:
    if node.op == "placeholder":
        return 1.0
    if node.op == "get_attr":
        return 0.0
    if node.op != "call_module":
        return operation_bound(node, bounds, graph)
    target = str(node.target)
    name = target.partition(".")[2] or target
    module = graph.get_submodule(target)
    if len(node.args) != 1 or not isinstance(node.args[0], fx.Node) or node.kwargs:
        raise RefusedError(f"Layer {name!r} ({type(module).__name__}) is called with more than one input.")
    argument = node.args[0]
    if bounds[argument] == 0.0:
        return 0.0
    constant = layer_bound(module, name, argument.meta["shape"][1:])
    if getattr(module, "inplace", False):
        if constant > 1.0:
            refuse_shared(node)
    else:
        node.meta["fresh"] = isinstance(module, _ALLOCATING)
    return up(bounds[argument] * constant)


class _Shapes(fx.Interpreter):
    """Runs a traced network and notes the shape of every tensor."""

    def run_node(self, n: fx.Node) -> object:
        """Runs one node."""
        result: object = super().run_node(n)
        if isinstance(result, torch.Tensor):
            n.meta["shape"] = tuple(result.shape)
        return result


def _traced(network: nn.Module, input_shape: tuple[int, ...]) -> fx.GraphModule:
    for name, module in network.named_modules():
        if module._forward_hooks or module._forward_pre_hooks:
            raise RefusedError(f"Layer {name or type(network).__name__!r} has forward hooks, which may do anything. "
                               "Remove them, or fold their work (weight normalisation, say) into the weights.")
    try:
        # The wrapper makes a network that is a single layer a node like any other.
        graph = fx.symbolic_trace(nn.Sequential(network))
    except Exception as error:
        # Tracing runs foreign code on stand-ins for tensors, and what that raises depends on the code.
        raise RefusedError(f"{type(network).__name__} cannot be traced, so its Lipschitz constant is not known: "
                           f"{error}") from error
    device = model_device(network, None)
    source = torch.Generator().manual_seed(0)
    example = torch.randn((1, *input_shape), generator=source).to(device, input_dtype(network))
    try:
        with forward_mode(device, None):
            expected = network(example.clone())
            traced = _Shapes(graph).run(example.clone())
    except (RuntimeError, ValueError) as error:
        raise InvalidInputError(f"The network does not take inputs of shape {tuple(input_shape)}: "
                                f"{str(error).splitlines()[0]}") from error
    # Tracing turns x += y into x = x + y, which is another function where something else reads x.
    if isinstance(expected, torch.Tensor) and not torch.allclose(expected, traced, 1e-3, 1e-6, equal_nan=True):
        raise RefusedError(f"{type(network).__name__} is random or computes something else when it is traced, so its "
                           "Lipschitz constant is not known. Write it without randomness and in-place arithmetic.")
    return graph
