"""Does a model treat the rows of a batch separately? Without that the counts are not multinomial."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from rsopt.errors import ModelError
from rsopt.smoothing.evaluation import unusable_rows, unusable_text

__all__ = ["check_rows_independent", "rounding_allowance"]


def rounding_allowance(dtypes: list[torch.dtype], reduced_matmul: bool) -> float:
    """How far two evaluations of one row may differ, relative to the spread of the scores, before it counts.

    The square root of the coarsest precision in play: half of the digits. Other kernels for another place
    in the batch, atomics on a GPU and experts that see groups of another size lose the last few digits;
    statistics taken over the batch, dropout and leaks from row to row move the leading ones, the more so as
    the companions in the check are extreme. A heuristic: a dependence below it goes unseen.

    Args:
        dtypes: parameter, autocast and output dtypes; those that are not floating point are ignored.
        reduced_matmul: whether float32 products may run in TF32 (10 bits, like float16).
    """
    coarse = [torch.finfo(dtype).eps for dtype in dtypes if dtype.is_floating_point]
    if reduced_matmul:
        coarse.append(torch.finfo(torch.float16).eps)
    return float(max(coarse, default=torch.finfo(torch.float32).eps) ** 0.5)


def check_rows_independent(forward: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor, *,
                           allowance: Callable[[torch.Tensor], float], model: nn.Module, index: int) -> None:
    """Refuses a model whose answer for a row depends on chance, on earlier batches or on the rest of the
    batch.

    Four forward passes of one batch shape: the batch; its odd rows replaced by extreme ones; its rows in
    another order; the batch again. Equal rows must get equal scores throughout, up to `rounding_allowance`.

    Args:
        forward: noisy inputs (rows, *shape) -> scores (rows, classes), in eval and inference mode.
        batch: noisy inputs, float32, (rows, *shape).
        allowance: scores -> relative difference that is still rounding.
        model: named in the error: layers that are likely to be the cause.
        index: number of the input, for the error.

    Raises:
        ModelError: the model is random, keeps a state, or mixes rows.
    """
    rows = batch.shape[0]
    first = forward(batch)
    if unusable := int(unusable_rows(first).sum()):
        raise ModelError(unusable_text(index, unusable, "in the check before sampling"))
    # Other mean, other variance, other order: what statistics over the batch or neighbours in it react to.
    companions = batch.clone()
    companions[1::2] = 3.0 - 4.0 * batch[1::2].flip(0)
    crowded = forward(companions)
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(rows)).to(batch.device)
    shuffled = forward(batch[order])
    again = forward(batch)

    finite = torch.where(torch.isfinite(first), first, torch.zeros_like(first)).float()
    spread = float((finite.amax(dim=1) - finite.amin(dim=1)).amax())
    limit = allowance(first) * spread
    if _distance(first, again) > limit:
        raise ModelError(
            f"Input {index}: the same batch gave different scores twice ({_distance(first, again):.3g} "
            f"apart, spread {spread:.3g}). The model is random in eval mode or changes while it runs, so its "
            f"counts cannot be reproduced.{_suspects(model)} Make it deterministic in eval mode.")
    if _distance(first[::2], crowded[::2]) > limit or _distance(first[order], shuffled) > limit:
        worst = max(_distance(first[::2], crowded[::2]), _distance(first[order], shuffled))
        raise ModelError(
            f"Input {index}: the scores of a row changed by {worst:.3g} (spread {spread:.3g}) with the other "
            "rows of its batch. Noisy copies that influence one another are not independent, and no bound "
            f"holds for their counts.{_suspects(model)} Use statistics fixed after training, such as batch "
            "normalisation in eval mode.")


def _distance(a: torch.Tensor, b: torch.Tensor) -> float:
    if a.numel() == 0:
        return 0.0
    # Equal infinities (a class masked by -inf) differ by nan, which would compare as "not above the limit".
    return float(torch.where(a == b, torch.zeros_like(a), a - b).abs().nan_to_num(nan=float("inf")).amax())


def _suspects(model: nn.Module) -> str:
    names = [f"{name or 'the model'} ({type(module).__name__})" for name, module in model.named_modules()
             if (isinstance(module, nn.modules.batchnorm._BatchNorm)
                 and (module.training or module.running_mean is None))
             or (isinstance(module, nn.modules.dropout._DropoutNd) and module.training)]
    return f" Look at: {', '.join(names[:5])}." if names else ""
