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
    assert chosen.n0 == 100
    assert chosen.n == 500
    assert np.array_equal(chosen.selection_counts, classifier.counts(x, 100, 5, index=3, stream=Stream.SELECTION))
    assert np.array_equal(chosen.counts, classifier.counts(x, 500, 5, index=3))
    assert chosen.predict == chosen.selection_counts.argmax()
    assert chosen.provenance == classifier.provenance(5)
    assert chosen.seconds > 0
    again = rsopt.lower_bound(chosen.counts.tolist(), chosen.predict, functional="probit", alpha=0.01)
    assert (chosen.bound.lower, chosen.alpha) == (again.lower, 0.01)
    assert chosen.radius == again.radius(0.5)
    known = classifier.certify(x, n=500, alpha=0.01, seed=5, index=3, label=1)
    assert (known.chosen, known.predict, known.n0, known.selection_counts) == ("label", 1, 0, None)
    assert np.array_equal(known.counts, chosen.counts)


def test_the_class_is_never_chosen_on_the_samples_that_bound_it():
    # At a point between two classes the winner of the selection is a coin toss that the estimation must not know.
    classifier = SmoothedClassifier(halfspace([1.0], 0.0), 1.0, 2, chunk=100)
    agree = 0
    for i in range(200):
        result = classifier.certify([0.0], n=101, alpha=0.4, seed=1, index=i, n0=101)
        agree += int(result.counts.argmax()) == result.predict
    # Independent fair coins agree in Binomial(200, 1/2) of the cases: below 64 or above 136 with probability 2e-7.
    assert 64 <= agree <= 136


def test_functional_statistic_and_solver_are_passed_on():
    classifier = SmoothedClassifier(halfspace([1.0], 0.5), 1.0, 2, chunk=100)
    result = classifier.certify([0.0], n=200, alpha=0.01, seed=0, label=0, functional=rsopt.TaylorProbitMargin(order=5),
                                statistic="clopper-pearson")
    assert result.bound.functional == rsopt.TaylorProbitMargin(order=5)
    assert result.bound.statistic == "clopper-pearson"
    with pytest.raises(UnknownNameError, match="There is no solver named 'scypy'"):
        classifier.certify([0.0], n=200, alpha=0.01, seed=0, label=0, solver="scypy")


EITHER = "Give either n0 (the class is chosen on n0 separate samples) or label (the class is known)"


@pytest.mark.parametrize(("options", "text"), [
    ({}, f"{EITHER}, got n0=None, label=None."), ({"n0": 10, "label": 0}, f"{EITHER}, got n0=10, label=0."),
    ({"label": 2}, "label=2 is no class: there are 2, numbered from 0."),
    ({"label": -1}, "label=-1 is no class: there are 2, numbered from 0."),
    ({"label": 0, "alpha": 0.0}, "alpha must lie strictly between 0 and 1, got 0.0."),
    ({"label": 0, "alpha": math.nan}, "alpha must lie strictly between 0 and 1, got nan."),
    ({"label": 0, "n": 0}, "n must be positive and first_chunk within its 0 chunks, got n=0, first_chunk=0."),
    ({"n0": 0}, "n must be positive and first_chunk within its 0 chunks, got n=0, first_chunk=0.")])
def test_bad_arguments_are_refused(options, text):
    classifier = SmoothedClassifier(halfspace([1.0], 0.5), 1.0, 2)
    with pytest.raises(InvalidInputError) as error:
        classifier.certify([0.0], **{"n": 10, "alpha": 0.01, "seed": 0} | options)
    assert str(error.value) == text


def test_predict_finds_the_class_or_abstains():
    clear = SmoothedClassifier(halfspace([1.0], 1.0), 1.0, 2, chunk=100)
    assert clear.predict([0.0], 200, 0) == 0
    assert clear.predict([-2.0], 200, 0) == 1
    assert clear.predict([-1.0], 200, 0) is None
    with pytest.raises(InvalidInputError, match=r"alpha must lie strictly between 0 and 1, got 2\."):
        clear.predict([0.0], 200, 0, alpha=2.0)
    # A fair coin: at most alpha of the runs may name a class at all. Binomial(300, .1) exceeds 51 in 1e-4 of cases.
    named = sum(clear.predict([-1.0], 100, 0, alpha=0.1, index=i) is not None for i in range(300))
    assert 0 < named <= binom.isf(1e-4, 300, 0.1)
