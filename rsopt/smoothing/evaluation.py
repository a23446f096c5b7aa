"""Running somebody else's model: eval mode, inference mode, precision, and everything put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from rsopt.errors import InvalidInputError, ModelError

__all__ = ["checked_scores", "eval_mode", "forward_mode", "input_dtype", "model_device", "unusable_rows",
           "unusable_text"]


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Puts the model in eval mode and gives every submodule its own mode back, also after an exception.

    In train mode batch normalisation makes the rows of a batch depend on one another: the counts are then not
    multinomial and no bound holds.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def forward_mode(device: torch.device, autocast: torch.dtype | None) -> Iterator[None]:
    """Inference mode, optional autocast, and cuDNN held to algorithms that repeat themselves."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        if device.type == "cuda":
            stack.enter_context(torch.backends.cudnn.flags(
                enabled=torch.backends.cudnn.enabled, benchmark=False, deterministic=True,
                allow_tf32=torch.backends.cudnn.allow_tf32))
        if autocast is not None:
            stack.enter_context(torch.autocast(device.type, dtype=autocast))
        yield


def model_device(model: nn.Module, device: torch.device | str | None) -> torch.device:
    """Where the model is called: its own device, or `device` for a model without parameters and buffers.

    Raises:
        InvalidInputError: the model is spread over several devices, or lies elsewhere than `device`.
    """
    found = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    if len(found) > 1:
        names = ", ".join(sorted(str(place) for place in found))
        raise InvalidInputError(f"The model lies on several devices ({names}). "
                                "Move it to one with model.to(device).")
    asked = None if device is None else torch.empty(0, device=device).device
    if not found:
        return asked or torch.device("cpu")
    own = found.pop()
    if asked is not None and asked != own:
        raise InvalidInputError(f"device={str(device)!r} was asked for, but the model lies on {own}. "
                                f"Move it with model.to({str(device)!r}).")
    return own


def input_dtype(model: nn.Module) -> torch.dtype:
    """The dtype the model reads: that of its first floating-point parameter, float32 when it has none."""
    return next((p.dtype for p in model.parameters() if p.dtype.is_floating_point), torch.float32)


def checked_scores(output: object, rows: int, classes: int, index: int) -> torch.Tensor:
    """The model's output, if it is a tensor of shape (rows, classes).

    Raises:
        ModelError: it is not; the text names the input.
    """
    if not isinstance(output, torch.Tensor):
        raise ModelError(f"Input {index}: the model returned a {type(output).__name__}, not a tensor. "
                         "Wrap it so that it returns the class scores alone.")
    if output.ndim != 2:
        raise ModelError(f"Input {index}: the model returned shape {tuple(output.shape)}; "
                         f"expected one row of class scores per image, ({rows}, {classes}).")
    if output.shape[0] != rows:
        raise ModelError(f"Input {index}: the model returned {output.shape[0]} rows for a batch of {rows}.")
    if output.shape[1] != classes:
        raise ModelError(f"Input {index}: the model returned {output.shape[1]} columns, "
                         f"but num_classes is {classes}.")
    if output.is_complex():
        raise ModelError(f"Input {index}: the model returned complex numbers ({output.dtype}).")
    return output


def unusable_rows(scores: torch.Tensor) -> torch.Tensor:
    """Which of the rows (rows, classes) have no finite largest score: NaN, +inf, or nothing but -inf."""
    return ~torch.isfinite(scores.amax(dim=1))


def unusable_text(index: int, rows: int, where: str) -> str:
    """The sentence for a batch with `rows` unusable rows; `where` says which batch."""
    return (f"Input {index}: the model returned NaN or infinite scores for {rows} noisy "
            f"cop{'y' if rows == 1 else 'ies'} ({where}).")
