"""Bounds on scores: the public function, streams, groups, radii, one-hot rows, validity by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import beta, binom
from score_laws import ADVERSARIAL, LAWS, Truth, votes

import rsopt
from rsopt.errors import InvalidInputError, UnknownNameError
from rsopt.noise import Gaussian, Laplace, Logistic, Uniform
from rsopt.scores.lower_bound_scores import lower_bound_scores, score_methods
from rsopt.scores.rows import pooled_groups
from rsopt.scores.score_bound import ScoreBound
from rsopt.scores.stream import ScoreStream

BETTING = ("digital-hedge", "fast-betting")
FUNCTIONALS = ("margin", "probit", "laplace", "logit")


def value_of(functional: str, p: float, q: float) -> float:
    """The functional of two means, written anew."""
    links = {"margin": lambda x: x, "probit": ndtri, "logit": lambda x: math.log(x / (1.0 - x)),
             "laplace": lambda x: math.log(2.0 * x) if x <= 0.5 else -math.log(2.0 * (1.0 - x))}
    return float(links[functional](p) - links[functional](q))


def rows_of(name: str, n: int, seed: int = 0) -> np.ndarray:
    return LAWS[name](np.random.default_rng(seed), n)


def streamed(rows: np.ndarray, portions: list[int], **options: object) -> ScoreBound:
    stream = ScoreStream(rows.shape[0], rows.shape[1], **options)
    start = 0
    for size in portions:
        stream.push(rows[start:start + size])
        start += size
    return stream.bound()


@pytest.mark.parametrize("functional", FUNCTIONALS)
def test_every_method_bounds_every_law(functional):
    for name in LAWS:
        rows = rows_of(name, 2000)
        truth = Truth.of(LAWS[name], 200_000)
        value = value_of(functional, *truth.means[:2])
        for method in score_methods(functional):
            bound = lower_bound_scores(rows, top=0, functional=functional, method=method)
            assert 0.0 < bound.lower < value, (name, method)
            assert (bound.method, bound.functional, bound.top, bound.n) == (method, functional, 0, 2000)
            assert bound.alpha == 1e-3
            assert bound.proven
            assert bound.certified
            assert not bound.abstain
            if name not in ("softmax, T=1", "dirichlet, mean .999"):
                assert bound.runner_up == (1,)


def test_the_digital_hedge_leads_at_a_thousand_rows():
    for functional in ("margin", "probit"):
        for name in LAWS:
            means = {method: np.mean([max(lower_bound_scores(rows_of(name, 1000, seed), top=0, method=method,
                                                             functional=functional).lower, 0.0)
                                      for seed in range(8)]) for method in score_methods(functional)}
            # On scores that are votes already, drawing them loses nothing, and the exact bound is on counts.
            assert max(means, key=means.get) == ("drawn-votes" if name.startswith("votes") else "digital-hedge"), name


@pytest.mark.parametrize("method", BETTING)
@pytest.mark.parametrize("functional", FUNCTIONALS)
def test_streams_do_not_depend_on_the_portions(functional, method):
    rows = rows_of("softmax, T=1", 3000).astype(np.float16)
    options = {"top": 0, "functional": functional, "method": method}
    whole = lower_bound_scores(rows, **options)
    for portions in ([3000], [1] * 50 + [2950], [299, 1, 700, 1999, 1], [7] * 428 + [4]):
        assert streamed(rows, portions, **options) == whole


@pytest.mark.parametrize("method", BETTING)
def test_bounds_along_a_stream_hold_back_and_then_agree(method):
    rows = rows_of("beta(8,2)", 4000)
    stream = ScoreStream(4000, 2, top=0, functional="probit", method=method)
    bounds = []
    for start in range(0, 4000, 400):
        stream.push(rows[start:start + 400])
        bounds.append(stream.bound().lower)
    assert bounds[-1] == lower_bound_scores(rows, top=0, functional="probit", method=method).lower
    assert max(bounds) < Truth.of(LAWS["beta(8,2)"], 100_000).probit
    # The grid is fixed after the first stage, so the digital hedge's bounds never fall.
    if method == "digital-hedge":
        assert (np.diff([max(bound, -1.0) for bound in bounds]) >= 0.0).all()
    with pytest.raises(InvalidInputError, match="planned for 4000 rows; these would make 4001"):
        stream.push(rows[:1])
    assert stream.bound().lower == bounds[-1]


def test_a_stream_keeps_little():
    stream = ScoreStream(200_000, 2, top=0, functional="probit")
    rng = np.random.default_rng(3)
    for _ in range(20):
        stream.push(LAWS["beta(8,2)"](rng, 10_000))
    pair = stream._pairs[0]
    assert pair.records.shape[0] < 700
    assert pair.kept.size < 1000


def test_memory_mapped_rows(tmp_path):
    rows = rows_of("sparsemax", 5000).astype(np.float32)
    mapped = np.memmap(tmp_path / "rows", dtype=np.float32, mode="w+", shape=rows.shape)
    mapped[:] = rows
    for method in ("digital-hedge", "prpi-eb-bonferroni"):
        assert lower_bound_scores(mapped, top=0, method=method) == lower_bound_scores(rows, top=0, method=method)


def test_half_precision_rows_and_rows_off_the_simplex():
    rows = rows_of("softmax, T=1", 2000)
    exact = lower_bound_scores(rows, top=0, functional="margin").lower
    half = lower_bound_scores(rows.astype(np.float16), top=0, functional="margin").lower
    assert half == pytest.approx(exact, abs=1e-3)
    # Entries outside [0, 1] count as clipped: a certified class above 1 or rivals below 0 gain nothing.
    loose = np.tile([1.0009, -0.0005, -0.0002], (500, 1))
    tight = np.tile([1.0, 0.0, 0.0], (500, 1))
    for functional in FUNCTIONALS:
        for method in score_methods(functional):
            options = {"top": 0, "functional": functional, "method": method}
            assert lower_bound_scores(loose, **options).lower == lower_bound_scores(tight, **options).lower


@pytest.mark.parametrize("functional", FUNCTIONALS)
def test_groups(functional):
    rows = rows_of("softmax, T=1", 2000)
    options = {"top": 0, "functional": functional}
    alone = lower_bound_scores(rows, **options)
    groups = ((1,), (2,), (3, 4), (5, 6), (7, 8, 9))
    pooled = lower_bound_scores(rows, **options, groups=groups)
    assert pooled.lower == pytest.approx(alone.lower, rel=0.01)
    assert pooled.runner_up == (1,)
    everything = lower_bound_scores(rows, **options, groups=[range(1, 10)])
    assert everything.lower < pooled.lower
    assert everything.runner_up == tuple(range(1, 10))
    selection = rows_of("softmax, T=1", 100, seed=9)
    chosen = lower_bound_scores(rows, **options, selection=selection)
    assert chosen.lower == pytest.approx(alone.lower, rel=0.02)
    # A permutation of the classes changes nothing.
    order = np.array([3, 0, 9, 1, 2, 4, 5, 6, 7, 8])
    moved = lower_bound_scores(rows[:, order], top=1, functional=functional)
    assert moved.lower == alone.lower
    assert order[moved.runner_up[0]] == alone.runner_up[0]
    # A class that never scores changes nothing either.
    wider = lower_bound_scores(np.hstack([rows, np.zeros((2000, 1))]), top=0, functional=functional)
    assert wider.lower == alone.lower


def test_pooled_groups_leave_the_strong_alone():
    selection = np.tile([0.6, 0.2, 0.1, 0.04, 0.03, 0.02, 0.01], (10, 1))
    assert pooled_groups(selection, 0) == ((1,), (2,), (3,), (4,), (5, 6))
    # Where the sample is unanimous, the strongest four stay alone all the same.
    unanimous = np.tile([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], (10, 1))
    assert pooled_groups(unanimous, 0) == ((6,), (5,), (4,), (3,), (1, 2))
    # Ties are rivals of each other: none of them is hopeless.
    assert len(pooled_groups(np.tile([0.4, 0.2, 0.2, 0.2], (10, 1)), 0)) == 3
    hopeless = np.full(998, 1e-5)
    groups = pooled_groups(np.tile([0.8, 1.0 - 0.8 - hopeless.sum(), *hopeless], (10, 1)), 0)
    assert groups == ((1,), (999,), (998,), (997,), tuple(range(2, 997)))


def test_identical_rivals_cost_nothing():
    # A minimum over rivals needs no correction: a second copy of the runner-up leaves the bound where it is.
    rng = np.random.default_rng(4)
    a, y = rng.dirichlet([6.0, 2.0, 2.0], 3000)[:, :2].T
    two = np.stack([a, y / 2, y / 2, 1.0 - a - y], axis=1)
    one = np.stack([a, y / 2, 1.0 - a - y / 2], axis=1)
    for functional in ("margin", "probit"):
        assert (lower_bound_scores(two, top=0, functional=functional, groups=[(1,), (2,), (3,)]).lower
                >= lower_bound_scores(one, top=0, functional=functional).lower - 1e-3)


@pytest.mark.parametrize("functional", FUNCTIONALS)
def test_one_hot_rows_against_the_exact_bound_on_counts(functional):
    # Both bound the same functional of the same votes. The exact one is the tightest on counts; the soft one
    # sees the order too, so it may lie on either side, but not by more than its looseness: measured at n =
    # 1000, a tenth of the width (plug-in minus exact bound) on average and a third in a single run.
    gaps = []
    for seed, p in enumerate([(0.7, 0.2, 0.1), (0.55, 0.3, 0.15), (0.9, 0.06, 0.04), (0.97, 0.02, 0.01)] * 3):
        rows = votes(*p)(np.random.default_rng(seed), 1000)
        counts = rows.sum(axis=0).astype(int)
        exact = rsopt.lower_bound(counts.tolist(), top=0, functional=functional, alpha=1e-3)
        soft = lower_bound_scores(rows, top=0, functional=functional)
        shares = counts / 1000
        plugin = value_of(functional, *shares[:2])
        width = plugin - exact.lower
        assert exact.lower_at_most - soft.lower >= -0.34 * width
        assert exact.lower - soft.lower <= 0.34 * width
        gaps.append((exact.lower - soft.lower) / width)
    assert -0.05 <= np.mean(gaps) <= 0.12


def test_radii():
    margin = lower_bound_scores(rows_of("beta(8,2)", 1000), top=0, functional="margin")
    probit = lower_bound_scores(rows_of("beta(8,2)", 1000), top=0, functional="probit")
    sigma = 0.25
    assert probit.radius(sigma) == pytest.approx(sigma / 2 * probit.lower, rel=1e-12)
    assert probit.radius(sigma=sigma) == probit.radius(sigma)
    assert margin.radius(sigma) == pytest.approx(margin.lower * sigma * math.sqrt(math.pi / 2), rel=1e-12)
    constant = 1.0 / (sigma * math.sqrt(math.pi))
    assert margin.radius(lipschitz=constant) == pytest.approx(margin.radius(sigma), rel=1e-12)
    assert margin.radius(Gaussian(sigma)) == margin.radius(sigma)
    assert margin.radius(Uniform(0.5)) == Uniform(0.5).radius("margin", margin.lower) == pytest.approx(
        0.5 * margin.lower, rel=1e-12)
    assert margin.radius(Uniform(0.5), norm="linf", dimension=4) == pytest.approx(margin.lower / 8, rel=1e-12)
    free = margin.same_event_radius(sigma)
    assert free == pytest.approx(sigma * ndtri((1 + margin.lower) / 2), rel=1e-12)
    assert free >= margin.radius(sigma)
    assert margin.same_event_radius(sigma, lipschitz=0.1) == margin.radius(lipschitz=0.1) > free
    assert margin.same_event_radius(sigma, lipschitz=100.0) == free
    for call, text in (
            (lambda: probit.radius(lipschitz=1.0), "not a bound on 'probit'"),
            (lambda: margin.radius(), "Give sigma"),
            (lambda: margin.radius(0.25, lipschitz=1.0), "not both"),
            (lambda: margin.radius(sigma=0.25, lipschitz=1.0), "not both"),
            (lambda: margin.radius(0.25, sigma=0.25), "not both"),
            (lambda: margin.radius(lipschitz=1.0, norm="linf"), "norm belongs to a noise"),
            (lambda: probit.radius(Laplace(0.5)), "has no radius by bounds on 'probit'"),
            (lambda: margin.radius(0.0), "positive"), (lambda: margin.radius(math.nan), "positive"),
            (lambda: margin.radius(lipschitz=-1.0), "positive"),
            (lambda: probit.same_event_radius(0.25), "bound on the margin")):
        with pytest.raises(InvalidInputError, match=text):
            call()


def test_a_negative_bound_is_an_abstention():
    rows = rows_of("dirichlet(6,3,1)", 500)[:, [1, 0, 2]]
    margin = lower_bound_scores(rows, top=0, functional="margin")
    probit = lower_bound_scores(rows, top=0, functional="probit")
    assert -1.0 < margin.lower < 0.0
    assert margin.abstain
    assert margin.radius(1.0) == margin.radius(lipschitz=1.0) == margin.same_event_radius(1.0) == 0.0
    assert probit.lower == -math.inf
    assert probit.abstain
    assert probit.radius(1.0) == 0.0
    assert probit.to_dict()["lower"] is None
    assert probit.to_dict()["abstain"] is True
    assert margin.to_dict()["lower"] == margin.lower


@pytest.mark.parametrize(("functional", "noise"), [("laplace", Laplace(0.5)), ("logit", Logistic(0.5))])
def test_bounds_by_tangents_dominate_those_by_the_margin(functional, noise):
    """b = 1 is a slope like any other: the radius is not much below that of the margin, and mostly above it."""
    ratios = []
    for name in LAWS:
        rows = rows_of(name, 4000)
        own, margin = (lower_bound_scores(rows, top=0, functional=g) for g in (functional, "margin"))
        assert own.radius(noise) == pytest.approx(0.25 * own.lower, rel=1e-12)
        ratios.append(own.radius(noise) / margin.radius(noise))
        # And it is below the radius of the true means.
        truth = Truth.of(LAWS[name], 200_000).means
        assert own.lower < value_of(functional, *truth[:2])
    assert min(ratios) >= 0.96
    assert max(ratios) >= 1.05
    assert np.mean(ratios) > 1.0


@pytest.mark.parametrize("functional", ["probit", "laplace", "logit"])
def test_an_abstention_of_every_link_is_minus_infinity(functional):
    rows = rows_of("dirichlet(6,3,1)", 500)[:, [1, 0, 2]]
    for method in ("digital-hedge", "fast-betting", "drawn-votes"):
        bound = lower_bound_scores(rows, top=0, functional=functional, method=method)
        assert (bound.lower, bound.abstain) == (-math.inf, True)
    apart = lower_bound_scores(rows, top=0, functional=functional, method="hoeffding-bonferroni")
    assert apart.lower < 0.0
    assert apart.abstain


def test_tangent_bound_contains_the_margin_bound():
    # b = 1 is a slope like any other: the probit bound is not much below what the margin bound implies.
    for name in LAWS:
        rows = rows_of(name, 4000)
        margin = lower_bound_scores(rows, top=0, functional="margin").lower
        probit = lower_bound_scores(rows, top=0, functional="probit").lower
        assert probit >= 0.97 * 2.0 * ndtri(0.5 * (1.0 + margin))
        assert ndtr(probit / 2) <= 1.0


@pytest.mark.parametrize(("change", "text"), [
    ({
        "scores": np.empty((0, 3))
    }, "no score rows"),
    ({
        "scores": np.zeros(3)
    }, "shape"),
    ({
        "scores": np.ones((4, 1))
    }, "at least two classes"),
    ({
        "scores": [["a", "b"]]
    }, "real numbers"),
    ({
        "scores": [[0.5, 0.5], [0.5]]
    }, "real numbers"),
    ({
        "scores": [[0.5, math.nan]]
    }, "Row 0 holds NaN"),
    ({
        "scores": [[0.5, 0.5], [math.inf, -math.inf]]
    }, "Row 1 holds NaN"),
    ({
        "scores": [[0.5, 0.6]]
    }, "Row 0 sums to 1.1"),
    ({
        "scores": [[3.0, -2.0]]
    }, "Row 0 holds the score -2"),
    ({
        "scores": [[1.002, -0.002]]
    }, "Row 0 holds the score"),
    ({
        "scores": [[0.5, 0.502]]
    }, "sums to 1.002"),
    ({
        "top": 2
    }, "top must be"),
    ({
        "top": -1
    }, "top must be"),
    ({
        "top": 0.0
    }, "top must be"),
    ({
        "top": True
    }, "top must be"),
    ({
        "top": None
    }, "top must be"),
    ({
        "alpha": 0.0
    }, "alpha"),
    ({
        "alpha": 0.5
    }, "alpha"),
    ({
        "alpha": math.nan
    }, "alpha"),
    ({
        "alpha": None
    }, "alpha"),
    ({
        "groups": []
    }, "groups must hold"),
    ({
        "groups": [[0], [1]]
    }, "groups must hold"),
    ({
        "groups": [[1], []]
    }, "groups must hold"),
    ({
        "groups": [[1], [1]]
    }, "groups must hold"),
    ({
        "selection": [[0.2, 0.2, 0.6]]
    }, "Expected rows of 2 classes"),
])
@pytest.mark.parametrize("method", ["digital-hedge", "hoeffding-bonferroni"])
def test_bad_input_is_named(method, change, text):
    arguments = {"scores": [[0.5, 0.5], [0.6, 0.4]], "top": 0, "method": method, **change}
    with pytest.raises(InvalidInputError, match=text):
        lower_bound_scores(arguments.pop("scores"), **arguments)


def test_bad_rows_late_in_a_stream_are_named_and_leave_it_as_it_was():
    rows = rows_of("beta(8,2)", 100)
    stream = ScoreStream(100, 2, top=0)
    stream.push(rows[:60])
    bad = rows[60:].copy()
    bad[7, 0] = np.nan
    with pytest.raises(InvalidInputError, match="Row 67 holds NaN"):
        stream.push(bad)
    stream.push(rows[60:])
    assert stream.bound() == lower_bound_scores(rows, top=0)


def test_the_probit_margin_is_the_default_as_on_votes():
    rows = rows_of("beta(8,2)", 500)
    assert lower_bound_scores(rows, top=0) == lower_bound_scores(rows, top=0, functional="probit")
    assert streamed(rows, [500], top=0).functional == rsopt.lower_bound([400, 100], top=0).functional.name == "probit"
    assert score_methods() == score_methods("probit")


def test_only_a_positive_bound_is_certified():
    rows = rows_of("beta(8,2)", 500)
    for top, certified in ((0, True), (1, False)):
        for functional in ("margin", "probit"):
            bound = lower_bound_scores(rows, top=top, functional=functional)
            assert (bound.proven, bound.certified, bound.abstain) == (True, certified, not certified)
            assert bound.to_dict()["certified"] == certified


def test_names():
    rows = rows_of("beta(8,2)", 50)
    with pytest.raises(UnknownNameError, match="Did you mean 'digital-hedge'"):
        lower_bound_scores(rows, top=0, method="digital-hegde")
    with pytest.raises(UnknownNameError, match="Known: laplace, logit, margin, probit"):
        lower_bound_scores(rows, top=0, functional="taylor-probit")
    with pytest.raises(InvalidInputError, match="'prpi-eb-bonferroni'"):
        lower_bound_scores(rows, top=0, functional="probit", method="prpi-eb")
    with pytest.raises(UnknownNameError, match="stream of scores"):
        ScoreStream(10, 2, top=0, method="hoeffding-bonferroni")
    for arguments in ({"n": 0, "classes": 2}, {"n": 1.5, "classes": 2}, {"n": 5, "classes": 1},
                      {"n": 10**12 + 1, "classes": 2}, {"n": 5, "classes": 10**7 + 1}):
        with pytest.raises(InvalidInputError):
            ScoreStream(top=0, **arguments)


@pytest.mark.parametrize("n", [1, 2, 5, 9, 10, 11, 19, 20, 21])
def test_few_rows(n):
    rows = np.tile([1.0, 0.0, 0.0], (n, 1))
    # No bound may deny mass 1 - alpha^(1/n) on the worst outcome.
    floor = -1.0 + 2.0 * 1e-3 ** (1.0 / n)
    for method in score_methods("margin"):
        assert -1.0 <= lower_bound_scores(rows, top=0, functional="margin", method=method).lower <= floor
    for method in score_methods("probit"):
        lower = lower_bound_scores(rows, top=0, functional="probit", method=method).lower
        assert lower <= max(2.0 * ndtri(1e-3 ** (1.0 / n)), 0.0)


@pytest.mark.parametrize("functional", FUNCTIONALS)
def test_coverage_by_simulation(functional):
    # With a true error of .05 in every run, more than 28 errors in 150 runs (mean 7.5), or more than 181 in the 2100 of
    # all laws (mean 105), have probability below 1e-8 and 1e-11.
    runs, n, alpha, allowed, allowed_in_all = 150, 60, 0.05, 28, 181
    laws = {**LAWS, **ADVERSARIAL}
    assert binom.sf(allowed, runs, alpha) < 1e-8
    assert binom.sf(allowed_in_all, runs * len(laws), alpha) < 1e-11
    errors = dict.fromkeys(BETTING, 0)
    for k, (name, law) in enumerate(laws.items()):
        rng = np.random.default_rng((21, k))
        means = law(np.random.default_rng(22), 400_000).mean(axis=0)
        # Both means are granted four standard errors of their simulation.
        top, rival = min(means[0] + 0.0032, 1.0 - 1e-9), max(means[1:].max() - 0.0032, 1e-9)
        truth = value_of(functional, top, rival)
        samples = [law(rng, n) for _ in range(runs)]
        for method in BETTING:
            here = sum(lower_bound_scores(rows, top=0, functional=functional, method=method, alpha=alpha).lower > truth
                       for rows in samples)
            assert here <= allowed, f"{method} erred in {here} of {runs} runs on {name}"
            errors[method] += here
    assert max(errors.values()) <= allowed_in_all, errors


@pytest.mark.parametrize("functional", FUNCTIONALS)
@pytest.mark.parametrize("misses", [[0], [0, 1], [0, 5, 40], [299]])
def test_one_early_miss_does_not_lose_the_bet(functional, misses):
    """Even where the selection sample has none: against distant nulls no row may cost nearly all of the capital."""
    n = 300
    selection = np.tile([0.9998, 0.0002], (100, 1)) + np.linspace(-1e-4, 1e-4, 100)[:, None] * [1.0, -1.0]
    rows = np.resize(selection, (n, 2))
    rows[misses] = [0.0, 1.0]
    soft, unaided = (lower_bound_scores(rows, top=0, functional=functional, alpha=1e-3, selection=sample)
                     for sample in (selection, None))
    exact = rsopt.lower_bound([n - len(misses), len(misses)], top=0, functional=functional, alpha=1e-3).lower
    assert min(soft.lower, unaided.lower) > 0.75 * exact


@pytest.mark.parametrize(("a", "lowest"), [(1.5, 1e-4), (0.8, 1e-5), (1.5, 0.0)])
def test_one_low_row_in_a_block_does_not_lose_the_bet(a, lowest):
    """Rows that are summed up in a block stand for a bet of any size only as long as it is not a huge one."""
    x = np.random.default_rng(0).beta(a, 0.6, 3100)
    x[103] = lowest
    rows = np.stack([x, 1.0 - x], axis=1)
    bound = lower_bound_scores(rows[100:], top=0, functional="margin", alpha=1e-3, selection=rows[:100])
    error = 2.0 * x.std() / math.sqrt(3000)
    assert 2.0 * x.mean() - 1.0 - 5.0 * error < bound.lower < 2.0 * x.mean() - 1.0


def test_votes_of_two_classes_are_bounded_as_by_clopper_and_pearson():
    # Rows of two values leave nothing to hedge: the binomial option is reached, up to the grid of nulls.
    n, alpha = 2000, 1e-3
    selection = np.tile([1.0, 0.0], (100, 1))
    for misses in (0, 1, 2, 5, 15):
        rows = np.tile([1.0, 0.0], (n, 1))
        rows[np.random.default_rng(misses).choice(n, misses, replace=False)] = [0.0, 1.0]
        exact = 2.0 * float(ndtri(beta.ppf(alpha, n - misses, misses + 1)))
        soft = lower_bound_scores(rows, top=0, functional="probit", alpha=alpha, selection=selection).lower
        assert soft <= exact
        # One miss more would cost 0.19 to 0.03 of the bound.
        assert soft >= exact - 0.02
