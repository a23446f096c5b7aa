"""Validity by construction, exactly: capital over all sequences of small laws at the boundary null, and
coverage.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from intervals_reference import (
    Law,
    RowByRowHedge,
    bisected,
    check_coverage,
    check_decreasing,
    check_supermartingale,
    scanned,
)
from scipy.special import ndtri

from rsopt import intervals
from rsopt.functionals import score_functional
from rsopt.intervals.betting import digital_hedge, fast_betting, play_out
from rsopt.intervals.capital import GIVE_UP
from rsopt.intervals.nulls import null_grid, predict
from rsopt.intervals.record import BetPlan, PairRecord
from rsopt.kernels.links import IDENTITY
from rsopt.scores.lower_bound_scores import lower_bound_scores, score_methods
from rsopt.scores.stream import ScoreStream

MEANS = {
    "coin": Law((0.0, 1.0), (0.3, 0.7)),
    "rare": Law((0.0, 1.0), (0.04, 0.96)),
    "narrow": Law((0.45, 0.6), (0.5, 0.5)),
    "skew": Law((0.0, 0.9), (0.1, 0.9)),
    "three": Law((0.0, 0.5, 1.0), (0.2, 0.3, 0.5)),
    "three-rare": Law((0.0, 0.8, 0.85), (0.02, 0.5, 0.48)),
}
PAIRS = {
    "votes": Law(((1.0, 0.0), (0.0, 1.0)), (0.7, 0.3)),
    "soft": Law(((0.9, 0.05), (0.3, 0.6)), (0.8, 0.2)),
    "three": Law(((1.0, 0.0), (0.5, 0.2), (0.0, 1.0)), (0.5, 0.3, 0.2)),
    "three-rare": Law(((0.98, 0.01), (0.6, 0.3), (0.0, 0.0)), (0.9, 0.08, 0.02)),
}


SLOPED = ("probit", "laplace", "logit")


def kind_of(functional: str) -> int:
    return score_functional(functional).compiled.kind


def truth_of(functional: str, law: Law) -> float:
    """The functional of the means, written anew."""
    p, q = law.mean[:2].tolist()
    links = {"margin": lambda x: x, "probit": ndtri, "logit": lambda x: math.log(x / (1.0 - x)),
             "laplace": lambda x: math.log(2.0 * x) if x <= 0.5 else -math.log(2.0 * (1.0 - x))}
    return float(links[functional](p) - links[functional](q))


def recorded(rows: np.ndarray, plan: BetPlan) -> PairRecord:
    """Rows (n,) of x, or (n, 2) of pairs, recorded under a plan."""
    pair = PairRecord(plan)
    a, y = (rows, rows) if rows.ndim == 1 else (rows[:, 0].copy(), rows[:, 1].copy())
    pair.absorb(a, y, plan.ends.size)
    return pair


def capital_path(pair: PairRecord, null: float, method: str) -> np.ndarray:
    """Capital before the first and after each row; constant once the null is rejected."""
    play = play_out(pair, null, fast=method == "fast-betting")
    path = np.empty(pair.plan.n + 1)
    path[0] = 1.0
    path[1:play.bets.size + 1] = np.exp(play.log_capital)
    path[play.bets.size + 1:] = path[play.bets.size]
    return path


@pytest.mark.parametrize("method", ["digital-hedge", "fast-betting"])
@pytest.mark.parametrize("name", list(MEANS))
def test_capital_against_the_true_mean_is_a_martingale(name, method):
    law = MEANS[name]
    n = 8
    for first_stage, alpha in ((0, 0.05), (3, 0.2)):
        plan = BetPlan(n, alpha, kind=IDENTITY, first_stage=first_stage)
        rows, probabilities = law.sequences(n)
        paths = np.array([capital_path(recorded(row, plan), float(law.mean), method) for row in rows])
        check_supermartingale(paths, law)
        # Bets change nothing on average at the boundary, so the mean is 1, not merely at most 1.
        assert probabilities @ paths[:, -1] == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("method", ["digital-hedge", "fast-betting"])
@pytest.mark.parametrize("name", list(PAIRS))
@pytest.mark.parametrize("functional", SLOPED)
def test_capital_against_the_true_margin_of_links_is_a_supermartingale(functional, name, method):
    law = PAIRS[name]
    n = 8
    rows, _ = law.sequences(n)
    for first_stage, alpha in ((0, 0.05), (3, 0.2)):
        plan = BetPlan(n, alpha, kind=kind_of(functional), first_stage=first_stage)
        paths = np.array([capital_path(recorded(row, plan), truth_of(functional, law), method) for row in rows])
        check_supermartingale(paths, law)


@pytest.mark.parametrize("functional", SLOPED)
def test_slopes_that_change_with_the_rows_keep_the_supermartingale(functional):
    # Slopes are chosen from 8 rows on: with 9 rows they depend on the sequence.
    law = PAIRS["soft"]
    plan = BetPlan(9, 0.2, kind=kind_of(functional), first_stage=0)
    rows, _ = law.sequences(9)
    pairs = [recorded(row, plan) for row in rows]
    assert len({float(pair.records[-1, 3]) for pair in pairs}) > 1
    for method in ("digital-hedge", "fast-betting"):
        paths = np.array([capital_path(pair, truth_of(functional, law), method) for pair in pairs])
        check_supermartingale(paths, law)


@pytest.mark.parametrize(("functional", "name"), [
    *(("", name) for name in ("coin", "skew", "three")),
    *((functional, name) for functional in SLOPED for name in ("votes", "soft", "three"))])
def test_the_first_grid_null_above_the_truth_bets_a_supermartingale(functional, name):
    law = PAIRS[name] if functional else MEANS[name]
    truth = truth_of(functional, law) if functional else float(law.mean)
    n, stage = 8, 3
    plan = BetPlan(n, 0.2, kind=kind_of(functional) if functional else IDENTITY, first_stage=stage)
    rows, _ = law.sequences(n)
    paths, chosen = [], set()
    for row in rows:
        pair = recorded(row, plan)
        grid = null_grid(predict(pair), plan.kind, plan.n, plan.log_level)
        above = float(grid[np.searchsorted(grid, truth, side="right")])
        chosen.add(round(above, 12))
        at_truth, at_null = (capital_path(pair, null, "digital-hedge") for null in (truth, above))
        assert (at_null[:stage + 1] <= at_truth[:stage + 1] * (1.0 + 1e-9)).all()
        paths.append(np.concatenate([at_truth[:stage + 1],
                                     at_truth[stage] * at_null[stage + 1:] / at_null[stage]]))
    assert len(chosen) > 1
    check_supermartingale(np.array(paths), law)


@pytest.mark.parametrize(("functional", "name"), [
    *(("", name) for name in ("coin", "rare", "three")),
    *((functional, name) for functional in SLOPED for name in ("votes", "three"))])
def test_first_stage_capital_decreases_in_the_null(functional, name):
    law = PAIRS[name] if functional else MEANS[name]
    n = 8
    plan = BetPlan(n, 0.05, kind=kind_of(functional) if functional else IDENTITY, first_stage=n)
    nulls = np.linspace(0.01, 3.0, 40) if functional else np.linspace(0.01, 0.99, 40)
    rows, _ = law.sequences(n)
    pairs = [recorded(row, plan) for row in rows]
    capital = [[capital_path(pair, null, "digital-hedge")[-1] for null in nulls] for pair in pairs]
    # Betting stops at 1/alpha and at e^GIVE_UP; beyond, capital is whatever it stopped at.
    check_decreasing(np.clip(np.array(capital), math.exp(GIVE_UP), 1.0 / plan.alpha))


@cache
def _hedge_paths(name: str, n: int, first_stage: int, alpha: float, look_ahead: bool) -> np.ndarray:
    law = MEANS[name]
    game = RowByRowHedge(n, first_stage, alpha, look_ahead=look_ahead)
    return np.array([game.paths(row, law.mean[None])[0] for row in law.sequences(n)[0]])


def test_the_row_by_row_reference_bets_as_the_library_does():
    rng = np.random.default_rng(5)
    for first_stage in (0, 7):
        n = 60
        plan = BetPlan(n, 0.01, kind=IDENTITY, first_stage=first_stage)
        game = RowByRowHedge(n, first_stage, 0.01)
        for x in (rng.beta(4.0, 2.0, n), (rng.random(n) < 0.9) * 1.0, rng.choice([0.2, 0.9], n)):
            for null in (0.1, 0.45, 0.7, 0.93):
                ours = capital_path(recorded(x, plan), null, "digital-hedge")
                stopped = np.flatnonzero((ours >= 100.0) | (ours < math.exp(GIVE_UP)))
                reached = int(stopped[0]) if stopped.size else n
                theirs = game.paths(x, np.array([null]))[0]
                # Next to the target the price of the option is 1 whatever k is, and k is lost in rounding.
                assert ours[:reached] == pytest.approx(theirs[:reached], rel=1e-6)
                assert ours[reached] == pytest.approx(theirs[reached], rel=1e-3)


def test_bets_that_look_ahead_are_caught():
    check_supermartingale(_hedge_paths("coin", 6, 0, 0.2, False), MEANS["coin"])
    with pytest.raises(AssertionError, match="grows by"):
        check_supermartingale(_hedge_paths("coin", 6, 0, 0.2, True), MEANS["coin"])


def test_bets_that_look_further_ahead_are_caught():
    law = MEANS["coin"]
    rows, _ = law.sequences(5)
    bets = np.where(rows[:, -1:] > 0.5, 0.5, 0.0)
    paths = np.concatenate([np.ones((32, 1)), np.cumprod(1.0 + bets * (rows - law.mean), axis=1)], axis=1)
    with pytest.raises(AssertionError, match="looks ahead"):
        check_supermartingale(paths, law)


def test_a_first_stage_that_caps_the_variance_by_the_null_is_caught():
    nulls = np.linspace(0.02, 0.98, 33)
    rows, _ = MEANS["coin"].sequences(8)
    good, capped = (np.array([game.paths(row, nulls)[:, -1] for row in rows])
                    for game in (RowByRowHedge(8, 8, 0.05), RowByRowHedge(8, 8, 0.05, cap_in_first_stage=True)))
    check_decreasing(good)
    with pytest.raises(AssertionError, match="increases in the null"):
        check_decreasing(capped)


def test_bisection_on_capital_that_is_not_monotone_is_caught():
    # Against the null m_k all is staked on four rows at odds 1/m_k, on other rows for neighbouring k.
    alpha, n, truth = 0.1, 8, 0.5
    law = Law((0.0, 1.0), (1.0 - truth, truth))
    rows, probabilities = law.sequences(n)
    nulls = truth + 0.005 * np.arange(1, 8)
    final = []
    for k, m in enumerate(nulls.tolist()):
        staked = np.isin(np.arange(n), np.arange(4) + 4 * (k // 2 % 2))
        factors = np.where(staked, 1.0 + (rows - m) / m, 1.0)
        paths = np.concatenate([np.ones((len(rows), 1)), np.cumprod(factors, axis=1)], axis=1)
        check_supermartingale(paths, law)
        final.append(paths[:, -1] >= 1.0 / alpha)
    rejected = np.array(final)

    def bounds(report):
        return np.array([report(lambda m, i=i: rejected[np.searchsorted(nulls, m), i], nulls, -math.inf)
                         for i in range(len(rows))])

    check_coverage(bounds(scanned), probabilities, truth, alpha)
    with pytest.raises(AssertionError, match="errs with probability"):
        check_coverage(bounds(bisected), probabilities, truth, alpha)


@pytest.mark.parametrize("name", intervals.names())
@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.4])
def test_exact_coverage_of_intervals(name, alpha):
    interval = intervals.get(name)
    laws = [Law((0.0, 1.0), (1.0 - p, p)) for p in (0.02, 0.5, 0.9)] + [Law((0.3, 1.0), (0.05, 0.95))]
    for law in laws:
        rows, probabilities = law.sequences(10)
        bounds = np.array([interval(row, alpha=alpha, lo=0.0, hi=1.0) for row in rows])
        check_coverage(bounds, probabilities, float(law.mean), alpha)
    law = MEANS["three"]
    # 59,049 sequences of ten rows for the one method that is the default, 6,561 of eight for each.
    rows, probabilities = law.sequences(10 if name == "digital-hedge" and alpha == 0.1 else 8)
    bounds = np.array([interval(row, alpha=alpha, lo=0.0, hi=1.0) for row in rows])
    check_coverage(bounds, probabilities, float(law.mean), alpha)


@pytest.mark.parametrize("name", [name for name in intervals.names() if intervals.is_time_uniform(name)])
def test_exact_coverage_at_all_times_of_time_uniform_intervals(name):
    alpha, n = 0.2, 10
    law = MEANS["coin"]
    rows, probabilities = law.sequences(n)
    if name in ("digital-hedge", "fast-betting"):
        bound = {"digital-hedge": digital_hedge, "fast-betting": fast_betting}[name]
        plan = BetPlan(n, alpha, kind=IDENTITY, first_stage=2)
        best = []
        for row in rows:
            pair = PairRecord(plan)
            found = [-math.inf]
            for t in range(n):
                pair.absorb(row[t:t + 1], row[t:t + 1], t + 1)
                null = bound([pair]).null
                found.append(-math.inf if null is None else null)
            best.append(max(found))
    else:
        interval = intervals.get(name)
        best = [max(interval(row[:t], alpha=alpha, lo=0.0, hi=1.0) for t in range(1, n + 1)) for row in rows]
    check_coverage(np.array(best), probabilities, float(law.mean), alpha)


@pytest.mark.parametrize("method", ["digital-hedge", "fast-betting"])
@pytest.mark.parametrize("functional", ["margin", *SLOPED])
def test_exact_coverage_of_the_minimum_over_rivals(functional, method):
    # Three classes; rivals tie, which is where a minimum over rivals is most likely to fail.
    law = Law(((0.9, 0.05, 0.05), (0.1, 0.9, 0.0), (0.1, 0.0, 0.9)), (0.6, 0.2, 0.2))
    truth = truth_of(functional, law)
    rows = law.sequences(8)
    for alpha in (0.1, 0.4):
        bounds = []
        for row in rows[0]:
            stream = ScoreStream(8, 3, top=0, functional=functional, method=method, alpha=alpha)
            stream.push(row)
            bounds.append(stream.bound().lower)
        check_coverage(np.array(bounds), rows[1], truth, alpha)


@pytest.mark.parametrize("law", [
    Law(((1.0, 0.0), (0.0, 1.0)), (0.85, 0.15)), Law(((0.95, 0.01), (0.4, 0.55)), (0.9, 0.1)),
    Law(((0.9, 0.1), (0.2, 0.8)), (0.5, 0.5))], ids=["votes", "soft", "even"])
@pytest.mark.parametrize("functional", SLOPED)
def test_exact_coverage_of_every_method_on_two_points(functional, law):
    # 1,024 sequences of ten rows, long enough for slopes of their own; no method may err by a hair too often.
    truth = truth_of(functional, law)
    rows, probabilities = law.sequences(10)
    for method in score_methods(functional):
        if method == "drawn-votes":
            continue  # it draws numbers of its own, so that its coverage is that of the exact bound on counts
        for alpha in (0.1, 0.4):
            bounds = [lower_bound_scores(np.column_stack([row, 1.0 - row.sum(axis=1)]).clip(0.0), top=0, alpha=alpha,
                                         functional=functional, method=method).lower for row in rows]
            check_coverage(np.array(bounds), probabilities, truth, alpha)
