"""Statements about a data set fail as seldom as they say: over every outcome of small laws, in exact rationals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import combinations_with_replacement, product
from math import factorial, prod
from pathlib import Path

import numpy as np
import pytest
import small_run

import rsopt
from rsopt import CertifiedAccuracy, certified_accuracy
from rsopt.errors import InvalidInputError
from rsopt.methods import OWN
from rsopt.runs.overview import Overview

# A law of rows: probability, robust radius, certified radius, whether the certified class is the label.
Atom = tuple[Fraction, float, float, bool]


def samples(law: list[Atom], n: int) -> Iterator[tuple[Fraction, list[Atom]]]:
    """Every sample of n rows up to its order, with its probability."""
    assert sum(atom[0] for atom in law) == 1
    for places in combinations_with_replacement(range(len(law)), n):
        ways = factorial(n) // prod(factorial(places.count(place)) for place in set(places))
        yield ways * prod((law[place][0] for place in places), start=Fraction(1)), [law[place] for place in places]


def found_for(rows: list[Atom], alpha: float, confidence: float, grid: list[float]) -> CertifiedAccuracy:
    return certified_accuracy([row[2] for row in rows], [row[3] for row in rows], alpha=alpha, confidence=confidence,
                              at=grid)


def with_false_rows(alpha: Fraction) -> list[Atom]:
    """True radii .25, .5 and .75, abstentions and wrong classes; as often as is allowed a radius of 1 that is false."""
    true = 1 - alpha
    return [(alpha, 0.25, 1.0, True), (true / 4, 0.25, 0.25, True), (true / 4, 0.5, 0.5, True),
            (true / 6, 0.75, 0.25, True), (true / 6, 0.75, 0.75, True), (true / 12, 0.5, 0.0, True),
            (true / 12, 0.0, 0.75, False)]


GRID = [0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 2.0]


def survival(law: list[Atom], of: Callable[[Atom], float], radius: float) -> Fraction:
    return sum((atom[0] for atom in law if of(atom) > 0.0 and of(atom) >= radius), Fraction(0))


def robust(atom: Atom) -> float:
    return atom[1]


def certified(atom: Atom) -> float:
    return atom[2] if atom[3] else 0.0


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("alpha", [0.001, 0.125, 0.375])
@pytest.mark.parametrize("confidence", [0.5, 0.75, 0.95])
def test_statements_on_new_inputs_fail_seldom(n: int, alpha: float, confidence: float) -> None:
    """Theorems D3 and D5: at any radius, over all samples of the law."""
    law, error = with_false_rows(Fraction(alpha)), 1 - Fraction(confidence)
    true = [survival(law, robust, radius) for radius in GRID]
    chance = [survival(law, certified, radius) for radius in GRID]
    mean = sum(atom[0] * Fraction(robust(atom)) for atom in law)
    failed = dict.fromkeys(("robust", "certified", "mean", "cut mean"), Fraction(0))
    single, single_robust = dict.fromkeys(GRID, Fraction(0)), dict.fromkeys(GRID, Fraction(0))
    for mass, rows in samples(law, n):
        found = found_for(rows, alpha, confidence, GRID)
        cut = max(certified(row) for row in rows)
        mean_cut = sum(atom[0] * Fraction(min(certified(atom), cut)) for atom in law)
        wrong = {"robust": any(Fraction(low) > truth for low, truth in zip(found.on_new_inputs, true, strict=True)),
                 "certified": any(not Fraction(low) <= truth <= Fraction(high) for low, high, truth in zip(
                     found.certified_low, found.certified_high, chance, strict=True)),
                 "mean": Fraction(found.mean_on_new_inputs) > mean,
                 "cut mean": not Fraction(found.mean_low) <= mean_cut <= Fraction(found.mean_high)}
        for name, fails in wrong.items():
            failed[name] += mass * fails
        for place, radius in enumerate(GRID):
            single[radius] += mass * (
                not Fraction(found.single_low[place]) <= chance[place] <= Fraction(found.single_high[place]))
            single_robust[radius] += mass * (Fraction(found.single_on_new_inputs[place]) > true[place])
    assert max(*failed.values(), *single.values(), *single_robust.values()) <= error


@pytest.mark.parametrize("alpha", [0.001, 0.125, 0.375])
@pytest.mark.parametrize("confidence", [0.5, 0.75, 0.95])
def test_statements_on_these_inputs_fail_seldom(alpha: float, confidence: float) -> None:
    """Theorems D1 and D5: inputs are fixed, and every row may be false by itself."""
    true = [0.25, 0.25, 0.5, 0.0, 1.0]
    n, error, missed, missed_mean = len(true), 1 - Fraction(confidence), Fraction(0), Fraction(0)
    for false in product((False, True), repeat=n):
        mass = prod((Fraction(alpha) if one else 1 - Fraction(alpha) for one in false), start=Fraction(1))
        rows = [(mass, rho, 2.0 if one else rho, True) for rho, one in zip(true, false, strict=True)]
        found = found_for(rows, alpha, confidence, GRID)
        assert found.off_these_inputs == found.false_rows / n
        missed += mass * any(low > sum(rho > 0.0 and rho >= radius for rho in true) / n
                             for low, radius in zip(found.on_these_inputs, GRID, strict=True))
        missed_mean += mass * (Fraction(found.mean_on_these_inputs) > sum(map(Fraction, true)) / n)
    assert max(missed, missed_mean) <= error
    if alpha == 0.375 and confidence == 0.5:
        assert missed > error / 2  # the bound is no wider than it must be


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_band_is_no_wider_than_it_must_be(n: int) -> None:
    """Of a law with many steps it fails nearly as often as it may: without alpha, that of a continuous law exactly."""
    steps = 24
    law: list[Atom] = [(Fraction(1, steps), float(step), float(step), True) for step in range(1, steps + 1)]
    grid = [float(step) for step in range(1, steps + 1)]
    failed = Fraction(0)
    for mass, rows in samples(law, n):
        found = found_for(rows, 1e-12, 0.5, grid)
        truth = [survival(law, certified, radius) for radius in grid]
        failed += mass * any(Fraction(low) > true for low, true in zip(found.on_new_inputs, truth, strict=True))
    assert Fraction(7, 20) < failed <= Fraction(1, 2)


def test_columns_are_what_they_say() -> None:
    radii = np.array([0.5, 0.0, 0.25, 0.5, 1.0, 0.75])
    correct = np.array([True, True, True, True, True, False])
    found = certified_accuracy(radii, correct, alpha=0.01)
    assert found.radius.tolist() == [0.0, 0.25, 0.5, 1.0]
    assert found.share.tolist() == [4 / 6, 4 / 6, 3 / 6, 1 / 6]
    assert (found.inputs, found.alpha, found.confidence, found.false_rows) == (6, 0.01, 0.95, 1)
    assert found.on_these_inputs.tolist() == [3 / 6, 3 / 6, 2 / 6, 0.0]
    assert found.mean_radius == 2.25 / 6
    # Without its largest term, and the integral of what is left of the curve: the same number.
    assert found.mean_on_these_inputs == pytest.approx(1.25 / 6, rel=1e-9)
    assert np.dot(found.on_these_inputs[1:], np.diff(found.radius)) == pytest.approx(1.25 / 6)
    off = found.off_new_inputs
    assert found.on_new_inputs == pytest.approx(np.maximum(found.share - off, 0.0))
    assert found.mean_on_new_inputs == pytest.approx(
        0.25 * max(4 / 6 - off, 0) + 0.25 * max(3 / 6 - off, 0) + 0.5 * max(1 / 6 - off, 0))
    asked = certified_accuracy(radii, correct, alpha=0.01, at=[1.0, 0.25])
    assert asked.radius.tolist() == [0.25, 1.0]
    assert asked.share.tolist() == [4 / 6, 1 / 6]
    unknown = certified_accuracy(radii, alpha=0.01)
    assert unknown.share[0] == 5 / 6
    assert 0.75 in unknown.radius


@pytest.mark.parametrize("radii", [[0.0], [0.0, 0.0], [0.0] * 40])
def test_where_nothing_is_certified(radii: list[float]) -> None:
    found = certified_accuracy(radii, alpha=0.001)
    assert found.radius.tolist() == [0.0]
    for least in (found.share, found.on_these_inputs, found.on_new_inputs, found.certified_low, found.single_low):
        assert least.tolist() == [0.0]
    assert 0.0 < found.certified_high[0] <= 1.0
    assert (found.mean_radius, found.mean_on_these_inputs, found.mean_on_new_inputs, found.mean_high) == (0, 0, 0, 0)


def test_one_input_and_two() -> None:
    """Little is said of new inputs: of one, what a toss of a biased coin says."""
    one = certified_accuracy([1.0], alpha=0.001)
    assert one.on_new_inputs[0] == pytest.approx(0.05 - 0.001, abs=1e-8)
    assert (one.false_rows, one.on_these_inputs[0]) == (0, 1.0)
    two = certified_accuracy([1.0, 1.0], alpha=0.3)
    assert (two.false_rows, two.on_these_inputs[0], two.on_new_inputs[0]) == (2, 0.0, 0.0)


@pytest.mark.parametrize(("change", "said"), [
    ({"radii": []}, "radii must be a row of numbers, one an input, at least one; found"),
    ({"radii": [[0.5]]}, "radii must be a row of numbers"),
    ({"radii": ["0.5", "1"]}, "radii must be a row of numbers"),
    ({"radii": [0.5, -0.25]}, "radii must be finite numbers from 0; found -0.25 at 1"),
    ({"radii": [np.nan, 1.0]}, "radii must be finite numbers from 0; found nan at 0"),
    ({"radii": [np.inf, 1.0]}, "radii must be finite numbers from 0; found inf at 0"),
    ({"correct": [True]}, r"correct must be 2 truth values, one an input; found \[True\]"),
    ({"correct": [1, 0]}, "correct must be 2 truth values"),
    ({"alpha": 0.7}, "alpha must lie strictly between 0 and 1/2"),
    ({"confidence": 0.3}, "confidence must be a number from 0.5 to 0.999999999, for example 0.95; found 0.3"),
    ({"confidence": 95}, "confidence must be a number from 0.5 to 0.999999999, for example 0.95; found 95"),
    ({"at": [-1.0]}, "at must be finite numbers from 0; found -1.0 at 0"),
])
def test_what_has_no_meaning_is_refused(change: dict[str, object], said: str) -> None:
    given: dict[str, object] = {"radii": [0.5, 0.0], "correct": [True, False], "alpha": 0.001, **change}
    with pytest.raises(InvalidInputError, match=said):
        rsopt.certified_accuracy(**given)  # type: ignore[arg-type]


def test_a_run_says_the_same(tmp_path: Path) -> None:
    small_run.work(tmp_path)
    run = Overview.read(tmp_path)
    found = run.certified_accuracy()
    again = certified_accuracy([row.radius() for row in run.rows], [row.correct(OWN) for row in run.rows],
                               alpha=run.alpha)
    assert found.on_new_inputs.tolist() == again.on_new_inputs.tolist()
    assert found.mean_radius == run.summary([])[0].mean_radius
    for radius, share in zip(found.radius, found.share, strict=True):
        assert share == run.share(radius)
