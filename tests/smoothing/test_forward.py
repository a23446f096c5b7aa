"""How a model is called: with tensors of its own, laid out as it takes them, whatever it returns."""

import numpy as np
import pytest
import torch
from torch import nn

from rsopt.errors import InvalidInputError, ModelError
from rsopt.noise import Gaussian
from rsopt.smoothing import SmoothedClassifier, Softmax
from rsopt.smoothing.evaluation import class_count

NOISE = Gaussian(0.1)
IMAGE = torch.rand((3, 6, 5), generator=torch.Generator().manual_seed(2))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))


def counts(model: nn.Module, x=IMAGE, n: int = 300, **options) -> np.ndarray:
    return SmoothedClassifier(model, 0.5, 4, chunk=50, batch=150, **options).counts(x, n, 3)


class InPlace(nn.Module):
    """Normalises in place, then runs the network."""

    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x -= 0.5
        x /= 0.25
        return self.inside(x)


def test_what_is_done_in_place_happens_to_a_copy():
    x, before = IMAGE.clone() - 0.5, IMAGE.clone() - 0.5
    inside = network()
    found = counts(InPlace(nn.Sequential(nn.ReLU(inplace=True), inside)), x)
    assert torch.equal(x, before)

    class Apart(nn.Module):
        def forward(self, x):
            return inside(torch.relu((x - 0.5) / 0.25))

    assert np.array_equal(found, counts(Apart(), x))
    array = before.numpy().copy()
    counts(InPlace(nn.Sequential(nn.ReLU(inplace=True), inside)), array)
    assert np.array_equal(array, before.numpy())
    assert class_count(InPlace(inside), x, NOISE) == 4
    assert torch.equal(x, before)


def test_scores_stay_when_the_model_fills_its_buffer_again():
    class Buffered(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside, self.out = network(), torch.empty(50, 4)

        def forward(self, x):
            return self.out.copy_(self.inside(x))

    # Three chunks are in flight together, all of which would be the last one.
    assert np.array_equal(counts(Buffered()), counts(network()))


def test_a_simplex_map_in_place_changes_nothing_else():
    class Exponential(Softmax):
        def __call__(self, scores):
            return scores.exp_().div_(scores.sum(dim=1, keepdim=True))

    classifier = SmoothedClassifier(network(), 0.5, 4, chunk=50)
    mine, plain = (np.concatenate([block.rows for block in classifier.scores(IMAGE, 100, 3, simplex=simplex)])
                   for simplex in (Exponential(), Softmax()))
    assert np.allclose(mine, plain, atol=1e-6)


def conv(x: torch.Tensor) -> tuple[type[Exception], str]:
    with pytest.raises((InvalidInputError, RuntimeError)) as error:
        counts(network(), x)
    return error.type, str(error.value)


@pytest.mark.parametrize(("x", "told"), [
    (IMAGE.permute(1, 2, 0), r"it takes shape (3, 6, 5): put the channels first, as in x.permute(2, 0, 1)."),
    (IMAGE[None], r"it takes shape (3, 6, 5): leave out the leading axis of length 1 (a batch of one), as in x[0]."),
    (IMAGE.permute(1, 2, 0)[None], r"it takes shape (3, 6, 5): leave out the leading axis of length 1 and put the "
                                   r"channels first, as in x[0].permute(2, 0, 1).")])
def test_images_laid_out_in_another_way_are_refused_with_the_way(x, told):
    kind, text = conv(x)
    assert kind is InvalidInputError
    assert text.startswith(f"Input 0 has shape {tuple(x.shape)}, which the model cannot take (")
    assert text.endswith(told)


def test_channels_that_are_to_be_last():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside = network()

        def forward(self, x):
            return self.inside(x.permute(0, 3, 1, 2))

    assert counts(Last(), IMAGE.permute(1, 2, 0)).sum() == 300
    with pytest.raises(InvalidInputError, match=r"it takes shape \(6, 5, 3\): put the channels last, as in x\.permute"):
        counts(Last(), IMAGE)


def test_another_error_of_the_model_stays_its_own():
    kind, text = conv(torch.zeros(5, 6, 5))
    assert kind is RuntimeError
    assert "expected input[50, 5, 6, 5] to have 3 channels" in text


@pytest.mark.parametrize(("x", "kind"), [
    (torch.zeros(3, 6, 5, dtype=torch.uint8), "torch.uint8"), (np.zeros((3, 6, 5), np.uint8), "uint8"),
    (np.zeros((3, 6, 5), bool), "bool"), (torch.zeros(3, 6, 5, dtype=torch.int64), "torch.int64")])
def test_numbers_that_are_not_in_the_units_of_sigma_are_refused(x, kind):
    with pytest.raises(InvalidInputError) as error:
        counts(network(), x)
    assert str(error.value) == (f"Input 0 must be floating point, found {kind}. Scale it to the units in which sigma "
                                "is given, for bytes usually x / 255.")


def test_channels_last_in_memory_is_the_same_image():
    assert np.array_equal(counts(network(), IMAGE[None].to(memory_format=torch.channels_last)[0]), counts(network()))


class Turned(nn.Module):
    """The network, with its scores turned into something else."""

    def __init__(self, turn) -> None:
        super().__init__()
        self.inside, self.turn = network(), turn

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.turn(self.inside(x))


def votes(scores: torch.Tensor) -> torch.Tensor:
    return nn.functional.one_hot(scores.argmax(dim=1), 4)


@pytest.mark.parametrize("turn", [
    lambda s: votes(s).bool(), votes, lambda s: votes(s).to(torch.uint8), lambda s: votes(s).to(torch.int8) * 100,
    lambda s: votes(s).to(torch.float16), lambda s: votes(s).to(torch.float8_e4m3fn)])
def test_votes_of_every_dtype_are_counted(turn):
    assert np.array_equal(counts(Turned(turn)), counts(network()))


def test_scores_that_require_a_gradient():
    class Learning(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside = network()

        def forward(self, x):
            with torch.inference_mode(False), torch.enable_grad():
                return self.inside(x.clone())

    assert np.array_equal(counts(Learning()), counts(network()))
    rows = list(SmoothedClassifier(Learning(), 0.5, 4, chunk=50).scores(IMAGE, 50, 3))
    assert rows[0].rows.shape == (50, 4)


@pytest.mark.parametrize(("turn", "text"), [
    (lambda s: s.to_sparse(), "returned a tensor of kind torch.sparse_coo. Wrap it so that it returns plain numbers"),
    (lambda s: torch.quantize_per_tensor(s, 0.1, 0, torch.qint8), "returned a tensor of kind torch.qint8. Wrap it")])
@pytest.mark.filterwarnings("ignore")
def test_tensors_that_are_no_plain_numbers(turn, text):
    with pytest.raises(ModelError) as error:
        counts(Turned(turn))
    assert text in str(error.value)


def exported(model: nn.Module, rows: object = "any") -> nn.Module:
    dimension = torch.export.Dim("rows", min=1, max=4096)
    shapes = ({0: dimension},) if rows == "any" else None
    return torch.export.export(model, (IMAGE.expand(50, -1, -1, -1),), dynamic_shapes=shapes).module()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_exported_and_frozen_modules_are_sampled_as_they_are():
    expected = counts(network())
    inside = exported(network().eval())
    for model in (inside, nn.Sequential(inside), exported(network().eval(), rows=50),
                  torch.jit.freeze(torch.jit.script(network().eval())), torch.jit.script(network())):
        assert np.array_equal(counts(model), expected)


def test_a_module_exported_in_train_mode_is_refused():
    def frozen(layer: nn.Module) -> nn.Module:
        return exported(nn.Sequential(*network()[:2], layer, *network()[2:]))

    with pytest.raises(ModelError, match="the same batch gave different scores twice"):
        counts(frozen(nn.Dropout(0.5)))
    with pytest.raises(ModelError, match=r"Noisy copies that influence one another|gave different scores twice"):
        counts(frozen(nn.BatchNorm2d(4)))


def test_an_exported_program_is_not_its_module():
    program = torch.export.export(network(), (IMAGE[None],))
    with pytest.raises(InvalidInputError, match=r"got ExportedProgram\. Give its module\(\)\."):
        SmoothedClassifier(program, 0.5, 4)


def test_a_model_without_numbers():
    with torch.device("meta"):
        model = network()
    for ask in (lambda: counts(model), lambda: class_count(model, IMAGE, NOISE)):
        with pytest.raises(InvalidInputError, match="lies on the device 'meta', which holds shapes and no numbers"):
            ask()


def test_classes_are_the_columns_for_one_input():
    assert class_count(network(), IMAGE, NOISE) == 4
    with pytest.raises(InvalidInputError, match="it takes shape"):
        class_count(network(), IMAGE.permute(1, 2, 0), NOISE)
    with pytest.raises(InvalidInputError, match="The model returns one column for an image"):
        class_count(nn.Sequential(nn.Flatten(), nn.Linear(90, 1)), IMAGE, NOISE)
    with pytest.raises(ModelError, match=r"returned shape \(1, 90, 1\); expected one row of class scores per image, "
                                         r"\(1, classes\)"):
        class_count(nn.Sequential(nn.Flatten(), nn.Unflatten(1, (90, 1))), IMAGE, NOISE)


def test_a_failure_that_is_answered_with_zeros_is_no_class():
    class Wrapper(nn.Module):
        """Works for dark images and answers zeros for others."""

        def __init__(self):
            super().__init__()
            self.inside = network()

        def forward(self, x):
            return self.inside(x) if x.mean() < 1.0 else torch.zeros(len(x), 4)

    classifier = SmoothedClassifier(Wrapper(), 0.1, 4, chunk=50)
    assert classifier.counts(IMAGE, 100, 3).sum() == 100
    told = r"^Input 1: the model gave all classes the same score for every noisy copy \(chunk 0\), so that nothing"
    with pytest.raises(ModelError, match=told):
        classifier.counts(IMAGE + 1.0, 100, 3, index=1)
    with pytest.raises(ModelError, match=told):
        list(classifier.scores(IMAGE + 1.0, 100, 3, index=1))


def test_single_ties_are_votes_for_the_first_class():
    class Often(nn.Module):
        def forward(self, x):
            return torch.where(x[:, :1] > 0.3, torch.tensor([0.0, 1.0]), torch.zeros(2))

    found = SmoothedClassifier(Often(), 0.5, 2, chunk=50).counts(torch.zeros(1), 75, 3)
    assert found.sum() == 75
    assert (found > 0).all()
