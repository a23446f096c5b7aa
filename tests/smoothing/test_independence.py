"""The check of the rows: every model of the dependent zoo is refused, every honest one is taken."""

import math
import random

import numpy as np
import pytest
import torch
from torch import nn

from rsopt.errors import ModelError
from rsopt.smoothing import SmoothedClassifier
from rsopt.smoothing.rounding import Rounding, rounding_allowance
from rsopt.testing.models import CLASSES, SHAPE, ZooModel, dependent_models, honest_models

# torch.jit says that it is old.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

X = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1))


DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def counts(zoo: ZooModel, chunk: int, device: str = "cpu") -> np.ndarray:
    model = zoo.make().to(device)
    classifier = SmoothedClassifier(model, 0.25, CLASSES, chunk=chunk, autocast=zoo.autocast,
                                    device=None if list(model.parameters()) else device)
    return classifier.counts(X, chunk + 3, 0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("zoo", dependent_models(), ids=lambda zoo: zoo.name)
def test_dependent_models_are_refused(zoo, device):
    with pytest.raises(ModelError, match=r"^Input 0: the (scores of a row changed with|same batch gave different|model "
                                         r"draws random numbers|model gave all classes the same score)"):
        counts(zoo, 200, device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("zoo", honest_models(), ids=lambda zoo: zoo.name)
def test_honest_models_are_taken(zoo, device):
    # A frozen module stays on the device that its constants were made on.
    for chunk in (200, 7):
        assert counts(zoo, chunk, "cpu" if "frozen" in zoo.name else device).sum() == chunk + 3


STATES = ("drop", "layer skipped", "moves", "hidden state", "noise on the", "one batch behind", "zeros whatever")


@pytest.mark.parametrize("zoo", [zoo for zoo in dependent_models() if any(part in zoo.name for part in STATES)
                                 and "same noise" not in zoo.name], ids=lambda zoo: zoo.name)
def test_state_and_chance_are_found_with_a_chunk_of_one_row_too(zoo):
    with pytest.raises(ModelError):
        counts(zoo, 1)


def test_the_zoos_leave_the_generators_alone():
    def states():
        return torch.get_rng_state().tolist(), random.getstate()

    before = states()
    for zoo in (*dependent_models(), *honest_models()):
        zoo.make()
    assert states() == before


def test_random_numbers_that_are_not_used_are_told_with_the_way_out():
    class Idle(nn.Module):
        def forward(self, x):
            torch.rand(1)
            return x

    with pytest.raises(ModelError) as error:
        SmoothedClassifier(Idle(), 0.5, 2, chunk=50).counts(torch.zeros(2), 500, 0)
    assert str(error.value) == (
        "Input 0: the model draws random numbers in eval mode (from the generator of torch), so its counts cannot be "
        "reproduced. Make it deterministic in eval mode; if it uses none of them, let it draw inside "
        "torch.random.fork_rng().")


@pytest.mark.parametrize("mask", [-1e2, -1e4, -65504.0, -1e9, -math.inf, 1e9])
def test_what_a_mask_is_worth_does_not_matter(mask):
    # Rows that all answer for the first one of their chunk, beside a constant class.
    class First(nn.Module):
        def forward(self, x):
            return torch.cat([x[:1].expand(len(x), 2), torch.full((len(x), 1), mask)], dim=1)

    with pytest.raises(ModelError, match="Noisy copies that influence one another are not independent"):
        SmoothedClassifier(First(), 0.5, 3, chunk=50).counts(torch.zeros(2), 500, 0)


def table(rows: int = 100, classes: int = 4) -> torch.Tensor:
    return torch.randn((rows, classes), generator=torch.Generator().manual_seed(0))


def beyond(scores: torch.Tensor, other: torch.Tensor, *dtypes: torch.dtype) -> bool:
    return Rounding(scores, dtypes, reduced=False).difference(other, torch.arange(len(scores))).beyond_rounding


@pytest.mark.parametrize("change", [
    lambda s: s, lambda s: s + 1e4, lambda s: torch.cat([s, torch.full((len(s), 1), -1e9)], dim=1),
    lambda s: torch.cat([s, torch.full((len(s), 1), -math.inf)], dim=1),
    lambda s: s + 1e6 * torch.randn((len(s), 1), generator=torch.Generator().manual_seed(1), dtype=s.dtype),
    lambda s: torch.cat([s[:1] * 1e12, s[1:]]), lambda s: torch.cat([s[:75] * 1e9, s[75:]]),
    lambda s: torch.cat([s, 1e9 * s[:, :1] - 1e12], dim=1)])
def test_nothing_irrelevant_widens_the_allowance(change):
    """An offset, masks, a common number a row, outlying rows, a class of another size: .01 in one score is seen."""
    scores = table().double()
    moved = scores.clone()
    moved[90, 2] += 0.01 * (1 if scores[90].argmax() != 2 else -1)
    assert beyond(change(scores), change(moved))
    assert not beyond(change(scores), change(scores))


def test_rounding_is_allowed_and_little_more():
    scores = table()
    assert not beyond(scores, scores * (1 + 5e-7))
    assert not beyond(scores + 1000.0, scores + 1000.0 * (1 + 5e-7))
    assert beyond(scores, scores * (1 + 1e-2))
    assert not beyond(scores, scores * (1 + 4e-3), torch.bfloat16)
    assert beyond(scores, scores + 0.3 * scores.roll(1, 0), torch.bfloat16)


def test_votes_and_masks_must_be_equal():
    votes = torch.eye(4)[table().argmax(dim=1)]
    flipped = votes.clone()
    flipped[3] = flipped[3].roll(1)
    for dtype in (torch.float32, torch.bfloat16, torch.int64):
        assert not beyond(votes.to(dtype), votes.to(dtype))
        assert beyond(votes.to(dtype), flipped.to(dtype))
    masked = table()
    masked[5, 1] = -math.inf
    assert beyond(table(), masked)
    assert beyond(masked, table())
    assert beyond(table(), torch.full((100, 4), math.nan))


def test_the_difference_says_where_and_how_much():
    scores = torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
    moved = scores.clone()
    moved[1, 1] = -2.0
    found = Rounding(scores, [], reduced=False).difference(moved, torch.arange(3))
    assert (found.column, found.by, found.votes) == (1, 2.0, 1)
    assert found.beyond_rounding
    assert str(found) == "by 2 for class 1, where rounding explains 3.81e-06"


def test_the_allowance_is_half_of_the_coarsest_digits():
    assert rounding_allowance([torch.float32, torch.int64], False) == torch.finfo(torch.float32).eps ** 0.5
    assert rounding_allowance([torch.float32, torch.bfloat16], False) == torch.finfo(torch.bfloat16).eps ** 0.5
    assert rounding_allowance([torch.float32], True) == torch.finfo(torch.float16).eps ** 0.5
