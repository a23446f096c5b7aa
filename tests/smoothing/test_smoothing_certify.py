"""certify and predict: the promise kept on classifiers whose smoothed probabilities are known."""

import math

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from scipy.stats import binom
from torch import nn

import rsopt
from rsopt.errors import InvalidInputError, UnknownNameError
from rsopt.smoothing import SmoothedClassifier, Stream


def halfspace(weights: list[float], bias: float) -> nn.Module:
    """Two classes; the first wins where weights · x + bias > 0."""
    layer = nn.Linear(len(weights), 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights, [0.0] * len(weights)]))
        layer.bias.copy_(torch.tensor([bias, 0.0]))
    return layer


@pytest.mark.parametrize(("functional", "true"), [
    ("probit", lambda z: 2 * z), ("margin", lambda z: 2 * ndtr(z) - 1)])
def test_bounds_on_a_half_space_err_as_rarely_as_promised(functional, true):
    # p = ndtr(distance / sigma) is known, and so is the margin. 400 runs with noise of their own at alpha = .05.
    sigma, distance, runs, alpha = 0.5, 0.3, 400, 0.05
    classifier = SmoothedClassifier(halfspace([3.0, 4.0], 0.0), sigma, 2, chunk=60)
    x = torch.tensor([0.6, 0.8]) * distance
    results = [classifier.certify(x, n=60, alpha=alpha, seed=0, index=i, label=0, functional=functional)
               for i in range(runs)]
    truth = float(true(distance / sigma))
    wrong = sum(result.bound.lower > truth for result in results)
    # Binomial(400, .05) exceeds 38 with probability 1e-4.
    assert wrong <= binom.isf(1e-4, runs, alpha) == 38
    # ... and the bound uses what it may: exact bounds on Binomial(60, p) err about alpha of the time, not never.
    assert wrong >= 1
    assert len({result.bound.lower for result in results}) > 5


@pytest.mark.parametrize("functional", ["probit", "margin"])
def test_radii_of_half_spaces_do_not_exceed_the_distance(functional):
    # The smoothed classifier of a half-space is the half-space: its robust radius is the distance to the plane.
    sigma = 0.25
    classifier = SmoothedClassifier(halfspace([1.0, -2.0, 2.0], -0.1), sigma, 2, chunk=500)
    normal = torch.tensor([1.0, -2.0, 2.0]) / 3
    radii = []
    for i, distance in enumerate(np.linspace(0.01, 0.6, 30)):
        x = normal * float(distance) + normal * 0.1 / 3
        result = classifier.certify(x, n=1000, alpha=1e-4, seed=2, index=i, n0=100, functional=functional)
        if result.predict == 0:
            assert result.radius <= distance
        else:
            assert result.radius == 0.0, "the wrong side of the plane must not be certified"
        assert result.abstain == (result.radius == 0.0) == (result.bound.lower <= 0)
        radii.append(result.radius)
    assert sum(radius > 0 for radius in radii) >= 15
    # R2 is tight on half-spaces but for the samples; R1 loses the curvature of ndtr.
    assert max(radii) >= (0.45 if functional == "probit" else 0.29)


def test_the_result_records_how_everything_came_about():
    torch.manual_seed(0)
    classifier = SmoothedClassifier(nn.Linear(4, 3), 0.5, 3, chunk=64)
    x = torch.ones(4)
    chosen = classifier.certify(x, n=500, alpha=0.01, seed=5, index=3, n0=100)
    assert chosen.chosen == "selection"
    assert chosen.selection_counts.sum() == 100
    assert chosen.bound.counts.n == 500
    assert np.array_equal(chosen.selection_counts, classifier.counts(x, 100, 5, index=3, stream=Stream.SELECTION))
    assert chosen.bound.counts.votes == tuple(classifier.counts(x, 500, 5, index=3).tolist())
    assert chosen.predict == chosen.selection_counts.argmax()
    assert chosen.provenance == classifier.provenance(5)
    assert chosen.seconds > 0
    again = rsopt.lower_bound(chosen.bound.counts, functional="probit", alpha=0.01)
    assert (chosen.bound.lower, chosen.bound.alpha) == (again.lower, 0.01)
    assert chosen.radius == again.radius(0.5)
    known = classifier.certify(x, n=500, alpha=0.01, seed=5, index=3, label=1)
    assert (known.chosen, known.predict, known.selection_counts) == ("label", 1, None)
    assert known.bound.counts.votes == chosen.bound.counts.votes


def test_the_class_is_never_chosen_on_the_samples_that_bound_it():
    # At a point between two classes the winner of the selection is a coin toss that the estimation must not know.
    classifier = SmoothedClassifier(halfspace([1.0], 0.0), 1.0, 2, chunk=100)
    agree = 0
    for i in range(200):
        result = classifier.certify([0.0], n=101, alpha=0.4, seed=1, index=i, n0=101)
        agree += int(np.argmax(result.bound.counts.votes)) == result.predict
    # Independent fair coins agree in Binomial(200, 1/2) of the cases: below 64 or above 136 with probability 2e-7.
    assert 64 <= agree <= 136


def test_functional_statistic_and_solver_are_passed_on():
    classifier = SmoothedClassifier(halfspace([1.0], 0.5), 1.0, 2, chunk=100)
    result = classifier.certify([0.0], n=200, alpha=0.01, seed=0, label=0, functional=rsopt.TaylorProbitMargin(order=5),
                                statistic="clopper-pearson")
    assert result.bound.functional == rsopt.TaylorProbitMargin(order=5)
    assert result.bound.statistic == "clopper-pearson"


class Untouched(nn.Module):
    """A model that must not be called."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise AssertionError("a sample was drawn")


class Bare(rsopt.Functional):
    """A functional of one's own, without a radius."""

    name = "bare"
    range = (-1.0, 1.0)

    def value(self, q1, q2):
        return q1 - q2


EITHER = "Give either n0 (the class is chosen on n0 separate samples) or label (the class is known)"


@pytest.mark.parametrize(("options", "text"), [
    ({}, f"{EITHER}, got n0=None, label=None."), ({"n0": 10, "label": 0}, f"{EITHER}, got n0=10, label=0."),
    ({"label": 2}, "label=2 is no class: there are 2, numbered from 0."),
    ({"label": -1}, "label=-1 is no class: there are 2, numbered from 0."),
    ({"label": 0.0}, "label must be an integer, got 0.0."),
    ({"label": 0, "alpha": 0.0}, "alpha must lie strictly between 0 and 1/2; found 0.0. It is the probability that the "
                                 "bound is wrong, for example 0.001."),
    ({"label": 0, "alpha": math.nan}, "alpha must lie strictly between 0 and 1/2; found nan. It is the probability "
                                      "that the bound is wrong, for example 0.001."),
    ({"label": 0, "alpha": 0.45}, "alpha = 0.45 is above 0.4, the largest this statistic supports. Use a smaller alpha "
                                  "or another statistic."),
    ({"label": 0, "n": 0}, "n must be a whole number of samples from 1 to 10,000,000; found 0."),
    ({"label": 0, "n": 2e2}, "n must be a whole number of samples from 1 to 10,000,000; found 200.0."),
    ({"label": 0, "n": 10_000_001}, "n must be a whole number of samples from 1 to 10,000,000; found 10000001."),
    ({"n0": 0}, "n0 must be a whole number of samples from 1 to 10,000,000; found 0."),
    ({"n0": 1.5}, "n0 must be a whole number of samples from 1 to 10,000,000; found 1.5."),
    ({"label": 0, "seed": -1}, "seed must be an integer of at least 0, got -1."),
    ({"label": 0, "seed": 1.5}, "seed must be an integer of at least 0, got 1.5."),
    ({"label": 0, "index": "a"}, "index must be an integer of at least 0, got 'a'."),
    ({"label": 0, "functional": "prbit"}, "There is no functional named 'prbit'. Did you mean 'probit'? Known: "
                                          "laplace, logit, margin, probit, taylor-probit."),
    ({"label": 0, "functional": Bare()}, "The functional 'bare' has no certified radius in rsopt; add radius(lower, "
                                         "scale) to it, or bound 'margin', 'probit' or 'taylor-probit'."),
    ({"label": 0, "statistic": "x"}, "There is no statistic named 'x'. Known: clopper-pearson, plugin, studentized."),
    ({"label": 0, "solver": "scypy"}, "There is no solver named 'scypy'. Did you mean 'scipy'? Known: botorch, "
                                      "branch-and-bound, cvxpy, cvxpy-nlp, gpkit, ipopt, pyomo, scipy.")])
def test_bad_arguments_are_refused_before_a_sample_is_drawn(options, text):
    classifier = SmoothedClassifier(Untouched(), 1.0, 2)
    with pytest.raises((InvalidInputError, UnknownNameError)) as error:
        classifier.certify([0.0], **{"n": 10, "alpha": 0.01, "seed": 0} | options)
    assert str(error.value) == text


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.inf, math.nan, True, "1", None])
def test_a_sigma_without_meaning_is_refused_with_the_classifier(sigma):
    with pytest.raises(InvalidInputError, match="sigma must be a positive number, the standard deviation of the noise"):
        SmoothedClassifier(Untouched(), sigma, 2)


def test_numbers_of_numpy_are_numbers():
    plain = SmoothedClassifier(halfspace([1.0], 0.5), 0.5, 2, chunk=50).certify(
        [0.0], n=200, alpha=0.125, seed=3, n0=20, index=4)
    found = SmoothedClassifier(halfspace([1.0], 0.5), np.float32(0.5), np.int64(2), chunk=np.int32(50)).certify(
        [0.0], n=np.int64(200), alpha=np.float32(0.125), seed=np.int64(3), n0=np.int16(20), index=np.uint8(4))
    assert (found.predict, found.radius, found.bound.alpha) == (plain.predict, plain.radius, 0.125)
    assert found.bound.counts == plain.bound.counts
    assert found.provenance == plain.provenance
    known = SmoothedClassifier(halfspace([1.0], 0.5), np.float64(0.5), 2, chunk=50).certify(
        [0.0], n=200, alpha=0.125, seed=3, label=np.int64(0), index=4)
    assert known.bound.counts == plain.bound.counts


def test_predict_finds_the_class_or_abstains():
    clear = SmoothedClassifier(halfspace([1.0], 1.0), 1.0, 2, chunk=100)
    assert clear.predict([0.0], 200, 0) == 0
    assert clear.predict([-2.0], 200, 0) == 1
    assert clear.predict([-1.0], 200, 0) is None
    with pytest.raises(InvalidInputError, match=r"alpha must lie strictly between 0 and 1/2; found 2\.0"):
        clear.predict([0.0], 200, 0, alpha=2.0)
    # A fair coin: at most alpha of the runs may name a class at all. Binomial(300, .1) exceeds 51 in 1e-4 of cases.
    named = sum(clear.predict([-1.0], 100, 0, alpha=0.1, index=i) is not None for i in range(300))
    assert 0 < named <= binom.isf(1e-4, 300, 0.1)
