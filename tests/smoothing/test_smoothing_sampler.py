"""Counts: the same whatever is in flight, in whatever order, wherever interrupted; and right."""

import dataclasses
import io
import math

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from torch import nn

from rsopt.errors import InvalidInputError
from rsopt.smoothing import Provenance, SmoothedClassifier, Stream, fingerprint
from rsopt.smoothing import progress as progress_module
from rsopt.smoothing.progress import progress_bar

SHAPE = (1, 8, 8)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
                         nn.Linear(512, 5))


def image(seed: int = 0) -> torch.Tensor:
    return torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed))


def linear(weights: list[float], bias: float) -> nn.Module:
    """Two classes; the first wins where weights · x + bias > 0."""
    layer = nn.Linear(len(weights), 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights, [0.0] * len(weights)]))
        layer.bias.copy_(torch.tensor([bias, 0.0]))
    return layer


def collect(run, kept: list) -> None:
    for done in run:
        kept.append(done)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 1000])
def test_counts_do_not_depend_on_what_is_in_flight(n):
    model = network()
    found = [SmoothedClassifier(model, 0.5, 5, chunk=64, batch=64 * flight).counts(image(), n, 9)
             for flight in (1, 3, 8)]
    assert found[0].sum() == n
    assert found[0].dtype == np.int64
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    if n == 1000:
        assert (found[0] > 0).sum() > 1, "a vote that never changes would make this test vacuous"


def test_counts_do_not_depend_on_the_order_of_inputs():
    classifier = SmoothedClassifier(network(), 0.5, 5, chunk=64)
    forward = [classifier.counts(image(i), 200, 1, index=i) for i in range(4)]
    backward = [classifier.counts(image(i), 200, 1, index=i) for i in reversed(range(4))][::-1]
    assert np.array_equal(forward, backward)


def test_an_interrupted_run_goes_on_to_the_same_counts():
    classifier = SmoothedClassifier(network(), 0.5, 5, chunk=64, batch=64 * 3)
    whole = classifier.counts(image(), 1000, 1)
    for stop in (0, 1, 2, 3, 7, 15, 16):
        kept = np.zeros(5, dtype=np.int64)
        with classifier.sampler(1) as sampler:
            run = sampler.iter_counts(image(), 0, 1000)
            for _ in range(stop):
                kept += next(run).counts
            run.close()
        with classifier.sampler(1) as sampler:
            rest = list(sampler.iter_counts(image(), 0, 1000, first_chunk=stop))
        assert [done.chunk for done in rest] == list(range(stop, 16))
        assert np.array_equal(kept + sum((done.counts for done in rest), np.zeros(5, dtype=np.int64)), whole)


def test_an_interruption_inside_the_model_loses_only_what_was_in_flight():
    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()
            self.calls_left = 1000

        def forward(self, x):
            self.calls_left -= 1
            if self.calls_left < 0:
                raise KeyboardInterrupt
            return self.inner(x)

    model = Breaks()
    classifier = SmoothedClassifier(model, 0.5, 5, chunk=64, batch=64 * 2)
    whole = classifier.counts(image(), 640, 1)
    model.calls_left = 5
    kept = []
    with classifier.sampler(1) as sampler, pytest.raises(KeyboardInterrupt):
        collect(sampler.iter_counts(image(), 0, 640), kept)
    assert [done.chunk for done in kept] == [0, 1, 2, 3], "two windows of two were finished, the third was not"
    model.calls_left = 1000
    with classifier.sampler(1) as sampler:
        kept.extend(sampler.iter_counts(image(), 0, 640, first_chunk=4))
    assert np.array_equal(sum((done.counts for done in kept), np.zeros(5, dtype=np.int64)), whole)


def test_single_chunks_add_up_in_any_order():
    classifier = SmoothedClassifier(network(), 0.5, 5, chunk=64)
    whole = classifier.counts(image(), 300, 1, index=7)
    with classifier.sampler(1) as sampler:
        assert sampler.chunks_of(300) == 5
        parts = [sampler.chunk_counts(image(), 7, chunk, rows=44 if chunk == 4 else None) for chunk in (3, 0, 4, 2, 1)]
    assert np.array_equal(np.sum(parts, axis=0), whole)


def test_a_partial_chunk_counts_the_first_rows_of_the_whole_one():
    # More samples later must extend the ones there are, not replace them.
    classifier = SmoothedClassifier(network(), 0.5, 5, chunk=50)
    with classifier.sampler(1) as sampler:
        grown = [sampler.chunk_counts(image(), 0, 0, rows=rows) for rows in range(1, 51)]
    assert [int(counts.sum()) for counts in grown] == list(range(1, 51))
    assert all((np.diff(grown, axis=0) >= 0).all(axis=1))


def test_streams_seeds_and_indices_have_noise_of_their_own():
    classifier = SmoothedClassifier(linear([1.0, 0.0], 0.0), 1.0, 2, chunk=1000)
    x = torch.zeros(2)
    seen = {tuple(classifier.counts(x, 1000, seed, index=index, stream=stream).tolist())
            for seed in (0, 2**32) for index in (0, 1) for stream in (Stream.SELECTION, Stream.ESTIMATION)}
    # Eight independent Binomial(1000, 1/2) counts agree pairwise with probability 0.018; the seeds are fixed.
    assert len(seen) == 8


@pytest.mark.parametrize(("weights", "bias", "sigma", "point"), [
    ([1.0], 0.3, 0.5, [0.0]), ([3.0, -4.0], -1.0, 0.25, [0.6, 0.1]), ([0.1] * 16, 0.2, 1.0, [-0.05] * 16)])
def test_votes_of_a_linear_classifier_have_the_known_probability(weights, bias, sigma, point):
    n = 200_000
    counts = SmoothedClassifier(linear(weights, bias), sigma, 2, chunk=2000).counts(torch.tensor(point), n, 3)
    p = ndtr((np.dot(weights, point) + bias) / (sigma * np.linalg.norm(weights)))
    # Five standard errors of a binomial frequency.
    assert abs(counts[0] / n - p) < 5 * math.sqrt(p * (1 - p) / n)


def test_three_dimensional_votes_have_the_known_probabilities():
    # argmax of x + noise around 0 in K dimensions: every class has probability 1/K by symmetry.
    counts = SmoothedClassifier(nn.Identity(), 1.0, 7, chunk=700).counts(torch.zeros(7), 70_000, 0)
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 30  # chi-square with 6 degrees: P(> 30) = 4e-5


def test_ties_go_to_the_first_class():
    class Constant(nn.Module):
        def forward(self, x):
            return torch.ones(len(x), 3)

    assert SmoothedClassifier(Constant(), 1.0, 3, chunk=10).counts(torch.zeros(2), 25, 0).tolist() == [25, 0, 0]


def test_a_class_masked_by_minus_infinity_is_an_answer():
    class Masked(nn.Module):
        def forward(self, x):
            return torch.cat([x, torch.full((len(x), 1), -math.inf)], dim=1)

    counts = SmoothedClassifier(Masked(), 1.0, 3, chunk=100).counts(torch.zeros(2), 100, 0)
    assert counts[2] == 0
    assert counts.sum() == 100


@pytest.mark.parametrize("kind", ["autocast", "cast", "double"])
def test_other_precisions_repeat_and_are_recorded(kind):
    seen = []

    class Watching(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Flatten(), nn.Linear(64, 5))

        def forward(self, x):
            seen.append(x)
            return self.inner(x)

    torch.manual_seed(0)
    model = Watching()
    autocast = torch.bfloat16 if kind == "autocast" else None
    model.to({"autocast": torch.float32, "cast": torch.bfloat16, "double": torch.float64}[kind])
    found = [SmoothedClassifier(model, 0.5, 5, chunk=32, batch=32 * flight, autocast=autocast).counts(image(), 320, 4)
             for flight in (1, 3, 8)]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    record = SmoothedClassifier(model, 0.5, 5, autocast=autocast).provenance(4)
    assert record.autocast == ("bfloat16" if kind == "autocast" else None)
    expected = {"autocast": torch.float32, "cast": torch.bfloat16, "double": torch.float64}[kind]
    assert record.input_dtype == str(expected).removeprefix("torch.")
    # Drawn and added in float32, cast afterwards: the same copies in every precision.
    plain = []
    catcher = nn.Flatten()
    catcher.register_forward_hook(lambda module, arguments, output: plain.append(arguments[0].clone()))
    SmoothedClassifier(nn.Sequential(catcher, nn.Linear(64, 5)), 0.5, 5, chunk=32, batch=32).counts(image(), 320, 4)
    assert torch.equal(seen[4], plain[4].to(expected))


def test_a_compiled_model_repeats_and_is_recorded():
    classifiers = [SmoothedClassifier(network(), 0.5, 5, chunk=32, batch=32 * flight, compile_backend="aot_eager")
                   for flight in (1, 3)]
    assert np.array_equal(*(classifier.counts(image(), 160, 4) for classifier in classifiers))
    assert classifiers[0].provenance(4).compile_backend == "aot_eager"


def test_the_record_names_every_condition_and_every_difference():
    classifier = SmoothedClassifier(network(), 0.5, 5, chunk=64)
    record = classifier.provenance(3)
    assert record.as_dict() == {
        "scheme": 1, "seed": 3, "sigma": 0.5, "chunk": 64, "num_classes": 5, "noise": "numpy Philox, Box-Muller",
        "device": f"cpu ({torch.backends.cpu.get_cpu_capability()})",
        "input_dtype": "float32", "autocast": None, "compile_backend": None,
        "matmul": torch.get_float32_matmul_precision(), "threads": torch.get_num_threads(),
        "torch": torch.__version__, "numpy": np.__version__}
    assert Provenance(**record.as_dict()) == record
    assert record.differences(dataclasses.replace(record, sigma=0.25, torch="1.0")) == [
        "sigma is 0.5 here and 0.25 there", f"torch is {torch.__version__!r} here and '1.0' there"]
    assert SmoothedClassifier(network(), 0.5, 5, chunk=64, batch=1).provenance(3) == record


def test_the_fingerprint_follows_weights_and_structure():
    base = fingerprint(network())
    assert fingerprint(network()) == base
    assert fingerprint(network(1)) != base
    changed = network()
    changed[1].running_mean[0] += 1e-6
    assert fingerprint(changed) != base
    assert fingerprint(nn.Sequential(*network(), nn.ReLU())) != base
    assert fingerprint(network().bfloat16()) != base


SIGMA_TEXT = ("sigma must be a positive number, the standard deviation of the noise in the units of the input; "
              "found ")


@pytest.mark.parametrize(("fields", "text"), [
    ({"sigma": 0.0}, SIGMA_TEXT + "0.0."),
    ({"sigma": math.nan}, SIGMA_TEXT + "nan."),
    ({"sigma": math.inf}, SIGMA_TEXT + "inf."),
    ({"num_classes": 1}, "num_classes must be an integer of at least 2, got 1."),
    ({"chunk": 0}, "chunk must be an integer of at least 1, got 0."),
    ({"chunk": 1.5}, "chunk must be an integer of at least 1, got 1.5."),
    ({"batch": True}, "batch must be an integer of at least 1, got True."),
    ({"autocast": torch.int8}, "autocast must be a floating-point dtype, got torch.int8."),
    ({"model": "resnet"}, "model must be a torch.nn.Module, got str.")])
def test_bad_fields_are_refused(fields, text):
    with pytest.raises(InvalidInputError) as error:
        SmoothedClassifier(**{"model": nn.Identity(), "sigma": 0.5, "num_classes": 5} | fields)
    assert str(error.value) == text


@pytest.mark.parametrize(("x", "n", "seed", "text"), [
    ([0.0, math.nan], 5, 0, "Input 3 holds NaN or infinite values."),
    ([0.0, 1e300], 5, 0, "Input 3 holds NaN or infinite values."),
    (["a", "b"], 5, 0, "Input 3 is not an array of real numbers (<U1)."),
    ([1j, 0], 5, 0, "Input 3 is not an array of real numbers (complex128)."),
    (torch.zeros(2, dtype=torch.complex64), 5, 0, "Input 3 is not an array of real numbers (torch.complex64)."),
    ([0.0, 0.0], 0, 0, "n must be a whole number of samples from 1 to 10,000,000; found 0."),
    ([0.0, 0.0], 5, -1, "seed must be an integer of at least 0, got -1.")])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_bad_inputs_are_refused(x, n, seed, text):
    with pytest.raises(InvalidInputError) as error:
        SmoothedClassifier(nn.Identity(), 0.5, 2).counts(x, n, seed, index=3)
    assert str(error.value) == text


def test_a_closed_sampler_draws_nothing():
    sampler = SmoothedClassifier(nn.Identity(), 0.5, 2, chunk=4).sampler(0)
    with pytest.raises(InvalidInputError, match="The sampler is closed"):
        sampler.chunk_counts([0.0, 0.0], 0, 0)
    with sampler:
        run = sampler.iter_counts([0.0, 0.0], 0, 8000)
        next(run)
    with pytest.raises(InvalidInputError, match="The sampler is closed"):
        list(run)


def test_rows_of_a_single_chunk_are_checked():
    with SmoothedClassifier(nn.Identity(), 0.5, 2, chunk=4).sampler(0) as sampler:
        for rows in (0, 5):
            with pytest.raises(InvalidInputError, match=rf"rows must lie in \[1, 4\], got {rows}\."):
                sampler.chunk_counts([0.0, 0.0], 0, 0, rows=rows)


def test_a_model_on_another_device_is_named():
    with pytest.raises(InvalidInputError) as error:
        SmoothedClassifier(nn.Linear(2, 2), 0.5, 2, device="meta").counts([0.0, 0.0], 5, 0)
    assert str(error.value) == ("device='meta' was asked for, but the model lies on cpu. "
                                "Move it with model.to('meta').")
    torn = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
    with pytest.raises(InvalidInputError, match=r"The model lies on several devices \(cpu, meta\)"):
        SmoothedClassifier(torn, 0.5, 2).counts([0.0, 0.0], 5, 0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "enabled", "total", "shown"), [
    (Terminal(), True, 10**9, True), (Terminal(), False, 10**9, False), (io.StringIO(), True, 10**9, False),
    (Terminal(), True, 3, False)])
def test_a_bar_is_shown_on_a_terminal_when_the_run_is_long(monkeypatch, stream, enabled, total, shown):
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: float(next(clock)))
    with progress_bar("input 0", total, enabled) as advance:
        for _ in range(min(10, total)):
            advance(1)
    assert ("input 0" in stream.getvalue()) == shown
