"""Running somebody else's model: tensors of its own, eval and inference mode, and everything put back afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from rsopt.errors import InvalidInputError, ModelError
from rsopt.noise import Noise, Source

__all__ = ["Forward", "class_count", "eval_mode", "forward_mode", "input_dtype", "model_device", "undecided",
           "undecided_text", "unusable_rows", "unusable_text"]


@dataclass(frozen=True, eq=False)
class Forward:
    """The one place where a model is called, in the precision of the run.

    The model gets a copy that is its own and gives scores that are ours: layers that work in place change neither the
    caller's input nor the batch that a check compares, and an output buffer that the model uses again does not change
    the scores of an earlier batch.

    Attributes:
        call: the model or its compiled form.
        device: where it is called.
        dtype: dtype of the batches it gets.
        autocast: dtype of autocast, or None.
        classes: columns of its output; None for a model that is yet to be asked.
    """

    call: Callable[[torch.Tensor], object]
    device: torch.device
    dtype: torch.dtype
    autocast: torch.dtype | None
    classes: int | None

    def __call__(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        """Noisy inputs (rows, *shape) on the device -> scores (rows, classes), floating point or int64, no gradient.

        Args:
            batch: stays as it is.
            index: number of the input, for errors.

        Raises:
            InvalidInputError: the model cannot take this shape, and takes the input laid out in another way.
            ModelError: what it returned are no class scores.
        """
        with forward_mode(self.device, self.autocast):
            try:
                output = self.call(self._given(batch))
            except Exception as error:
                self._explain(batch, index, error)
                # Any exception of foreign code: passed on as it is, with the one fact it cannot know.
                error.add_note(f"The model was called for input {index}: {tuple(batch.shape)}, {self.dtype}.")
                raise
            return _checked_scores(output, batch.shape[0], self.classes, index)

    def _given(self, batch: torch.Tensor) -> torch.Tensor:
        """A copy in the dtype of the run; whole numbers name something and stay what they are."""
        return batch.to(self.dtype if batch.is_floating_point() else batch.dtype, copy=True)

    def _explain(self, batch: torch.Tensor, index: int, error: Exception) -> None:
        """Raises a clearer error where the model takes the same numbers laid out in another way."""
        for advice, other in _layouts(batch):
            try:
                output = self.call(self._given(other))
                _checked_scores(output, batch.shape[0], self.classes, index)
            except Exception:
                continue
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InvalidInputError(
                f"Input {index} has shape {tuple(batch.shape[1:])}, which the model cannot take ({reason}); it takes "
                f"shape {tuple(other.shape[1:])}: {advice}.") from error


def _layouts(batch: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Ways in which the inputs (rows, *shape) may have been meant, with what makes them so."""
    shape = batch.shape[1:]
    if len(shape) > 1 and shape[0] == 1:
        yield "leave out the leading axis of length 1 (a batch of one), as in x[0]", batch.squeeze(1)
    if len(shape) == 4 and shape[0] == 1 and shape[3] in (1, 3, 4):
        yield ("leave out the leading axis of length 1 and put the channels first, as in x[0].permute(2, 0, 1)",
               batch.squeeze(1).movedim(3, 1))
    if len(shape) == 3 and shape[2] in (1, 3, 4):
        yield "put the channels first, as in x.permute(2, 0, 1)", batch.movedim(3, 1)
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        yield "put the channels last, as in x.permute(1, 2, 0)", batch.movedim(1, 3)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Puts the model in eval mode and gives every submodule its own mode back, also after an exception.

    In train mode batch normalisation makes the rows of a batch depend on one another: the counts are then not
    multinomial and no bound holds. Exported and frozen modules have the mode in which they were made, for good; what
    they do is left to the check of the rows.
    """
    modes = [(module, module.training) for module in model.modules() if hasattr(module, "training")]
    try:
        _to_eval(model)
        yield
    finally:
        for module, training in modes:
            module.training = training


def _to_eval(module: nn.Module) -> None:
    try:
        module.eval()
    except NotImplementedError:
        # A module made by torch.export, or one that contains such a module.
        for child in module.children():
            _to_eval(child)


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
        InvalidInputError: the model is spread over several devices, lies elsewhere than `device`, or on "meta".
    """
    found = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    if len(found) > 1:
        names = ", ".join(sorted(str(place) for place in found))
        raise InvalidInputError(f"The model lies on several devices ({names}). "
                                "Move it to one with model.to(device).")
    asked = None if device is None else torch.empty(0, device=device).device
    own = found.pop() if found else asked or torch.device("cpu")
    if asked is not None and asked != own:
        raise InvalidInputError(f"device={str(device)!r} was asked for, but the model lies on {own}. "
                                f"Move it with model.to({str(device)!r}).")
    if own.type == "meta":
        raise InvalidInputError("The model lies on the device 'meta', which holds shapes and no numbers. Make it on "
                                "another device, such as 'cpu', and load its weights there.")
    return own


def input_dtype(model: nn.Module) -> torch.dtype:
    """The dtype the model reads: that of its first floating-point parameter, float32 when it has none."""
    return next((p.dtype for p in model.parameters() if p.dtype.is_floating_point), torch.float32)


def class_count(model: nn.Module, image: torch.Tensor, noise: Noise) -> int:
    """How many classes a model tells apart: the columns of its output for a noisy copy of an input (*shape).

    Raises:
        InvalidInputError: the model cannot take the input's shape, lies on no usable device, or has one column.
        ModelError: its output is no row of scores.
    """
    device = model_device(model, None)
    forward = Forward(model, device, input_dtype(model), None, None)
    with eval_mode(model):
        columns = forward(noise.noisy(image[None].to(device), Source.of(0, device)), 0).shape[1]
    if columns < 2:
        raise InvalidInputError("The model returns one column for an image; votes need a column of scores for each "
                                "class, (1, classes). Wrap it so that it returns them.")
    return columns


def _checked_scores(output: object, rows: int, classes: int | None, index: int) -> torch.Tensor:
    """The model's output as a tensor of our own, if it is a tensor of shape (rows, classes).

    Raises:
        ModelError: it is not; the text names the input.
    """
    if not isinstance(output, torch.Tensor):
        adapters = " rsopt.smoothing.adapters does so for models of transformers." if hasattr(output, "logits") else ""
        raise ModelError(f"Input {index}: the model returned a {type(output).__name__}, not a tensor. "
                         f"Wrap it so that it returns the class scores alone.{adapters}")
    if output.ndim != 2:
        expected = "classes" if classes is None else classes
        raise ModelError(f"Input {index}: the model returned shape {tuple(output.shape)}; "
                         f"expected one row of class scores per image, ({rows}, {expected}).")
    if output.shape[0] != rows:
        raise ModelError(f"Input {index}: the model returned {output.shape[0]} rows for a batch of {rows}.")
    if classes is not None and output.shape[1] != classes:
        raise ModelError(f"Input {index}: the model returned {output.shape[1]} columns, "
                         f"but num_classes is {classes}.")
    if output.is_complex():
        raise ModelError(f"Input {index}: the model returned complex numbers ({output.dtype}).")
    if output.layout is not torch.strided or output.is_quantized:
        kind = output.dtype if output.is_quantized else output.layout
        raise ModelError(f"Input {index}: the model returned a tensor of kind {kind}. Wrap it so that it returns "
                         "plain numbers, for example with dequantize() or to_dense().")
    exact = output.dtype
    if not output.is_floating_point():
        exact = torch.int64  # votes as truth values or small integers: arithmetic on those is partial or wraps
    elif output.dtype.itemsize == 1:
        exact = torch.float32  # torch has no arithmetic on floats of eight bits
    return output.detach().to(exact, copy=True)


def unusable_rows(scores: torch.Tensor) -> torch.Tensor:
    """Which of the rows (..., classes) have no finite largest score: NaN, +inf, or nothing but -inf."""
    return ~torch.isfinite(scores.amax(dim=-1))


def unusable_text(index: int, rows: int, where: str) -> str:
    """The sentence for a batch with `rows` unusable rows; `where` says which batch."""
    return (f"Input {index}: the model returned NaN or infinite scores for {rows} noisy "
            f"cop{'y' if rows == 1 else 'ies'} ({where}).")


def undecided(scores: torch.Tensor) -> torch.Tensor:
    """Whether no row of a batch (..., rows, classes) prefers any class, (...): what a wrapper returns for a failure.

    Classes masked by -inf take no part. Single rows may be tied, and vote for the first of the tied classes.
    """
    largest = scores.amax(dim=-1, keepdim=True)
    tied = scores == largest
    return ((tied | torch.isneginf(scores)).all(dim=-1) & (tied.sum(dim=-1) > 1)).all(dim=-1)


def undecided_text(index: int, where: str) -> str:
    """The sentence for a batch that is `undecided`; `where` says which batch."""
    return (f"Input {index}: the model gave all classes the same score for every noisy copy ({where}), so that nothing "
            "decides its votes. A wrapper that returns zeros when the model fails does this; let it raise instead.")
