"""The band for the distribution of p_A fails as seldom as it says, at a fixed number of samples and under looks."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import combinations_with_replacement, product
from math import comb, factorial, prod
from pathlib import Path

import numpy as np
import pytest
import small_run

from rsopt import probability_band
from rsopt.errors import InvalidInputError
from rsopt.limits import lower_limits, upper_limits
from rsopt.runs.overview import Overview
from rsopt.sequential.adaptive import TargetRadii
from rsopt.sequential.looks import Looks

# What was seen of an input: votes, samples, the share of its look; and p_A.
Seen = tuple[int, int, float]
PROBABILITIES = (Fraction(1, 4), Fraction(1, 2), Fraction(9, 10))
GRID = [0.0, 0.1, 0.25, 0.375, 0.5, 0.75, 0.9, 0.95, 1.0]


def binomial(x: int, n: int, p: Fraction) -> Fraction:
    return comb(n, x) * p**x * (1 - p)**(n - x)


def fixed(p: Fraction) -> dict[Seen, Fraction]:
    return {(x, 5, 1.0): binomial(x, 5, p) for x in range(6)}


def looked(p: Fraction) -> dict[Seen, Fraction]:
    """Three samples, and three more unless all or none of them were votes: whatever makes limits err."""
    seen: dict[Seen, Fraction] = {}
    for first in range(4):
        if first in (0, 3):
            seen[first, 3, 0.5] = binomial(first, 3, p)
            continue
        for more in range(4):
            key = (first + more, 6, 0.5)
            seen[key] = seen.get(key, Fraction(0)) + binomial(first, 3, p) * binomial(more, 3, p)
    return seen


@pytest.mark.parametrize("law", [fixed, looked])
@pytest.mark.parametrize(("error", "confidence"), [(None, 0.5), (0.25, 0.5), (0.01, 0.5), (None, 0.75), (0.25, 0.95)])
def test_bands_of_these_inputs_fail_seldom(law: object, error: float | None, confidence: float) -> None:
    assert callable(law)
    truth = [sum(Fraction(t) >= p for p in PROBABILITIES) / 3 for t in GRID]
    failed, whole = Fraction(0), Fraction(0)
    for seen in product(*(law(p).items() for p in PROBABILITIES)):
        mass = prod((each[1] for each in seen), start=Fraction(1))
        votes, samples, shares = zip(*(each[0] for each in seen), strict=True)
        band = probability_band(votes, samples, error=error, confidence=confidence, look_share=shares, at=GRID)
        whole += mass
        failed += mass * any(not low <= true <= high for low, high, true in zip(
            band.these_low, band.these_high, truth, strict=True))
    assert whole == 1
    assert failed <= 1 - Fraction(confidence)


@pytest.mark.parametrize("law", [fixed, looked])
@pytest.mark.parametrize(("error", "confidence"), [(None, 0.5), (0.25, 0.5), (0.01, 0.75)])
@pytest.mark.parametrize("n", [1, 3])
def test_bands_of_new_inputs_fail_seldom(law: object, error: float | None, confidence: float, n: int) -> None:
    assert callable(law)
    atoms = {}
    for p in PROBABILITIES:
        for seen, mass in law(p).items():
            atoms[seen] = atoms.get(seen, Fraction(0)) + mass / 3
    truth = [Fraction(sum(Fraction(t) >= p for p in PROBABILITIES), 3) for t in GRID]
    failed, whole, keys = Fraction(0), Fraction(0), list(atoms)
    for seen in combinations_with_replacement(keys, n):
        ways = factorial(n) // prod(factorial(seen.count(one)) for one in set(seen))
        mass = ways * prod((atoms[one] for one in seen), start=Fraction(1))
        votes, samples, shares = zip(*seen, strict=True)
        band = probability_band(votes, samples, error=error, confidence=confidence, look_share=shares, at=GRID)
        whole += mass
        failed += mass * any(not Fraction(low) <= true <= Fraction(high) for low, high, true in zip(
            band.new_low, band.new_high, truth, strict=True))
    assert whole == 1
    assert failed <= 1 - Fraction(confidence)


def test_columns_are_what_they_say() -> None:
    votes, samples = np.array([95, 50, 0, 100]), np.array([100, 100, 0, 100])
    band = probability_band(votes, samples, error=0.01)
    low, high = lower_limits([95, 50, 100], 100, 0.01), upper_limits([95, 50, 100], 100, 0.01)
    assert band.row_low.tolist() == [low[0], low[1], 0.0, low[2]]
    assert band.row_high.tolist() == [high[0], high[1], 1.0, high[2]]
    assert band.probability.tolist() == np.unique([0.0, 1.0, *low, *high]).tolist()
    assert band.row_error == pytest.approx(0.01)
    assert band.false_limits == 1
    assert (band.these_low[-1], band.new_low[-1], band.these_high[-1], band.new_high[-1]) == (1.0, 1.0, 1.0, 1.0)
    for t, least, most in zip(band.probability[:-1], band.these_low[:-1], band.these_high[:-1], strict=True):
        assert least == max(sum(band.row_high <= t) - 1, 0) / 4
        assert most == min(sum(band.row_low <= t) + 1, 4) / 4
    assert (band.new_low <= band.new_high).all()
    assert (np.diff([band.these_low, band.these_high, band.new_low, band.new_high]) >= 0).all()
    wider = probability_band(votes, samples, error=0.01, variation=0.005)
    assert wider.off_new_inputs == pytest.approx(band.off_new_inputs + 0.005)
    assert wider.row_low.tolist() == band.row_low.tolist()
    assert probability_band(np.full(100, 90), np.full(100, 100)).row_error == pytest.approx(0.01)


def test_inputs_without_samples_say_nothing() -> None:
    band = probability_band([0, 0], [0, 0])
    assert band.probability.tolist() == [0.0, 1.0]
    assert (band.these_low[0], band.these_high[0], band.new_low[0], band.new_high[0]) == (0.0, 1.0, 0.0, 1.0)


@pytest.mark.parametrize(("change", "said"), [
    ({"votes": [9]}, "must have an entry for each input; found 1, 2 and 2"),
    ({"votes": [11, 5]}, "Input 0 has 11 votes of 10 samples"),
    ({"votes": [9.5, 5]}, "votes must be whole numbers from 0 to 10,000,000; found 9.5 at 0"),
    ({"samples": []}, "samples must be a row of numbers, one an input, at least one; found"),
    ({"samples": [10, -1]}, "samples must be whole numbers from 0 to 10,000,000; found -1 at 1"),
    ({"look_share": [0.5, 0.0]}, "look_share must be finite numbers from 1e-15 to 1; found 0.0 at 1"),
    ({"error": 0.5}, "error must be a number from 1e-15 to below 1/2; found 0.5"),
    ({"variation": -0.1}, "variation must be a number from 0 to below 1/2; found -0.1"),
    ({"confidence": 1.0}, "confidence must be a number from 0.5 to 0.999999999"),
    ({"at": [1.5]}, "at must be finite numbers from 0 to 1; found 1.5 at 0"),
])
def test_what_has_no_meaning_is_refused(change: dict[str, object], said: str) -> None:
    given: dict[str, object] = {"votes": [9, 5], "samples": [10, 10], **change}
    with pytest.raises(InvalidInputError, match=said):
        probability_band(**given)  # type: ignore[arg-type]


def test_a_run_with_looks_uses_their_shares(tmp_path: Path) -> None:
    policy = TargetRadii((0.3,), small_run.TASK.question, Looks(400, 0.01, chunk=small_run.CHUNK))
    small_run.work(tmp_path, task=replace(small_run.TASK, policy=policy))
    run = Overview.read(tmp_path)
    band = run.probability_band()
    for row, low, high in zip(run.rows, band.row_low, band.row_high, strict=True):
        assert row.reported is not None
        assert 0.0 < row.reported.alpha < run.alpha
        error = band.row_error * row.reported.alpha / run.alpha
        assert low == pytest.approx(float(lower_limits(row.reported.x1, row.reported.n, error)), rel=1e-9)
        assert high == pytest.approx(float(upper_limits(row.reported.x1, row.reported.n, error)), rel=1e-9)


def test_a_run_counts_rows_of_which_nothing_is_known(tmp_path: Path) -> None:
    small_run.work(tmp_path)
    run = Overview.read(tmp_path)
    lost = replace(run, rows=[replace(run.rows[0], reported=None, error="broken", bounds={}), *run.rows[1:]])
    band, whole = lost.probability_band(at=[0.5]), run.probability_band(at=[0.5])
    assert (band.row_low[0], band.row_high[0]) == (0.0, 1.0)
    assert band.row_low[1:].tolist() == whole.row_low[1:].tolist()
    taken = replace(run, facts={**run.facts, "total variation": 0.001}).probability_band()
    assert taken.row_error == pytest.approx(whole.row_error + 0.001)
