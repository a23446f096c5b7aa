"""Radii by coupling against exact rational arithmetic and against all subsets, strings and classifiers of a small size.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch

from rsopt.errors import InvalidInputError
from rsopt.noise import Ablation, Coupled, CoupledNoise, Deletion, Source
from rsopt.scores.score_bound import ScoreBound

Law = dict[tuple[int, ...], Fraction]
MARGINS = [*np.linspace(0.0, 1.0, 41).tolist(), 1e-9, 1.0 - 1e-9]
NULL = -1


def largest(margin: Fraction, difference: list[Fraction]) -> int:
    """The largest r with 2 D(r) < margin, in exact arithmetic."""
    return max(r for r, d in enumerate(difference) if r == 0 or 2 * d < margin)


@pytest.mark.parametrize(("d", "keep"), [(d, keep) for d in (1, 2, 5, 12, 64) for keep in (1, 2, 4, 40) if keep <= d])
def test_ablation_is_exact(d: int, keep: int) -> None:
    noise = Ablation(keep, d)
    exact = [1 - Fraction(math.comb(d - r, keep), math.comb(d, keep)) for r in range(d + 1)]
    for r in range(d + 1):
        assert exact[r] <= Fraction(noise.difference(r)) <= exact[r] * (1 + Fraction(1, 1 << 51))
    for margin in MARGINS:
        # D(r) is the next number of double precision: a margin that is 2 D(r) to the last bit gets one less.
        below = Fraction(margin) * (1 - Fraction(1, 1 << 51))
        assert largest(below, exact) <= noise.radius("margin", margin) <= largest(Fraction(margin), exact)


@pytest.mark.parametrize(("d", "keep"), [(784, 45), (3072, 75), (150_528, 1000)])
def test_ablation_is_exact_for_images(d: int, keep: int) -> None:
    noise = Ablation(keep, d)
    for margin in (0.1, 0.5, 0.99):
        survive, r = Fraction(1), 0
        while 2 * (1 - survive * Fraction(d - keep - r, d - r)) < Fraction(margin):
            survive, r = survive * Fraction(d - keep - r, d - r), r + 1
        assert noise.radius("margin", margin) == r


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9, 0.95, 0.999, 1.0 - 1e-9, 5e-324, math.nextafter(1.0, 0.0)])
def test_deletion_is_exact(probability: float) -> None:
    noise, p = Deletion(probability), Fraction(probability)
    for r in (0, 1, 2, 3, 10, 100):
        exact = 1 - p**r
        assert exact <= Fraction(noise.difference(r)) <= exact * (1 + Fraction(1, 1 << 47))
    for margin in MARGINS:
        r = int(noise.radius("margin", margin))
        # Powers of a fraction grow, so that the end is looked at only where it is near.
        if r < 3000:
            assert r == 0 or 2 * (1 - p**r) < Fraction(margin)
            assert 2 * (1 - p ** (r + 1)) >= Fraction(margin) * (1 - Fraction(1, 1 << 46))


def test_the_radius_of_deletion_is_the_published_formula() -> None:
    for probability in (0.8, 0.9, 0.97):
        for margin in (0.3, 0.6, 0.95):
            formula = math.log(1.0 - margin / 2.0) / math.log(probability)
            assert Deletion(probability).radius("margin", margin) == math.ceil(formula) - 1


def shown(x: tuple[int, ...], keep: int) -> Law:
    """The law of what is shown of x."""
    chosen = list(itertools.combinations(range(len(x)), keep))
    seen = Counter(tuple(value if k in part else NULL for k, value in enumerate(x)) for part in chosen)
    return {outcome: Fraction(times, len(chosen)) for outcome, times in seen.items()}


@cache
def left(x: tuple[int, ...], p: Fraction) -> Law:
    """The law of what is left of x."""
    law: Law = {(): Fraction(1)}
    for token in x:
        longer: Law = {}
        for outcome, mass in law.items():
            for after, share in ((outcome, p), ((*outcome, token), 1 - p)):
                longer[after] = longer.get(after, Fraction(0)) + mass * share
        law = longer
    return law


def apart(one: Law, other: Law) -> Fraction:
    """Total variation: how well the best test tells two laws apart."""
    return sum((max(mass - other.get(outcome, Fraction(0)), Fraction(0)) for outcome, mass in one.items()), Fraction(0))


@pytest.mark.parametrize("d", range(2, 13))
def test_no_test_tells_ablated_inputs_apart_better(d: int) -> None:
    rng = np.random.default_rng(d)
    for keep in {1, 2, d // 2, d - 1} - {0}:
        noise, x = Ablation(keep, d), tuple(rng.integers(0, 3, d).tolist())
        for r in range(1, d + 1):
            changed = set(rng.permutation(d)[:r].tolist())
            other = tuple((value + 1) % 3 if k in changed else value for k, value in enumerate(x))
            exact = apart(shown(x, keep), shown(other, keep))
            # The best test looks for a changed position, and D(r) is what it finds.
            assert exact == 1 - Fraction(math.comb(d - r, keep), math.comb(d, keep))
            assert exact <= Fraction(noise.difference(r))


def test_no_scores_of_ablated_inputs_lose_their_class_within_the_radius() -> None:
    """Any scores in [0, 1] of what is shown, which need not add up to 1."""
    rng, d, keep, positive = np.random.default_rng(3), 8, 1, 0
    noise, x = Ablation(keep, d), tuple(rng.integers(0, 3, d).tolist())
    for _ in range(200):
        r = int(rng.integers(1, d))
        changed = set(rng.permutation(d)[:r].tolist())
        other = tuple((value + 1) % 3 if k in changed else value for k, value in enumerate(x))
        laws = shown(x, keep), shown(other, keep)
        # The class that is ahead everywhere for x, and any scores of what x does not show.
        scores = {outcome: np.array([1.0, rng.random() * 0.2, 0.1]) if outcome in laws[0] else rng.random(3)
                  for law in laws for outcome in law}
        before, after = (sum(float(mass) * scores[outcome] for outcome, mass in law.items()) for law in laws)
        margin = float(before[0] - before[1:].max())
        if r <= ScoreBound(margin, 1e-3, "margin", "digital-hedge", 0, (1,), 1000, False).radius(noise):
            assert after[0] > after[1:].max()
            positive += 1
    assert positive > 50


def edits(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """The edit distance, by the textbook."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def pairs() -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Strings over three letters: all pairs up to length 3, and some up to length 8, near one another and not."""
    short = [tuple(word) for length in range(4) for word in itertools.product((1, 2, 3), repeat=length)]
    yield from itertools.combinations(short, 2)
    rng = np.random.default_rng(8)
    for _ in range(150):
        one, other = (tuple(rng.integers(1, 4, rng.integers(3, 9)).tolist()) for _ in range(2))
        yield one, other
        changed = list(one)
        for _ in range(int(rng.integers(1, 4))):
            place = int(rng.integers(0, len(changed) + 1))
            changed[place:place + int(rng.integers(0, 2))] = rng.integers(1, 4, int(rng.integers(0, 2))).tolist()
        if 0 < len(changed) <= 8 and tuple(changed) != one:
            yield one, tuple(changed)


@pytest.mark.parametrize("probability", [0.5, 0.9])
def test_no_test_tells_sequences_apart_better_after_deletion(probability: float) -> None:
    noise, p, reached = Deletion(probability), Fraction(probability), 0
    for one, other in pairs():
        r, exact = edits(one, other), apart(left(one, p), left(other, p))
        assert exact <= 1 - p**r <= Fraction(noise.difference(r))
        reached += exact == 1 - p**r
    # An inserted letter that is nowhere else is found whenever it is left.
    assert reached > 50


@pytest.mark.parametrize("noise", [Ablation(3, 9), Ablation(1, 50), Deletion(0.9), Deletion(0.99),
                                   Coupled("no:function", (0.01, 0.05, 0.05, 0.3))])
def test_the_radius_is_reached_and_not_passed(noise: CoupledNoise) -> None:
    # A adversary who finds the change with probability D(r) takes so much from A and gives it to B: the lead is
    # M - 2 D(r), positive at the radius and at most 0 beyond it.
    for margin in MARGINS[1:]:
        r = int(noise.radius("margin", margin))
        assert r == 0 or margin - 2.0 * noise.difference(r) > 0.0
        assert r == noise.largest or margin - 2.0 * noise.difference(r + 1) <= 0.0


def test_ablated_copies_have_the_law_of_all_subsets() -> None:
    d, keep, rows = 6, 3, 40_000
    x = torch.arange(d)
    copies = Ablation(keep, null=NULL).noisy(x.expand(rows, d), Source.of(4))
    law = shown(tuple(x.tolist()), keep)
    seen = Counter(map(tuple, copies.tolist()))
    assert set(seen) == set(law)
    for outcome, mass in law.items():
        # Hoeffding's inequality at 1e-9 over the 20 subsets.
        assert abs(seen[outcome] / rows - float(mass)) < math.sqrt(math.log(40e9) / (2 * rows))
    image = torch.rand(2, 2, 3)
    masked = Ablation(keep).noisy(image.expand(50, 2, 2, 3), Source.of(4))
    assert masked.shape == (50, 3, 2, 3)
    assert (masked[:, 2].flatten(1).sum(dim=1) == keep).all()
    assert torch.equal(masked[:, :2], image * masked[:, 2:])
    row = Ablation(keep).noisy(x.float().expand(50, d), Source.of(4))
    assert row.shape == (50, 2, d)


def test_what_is_left_has_the_law_of_deletion() -> None:
    p, rows, x = 0.6, 40_000, (1, 2, 1, 3)
    copies = Deletion(p).noisy(torch.tensor([*x, 0, 0]).expand(rows, 6), Source.of(4))
    seen = Counter(tuple(token for token in row if token) for row in copies.tolist())
    law = left(x, Fraction(p))
    assert set(seen) <= set(law)
    for outcome, mass in law.items():
        assert abs(seen[outcome] / rows - float(mass)) < math.sqrt(math.log(40e9) / (2 * rows))
    # Padding follows what is left, and is never between it.
    assert all(row == sorted(row, key=lambda token: token == 0) for row in copies.tolist())


def test_the_probability_is_never_rounded_down() -> None:
    # Words below the threshold delete: with a probability next to 1 nothing is kept that should not be.
    noise = Deletion(math.nextafter(1.0, 0.0))
    assert noise.noisy(torch.ones(1000, 30, dtype=torch.int64), Source.of(1)).sum() == 0


@pytest.mark.parametrize(("make", "text"), [
    (lambda: Ablation(0), "keep must be a whole number of positions from 1 on; found 0."),
    (lambda: Ablation(True), "keep must be a whole number of positions from 1 on; found True."),
    (lambda: Ablation(2.0), "keep must be a whole number of positions from 1 on; found 2.0."),
    (lambda: Ablation(5, 4), "keep=5 positions of 4 cannot be shown."),
    (lambda: Ablation(2).radius("margin", 0.5), "A radius of ablation depends on the number of positions"),
    (lambda: Ablation(2, 4).fitted((1, 3, 3)), "The noise is for 4 positions, and an input of shape (1, 3, 3) has 9."),
    (lambda: Ablation(2, null=3).check_input(torch.arange(6)), "The input holds the null value 3, which stands for"),
    (lambda: Ablation(2, 4).radius("probit", 0.5), "has no radius by bounds on 'probit': bound 'margin'."),
    (lambda: Ablation(2, 4).radius("margin", 0.5, norm="linf"), "No linf radius follows from this one, which is in l0"),
    (lambda: Deletion(1.0), "probability must lie strictly between 0 and 1; found 1.0."),
    (lambda: Deletion(math.nan), "probability must lie strictly between 0 and 1; found nan."),
    (lambda: Deletion(0.5).check_input(torch.zeros(2, 2)), "Deletion is for sequences of tokens, (length,); found"),
    (lambda: Coupled("a:b", ()), "differences must be the probabilities D(1), D(2), …"),
    (lambda: Coupled("a:b", (0.2, 0.1)), "none smaller than the one before; found (0.2, 0.1)."),
    (lambda: Coupled("a:b", (math.nan,)), "differences must be the probabilities"),
    (lambda: Coupled(3, (0.1,)), "draw must be a function of a batch and a source; found 3.")])
def test_what_has_no_meaning_is_refused(make, text: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        make()
    assert text in str(error.value)
