"""Why a folder holds another run is told in words."""

from __future__ import annotations

from typing import Any

import pytest

from rsopt.runs.differences import differences

FACTS: dict[str, Any] = {
    "rsopt": "0.2.0", "model": "ab12", "data": "cd34", "inputs": 4, "sigma": 0.25, "n0": 100, "scores": None,
    "stopping": {"policy": "fixed", "n": 2000, "alpha": 0.001}, "sampling.sigma": 0.25, "sampling.seed": 3}
LAPLACE = {name: value for name, value in FACTS.items() if name not in ("sigma", "sampling.sigma")} | {
    "noise": {"name": "laplace", "scale": 0.5}, "sampling.law": '{"name": "laplace", "scale": 0.5}'}


@pytest.mark.parametrize(("change", "phrases"), [
    ({}, []), ({"model": "ff"}, ["the model has other weights or layers"]),
    ({"data": "ff"}, ["the inputs or their labels are others"]),
    ({"data": "ff", "inputs": 8}, ["inputs is 4 there and 8 here"]),
    ({"sigma": 0.5, "sampling.sigma": 0.5}, ["sigma is 0.25 there and 0.5 here"]),
    ({"sampling.sigma": 0.5}, ["sigma is 0.25 there and 0.5 here"]),
    ({"stopping": {"policy": "fixed", "n": 500, "alpha": 0.001}}, ["n is 2000 there and 500 here"]),
    ({"n0": None, "sampling.seed": 4}, ["n0 is 100 there and not said here", "seed is 3 there and 4 here"]),
    ({"scores": {"simplex": "softmax", "temperature": None}},
     ['scores.simplex is not said there and "softmax" here']),
    ({"stopping": {"policy": "target-radii", "n": 2000, "alpha": 0.001, "radii": [0.5], "looks": {"first": 20}}},
     ["looks.first is not said there and 20 here", 'policy is "fixed" there and "target-radii" here',
      "radii is not said there and [0.5] here"])])
def test_what_differs_is_named_once_and_without_digests(change: dict[str, Any], phrases: list[str]) -> None:
    assert differences(FACTS, FACTS | change) == phrases


def test_another_noise() -> None:
    assert differences(FACTS, LAPLACE) == [
        'noise.name is not said there and "laplace" here', "noise.scale is not said there and 0.5 here"]
    other = LAPLACE | {"noise": {"name": "laplace", "scale": 0.25}, "sampling.law": '{"name": "laplace"}'}
    assert differences(LAPLACE, other) == ["noise.scale is 0.5 there and 0.25 here"]
    # What should follow from something else and does not is told all the same.
    assert differences(LAPLACE, LAPLACE | {"sampling.law": "{}"}) == [
        'law is "{\\"name\\": \\"laplace\\", \\"scale\\": 0.5}" there and "{}" here']
