"""Sample planning: chances against enumeration at small n and fresh votes at larger n; what it says and refuses."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from typer.testing import CliRunner

import rsopt
from rsopt.commands.cli import application
from rsopt.counts import Counts
from rsopt.errors import InvalidInputError, UnknownNameError
from rsopt.functionals import Margin, ProbitMargin
from rsopt.methods import CLOPPER_PEARSON, COHEN, METHODS, OWN
from rsopt.question import Question, level_for_radius
from rsopt.sequential.planning import DRAWS, MOST, Planner, Regions, plan, posterior, round_numbers

SIGMA = 0.5
BOUNDS: dict[str, Callable[..., rsopt.Bound]] = {OWN: rsopt.lower_bound, COHEN: rsopt.baselines.cohen,
                                                 CLOPPER_PEARSON: rsopt.baselines.two_way_clopper_pearson}
# Five standard errors of a share of DRAWS independent draws.
FIVE_ERRORS = 2.5 / math.sqrt(DRAWS)


def outcomes(n: int) -> Iterator[tuple[int, int, int]]:
    for x1 in range(n + 1):
        for x2 in range(n - x1 + 1):
            yield x1, x2, n - x1 - x2


def reached(method: str, n: int, radius: float, alpha: float) -> list[tuple[int, int, int]]:
    """All outcomes whose bound certifies the radius: the public functions asked one by one."""
    # Outcomes with fewer votes for the class than for a rival certify nothing, whatever the method.
    return [x for x in outcomes(n) if x[0] > max(x[1], x[2])
            and BOUNDS[method](x, 0, alpha=alpha).radius(sigma=SIGMA) >= radius]


def multinomial(x: tuple[int, ...], p: tuple[float, ...]) -> float:
    found = math.lgamma(sum(x) + 1)
    for count, share in zip(x, p, strict=True):
        found += count * math.log(share) - math.lgamma(count + 1)
    return math.exp(found)


def dirichlet_multinomial(x: tuple[int, ...], a: tuple[float, ...]) -> float:
    """The probability of counts x whose class probabilities are Dirichlet(a)."""
    found = math.lgamma(sum(x) + 1) + math.lgamma(sum(a)) - math.lgamma(sum(x) + sum(a))
    for count, weight in zip(x, a, strict=True):
        found += math.lgamma(count + weight) - math.lgamma(weight) - math.lgamma(count + 1)
    return math.exp(found)


@pytest.mark.parametrize("method", METHODS)
def test_chances_by_enumeration(method: str) -> None:
    """At n = 24 all 325 outcomes are bounded one by one: with known shares, and with a pilot's doubt about them."""
    n, radius, alpha, p, pilot = 24, 0.2, 0.01, (0.85, 0.1, 0.05), (40, 5, 3)
    planner = Planner(Question(SIGMA, alpha=alpha), radius)
    good = reached(method, n, radius, alpha)
    exact = math.fsum(multinomial(x, p) for x in good)
    assert 0.2 < exact < 0.9
    # The region leaves out a narrow edge of the outcomes that count as reached.
    assert -0.03 - FIVE_ERRORS < planner.chance(method, n, np.tile(p, (DRAWS, 1)), False) - exact < FIVE_ERRORS
    weights = tuple(v + 0.5 for v in pilot)
    doubtful = math.fsum(dirichlet_multinomial(x, weights) for x in good)
    assert abs(doubtful - exact) > 0.05
    draws = posterior(Counts(pilot, 0), DRAWS, 0)
    assert -0.03 - FIVE_ERRORS < planner.chance(method, n, draws, False) - doubtful < FIVE_ERRORS


@pytest.mark.parametrize("n", [17, 30])
@pytest.mark.parametrize(("functional", "radius"), [(ProbitMargin(), 0.2), (Margin(), 0.15)], ids=["probit", "margin"])
def test_regions_hold_only_outcomes_that_are_reached(functional: ProbitMargin | Margin, radius: float, n: int) -> None:
    alpha = 0.05
    level = level_for_radius(functional, radius, SIGMA)
    region = Regions(3, level, Question(SIGMA, functional, alpha=alpha))
    true, missed = 0, 0
    for x in outcomes(n):
        if x[0] <= x[1]:
            continue
        inside = bool(region.contains(np.array([x[0]]), np.array([x[1]]), n)[0])
        proven = rsopt.lower_bound(Counts(x, 0, rival=1), functional=functional, alpha=alpha).lower >= level
        assert proven or not inside
        true, missed = true + proven, missed + (proven and not inside)
    assert true > 10
    assert missed <= 0.25 * true


def test_the_region_of_two_classes() -> None:
    level, alpha = level_for_radius(ProbitMargin(), 0.3, SIGMA), 0.01
    region = Regions(2, level, Question(SIGMA, alpha=alpha))
    for n in (20, 45):
        x1 = np.arange(n + 1)
        inside = region.contains(x1, n - x1, n).tolist()
        proven = [rsopt.lower_bound([x, n - x], 0, alpha=alpha).lower >= level for x in range(n + 1)]
        assert inside == proven
        assert 0 < sum(inside) < n


def test_planned_samples_reach_the_radius_that_often() -> None:
    """Fresh votes under the pilot's shares, bounded by the public functions: 90% at the planned n, less at 70% of it.

    The standard error of the share of T trials is 0.3/sqrt(T) at 90%; that of the planned chance is 0.003.
    """
    votes, radius, trials = [950, 30, 20], 0.3, 2000
    found = plan(votes, radius, 0.25, top=0)
    rng = np.random.default_rng(11)
    for need in found.needs:
        def share(n: int, method: str = need.method) -> float:
            drawn, times = np.unique(rng.multinomial(n, np.array(votes) / 1000, trials), axis=0, return_counts=True)
            hits = [BOUNDS[method](row.tolist(), 0).radius(sigma=0.25) >= radius for row in drawn]
            return float(times[hits].sum() / trials)

        assert need.n_at_shares is not None
        at_plan, before = share(need.n_at_shares), share(int(0.7 * need.n_at_shares))
        assert at_plan >= 0.9 - 5.0 * (0.3 / math.sqrt(trials) + 0.003)
        assert before < 0.9 - 5.0 * (0.3 / math.sqrt(trials) + 0.003)


def test_the_pilots_doubt_is_counted_in() -> None:
    """Class probabilities from the posterior, then votes: 90% at the planned n, and not at n_at_shares."""
    pilot, trials = Counts((95, 3, 2), 0), 500
    own = plan(pilot, 0.25, 0.25).needs[0]
    assert own.n is not None
    assert own.n_at_shares is not None
    assert own.n > own.n_at_shares
    rng = np.random.default_rng(12)
    for n, low, high in ((own.n, 0.9, 1.0), (own.n_at_shares, 0.0, 0.9)):
        p = rng.dirichlet([95.5, 3.5, 2.5], trials)
        hits = [rsopt.lower_bound(row.tolist(), 0).radius(sigma=0.25) >= 0.25 for row in rng.multinomial(n, p)]
        error = 5.0 * (0.3 / math.sqrt(trials) + 0.003)
        assert low - error <= np.mean(hits) <= high


@pytest.mark.parametrize("radius", [0.0, 0.2, 0.6])
@pytest.mark.parametrize("alpha", [0.05, 1e-3])
def test_below_the_least_number_no_votes_are_enough(radius: float, alpha: float) -> None:
    for need in plan([80, 10, 10], radius, SIGMA, alpha, top=0).needs:
        def radius_of_all(n: int, method: str = need.method) -> float:
            return BOUNDS[method]([n, 0, 0], 0, alpha=alpha).radius(sigma=SIGMA)

        assert radius_of_all(need.least) >= radius
        assert radius_of_all(need.least) > 0.0
        below = radius_of_all(need.least - 1)
        assert below < radius or below == 0.0
    found = plan([80, 10, 10], radius, SIGMA, alpha, top=0)
    assert rsopt.lower_bound([found.least_to_certify, 0, 0], 0, alpha=alpha).lower > 0.0
    assert rsopt.lower_bound([found.least_to_certify - 1, 0, 0], 0, alpha=alpha).abstain


def test_all_votes_for_the_class_need_the_least_number() -> None:
    found = plan([1000, 0, 0], 0.5, 0.25, top=0)
    assert found.needs[0].n_at_shares in round_numbers(found.needs[0].least, 2 * found.needs[0].least)[:1]
    assert found.n is not None
    assert found.n > found.needs[0].least


@pytest.mark.parametrize(("votes", "radius"), [([950, 30, 20], 0.3), ([880, 60, 60], 0.2), ([9_800, 100, 50, 50], 0.45),
                                               ([700, 300], 0.05), ([600, 100, 100, 100, 100], 0.1)])
def test_our_bound_needs_no_more_than_the_baselines(votes: list[int], radius: float) -> None:
    found = plan(votes, radius, 0.25, top=0)
    needs = [need.n if need.n is not None else math.inf for need in found.needs]
    assert needs[0] == min(needs) < math.inf
    assert found.n == needs[0]
    assert all(need.n is None or need.chance >= 0.9 for need in found.needs)


def test_what_changes_a_plan() -> None:
    base = plan([950, 30, 20], 0.3, 0.25, top=0)
    assert plan([30, 20, 950], 0.3, 0.25, top=2).needs == base.needs
    assert plan([950, 30, 20], 0.6, 0.5, top=0).needs == base.needs

    def n(**changes: object) -> int:
        asked: dict[str, object] = {"counts": [950, 30, 20], "radius": 0.3, "sigma": 0.25, "top": 0, **changes}
        found = plan(**asked).n
        assert found is not None
        return found

    assert base.n is not None
    assert n(counts=[9500, 300, 200]) < base.n < n(counts=[285, 9, 6])
    assert n(radius=0.2) < base.n < n(radius=0.35)
    assert n(alpha=0.05) < base.n < n(alpha=1e-6)
    assert n(chance=0.5) < base.n < n(chance=0.95)


def test_a_radius_out_of_reach_says_so() -> None:
    for need in plan([950, 30, 20], 0.6, 0.25, top=0).needs:
        assert need.n is None
        assert need.n_at_shares is None
        assert need.chance < 0.05
    # True at these shares, and so close to their limit that no number allowed is enough.
    near = plan([9_500_000, 300_000, 200_000], 0.4402, 0.25, top=0).needs[0]
    assert near.n is None
    assert near.chance >= 0.9
    with pytest.raises(InvalidInputError, match=r"No votes certify radius 0\.4 at sigma 0\.25 with 'margin'"):
        plan([950, 30, 20], 0.4, 0.25, top=0, functional="margin")


def test_classes_without_votes_count_as_one_rival() -> None:
    many, few = posterior(Counts((50, 3, *[0] * 98), 0), 40_000, 3), posterior(Counts((50, 3, 0), 0), 40_000, 3)
    assert many.shape == few.shape == (40_000, 3)
    # Prior weights: 1/2 for the class, 1 for all others together; standard errors are below 0.0002.
    assert many.mean(axis=0) == pytest.approx(np.array([50.5, 3 + 1 / 99, 98 / 99]) / 54.5, abs=1e-3)
    assert few.mean(axis=0) == pytest.approx(np.array([50.5, 3.5, 0.5]) / 54.5, abs=1e-3)
    assert posterior(Counts((3, 7), 1), 40_000, 3).mean(axis=0) == pytest.approx(np.array([7.5, 3.5]) / 11, abs=5e-3)


def test_round_numbers_have_two_digits() -> None:
    assert round_numbers(8, 14) == [8, 9, 10, 11, 12, 13, 14]
    assert round_numbers(985, 1250) == [990, 1000, 1100, 1200]
    assert round_numbers(MOST, MOST) == [MOST]


@pytest.mark.parametrize(("changes", "text"), [
    ({"radius": -0.1}, "A target radius must be a number from 0 on; found -0.1"),
    ({"radius": math.nan}, "A target radius must be a number from 0 on; found nan"),
    ({"sigma": 0.0}, "sigma must be a positive number"), ({"alpha": 0.5}, "alpha must lie strictly between 0 and 1/2"),
    ({"chance": 1.0}, r"chance must lie above 0 and be at most 0\.99; found 1\.0"),
    ({"chance": True}, "chance must lie above 0"), ({"chance": math.nan}, "chance must lie above"),
    ({"counts": [5, -1]}, "Count 1 is -1"), ({"top": 3}, "top=3 is no class"), ({"top": None}, "Say which class")])
def test_bad_input(changes: dict[str, object], text: str) -> None:
    asked: dict[str, object] = {"counts": [950, 30, 20], "radius": 0.3, "sigma": 0.25, "top": 0, **changes}
    with pytest.raises(InvalidInputError, match=text):
        plan(**asked)


def command(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(application(["plan"]), ["plan", *map(str, arguments)])
    return done.exit_code, " ".join(done.output.split())


def test_the_command() -> None:
    expected = plan([950, 30, 20], 0.3, 0.25, top=0)
    code, output = command("--counts", "950,30,20", "--radius", 0.3, "--json")
    found = json.loads(output)
    assert code == 0
    assert found["n"] == expected.n
    assert found["least_to_certify"] == 10
    assert [(need["method"], need["n"], need["chance"], need["least"], need["n_at_shares"]) for need in found["needs"]
            ] == [(need.method, need.n, need.chance, need.least, need.n_at_shares) for need in expected.needs]
    code, output = command("--counts", "30 20 950", "--top", 2, "--radius", 0.3)
    assert code == 0
    assert "Samples that reach radius 0.3 with probability 90%" in output
    assert f"Draw {expected.n} new samples" in output
    assert "below 10 samples, even if all vote for the class" in output
    assert f"radius 0.3, below {expected.needs[0].least} samples" in output
    assert "out of reach" not in command("--counts", "950,30,20", "--radius", 0)[1]


def test_the_command_says_what_cannot_be_reached() -> None:
    code, output = command("--counts", "950,30,20", "--radius", 0.45)
    assert code == 0
    assert "cannot be reached with probability 90% by any number of samples" in output
    assert "larger pilot" not in output
    code, output = command("--counts", "950,30,20", "--radius", 0.43)
    assert "If the pilot's shares are right, " in output
    assert "a larger pilot would tell" in output
    code, output = command("--counts", "9500000,300000,200000", "--radius", 0.4402)
    assert "no number of samples up to 1,000,000 reaches it" in output
    assert "too close to the limit of what these votes allow" in output
    # The published statistic, with which no votes certify anything.
    code, output = command("--counts", "950,30,20", "--radius", 0.25, "--statistic", "plugin")
    assert "The baselines reach it: choose another --statistic" in output


@pytest.mark.parametrize(("arguments", "text"), [
    (("--counts", "950,x", "--radius", 0.3), "'x' is no count. Counts are whole numbers"),
    (("--counts", "950", "--radius", 0.3), "Counts must be one row with at least two classes"),
    (("--counts", "0,0", "--radius", 0.3), "All counts are 0"),
    (("--counts", "950,30,20", "--radius", -1), "A target radius must be a number from 0 on"),
    (("--counts", "950,30,20", "--radius", 2, "--functional", "margin"), "No votes certify radius 2"),
    (("--counts", "950,30,20", "--radius", 0.3, "--functional", "probits"), "Did you mean 'probit'?")])
def test_the_command_refuses_in_one_line(arguments: tuple[object, ...], text: str) -> None:
    code, output = command(*arguments)
    assert code == 2
    assert text in output


def test_an_unknown_statistic() -> None:
    with pytest.raises(UnknownNameError, match="Known: clopper-pearson, plugin, studentized"):
        plan([9, 1], 0.1, 0.25, top=0, statistic="student")
