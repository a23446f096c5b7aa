"""Intervals against independent implementations of their formulas, and bad input of every kind."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom
from score_laws import ADVERSARIAL

from rsopt import intervals
from rsopt.errors import InvalidInputError, UnknownNameError
from rsopt.intervals.widths import width_bernstein, width_empirical_bernstein, width_prpi_eb

UNIT = {"alpha": 0.01, "lo": 0.0, "hi": 1.0}


def values(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).beta(5.0, 2.0, n)


def prpi_eb_original(x: np.ndarray, alpha: float, fixed: bool) -> np.ndarray:
    """Bounds after every row by the formulas of Waudby-Smith & Ramdas, one-sided, vectorised over the rows.
    """
    t = np.arange(1, x.size + 1)
    mu = (0.5 + np.cumsum(x)) / (t + 1)
    s2 = (0.25 + np.cumsum((x - mu) ** 2)) / (t + 1)
    mu_before, s2_before = np.append(0.5, mu[:-1]), np.append(0.25, s2[:-1])
    steps = np.full(x.size, float(x.size)) if fixed else t * np.log(1 + t)
    lam = np.minimum(np.sqrt(2 * math.log(1 / alpha) / (s2_before * steps)), 0.5)
    psi = (-np.log(1 - lam) - lam) / 4
    v = 4 * (x - mu_before) ** 2
    return (np.cumsum(lam * x) - math.log(1 / alpha) - np.cumsum(v * psi)) / np.cumsum(lam)


@pytest.mark.parametrize("n", [1, 2, 17, 1000])
def test_prpi_eb_is_the_original_formula(n):
    for x in (values(n), (values(n, 1) < 0.4) * 1.0, np.full(n, 0.25)):
        sequence = intervals.get("prpi-eb-sequence")(x, **UNIT)
        assert sequence == pytest.approx(max(0.0, prpi_eb_original(x, 0.01, False).max()), abs=1e-12)
        interval = intervals.get("prpi-eb")(x, **UNIT)
        assert interval == pytest.approx(max(0.0, prpi_eb_original(x, 0.01, True)[-1]), abs=1e-12)


@pytest.mark.parametrize("n", [5, 64, 333])
def test_hedged_capital_is_the_lower_end_of_the_original_set(n):
    x, alpha = values(n), 0.05
    t = np.arange(1, n + 1)
    mu = (0.5 + np.cumsum(x)) / (t + 1)
    s2 = np.append(0.25, ((0.25 + np.cumsum((x - mu) ** 2)) / (t + 1))[:-1])
    lam = np.sqrt(2 * math.log(2 / alpha) / (s2 * t * np.log(1 + t)))
    grid = np.linspace(1e-4, 1 - 1e-4, 20_001)[:, None]
    plus = 0.5 * np.cumprod(1 + np.minimum(lam, 0.5 / grid) * (x - grid), axis=1)
    minus = 0.5 * np.cumprod(1 - np.minimum(lam, 0.5 / (1 - grid)) * (x - grid), axis=1)
    # The library looks at the capital every 16 rows and at the last one.
    looks = np.unique(np.append(np.arange(15, n, 16), n - 1))
    inside = np.maximum(plus[:, looks].max(axis=1), minus[:, looks].max(axis=1)) < 1 / alpha
    end = float(grid[np.argmax(inside), 0])
    bound = intervals.get("hedged-capital")(x, alpha=alpha, lo=0.0, hi=1.0)
    assert end - 1e-4 <= bound <= end


def test_hoeffding_and_empirical_bernstein_have_their_constants():
    x = np.array([0.0, 1.0] * 50)
    assert intervals.get("hoeffding")(x, **UNIT) == pytest.approx(0.5 - math.sqrt(math.log(100) / 200), abs=1e-12)
    variance = 25.0 / 99.0
    expected = 0.5 - math.sqrt(2 * variance * math.log(200) / 100) - 7 * math.log(200) / (3 * 99)
    assert intervals.get("empirical-bernstein")(x, **UNIT) == pytest.approx(expected, abs=1e-12)
    assert intervals.get("empirical-bernstein")(x[:1], **UNIT) == 0.0


def test_widths_are_those_of_their_intervals():
    x = np.array([0.0, 1.0] * 5000)
    for name, width, variance in (("empirical-bernstein", width_empirical_bernstein, x.var(ddof=1)),):
        assert 0.5 - intervals.get(name)(x, **UNIT) == pytest.approx(width(x.size, min(variance, 0.25), 0.01), rel=1e-3)
    # The interval estimates the variance as it goes and pays a little for it.
    measured = 0.5 - intervals.get("prpi-eb")(x, **UNIT)
    assert measured == pytest.approx(width_prpi_eb(x.size, 0.25, 0.01), rel=0.01)
    for n, variance in ((10, 0.2), (1000, 0.01), (10**6, 0.05)):
        log_term = math.log(100.0)
        leading = math.sqrt(2 * variance * log_term / n)
        assert width_bernstein(n, variance, 0.01) == pytest.approx(leading + log_term / (3 * n))
        assert width_bernstein(n, variance, 0.01) <= width_empirical_bernstein(n, variance, 0.01)
        assert width_prpi_eb(n, variance, 0.01) >= leading
    assert width_prpi_eb(10**8, 0.05, 0.01) == pytest.approx(math.sqrt(0.1 * math.log(100) / 1e8), rel=1e-3)
    for width in (width_bernstein, width_empirical_bernstein, width_prpi_eb):
        for bad in ((0, 0.1, 0.01), (10, 0.3, 0.01), (10, math.nan, 0.01), (10, 0.1, 0.5)):
            with pytest.raises(InvalidInputError):
                width(*bad)


@pytest.mark.parametrize("name", intervals.names())
def test_ranges_and_weights(name):
    interval = intervals.get(name)
    x = values(400)
    bound = interval(x, **UNIT)
    assert 0.0 < bound < x.mean()
    assert interval(7.0 * x - 3.0, alpha=0.01, lo=-3.0, hi=4.0) == pytest.approx(7.0 * bound - 3.0, abs=1e-9)
    rows = np.stack([x, 1.0 - x], axis=1)
    contrast = interval(rows, weights=[1.0, -1.0], alpha=0.01, lo=-1.0, hi=1.0)
    assert contrast == pytest.approx(2.0 * bound - 1.0, abs=1e-9)
    assert interval(np.zeros(50), **UNIT) == 0.0
    assert interval(x.astype(np.float32), **UNIT) == pytest.approx(bound, abs=1e-6)
    assert interval(x, alpha=1e-4, lo=0.0, hi=1.0) < bound


@pytest.mark.parametrize("name", intervals.names())
@pytest.mark.parametrize(("change", "text"), [
    ({"rows": []}, "no rows"), ({"rows": np.empty(0)}, "no rows"), ({"rows": [0.5, math.nan]}, "Row 1 is nan"),
    ({"rows": [0.5, math.inf]}, "Row 1 is inf"), ({"rows": [0.5, 1.1]}, "Row 1 has the value 1.1"),
    ({"rows": [-0.1, 0.5]}, "Row 0 has the value -0.1"), ({"rows": [[0.5, 0.5]]}, "Without weights"),
    ({"rows": 0.5}, "Without weights"), ({"rows": "many"}, "real numbers"), ({"rows": [1j]}, "real numbers"),
    ({"alpha": 0.0}, "alpha"), ({"alpha": 0.5}, "alpha"), ({"alpha": 1.5}, "alpha"), ({"alpha": math.nan}, "alpha"),
    ({"alpha": "small"}, "alpha"), ({"alpha": True}, "alpha"), ({"lo": 1.0}, "lo < hi"), ({"hi": math.inf}, "lo < hi"),
    ({"weights": [1.0]}, "Weights of shape"), ({"rows": [[0.5, 0.5]], "weights": [1.0]}, "Weights of shape"),
])
def test_bad_input_is_named(name, change, text):
    arguments = {"rows": [0.5, 0.7], **UNIT, **change}
    with pytest.raises(InvalidInputError, match=text):
        intervals.get(name)(arguments.pop("rows"), **arguments)


def test_names():
    assert intervals.names()[-1] == "digital-hedge"
    assert not intervals.is_time_uniform("prpi-eb")
    with pytest.raises(UnknownNameError, match="Did you mean 'hoeffding'"):
        intervals.get("hoefding")
    with pytest.raises(UnknownNameError, match="Known: digital-hedge"):
        intervals.is_time_uniform("")


def test_the_digital_hedge_is_tightest_from_a_thousand_rows_on():
    for n in (1000, 20_000):
        for law in (lambda rng, n: rng.beta(5.0, 2.0, n), lambda rng, n: (rng.random(n) < 0.8) * 1.0,
                    lambda rng, n: rng.beta(10.0, 2.0, n)):
            means = {name: np.mean([intervals.get(name)(law(np.random.default_rng(seed), n), **UNIT)
                                    for seed in range(20)]) for name in intervals.names()}
            assert max(means, key=means.get) == "digital-hedge"


def test_coverage_by_simulation():
    # 100 runs at alpha = .05: with a true error of .05, more than 22 errors have probability below 1e-8 (mean 5).
    runs, n, alpha, allowed = 100, 150, 0.05, 22
    assert binom.sf(allowed, runs, alpha) < 1e-8
    for name, law in ADVERSARIAL.items():
        rng = np.random.default_rng(11)
        truth = float(law(np.random.default_rng(12), 400_000)[:, 0].mean())
        # The simulated mean is off by its own standard error; four of them are granted.
        truth += 4.0 * float(law(np.random.default_rng(13), 20_000)[:, 0].std()) / 400_000**0.5
        samples = [law(rng, n)[:, 0] for _ in range(runs)]
        for method in intervals.names():
            interval = intervals.get(method)
            errors = sum(interval(x, alpha=alpha, lo=0.0, hi=1.0) > truth for x in samples)
            assert errors <= allowed, f"{method} erred in {errors} of {runs} runs on {name}"
