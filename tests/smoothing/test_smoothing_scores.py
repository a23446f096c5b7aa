"""Score rows: the same chunks as the counts, on the simplex, in bounded memory."""

import math
import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn

from rsopt.errors import ModelError, UnknownNameError
from rsopt.smoothing import Hardmax, Identity, SmoothedClassifier, Softmax, Sparsemax, Stream

X = torch.linspace(-1, 1, 6)


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(6, 4)


def rows(classifier: SmoothedClassifier, n: int, simplex, **options) -> np.ndarray:
    return np.concatenate([block.rows for block in classifier.scores(X, n, 3, simplex=simplex, **options)])


@pytest.mark.parametrize("simplex", [Softmax(), Softmax(0.2), Sparsemax(), Hardmax()])
def test_rows_do_not_depend_on_what_is_in_flight(simplex):
    found = [rows(SmoothedClassifier(model(), 0.5, 4, chunk=32, batch=32 * flight), 500, simplex)
             for flight in (1, 3, 8)]
    assert found[0].shape == (500, 4)
    assert found[0].dtype == np.float32
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_hard_rows_are_the_votes_that_are_counted():
    classifier = SmoothedClassifier(model(), 0.5, 4, chunk=32)
    for stream in (Stream.SELECTION, Stream.ESTIMATION):
        hard = rows(classifier, 500, "hardmax", stream=stream, index=2)
        counts = classifier.counts(X, 500, 3, stream=stream, index=2)
        assert np.array_equal(hard.sum(axis=0, dtype=np.float64), counts)
        soft = rows(classifier, 500, "softmax", stream=stream, index=2)
        assert np.array_equal(soft.argmax(axis=1), hard.argmax(axis=1))


def test_rows_are_the_map_of_the_models_scores():
    seen = []
    watched = nn.Sequential(model())
    watched.register_forward_hook(lambda module, arguments, output: seen.append(output.clone()))
    found = rows(SmoothedClassifier(watched, 0.5, 4, chunk=50, batch=50), 100, Softmax(0.5))
    expected = torch.cat(seen[4:]).double().div(0.5).softmax(dim=1)  # the first four calls are the check
    assert np.allclose(found, expected, rtol=0, atol=1e-6)


def test_a_run_of_scores_goes_on_where_it_stopped():
    classifier = SmoothedClassifier(model(), 0.5, 4, chunk=32)
    whole = rows(classifier, 500, Softmax())
    with classifier.sampler(3) as sampler:
        blocks = list(sampler.iter_scores(X, 0, 500, Softmax(), first_chunk=5))
    assert [block.chunk for block in blocks] == list(range(5, 16))
    assert np.array_equal(np.concatenate([block.rows for block in blocks]), whole[160:])


class Scores(nn.Module):
    """Returns given rows, the same for every copy, in a given dtype."""

    def __init__(self, row, dtype=torch.float32):
        super().__init__()
        self.row = torch.tensor(row, dtype=torch.float64).to(dtype)

    def forward(self, x):
        return self.row.expand(len(x), -1)


def test_half_precision_rows_are_put_back_on_the_simplex():
    row = [0.3331, 0.3331, 0.3338]
    for dtype in (torch.float16, torch.bfloat16):
        raw = Scores(row, dtype)
        off = abs(float(raw.row.double().sum()) - 1)
        if off > 1e-3:
            continue
        found = rows(SmoothedClassifier(raw, 0.5, 3, chunk=10), 25, Identity())
        assert np.allclose(found.sum(axis=1, dtype=np.float64), 1, rtol=0, atol=3e-7)
        assert np.allclose(found, row, rtol=0, atol=2e-3)


@pytest.mark.parametrize(("row", "off"), [([0.5, 0.4988, 0.0], "0.0012"), ([0.6, 0.6, -0.2], "0.2"),
                                          ([0.5, 0.502, -0.002], "0.002"), ([2.0, 1.0, 3.0], "5")])
def test_rows_off_the_simplex_stop_the_run(row, off):
    with pytest.raises(ModelError) as error:
        rows(SmoothedClassifier(Scores(row), 0.5, 3, chunk=10), 25, Identity(), index=4)
    assert str(error.value) == (
        f"Input 4: a row of scores leaves the simplex by {off} (chunk 0); at most 0.001 is put down to rounding. "
        "Probabilities must be nonnegative and sum to 1; for a model that returns scores use softmax or sparsemax.")


@pytest.mark.parametrize("row", [[0.5, 0.4992, 0.0], [0.5, 0.5005, -0.0005]])
def test_rows_almost_on_the_simplex_are_put_on_it(row):
    found = rows(SmoothedClassifier(Scores(row), 0.5, 3, chunk=10), 25, Identity())
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert np.allclose(found.sum(axis=1, dtype=np.float64), 1, rtol=0, atol=3e-7)
    assert np.abs(found - row).max() < 1e-3


@pytest.mark.parametrize("simplex", ["softmax", "sparsemax", "hardmax", "identity"])
def test_nan_stops_every_map(simplex):
    class Late(nn.Module):
        def forward(self, x):
            p = torch.full((len(x), 2), 0.5)
            return torch.where(x[:, :1] > X[0] + 0.5 * 3.2, math.nan, p)

    run = SmoothedClassifier(Late(), 0.5, 2, chunk=32, batch=32).scores(X, 100_000, 0, simplex=simplex, index=7)
    given = []
    with pytest.raises(ModelError, match=r"^Input 7: the model returned NaN or infinite scores for 1 noisy copy \(chu"):
        given.extend(run)
    assert not any(np.isnan(block.rows).any() for block in given)


def test_an_unknown_map_is_refused_before_sampling():
    with pytest.raises(UnknownNameError, match="There is no simplex map named 'argmax'"):
        next(SmoothedClassifier(model(), 0.5, 4).scores(X, 10, 0, simplex="argmax"))


def test_memory_does_not_grow_with_the_samples():
    # Host noise and rows are NumPy's, so tracemalloc sees them; 150,000 rows of 4 classes would take 2.4 MB.
    classifier = SmoothedClassifier(model(), 0.5, 4, chunk=500, batch=1000)
    total = np.zeros(4)
    for block in classifier.scores(X, 1000, 0):
        total += block.rows.sum(axis=0, dtype=np.float64)
    tracemalloc.start()
    for block in classifier.scores(X, 150_000, 0):
        total += block.rows.sum(axis=0, dtype=np.float64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total.sum() == pytest.approx(151_000, rel=1e-6)
    assert peak < 1_000_000
