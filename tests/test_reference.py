"""Bounds against independently proven brackets, and their certificates against the checker."""

from __future__ import annotations

import pytest
from brackets import BRACKETS, Bracket
from enumeration import width

import rsopt

# (n, x1, x2) whose reference `lo` is refuted by our witness, a q with P_q(W) >= alpha and g(q) < lo, by 0.05% to 0.15%
# of the width. All are on the margin with the studentized statistic at alpha = 0.001.
REFUTED = {(5000, 4615, 250), (100_000, 82_627, 180), (30_000, 7035, 359)}


def refuted(case: Bracket) -> bool:
    return (case.n, case.x1, case.x2) in REFUTED


def test_the_reference_is_whole() -> None:
    assert len(BRACKETS) == 288
    assert sum(map(refuted, BRACKETS)) == len(REFUTED)


@pytest.mark.parametrize("functional", ["margin", "probit"])
@pytest.mark.parametrize("statistic", ["studentized", "clopper-pearson", "plugin"])
def test_brackets(functional: str, statistic: str) -> None:
    cases = [case for case in BRACKETS if case.functional == functional and case.statistic == statistic]
    assert cases or (functional, statistic) == ("probit", "plugin")
    for case in cases:
        bound = case.bound()
        assert bound.lower <= case.hi, case
        assert bound.lower >= case.lo - 0.01 * width(bound, case.lo), case
        assert bound.lower_at_most >= case.lo or refuted(case), case


def test_every_certificate_is_confirmed() -> None:
    """All of n <= 60 and every ninth of the others, whose check takes up to a second each."""
    small = [case for case in BRACKETS if case.n <= 60]
    for case in small + [case for case in BRACKETS if case.n > 60][::9]:
        certificate = case.bound().certificate
        report = rsopt.check_certificate(certificate)
        assert report.lower == certificate.lower
        assert report.tail_at_most <= case.alpha * (1.0 + 1e-12)


def test_witnesses_against_the_reference_hold_in_ball_arithmetic() -> None:
    for case in filter(refuted, BRACKETS):
        bound = case.bound()
        certificate = bound.certificate
        assert certificate.witness is not None
        q1, q2, _ = certificate.witness
        gap = width(bound, case.lo)
        assert 0.0002 * gap < case.lo - (q1 - q2) < 0.002 * gap
        assert rsopt.check_certificate(certificate, arithmetic="arb").witness_checked
