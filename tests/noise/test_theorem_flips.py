"""Flips of bits against direct enumeration in exact arithmetic: all outcomes, all sets, all changes."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from rsopt.errors import InvalidInputError
from rsopt.noise import FlipMargin, Flips, Source
from rsopt.noise.regions import envelope, regions, total_variation

RATES = [(0.01, 0.6), (0.2, 0.3), (0.5, 0.5), (0.0, 0.7), (0.4, 0.0), (0.8, 0.7)]
CHANGES = [(1, 0), (0, 1), (1, 1), (2, 1), (0, 3), (3, 2)]
NEAR = Fraction(1, 10**9)
SHARES = [Fraction(k, 40) for k in range(41)] + [Fraction(1, 10**9), 1 - Fraction(1, 10**9)]


def law(x: tuple[int, ...], add: Fraction, remove: Fraction) -> dict[tuple[int, ...], Fraction]:
    """The probability of every outcome of flipping x."""
    return {z: math.prod((1 - remove if bit else remove) if was else (add if bit else 1 - add)
                         for was, bit in zip(x, z, strict=True))
            for z in itertools.product((0, 1), repeat=len(x))}


def least(p: Fraction, before: dict[tuple[int, ...], Fraction], after: dict[tuple[int, ...], Fraction]) -> Fraction:
    """The least probability under `after` of a randomised set that has p under `before`, outcome by outcome."""
    outcomes = sorted((z for z in before if before[z]), key=lambda z: after[z] / before[z])
    left, found = p, Fraction(0)
    for z in outcomes:
        taken = min(left, before[z])
        left, found = left - taken, found + taken / before[z] * after[z]
    return found


def pair(additions: int, deletions: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two inputs that differ so, with one more 0 and one more 1 that stay."""
    return (0,) * additions + (1,) * deletions + (0, 1), (1,) * additions + (0,) * deletions + (0, 1)


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("changes", CHANGES)
def test_envelopes_are_those_of_all_sets(rates: tuple[float, float], changes: tuple[int, int]) -> None:
    exact = Flips(*rates).exact
    before, after = (law(x, *exact) for x in pair(*changes))
    found = envelope(*exact, *changes)
    for p in SHARES:
        at = np.array(float(p))
        lo = least(Fraction(float(p)), before, after)
        # The complement of a set that is least likely is most likely.
        hi = 1 - least(1 - Fraction(float(p)), before, after)
        # Safe, and tight: a corner is off by a unit of 2^-53, times a slope of at most (.99/.01)^3 here.
        assert lo - NEAR <= Fraction(float(found.least(at))) <= lo
        assert hi <= Fraction(float(found.most(at))) <= hi + NEAR


@pytest.mark.parametrize("rates", RATES)
def test_regions_are_laws_and_total_variation_is_that_of_all_outcomes(rates: tuple[float, float]) -> None:
    exact = Flips(*rates).exact
    for changes in CHANGES:
        found = regions(*exact, *changes)
        assert sum(before for before, _ in found) == sum(after for _, after in found) == 1
        before, after = (law(x, *exact) for x in pair(*changes))
        assert total_variation(*exact, *changes) == sum(max(before[z] - after[z], Fraction(0)) for z in before)


@pytest.mark.parametrize("rates", RATES)
def test_more_changes_never_leave_more(rates: tuple[float, float]) -> None:
    exact, p = Flips(*rates).exact, np.linspace(0.0, 1.0, 101)
    for a, b in itertools.product(range(4), range(4)):
        less = envelope(*exact, a, b)
        for more in (envelope(*exact, a + 1, b), envelope(*exact, a, b + 1)):
            assert np.all(more.least(p) <= less.least(p) + 1e-15)
            assert np.all(more.most(p) >= less.most(p) - 1e-15)
    assert np.all(np.diff([Flips(*rates).difference(r) for r in range(8)]) >= 0.0)


def test_corners_beyond_double_precision_stay_on_the_safe_side() -> None:
    # The last regions have probabilities below 1e-40 under x and are likely under x'.
    noise = Flips(1e-9, 0.3)
    exact, found = noise.exact, envelope(*noise.exact, 6, 0)
    corners = list(itertools.accumulate(regions(*exact, 6, 0), lambda s, r: (s[0] + r[0], s[1] + r[1])))
    for p in [0.0, 1e-60, 1e-20, 0.5, 1.0 - 1e-10, math.nextafter(1.0, 0.0), 1.0]:
        lo, start = Fraction(0), (Fraction(0), Fraction(0))
        for end in corners:
            if Fraction(p) >= end[0]:
                lo = end[1]
            elif Fraction(p) > start[0]:
                lo = start[1] + (Fraction(p) - start[0]) / (end[0] - start[0]) * (end[1] - start[1])
            start = end
        assert Fraction(float(found.least(np.array(p)))) <= lo
    assert float(found.most(np.array(0.0))) == 0.0
    assert float(found.least(np.array(1.0))) > 0.999


def test_no_classifier_loses_its_class_within_the_margin() -> None:
    """Every deterministic classifier of three bits into two classes, and every input: where g is positive, A wins."""
    noise, places = Flips(0.1, 0.35), list(itertools.product((0, 1), repeat=3))
    laws = {x: np.array([float(law(x, *noise.exact)[z]) for z in places]) for x in places}
    answers = np.array(list(itertools.product((0, 1), repeat=8)))
    share = {x: answers @ laws[x] for x in places}
    certified = 0
    for x, other in itertools.permutations(places, 2):
        additions = sum(b > a for a, b in zip(x, other, strict=True))
        deletions = sum(b < a for a, b in zip(x, other, strict=True))
        for g in (noise.margin(additions, deletions), noise.margin_within(additions + deletions)):
            positive = g.value(share[x], 1.0 - share[x]) > 0.0
            assert np.all(share[other][positive] > 0.5)
            certified += int(positive.sum())
        # By coupling: a radius is one within which the class stays, and never beyond what g says.
        radii = np.array([noise.radius("margin", 2.0 * p - 1.0) for p in share[x]])
        within = radii >= additions + deletions
        assert np.all(share[other][within & (share[x] > 0.5)] > 0.5)
        assert np.all(noise.margin_within(additions + deletions).value(share[x], 1.0 - share[x])[within] > 0.0)
    assert certified > 500


def test_bits_are_flipped_as_often_as_stated() -> None:
    noise, rows = Flips(0.05, 0.6), 40_000
    x = torch.tensor([[0, 1, 0, 1, 1]]).expand(rows, 5)
    drawn = noise.noisy(x, Source.of(0))
    assert drawn.dtype == x.dtype
    assert set(drawn.unique().tolist()) == {0, 1}
    share = (drawn != x).double().mean(0).numpy()
    stated = np.array([0.05, 0.6, 0.05, 0.6, 0.6])
    # Hoeffding: a share of 40,000 draws is off by .0165 with probability below 1e-9.
    assert np.all(np.abs(share - stated) < math.sqrt(math.log(2e9) / (2 * rows)))
    never = Flips(0.0, 0.999).noisy(torch.zeros(1000, 3), Source.of(1))
    assert float(never.sum()) == 0.0


@pytest.mark.parametrize(("values", "text"), [
    ((0.1, 1.0), "remove must be a probability from 0 to below 1; found 1.0"),
    ((-0.1, 0.5), "add must be a probability from 0 to below 1; found -0.1"),
    ((math.nan, 0.5), "add must be a probability"), (("0.1", 0.5), "add must be a probability"),
    ((0, 0), "nothing is ever flipped")])
def test_flips_that_are_none(values: tuple[float, float], text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        Flips(*values)


def test_what_is_no_bit_is_refused() -> None:
    noise = Flips(0.1, 0.1)
    noise.check_input(torch.tensor([0.0, 1.0]))
    for x in (torch.tensor([0.0, 0.5]), torch.tensor([2, 0]), torch.tensor([math.nan])):
        with pytest.raises(InvalidInputError, match="Flips are for inputs of zeros and ones"):
            noise.check_input(x)


@pytest.mark.parametrize("changes", [(), ((1,),), ((-1, 0),), ((1.5, 0),)])
def test_changes_that_are_none(changes: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(InvalidInputError, match="whole numbers from 0 on"):
        FlipMargin(Fraction(1, 10), Fraction(1, 2), changes)


@pytest.mark.parametrize("rates", RATES)
def test_what_a_margin_survives(rates: tuple[float, float]) -> None:
    """Against all outcomes, exactly: safe, tight, never behind the total variation, and ever less with more changes."""
    noise, ahead = Flips(*rates), 0
    for r in range(1, 4):
        laws = [(law(x, *noise.exact), law(y, *noise.exact)) for x, y in (pair(a, r - a) for a in range(r + 1))]
        for margin in [k / 40 for k in range(1, 41)] + [1e-9, 0.999, 0.99999]:
            p = (1 - Fraction(margin)) / 2
            most = max(1 - least(1 - p, before, after) for before, after in laws)
            if abs(most - Fraction(1, 2)) > NEAR:
                assert noise.survives(r, margin) == (most < Fraction(1, 2))
            assert not noise.survives(r, margin) or most < Fraction(1, 2)
            if 2.0 * noise.difference(r) < margin - 1e-9:
                assert noise.survives(r, margin)
            elif noise.survives(r, margin) and 2.0 * noise.difference(r) >= margin:
                ahead += 1
            assert noise.survives(r - 1, margin) or not noise.survives(r, margin)
    # Where a bit forgets its value nothing is lost; where 1 is never flipped, only what cannot be drawn is.
    assert (ahead > 0) == (rates not in ((0.5, 0.5), (0.4, 0.0)))


def test_the_largest_radius_a_margin_gives_is_found() -> None:
    for noise in (Flips(0.01, 0.6), Flips(0.001, 0.8), Flips(0.3, 0.4)):
        for margin in (0.2, 0.7, 0.9, 0.97, 0.999):
            expected = next(r for r in itertools.count() if not noise.survives(r + 1, margin))
            assert noise.radius("margin", margin) == expected
