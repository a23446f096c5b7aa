"""Does a model treat the rows of a batch separately? Without that the counts are not multinomial."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from rsopt.errors import ModelError
from rsopt.smoothing.evaluation import undecided, undecided_text, unusable_rows, unusable_text
from rsopt.smoothing.rounding import Difference, Rounding
from rsopt.smoothing.traces import Traces

__all__ = ["check_rows_independent"]

VOTES_CHANGED = 0.05
"""Votes that may change within rounding, as a share of the rows: no more rows are that close to a tie."""
_CHECK = "in the check before sampling"


def check_rows_independent(forward: Callable[[torch.Tensor], torch.Tensor], copies: torch.Tensor, point: torch.Tensor,
                           *, dtypes: Sequence[torch.dtype], reduced: bool, model: nn.Module, index: int) -> None:
    """Refuses a model whose answer for a row depends on chance, on earlier batches, on the row's place in the batch or
    on the rows beside it.

    Nine or ten forward passes of the size that the sampler asks for: two batches of noisy copies, their rows in other
    company and in other places, then both again. Their rows are ones that sampling could draw, so that a model which
    refuses other inputs is not refused for it; only the pass with rows further out may fail, and then shows nothing.
    Equal rows must get equal scores and equal distances from the largest score, up to `Rounding`, and few votes may
    change. A model that draws random numbers is refused even if none of the passes shows it, and one whose state
    changes must repeat itself to the last bit: a drift that is small in ten batches is not so in a run.

    A heuristic in what it can see: a dependence below rounding, or one that ten batches do not set off, stays unseen.

    Args:
        forward: noisy inputs (rows, *shape) -> scores (rows, classes), in eval and inference mode.
        copies: two batches of noisy inputs, float32, (2, rows, *shape).
        point: the input without noise, (*shape).
        dtypes: dtypes of the computation.
        reduced: whether float32 products may run in TF32.
        model: its state is compared, and layers that are likely to be the cause are named.
        index: number of the input, for the error.

    Raises:
        ModelError: the model is random, keeps a state, mixes rows, or returns no usable scores.
    """
    rows = copies.shape[1]
    every = copies.flatten(0, 1)
    # What a model builds when it is first called is no state that changes, so the first pass comes before the traces.
    first = forward(copies[0])
    before = Traces.of(model)
    reference = torch.stack([first, forward(copies[1])]).cpu()
    for scores in reference:
        _refuse_unusable(scores, index)
    rounding = Rounding(reference.flatten(0, 1), dtypes, reduced)

    moved = [rounding.difference(forward(every[order]).cpu(), order.cpu()) for order in _orders(rows, every.device)]
    moved += _beside_extremes(forward, copies[0], point, rounding)
    again = torch.cat([forward(copies[0]), forward(copies[1])]).cpu()
    after = Traces.of(model)

    repeated = rounding.difference(again, torch.arange(2 * rows))
    changed = before.changed(after)
    if _too_far(repeated, 2 * rows) or (changed and not torch.equal(again, rounding.scores)):
        cause = f" It changed its {', '.join(changed[:3])} meanwhile." if changed else ""
        raise ModelError(
            f"Input {index}: the same batch gave different scores twice ({repeated}). The model is random in eval mode "
            f"or changes while it runs, so its counts cannot be reproduced.{cause}{_suspects(model)} Make it "
            "deterministic in eval mode.")
    for difference in moved:
        if _too_far(difference, rows):
            raise ModelError(
                f"Input {index}: the scores of a row changed with its place or with the other rows of its batch "
                f"({difference}; {difference.votes} of {rows} votes changed). Noisy copies that influence one another "
                f"are not independent, and no bound holds for their counts.{_suspects(model)} Use statistics fixed "
                "after training, such as batch normalisation in eval mode.")
    if drawn := before.drawn(after):
        raise ModelError(
            f"Input {index}: the model draws random numbers in eval mode (from the generator of {', '.join(drawn)}), "
            f"so its counts cannot be reproduced.{_suspects(model)} Make it deterministic in eval mode; if it uses "
            "none of them, let it draw inside torch.random.fork_rng().")


def _refuse_unusable(scores: torch.Tensor, index: int) -> None:
    if unusable := int(unusable_rows(scores).sum()):
        raise ModelError(unusable_text(index, unusable, _CHECK))
    if bool(undecided(scores)):
        raise ModelError(undecided_text(index, _CHECK))


def _too_far(difference: Difference, rows: int) -> bool:
    return difference.beyond_rounding or difference.votes > max(1.0, VOTES_CHANGED * rows)


def _orders(rows: int, device: torch.device) -> Iterator[torch.Tensor]:
    """Batches of rows of two batches, by their numbers: places 0 to rows - 1 have these in the first batch."""
    place = torch.arange(rows, device=device)
    other = rows + rows // 2
    # Half of the batch gives way to copies of a single row: other mean, other variance, other neighbours.
    yield torch.where(place % 2 == 1, other, place)
    yield torch.where(place % 2 == 0, other, place)
    # One cycle through all places, in an order of no pattern: no row keeps its place.
    cycle = torch.randperm(rows, generator=torch.Generator().manual_seed(rows)).to(device)
    yield torch.empty_like(cycle).scatter_(0, cycle, cycle.roll(1))
    # One row in all places.
    yield torch.full_like(place, rows // 2)


def _beside_extremes(forward: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor, point: torch.Tensor,
                     rounding: Rounding) -> list[Difference]:
    """What rows as far out as any coordinate of the batch do to those beside them; none where the model refuses."""
    if len(batch) < 2 or batch.shape[1:] != point.shape or not batch.is_floating_point():
        # What noise hides or names is no distance from the point.
        return []
    reach = (batch - point).abs().amax()
    crowd = batch.clone()
    crowd[1::4] = point + reach
    crowd[3::4] = point - reach
    try:
        scores = forward(crowd).cpu()
    except Exception:
        # Models may state what they take, and sampling does not ask for this.
        return []
    return [rounding.difference(scores[::2], torch.arange(0, len(batch), 2))]


def _suspects(model: nn.Module) -> str:
    names = [f"{name or 'the model'} ({type(module).__name__})" for name, module in model.named_modules()
             if (isinstance(module, nn.modules.batchnorm._BatchNorm)
                 and (module.training or module.running_mean is None))
             or (isinstance(module, nn.modules.dropout._DropoutNd) and module.training)]
    return f" Look at: {', '.join(names[:5])}." if names else ""
