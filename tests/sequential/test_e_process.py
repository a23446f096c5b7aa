"""The anytime-valid bound: Ville's inequality by enumeration, the supremum against other means, and its manners."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import optimize
from scipy.special import ndtr, ndtri
from typer.testing import CliRunner

import rsopt
from rsopt.commands.cli import application
from rsopt.counts import Counts
from rsopt.errors import InvalidInputError, RefusedError
from rsopt.functionals import Functional, Margin, ProbitMargin, as_functional
from rsopt.sequential.e_process import GUARANTEE, DirichletMixture, _log_e, e_process_bound

ALPHA = 0.3
JEFFREYS = DirichletMixture()
CENTRED = DirichletMixture(selection=(7, 2, 1))


def three(x1: int, x2: int, x3: int) -> Counts:
    return Counts((x1, x2, x3), top=0, rival=1)


def log_e_value(counts: Counts, level: float, g: Margin | ProbitMargin, mixture: DirichletMixture) -> float:
    """log E(x; level) against the runner-up, as the bound searches it."""
    return float(_log_e(g.compiled, level, counts.n, counts.x1, counts.x2, counts.two_classes,
                        *mixture.parameters(counts, counts.runner_up)))


def crossing(q: tuple[float, ...], most: int, crossed: Callable[[tuple[int, ...]], bool]) -> float:
    """P(the counts of some n <= most have `crossed`), over all paths of multinomial draws: paths are merged by counts.

    Every probability is a sum of non-negative terms, so rounding is below most · 1e-15.
    """
    alive: dict[tuple[int, ...], float] = {(0,) * len(q): 1.0}
    hit = 0.0
    for _ in range(most):
        grown: dict[tuple[int, ...], float] = {}
        for x, chance in alive.items():
            for i, share in enumerate(q):
                if share > 0.0:
                    y = (*x[:i], x[i] + 1, *x[i + 1:])
                    grown[y] = grown.get(y, 0.0) + chance * share
        alive = {x: chance for x, chance in grown.items() if not crossed(x)}
        hit += math.fsum(chance for x, chance in grown.items() if x not in alive)
    return hit


def rejects(level: float, g: Margin | ProbitMargin, mixture: DirichletMixture) -> Callable[[tuple[int, ...]], bool]:
    @cache
    def rejected(x: tuple[int, ...]) -> bool:
        if len(x) == 2:
            return log_e_value(Counts(x, top=0), level, g, mixture) >= -math.log(ALPHA)
        return log_e_value(three(*x), level, g, mixture) >= -math.log(ALPHA)

    return rejected


def nulls(g: Functional, level: float) -> list[tuple[float, float, float]]:
    """Distributions with g = level along the whole curve, and some inside the null."""
    assert isinstance(g, Margin | ProbitMargin)
    low, high = g.curve_ends(level, 0.0)
    found = []
    for share in (0.0, 1e-4, 0.01, 0.1, 0.3, 0.6, 0.9, 1.0):
        q2 = low + share * (high - low)
        q1 = float(g.curve(level, np.array(q2)))
        found.append((q1, q2, max(1.0 - q1 - q2, 0.0)))
    q1, q2, q3 = found[4]
    return [*found, (0.9 * q1, q2, q3 + 0.1 * q1), (q1, q2 + 0.3 * q3, 0.7 * q3)]


@pytest.mark.parametrize("mixture", [JEFFREYS, CENTRED, DirichletMixture(1.0)], ids=["jeffreys", "centred", "uniform"])
@pytest.mark.parametrize(("g", "level"), [(Margin(), -0.5), (Margin(), 0.0), (Margin(), 0.3), (Margin(), 0.6),
                                          (ProbitMargin(), 0.0), (ProbitMargin(), 0.5), (ProbitMargin(), 1.2)],
                         ids=lambda value: getattr(value, "name", value))
def test_a_true_null_is_hardly_ever_rejected_at_any_time(g: Functional, level: float, mixture: DirichletMixture
                                                         ) -> None:
    """Ville: P(E >= 1/alpha at any n up to 40) <= alpha under every null, on the curve and inside."""
    rejected = rejects(level, g, mixture)
    chances = [crossing(q, 40, rejected) for q in nulls(g, level)]
    assert max(chances) <= ALPHA
    # The inequality is not won by never rejecting.
    assert max(chances) > 1e-4


@pytest.mark.parametrize(("g", "level"), [(Margin(), 0.3), (ProbitMargin(), 1.0)], ids=["margin", "probit"])
def test_two_classes_at_any_time(g: Functional, level: float) -> None:
    assert isinstance(g, Margin | ProbitMargin)
    q2 = g.curve_ends(level, 0.0)[1]
    rejected = rejects(level, g, JEFFREYS)
    assert 0.01 < crossing((1.0 - q2, q2), 300, rejected) <= ALPHA
    assert crossing((0.95 - q2, q2 + 0.05), 300, rejected) <= ALPHA


@pytest.mark.parametrize("functional", ["margin", "probit", "laplace", "logit"])
@pytest.mark.parametrize("selection", [(), (5, 3, 1, 0)])
def test_no_bound_at_any_time_exceeds_the_least_margin(functional: str, selection: tuple[int, ...]) -> None:
    """Four classes, all rivals at once without correction: P(the best bound over n <= 12 > min_j g_j) <= alpha."""
    mixture = DirichletMixture(selection=selection)
    g = as_functional(functional)

    @cache
    def bound(x: tuple[int, ...]) -> float:
        return e_process_bound(x, 0, functional=functional, alpha=0.2, mixture=mixture).lower

    some = 0.0
    for q in ((0.4, 0.3, 0.3, 0.0), (0.3, 0.3, 0.3, 0.1), (0.55, 0.45, 0.0, 0.0), (0.5, 0.25, 0.25, 0.0),
              (0.7, 0.1, 0.1, 0.1), (0.6, 0.2, 0.1, 0.1)):
        truth = min(float(g.value(np.array(q[0]), np.array(other))) for other in q[1:])
        missed = crossing(q, 12, lambda x, truth=truth: bound(x) > truth)
        assert missed <= 0.2
        some = max(some, missed)
    assert some > 1e-4


def exact_mixture(x: tuple[int, int, int], a: tuple[Fraction, Fraction, Fraction]) -> Fraction:
    """M(x) = B(a + x)/B(a) as a product of predictive probabilities."""
    found = Fraction(1)
    for count, weight in zip(x, a, strict=True):
        for k in range(count):
            found *= weight + k
    for k in range(sum(x)):
        found /= sum(a) + k
    return found


@pytest.mark.parametrize("mixture", [JEFFREYS, CENTRED])
def test_the_mixture_is_a_martingale_and_dominates(mixture: DirichletMixture) -> None:
    """M(x) = M(x + e1) + M(x + e2) + M(x + e3), so M(x)/q^x is a martingale under q; E is nowhere above it in the null.

    Both exactly, in rationals: q on the margin's level 1/5.
    """
    half = Fraction(1, 2)
    a1, a2, a3 = (half + v for v in (mixture.selection or (0, 0, 0)))
    for x in itertools.product(range(7), repeat=3):
        if sum(x) == 0:
            continue
        now = exact_mixture(x, (a1, a2, a3))
        steps = [(x[0] + 1, x[1], x[2]), (x[0], x[1] + 1, x[2]), (x[0], x[1], x[2] + 1)]
        assert now == sum(exact_mixture(y, (a1, a2, a3)) for y in steps)
        log_e = log_e_value(three(*x), 0.2, Margin(), mixture)
        for q2 in (Fraction(0), Fraction(1, 50), Fraction(1, 5), Fraction(3, 10), Fraction(2, 5)):
            q = (q2 + Fraction(1, 5), q2, Fraction(4, 5) - 2 * q2)
            likelihood = math.prod(share**count for share, count in zip(q, x, strict=True))
            if likelihood:
                martingale = now / likelihood
                assert log_e <= math.log(martingale.numerator) - math.log(martingale.denominator)


def log_e_by_other_means(x: tuple[int, int, int], level: float, g: Margin | ProbitMargin,
                         a: tuple[float, float, float]) -> float:
    """log E in 40 digits, the supremum by a golden search of the likelihood on the curve itself."""
    with mp.workdps(40):
        x1, x2, x3 = (mpf(v) for v in x)
        n = x1 + x2 + x3

        def on_curve(q2: mpf) -> mpf:
            q1 = q2 + level if isinstance(g, Margin) else mp.ncdf(mpf(level) + probit(q2))
            cells = ((x1, q1), (x2, q2), (x3, 1 - q1 - q2))
            return sum((count * mp.log(share) for count, share in cells if count > 0), mpf(0))

        def probit(q: mpf) -> mpf:
            return mp.sqrt(2) * mp.erfinv(2 * q - 1)

        def g_at(q1: mpf, q2: mpf) -> mpf:
            return q1 - q2 if isinstance(g, Margin) else probit(q1) - probit(q2)

        free = sum((count * mp.log(count / n) for count in (x1, x2, x3) if count > 0), mpf(0))
        inside = x1 == 0 or (x2 == n) or (0 < x1 < n and x2 > 0 and g_at(x1 / n, x2 / n) <= level)
        if isinstance(g, Margin):
            inside = (x1 - x2) / n <= level
        if inside:
            best = free
        else:
            low, high = g.curve_ends(level, 0.0)
            start = optimize.minimize_scalar(lambda t: -float(on_curve(mpf(low) + (mpf(high) - low) * mpf(t))),
                                             bounds=(1e-9, 1 - 1e-9), method="bounded", options={"xatol": 1e-7}).x
            left, right = mpf(max(start - 1e-3, 1e-30)), mpf(min(start + 1e-3, 1 - 1e-15))
            ratio = (mp.sqrt(5) - 1) / 2
            for _ in range(90):
                u, v = right - ratio * (right - left), left + ratio * (right - left)
                at = [on_curve(low + (high - low) * t) for t in (u, v)]
                left, right = (left, v) if at[0] >= at[1] else (u, right)
            best = on_curve(low + (high - low) * (left + right) / 2)
        mixture = sum((mp.loggamma(w + v) - mp.loggamma(w) for w, v in zip(map(mpf, a), (x1, x2, x3), strict=True)),
                      mpf(0)) - mp.loggamma(sum(a) + n) + mp.loggamma(sum(a))
        return float(mixture - best)


CASES = [((90, 6, 4), Margin(), 0.5), ((90, 6, 4), Margin(), -0.4), ((9, 1, 0), Margin(), 0.1),
         ((300, 0, 40), Margin(), 0.7), ((500, 0, 0), Margin(), 0.9), ((20, 70, 10), Margin(), -0.9),
         ((90, 6, 4), ProbitMargin(), 1.0), ((90, 6, 4), ProbitMargin(), 2.5), ((55, 40, 5), ProbitMargin(), 0.0),
         ((300, 1, 40), ProbitMargin(), 2.0), ((9_000, 600, 400), ProbitMargin(), 2.6),
         ((90_000, 30, 9_970), ProbitMargin(), 4.0), ((7_000, 2_900, 100), ProbitMargin(), 0.9)]


@pytest.mark.parametrize(("x", "g", "level"), CASES, ids=str)
def test_the_supremum_is_the_supremum(x: tuple[int, int, int], g: Margin | ProbitMargin, level: float) -> None:
    """Never above the value by other means, and below it by no more than the slack and the search's tolerance."""
    truth = log_e_by_other_means(x, level, g, (0.5, 0.5, 0.5))
    found = log_e_value(three(*x), level, g, JEFFREYS)
    # 1e-13 of the sizes: the rounding of the reference when it is turned into a float.
    assert found <= truth + 1e-13 * abs(truth)
    assert found >= truth - 1e-6


def test_no_votes_for_the_rival() -> None:
    """x2 = 0 under the probit margin: the best null lies between q2 = 0 and the end, far from both; on a fine grid."""
    level, n = 2.0, 400
    q2 = np.geomspace(1e-30, ndtr(-0.5 * level), 2_000_001)
    for x1 in (400, 390, 300):
        q1 = ndtr(level + ndtri(q2))
        with np.errstate(divide="ignore"):
            rest = (n - x1) * np.log1p(-q1 - q2) if n > x1 else 0.0
        best = float(np.max(x1 * np.log(q1) + rest))
        lgamma = math.lgamma
        mixture = (lgamma(0.5 + x1) + lgamma(0.5 + n - x1) - lgamma(1.5 + n) + lgamma(1.5) - 2.0 * lgamma(0.5))
        found = log_e_value(three(x1, 0, n - x1), level, ProbitMargin(), JEFFREYS)
        # The grid's step is 3e-5 in log q2, over which the likelihood near its top changes by less than n · 1e-9.
        assert mixture - best - 1e-6 <= found <= mixture - best + 1e-9


@pytest.mark.parametrize("functional", ["margin", "probit"])
def test_bounds_grow_with_alpha_and_stay_below_the_exact_bound(functional: str) -> None:
    for votes in ([90, 6, 4], [900, 60, 40], [60, 0, 0], [400, 0], [70, 25, 5]):
        bounds = [e_process_bound(votes, 0, functional=functional, alpha=alpha).lower
                  for alpha in (1e-10, 1e-5, 1e-3, 0.01, 0.1, 0.4)]
        assert bounds == sorted(bounds)
        assert len(set(bounds)) > 3
        exact = rsopt.lower_bound(votes, 0, functional=functional, alpha=1e-3).lower
        assert bounds[2] < exact


@pytest.mark.parametrize("functional", ["margin", "probit"])
@pytest.mark.parametrize("selection", [(), (70, 2, 20, 8, 0)])
def test_the_bound_is_the_least_over_all_rivals(functional: str, selection: tuple[int, ...]) -> None:
    votes = (820, 90, 60, 30, 0)
    mixture = DirichletMixture(selection=selection)
    alone = [e_process_bound(Counts(votes, 0, rival), functional=functional, mixture=mixture).lower
             for rival in range(1, 5)]
    assert len(set(alone)) == 4
    assert e_process_bound(votes, 0, functional=functional, mixture=mixture).lower == pytest.approx(min(alone),
                                                                                                    abs=2e-8)
    other = [votes[k] for k in (3, 1, 0, 2, 4)]
    moved = DirichletMixture(selection=tuple(selection[k] for k in (3, 1, 0, 2, 4)) if selection else ())
    assert e_process_bound(other, 2, functional=functional, mixture=moved).lower == pytest.approx(min(alone), abs=2e-8)


def test_the_bound_is_the_level_where_the_e_value_meets_one_over_alpha() -> None:
    for g in (Margin(), ProbitMargin()):
        bound = e_process_bound([900, 60, 40], 0, functional=g, alpha=1e-3)
        counts = three(900, 60, 40)
        assert log_e_value(counts, bound.lower, g, JEFFREYS) >= math.log(1e3)
        assert log_e_value(counts, bound.lower + 1e-7, g, JEFFREYS) < math.log(1e3)


def test_what_a_bound_says_of_itself() -> None:
    bound = e_process_bound([900, 60, 40], 0)
    assert (bound.method, bound.certified, bound.proof, bound.solver, bound.message) == (
        "e-process", True, None, None, GUARANTEE)
    assert bound.radius(sigma=0.25) == pytest.approx(0.125 * bound.lower, rel=1e-12)


def test_votes_that_say_nothing_abstain() -> None:
    assert -1.0 <= e_process_bound([0, 7, 3], 0, functional="margin").lower < -0.99
    assert e_process_bound([0, 1, 1], 0, functional="margin").abstain
    assert e_process_bound([3, 7, 3], 0).lower == -math.inf
    assert e_process_bound([1, 0], 0).abstain
    assert e_process_bound([1, 0, 0], 0, alpha=0.49).abstain


def test_ten_million_votes_and_extreme_mixtures() -> None:
    """Rounding takes a share of the width that still vanishes, and heavy mixtures stay below the exact bound."""
    votes = [9_000_000, 600_000, 400_000]
    plug_in = float(ndtri(0.9) - ndtri(0.06))
    bound = e_process_bound(votes, 0).lower
    assert plug_in - 0.01 < bound < plug_in
    for weight in (1e-6, 1e6):
        for case in (votes, [10_000_000, 0], [10_000_000, 0, 0], [1, 0, 0], [5_000_000, 5_000_000]):
            found = e_process_bound(case, 0, mixture=DirichletMixture(weight)).lower
            assert not math.isnan(found)
            assert found <= 11.0
            assert found < plug_in or case != votes


def test_refusals() -> None:
    with pytest.raises(RefusedError, match="'margin' and 'probit'; 'taylor-probit' has no"):
        e_process_bound([9, 1, 0], 0, functional="taylor-probit")
    with pytest.raises(InvalidInputError, match="votes of 3 classes; the counts have 4"):
        e_process_bound([9, 1, 0, 0], 0, mixture=CENTRED)
    for weight in (0.0, -1.0, math.nan, math.inf, 1e300, True, "1"):
        with pytest.raises(InvalidInputError, match="a number from 1e-6 to 1e6"):
            DirichletMixture(weight)
    with pytest.raises(InvalidInputError, match="cannot be negative"):
        DirichletMixture(selection=(5, -1))
    with pytest.raises(InvalidInputError, match="Say which class is certified"):
        e_process_bound([9, 1, 0])


def command(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(application(["bound"]), ["bound", *map(str, arguments)])
    return done.exit_code, done.output


def test_the_command_tells_the_bound_and_what_stands_behind_it() -> None:
    expected = e_process_bound([950, 30, 20], 0, alpha=0.01, mixture=DirichletMixture(selection=(95, 3, 2)))
    code, output = command(950, 30, 20, "--anytime", "--alpha", 0.01, "--selection", "95,3,2", "--sigma", 0.5, "--json")
    found = json.loads(output)
    assert code == 0
    assert (found["lower"], found["radius"]) == (expected.lower, expected.radius(sigma=0.5))
    assert (found["anytime"], found["method"], found["certified"]) == (True, "e-process", True)
    assert (found["certificate"], found["solver"], found["statistic"]) == (None, None, None)
    assert "nothing to check" in found["why_no_certificate"]
    assert found["message"] == GUARANTEE
    code, output = command(950, 30, 20, "--anytime")
    assert code == 0
    assert "probit, e-process, alpha 0.001" in output
    assert GUARANTEE in output
    assert "2.840224, proven" in output
    assert json.loads(command(950, 30, 20, "--json")[1])["anytime"] is False


@pytest.mark.parametrize(("arguments", "text"), [
    (("--anytime", "--solver", "gpkit", "--output", "x.json"), "leave out --solver, --output"),
    (("--anytime", "--statistic", "plugin"), "leave out --statistic"),
    (("--anytime", "--functional", "taylor-probit"), "has no concave level curve"),
    (("--anytime", "--selection", "9,1"), "centred on votes of 2 classes; the counts have 3"),
    (("--anytime", "--selection", "9,1,x"), "'x' is no count"),
    (("--selection", "9,1,0"), "--selection centres the mixture of --anytime")])
def test_the_command_refuses_what_it_cannot_use(arguments: tuple[str, ...], text: str) -> None:
    code, output = command(950, 30, 20, *arguments)
    assert code == 2
    assert text in output
