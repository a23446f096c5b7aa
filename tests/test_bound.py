"""What a bound says of itself: proven is not certified."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from functools import partial

import pytest
from command_line import run

import rsopt
from rsopt import baselines
from rsopt.errors import InvalidInputError


@pytest.mark.parametrize(("votes", "certified"), [([900, 60, 40], True), ([40, 60], False), ([0, 5, 5], False)])
@pytest.mark.parametrize("method", [rsopt.lower_bound, baselines.two_way_clopper_pearson, baselines.cohen,
                                    rsopt.e_process_bound])
def test_certified_is_proven_and_positive(votes: list[int], certified: bool, method: object) -> None:
    assert callable(method)
    bound = method(votes, 0)
    assert (bound.proven, bound.certified, bound.abstain) == (True, certified, not certified)
    content = bound.to_dict()
    assert (content["proven"], content["certified"], content["abstain"]) == (True, certified, not certified)
    assert (bound.radius(sigma=1.0) > 0.0) == certified


def test_the_command_line_says_both() -> None:
    content = json.loads(run("bound", 40, 60, "--top", 0, "--json").stdout)
    assert (content["proven"], content["certified"], content["abstain"]) == (True, False, True)
    text = run("bound", 40, 60, "--top", 0, "--sigma", 1).stdout
    assert "proven: not positive, so abstain" in text
    assert "0: abstain" in text


VOTES = (900, 10, 60, 30)
"""Class 2 is the runner-up of class 0."""
WAYS: dict[str, Callable[..., rsopt.Bound]] = {
    "exact": rsopt.lower_bound, "margin": partial(rsopt.lower_bound, functional="margin"),
    "taylor": partial(rsopt.lower_bound, functional="taylor-probit", statistic="clopper-pearson"),
    "published": partial(rsopt.lower_bound, functional=rsopt.TaylorProbitMargin(as_published=True)),
    "clopper-pearson": baselines.two_way_clopper_pearson, "cohen": baselines.cohen,
    "bonferroni": baselines.bonferroni, "e-process": rsopt.e_process_bound}


@pytest.mark.parametrize("way", list(WAYS))
def test_no_radius_against_one_rival_that_another_class_beats(way: str) -> None:
    bound = WAYS[way](rsopt.Counts(VOTES, 0, 1))
    assert bound.proven
    assert bound.lower > 0.0
    assert (bound.for_all_rivals, bound.certified, bound.to_dict()["certified"]) == (False, False, False)
    with pytest.raises(InvalidInputError, match=r"against class 1 alone.*has 10 votes, while class 2 has 60. A radius "
                                                "needs the margin against all classes: leave rival out"):
        bound.radius(sigma=1.0)
    free = WAYS[way](VOTES, 0)
    assert (free.certified, free.for_all_rivals) == (True, True)
    # Fact 7: the bound against the rival with the most votes, or with as many, is the one for all.
    for votes, rival in ((VOTES, 2), ((900, 40, 40, 20), 1), ((900, 40, 40, 20), 2), ((900, 100), 1)):
        fixed, free = WAYS[way](rsopt.Counts(votes, 0, rival)), WAYS[way](votes, 0)
        if way == "e-process" and len(votes) > 2:
            # The least over rivals need not be that of the runner-up: the mixture knows each by its own name.
            with pytest.raises(InvalidInputError, match=f"against class {rival} alone.*votes. A radius needs"):
                fixed.radius(sigma=1.0)
        else:
            assert fixed.certified
            assert (fixed.lower, fixed.radius(sigma=1.0)) == (free.lower, free.radius(sigma=1.0))


def test_an_e_process_against_the_runner_up_may_exceed_the_least_over_all_rivals() -> None:
    """So that no radius is made of it, though no class has more votes than the rival."""
    mixture = rsopt.DirichletMixture(selection=(90, 5, 0, 5))
    one = rsopt.e_process_bound(rsopt.Counts((900, 52, 48, 0), 0, 1), mixture=mixture)
    assert one.lower > rsopt.e_process_bound((900, 52, 48, 0), 0, mixture=mixture).lower
    assert not one.certified


def test_no_radius_of_what_is_not_proven() -> None:
    bound = dataclasses.replace(rsopt.lower_bound([90, 6, 4], 0), proven=False)
    assert not bound.certified
    with pytest.raises(InvalidInputError, match="not proven; no radius"):
        bound.radius(sigma=1.0)
    assert math.isfinite(bound.lower)
