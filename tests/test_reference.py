"""Bounds against independently proven brackets, and their certificates against the checker."""

from __future__ import annotations

from typing import Any

import pytest
from enumeration import width

import rsopt

# (n, x1, x2) whose reference `lo` is refuted by our witness, a q with P_q(W) >= alpha and g(q) < lo, by 0.05% to 0.15%
# of the width. All are on the margin with the studentized statistic at alpha = 0.001.
REFUTED = {(5000, 4615, 250), (100_000, 82_627, 180), (30_000, 7035, 359)}


def bound_of(case: dict[str, Any]) -> rsopt.Bound:
    n, x1, x2 = case["n"], case["x1"], case["x2"]
    return rsopt.lower_bound(rsopt.Counts((x1, x2, n - x1 - x2), 0, 1), functional=case["functional"],
                             statistic=case["statistic"], alpha=case["alpha"])


def refuted(case: dict[str, Any]) -> bool:
    return (case["n"], case["x1"], case["x2"]) in REFUTED


def test_the_reference_is_whole(reference: list[dict[str, Any]]) -> None:
    assert len(reference) == 288
    assert sum(map(refuted, reference)) == len(REFUTED)


@pytest.mark.parametrize("functional", ["margin", "probit"])
@pytest.mark.parametrize("statistic", ["studentized", "clopper-pearson", "plugin"])
def test_brackets(reference: list[dict[str, Any]], functional: str, statistic: str) -> None:
    cases = [case for case in reference if case["functional"] == functional and case["statistic"] == statistic]
    assert cases or (functional, statistic) == ("probit", "plugin")
    for case in cases:
        bound = bound_of(case)
        assert bound.lower <= case["hi"], case
        assert bound.lower >= case["lo"] - 0.01 * width(bound, case["lo"]), case
        assert bound.lower_at_most >= case["lo"] or refuted(case), case


def test_every_certificate_is_confirmed(reference: list[dict[str, Any]]) -> None:
    """All of n <= 60 and every ninth of the others, whose check takes up to a second each."""
    small = [case for case in reference if case["n"] <= 60]
    for case in small + [case for case in reference if case["n"] > 60][::9]:
        certificate = bound_of(case).certificate
        assert certificate is not None
        report = rsopt.check_certificate(certificate)
        assert report.lower == certificate.lower
        assert report.tail_at_most <= case["alpha"] * (1.0 + 1e-12)


def test_witnesses_against_the_reference_hold_in_ball_arithmetic(reference: list[dict[str, Any]]) -> None:
    for case in filter(refuted, reference):
        bound = bound_of(case)
        certificate = bound.certificate
        assert certificate is not None
        assert certificate.witness is not None
        q1, q2, _ = certificate.witness
        gap = width(bound, case["lo"])
        assert 0.0002 * gap < case["lo"] - (q1 - q2) < 0.002 * gap
        assert rsopt.check_certificate(certificate, arithmetic="arb").witness_checked
