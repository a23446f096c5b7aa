"""Two zoos of small models: some whose rows depend on more than the row, and some that only look as if they did.

Whoever changes the check of the rows (`rsopt.smoothing.independence`) has to refuse all of the one and take all of the
other. This module needs torch; `rsopt.testing` itself does not import it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rsopt.errors import MissingDependencyError

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    raise MissingDependencyError.of("The zoo of models", "torch", "torch") from error

from rsopt.testing.dependent import (
    AlwaysDropping,
    AlwaysTraining,
    Cached,
    Drifting,
    OneBehind,
    RarelyDropped,
    Recurrent,
    Remembering,
    Swapping,
    ZerosOnFailure,
    capacity,
    common_offset,
    every,
    first_row,
    jitter,
    moved_by_place,
    outliers,
    quantised,
    seeded,
    two_kinds,
    votes_of_all,
)
from rsopt.testing.honest import (
    Buffered,
    Counting,
    Experts,
    Guided,
    Projecting,
    Ranged,
    Recurring,
    channels_last,
    exported,
    in_place,
    rounds_by_place,
    uneven,
)
from rsopt.testing.network import CLASSES, FIRST, SHAPE, Attention, Wrapped, chain, network, one_hot, with_last

__all__ = ["CLASSES", "SHAPE", "ZooModel", "dependent_models", "honest_models"]


@dataclass(frozen=True)
class ZooModel:
    """A model of a zoo.

    Attributes:
        name: what it does, in a few words.
        make: a new one, with the same weights each time.
        autocast: dtype of autocast that it is meant to be run under, or None.
    """

    name: str
    make: Callable[[], nn.Module]
    autocast: torch.dtype | None = None


def dependent_models() -> list[ZooModel]:
    """Models whose answer for a row depends on its place, on other rows, on earlier batches or on chance.

    Some do so in one row of a hundred: the check sees them in batches of 128 and more.
    """
    answers: dict[str, Callable[[Tensor], Tensor]] = {
        "all rows answer for the first one": first_row,
        "… as one-hot votes": chain(first_row, one_hot),
        "… as truth values": chain(first_row, one_hot, Tensor.bool),
        "… as integers": chain(first_row, lambda s: (8.0 * s).round().int()),
        "… beside a common offset of 1e4": lambda s: first_row(s) + 1e4,
        "… beside an offset that varies from row to row": common_offset,
        "… beside outlying rows": outliers,
        "… where it is close, and most is clear": two_kinds,
        "… as probabilities": lambda s: first_row(s).softmax(dim=1),
        "rows in groups of four answer for the first of the group": lambda s: s[::4].repeat_interleave(4, 0)[:len(s)],
        "one row in a hundred answers for the row before": every(100, lambda s: s.roll(1, dims=0)),
        "the last row answers for the first": lambda s: torch.cat([s[:-1], s[:1]]),
        "each row gets a part of the row before": lambda s: s + 0.3 * s.roll(1, dims=0),
        "rows in another order": lambda s: s.flip(0),
        "rows two places on": lambda s: s.roll(2, dims=0),
        "centred over the batch": lambda s: s - s.mean(dim=0),
        "scaled by the batch": lambda s: s / s.abs().amax(),
        "softmax over the wrong axis": lambda s: s.softmax(dim=0),
        "all rows answer with the votes of the batch": votes_of_all,
        "experts with a capacity": capacity,
        "scores move with the place": moved_by_place,
        "one place in fifty answers otherwise": every(50, lambda s: s.roll(1, dims=1)),
        "noise on the scores": lambda s: s + 0.5 * torch.randn_like(s),
    }
    zoo = [ZooModel(name, partial(Wrapped, after)) for name, after in answers.items()]
    zoo += [ZooModel(f"all rows answer for the first one, a class masked by {value:g}",
                     partial(Wrapped, chain(first_row, with_last(value))))
            for value in (-1e2, -1e4, -65504.0, -1e9, -torch.finfo(torch.float32).max, -math.inf)]
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        zoo += _in(dtype, zoo[0], *(other for other in zoo if other.name in (
            "softmax over the wrong axis", "one row in a hundred answers for the row before",
            "all rows answer for the first one, a class masked by -10000")))
    zoo += [
        ZooModel("all rows answer for the first one, in autocast", lambda: Wrapped(first_row), torch.bfloat16),
        ZooModel("batch normalisation without statistics",
                 lambda: network(nn.BatchNorm2d(8, track_running_stats=False))),
        ZooModel("batch normalisation that stays in train mode", lambda: network(AlwaysTraining(8))),
        *_in(torch.bfloat16, ZooModel("normalisation in train mode", lambda: network(AlwaysTraining(8)))),
        ZooModel("attention across the batch", lambda: network(Attention(batch_first=False))),
        ZooModel("quantised by the range of the batch", lambda: Wrapped(before=quantised)),
        ZooModel("dropout that stays on", lambda: network(AlwaysDropping(0.1))),
        ZooModel("dropout that rarely drops", lambda: network(AlwaysDropping(1e-6))),
        ZooModel("a layer skipped for one batch in ten thousand", RarelyDropped),
        ZooModel("noise on the pixels, from Python's generator", lambda: Wrapped(before=jitter)),
        ZooModel("the same noise on every batch", lambda: Wrapped(before=seeded)),
        ZooModel("a buffer that moves with every batch", lambda: Drifting(0.1, buffer=True)),
        ZooModel("a buffer that moves by very little", lambda: Drifting(1e-6, buffer=True)),
        ZooModel("an attribute that moves by very little", lambda: Drifting(1e-6, buffer=False)),
        ZooModel("a hidden state kept for the next batch", lambda: Recurrent(0.5)),
        ZooModel("a hidden state that counts for little", lambda: Recurrent(1e-5)),
        ZooModel("a list of all batches that counts for little", Remembering),
        ZooModel("a cache by shape", lambda: Cached(by_place=False)),
        ZooModel("a cache by place in memory", lambda: Cached(by_place=True)),
        ZooModel("a pipeline one batch behind", OneBehind),
        ZooModel("zeros whatever happens", lambda: ZerosOnFailure(-math.inf)),
        ZooModel("zeros for the batch if one pixel is out of range", lambda: ZerosOnFailure(1.95)),
        ZooModel("one row in sixteen, by its numbers, answers for the row before", Swapping),
    ]
    return zoo


def honest_models() -> list[ZooModel]:
    """Models whose answer for a row depends on the row alone, up to rounding."""
    answers: dict[str, Callable[[Tensor], Tensor]] = {
        "a convolutional network": lambda s: s,
        "a common offset of 1e4": lambda s: s + 1e4,
        "an offset that varies from row to row": lambda s: s + 1e3 * s.sum(dim=1, keepdim=True),
        "classes of uneven size": uneven,
        "probabilities": lambda s: s.softmax(dim=1),
        "saturated probabilities": lambda s: (40.0 * s).softmax(dim=1),
        "logarithms of probabilities": lambda s: (10.0 * s).log_softmax(dim=1),
        "probabilities of each class alone": lambda s: s.sigmoid(),
        "scores cut off at zero": torch.relu,
        "one-hot votes": one_hot,
        "truth values": chain(one_hot, Tensor.bool),
        "integers": lambda s: (8.0 * s).round().int(),
        "bytes": lambda s: (8.0 * s + 100.0).clamp(0, 255).to(torch.uint8),
        "shares of a vote": lambda s: (5.0 * s.softmax(dim=1)).round() / 5.0 + 0.01 * FIRST.to(s),
        "one class whatever comes": lambda s: torch.zeros_like(s) + FIRST.to(s),
        "rounding by place": rounds_by_place,
        "an input that does not matter much": lambda s: 1e-4 * s + FIRST.to(s),
    }
    zoo = [ZooModel(name, partial(Wrapped, after)) for name, after in answers.items()]
    zoo += [ZooModel(f"a class masked by {value:g}", partial(Wrapped, with_last(value)))
            for value in (-1e2, -1e4, -65504.0, -1e9, -torch.finfo(torch.float32).max, -math.inf)]
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        zoo += _in(dtype, *(other for other in zoo if other.name in (
            "a convolutional network", "probabilities", "a class masked by -10000")))
    zoo += [
        ZooModel("a convolutional network in autocast", Wrapped, torch.bfloat16),
        ZooModel("normalisation and dropout in eval mode", lambda: network(nn.BatchNorm2d(8), nn.Dropout(0.5))),
        ZooModel("normalisation of groups", lambda: network(nn.GroupNorm(2, 8))),
        ZooModel("normalisation of instances", lambda: network(nn.InstanceNorm2d(8))),
        ZooModel("normalisation of layers", lambda: network(nn.LayerNorm([8, 4, 4]))),
        ZooModel("attention within an image", lambda: network(Attention(batch_first=True))),
        *_in(torch.bfloat16, ZooModel("attention within an image", lambda: network(Attention(batch_first=True)))),
        ZooModel("an activation in place", lambda: nn.Sequential(nn.ReLU(inplace=True), network())),
        ZooModel("normalisation in place", lambda: Wrapped(before=in_place)),
        ZooModel("channels last", channels_last),
        ZooModel("an output buffer used again", Buffered),
        ZooModel("calls counted", Counting),
        ZooModel("experts without a capacity", Experts),
        ZooModel("a recurrent network", Recurring),
        ZooModel("random weights, the same for every batch", Projecting),
        ZooModel("a range of inputs asserted", Ranged),
        ZooModel("a gradient on the way", Guided),
        ZooModel("scripted", lambda: torch.jit.script(network().eval())),
        ZooModel("scripted and frozen", lambda: torch.jit.freeze(torch.jit.script(network().eval()))),
        ZooModel("exported", exported),
    ]
    return zoo


def _in(dtype: torch.dtype, *zoo: ZooModel) -> list[ZooModel]:
    name = str(dtype).removeprefix("torch.")
    return [ZooModel(f"{one.name}, in {name}", partial(_made_in, dtype, one.make)) for one in zoo]


def _made_in(dtype: torch.dtype, make: Callable[[], nn.Module]) -> nn.Module:
    return make().to(dtype)
