"""Models that misbehave are refused with their reason, and every model gets its modes back."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from rsopt.errors import ModelError
from rsopt.smoothing import SmoothedClassifier

X = torch.linspace(-1, 1, 6)


def counts(model: nn.Module, chunk: int = 32, n: int = 100, **options):
    return SmoothedClassifier(model, 0.5, 3, chunk=chunk, batch=2 * chunk, **options).counts(X, n, 0, index=7)


def head() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(6, 3)


class Answer(nn.Module):
    """A linear model whose scores (or inputs, with `before`) go through a function."""

    def __init__(self, after=None, before=None):
        super().__init__()
        self.head, self.after, self.before = head(), after, before

    def forward(self, x):
        scores = self.head(x if self.before is None else self.before(x))
        return scores if self.after is None else self.after(scores)


def poison(value: float, rows: slice):
    def change(scores):
        scores = scores.clone()
        scores[rows] = value
        return scores
    return change


@pytest.mark.parametrize(("model", "text"), [
    (Answer(poison(math.nan, slice(3, 5))),
     "NaN or infinite scores for 2 noisy copies (in the check before sampling)."),
    (Answer(lambda s: s.index_fill(1, torch.tensor([2]), math.nan)),
     "NaN or infinite scores for 32 noisy copies (in the check before sampling)."),
    (Answer(poison(math.inf, slice(0, 1))), "NaN or infinite scores for 1 noisy copy (in the check before sampling)."),
    (Answer(poison(-math.inf, slice(0, 1))), "NaN or infinite scores for 1 noisy copy (in the check before sampling)."),
    (Answer(lambda s: s[:, :2]), "2 columns, but num_classes is 3."),
    (Answer(lambda s: s[:-1]), "31 rows for a batch of 32."),
    (Answer(lambda s: s[:1]), "1 rows for a batch of 32."),
    (Answer(lambda s: s[:, 0]), "shape (32,); expected one row of class scores per image, (32, 3)."),
    (Answer(lambda s: s[:, :, None]), "shape (32, 3, 1); expected one row of class scores per image, (32, 3)."),
    (Answer(lambda s: (s, s)), "a tuple, not a tensor. Wrap it so that it returns the class scores alone."),
    (Answer(lambda s: None), "a NoneType, not a tensor. Wrap it so that it returns the class scores alone."),
    (Answer(lambda s: s.to(torch.complex64)), "complex numbers (torch.complex64).")])
def test_wrong_outputs_stop_the_run(model, text):
    with pytest.raises(ModelError) as error:
        counts(model)
    assert str(error.value) == f"Input 7: the model returned {text}"


def test_an_error_of_the_model_keeps_its_type_and_learns_the_input():
    with pytest.raises(TypeError) as error:
        counts(Answer(torch.complex))
    assert error.value.__notes__ == ["The model was called for input 7: (32, 6), torch.float32."]


class RareNaN(Answer):
    """NaN where the first coordinate's noise exceeds 3.2 standard deviations."""

    def forward(self, x):
        return torch.where(x[:, :1] > X[0] + 0.5 * 3.2, math.nan, super().forward(x))


def collect(run, given: list) -> None:
    for done in run:
        given.append(done.chunk)


def test_nan_in_a_later_chunk_is_found_and_earlier_chunks_are_given_out():
    given = []
    with SmoothedClassifier(RareNaN(), 0.5, 3, chunk=32, batch=96).sampler(0) as sampler:
        run = sampler.iter_counts(X, 7, 100_000)
        with pytest.raises(ModelError) as error:
            collect(run, given)
    assert given == list(range(len(given)))
    assert len(given) > 0
    assert str(error.value) == ("Input 7: the model returned NaN or infinite scores for 1 noisy copy "
                                f"(chunk {len(given)}).")


class TrainedNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = head()

    def forward(self, x):
        return functional.batch_norm(self.head(x), None, None, training=True)


class StubbornNorm(nn.BatchNorm1d):
    """Frozen the wrong way round: stays in train mode whatever it is told."""

    def train(self, mode=True):
        return super().train(True)


class FunctionalDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = head()

    def forward(self, x):
        return self.head(functional.dropout(x, 0.2))


class Counting(nn.Module):
    """Drifts with every batch it sees, as running statistics would."""

    def __init__(self):
        super().__init__()
        self.head = head()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen += 0.1
        return self.head(x) + self.seen * torch.tensor([1.0, 0.0, 0.0])


ROWS = "Noisy copies that influence one another are not independent, and no bound holds for their counts"
TWICE = "the same batch gave different scores twice"


@pytest.mark.parametrize(("model", "text"), [
    (TrainedNorm(), ROWS),
    (nn.Sequential(head(), nn.BatchNorm1d(3, track_running_stats=False)), ROWS),
    (nn.Sequential(head(), StubbornNorm(3)), None),
    (Answer(lambda s: s - s.mean(dim=0)), ROWS),
    (Answer(lambda s: s / s.abs().amax()), ROWS),
    (Answer(lambda s: torch.softmax(s, dim=0)), ROWS),
    (Answer(lambda s: s.flip(0)), ROWS),
    (Answer(lambda s: s.roll(1, 0)), ROWS),
    (Answer(lambda s: s.roll(2, 0)), ROWS),
    (Answer(lambda s: s + torch.arange(len(s))[:, None] * torch.tensor([0.1, 0.0, 0.0])), ROWS),
    (Answer(lambda s: s + 0.3 * s[:1]), ROWS),
    (FunctionalDropout(), TWICE),
    (Answer(lambda s: s + 0.5 * torch.randn_like(s)), TWICE),
    (Counting(), TWICE)])
def test_models_whose_rows_depend_on_more_than_the_row_are_refused(model, text):
    with pytest.raises(ModelError) as error:
        counts(model)
    assert str(error.value).startswith("Input 7: ")
    if text is None:
        assert ROWS in str(error.value) or TWICE in str(error.value)
    else:
        assert text in str(error.value)


def test_the_error_names_layers_that_may_be_the_cause():
    for layer in (nn.BatchNorm1d(3, track_running_stats=False), StubbornNorm(3)):
        with pytest.raises(ModelError, match=rf"Look at: 1 \({type(layer).__name__}\)\."):
            counts(nn.Sequential(head(), layer))


def test_the_check_holds_in_half_precision():
    # A coarser tolerance must still see statistics over the batch.
    for model in (TrainedNorm(), Answer(lambda s: s - s.mean(dim=0)), Answer(lambda s: s.flip(0))):
        with pytest.raises(ModelError, match=ROWS):
            counts(model.bfloat16())
        with pytest.raises(ModelError, match=ROWS):
            counts(model.float(), autocast=torch.bfloat16)


@pytest.mark.parametrize("model", [
    nn.Sequential(head(), nn.BatchNorm1d(3), nn.Dropout(0.5)),
    nn.Sequential(nn.LayerNorm(6), head()),
    nn.Sequential(nn.Unflatten(1, (2, 3)), nn.InstanceNorm1d(2), nn.Flatten(), head()),
    nn.Sequential(nn.Unflatten(1, (2, 3)), nn.GroupNorm(1, 2), nn.Flatten(), head()),
    # Rounds its sums in another way for every place in the batch, as kernels may.
    Answer(lambda s: s * (1 + 1e-6 * (torch.arange(len(s)) % 3)[:, None])),
    Answer(torch.relu)])
def test_models_whose_rows_are_separate_pass(model):
    assert counts(model).sum() == 100
    assert counts(model.bfloat16()).sum() == 100


def test_a_chunk_of_one_row_is_taken():
    assert counts(nn.Sequential(head(), nn.BatchNorm1d(3)), chunk=1, n=3).sum() == 3


def mixed_model() -> nn.Module:
    model = nn.Sequential(nn.BatchNorm1d(6), nn.Sequential(head(), nn.Dropout(0.5)), nn.Identity())
    model.train()
    model[1].eval()
    model[1][1].training = True
    return model


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("failing", [False, True])
def test_every_submodule_gets_its_own_mode_back(failing):
    model = mixed_model()
    before = modes(model)
    assert True in before
    assert False in before
    inside = []

    def watch(module, arguments):
        inside.append((modes(model), torch.is_inference_mode_enabled()))
        if failing and len(inside) == 6:
            raise RuntimeError("out of memory")

    model.register_forward_pre_hook(watch)
    if failing:
        with pytest.raises(RuntimeError, match="out of memory") as error:
            counts(model)
        assert error.value.__notes__ == ["The model was called for input 7: (32, 6), torch.float32."]
    else:
        counts(model)
    assert inside
    assert all(not any(flags) and inference for flags, inference in inside)
    assert modes(model) == before
    assert not torch.is_inference_mode_enabled()


def test_the_mode_comes_back_when_a_run_is_dropped_half_way():
    model = mixed_model()
    before = modes(model)
    classifier = SmoothedClassifier(model, 0.5, 3, chunk=8)
    rows = classifier.scores(X, 1000, 0)
    next(rows)
    assert not any(modes(model))
    rows.close()
    assert modes(model) == before


def test_running_statistics_are_not_touched():
    model = nn.Sequential(nn.BatchNorm1d(6), head()).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    counts(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
