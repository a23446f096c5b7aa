"""What a bound says of itself: proven is not certified."""

from __future__ import annotations

import dataclasses
import json
import math

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


def test_no_radius_of_what_is_not_proven() -> None:
    bound = dataclasses.replace(rsopt.lower_bound([90, 6, 4], 0), proven=False)
    assert not bound.certified
    with pytest.raises(InvalidInputError, match="not proven; no radius"):
        bound.radius(sigma=1.0)
    assert math.isfinite(bound.lower)
