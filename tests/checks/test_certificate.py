"""Certificates: exact round trips, re-checks by other means, and refusal of everything that was changed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from enumeration import FUNCTIONALS, STATISTICS
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

import rsopt
from rsopt.certificate import Certificate
from rsopt.checks.arb import Arb
from rsopt.checks.double import Double
from rsopt.checks.links import CheckedLink
from rsopt.errors import CertificateError, InvalidInputError, StorageError
from rsopt.functionals import as_functional
from rsopt.proof_file import content_hash
from rsopt.statistics import as_statistic

CASES = [([90, 6, 4], "probit", None, "studentized", 1e-3), ([900, 60, 40], "margin", None, "studentized", 1e-3),
         ([5, 3, 4], "taylor-probit", 15, "studentized", 0.05), ([0, 0, 7], "margin", None, "plugin", 0.01),
         ([40, 0, 0], "probit", None, "clopper-pearson", 1e-5), ([33, 9, 2], "taylor-probit", 3, "plugin", 0.01),
         ([14, 6], "probit", None, "studentized", 0.05), ([14, 6], "margin", None, "clopper-pearson", 0.05),
         ([3, 37, 9], "probit", None, "plugin", 0.05), ([2000, 900, 100], "taylor-probit", 15, "studentized", 1e-3),
         ([3, 90, 7], "taylor-probit", 15, "clopper-pearson", 0.05), ([8800, 900, 300], "probit", None,
                                                                        "studentized", 1e-3)]


def certificate_of(votes: list[int], functional: str, order: int | None, statistic: str, alpha: float) -> Certificate:
    bound = rsopt.lower_bound(votes, top=0, functional=functional, order=order, statistic=statistic, alpha=alpha)
    return bound.certificate


@pytest.fixture(scope="module")
def genuine() -> dict[str, Any]:
    return certificate_of(*CASES[0]).to_dict()


def forged(content: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The certificate with entries changed, and with the hash and the observed statistic that belong to them."""
    changed = {**content, **changes}
    if "observed" not in changes:
        counts = rsopt.Counts((changed["x1"], changed["x2"], changed["n"] - changed["x1"] - changed["x2"]), 0, 1)
        functional = as_functional(changed["functional"], changed["order"])
        changed["observed"] = as_statistic(changed["statistic"]).value(counts, functional, changed["alpha"])
    del changed["sha256"]
    return {**changed, "sha256": content_hash(changed)}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_round_trip_is_exact_and_checks(case: tuple[Any, ...], tmp_path: Path) -> None:
    certificate = certificate_of(*case)
    assert Certificate.from_dict(json.loads(certificate.to_json())) == certificate
    certificate.save(tmp_path / "certificate.json")
    assert Certificate.load(tmp_path / "certificate.json") == certificate
    assert [path.name for path in tmp_path.iterdir()] == ["certificate.json"]
    reports = [rsopt.check_certificate(source) for source in (
        certificate, certificate.to_dict(), tmp_path / "certificate.json", str(tmp_path / "certificate.json"))]
    assert all(report == reports[0] for report in reports)
    assert reports[0].lower == certificate.lower
    assert reports[0].alpha == case[-1]
    # The exact bound meets alpha somewhere; the proof is for a level 0.2% of the width lower.
    assert math.isinf(certificate.lower) or 0.5 * case[-1] < reports[0].tail_at_most <= case[-1]
    assert reports[0].witness_checked == (certificate.witness is not None)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_ball_arithmetic_confirms(case: tuple[Any, ...]) -> None:
    certificate = certificate_of(*case)
    double, ball = (rsopt.check_certificate(certificate, arithmetic) for arithmetic in ("double", "arb"))
    assert ball.arithmetic == "arb"
    assert (ball.lower, ball.pieces, ball.witness_checked) == (double.lower, double.pieces, double.witness_checked)
    assert ball.tail_at_most == pytest.approx(double.tail_at_most, rel=1e-6)


@pytest.mark.parametrize(("entry", "value"), [
    ("lower", 0.0), ("lower_at_most", 9.0), ("x1", 91), ("x2", 5), ("n", 101), ("alpha", 1e-4),
    ("functional", "margin"), ("statistic", "plugin"), ("witness", None), ("cuts", []), ("observed", 0.0),
    ("third_cell", False)])
def test_an_edit_is_caught_by_the_hash(genuine: dict[str, Any], entry: str, value: object) -> None:
    assert genuine[entry] != value
    with pytest.raises(CertificateError, match="was changed after it was written: its content hash does not match"):
        rsopt.check_certificate({**genuine, entry: value})


def test_lower_above_lower_at_most(genuine: dict[str, Any]) -> None:
    with pytest.raises(CertificateError, match=r"lower = .* lies above lower_at_most = "):
        rsopt.check_certificate(forged(genuine, lower=genuine["lower_at_most"] + 1e-9))


def test_lower_raised_to_the_witness(genuine: dict[str, Any]) -> None:
    with pytest.raises(CertificateError, match=r"Piece \d+ is not proven: the tail is only shown to be at most"):
        rsopt.check_certificate(forged(genuine, lower=genuine["lower_at_most"]))


@pytest.mark.parametrize("changes", [{"x1": 91}, {"x1": 92, "x2": 6}, {"x2": 5}, {"x1": 91, "x2": 5}, {"x2": 0}])
def test_better_counts(genuine: dict[str, Any], changes: dict[str, int]) -> None:
    """With the old statistic the counts are seen to be others; with the new one, the witness is none any more."""
    with pytest.raises(CertificateError, match="the counts or alpha are not those of the proof"):
        rsopt.check_certificate(forged(genuine, **changes, observed=genuine["observed"]))
    with pytest.raises(CertificateError, match="The tail at the witness is below alpha"):
        rsopt.check_certificate(forged(genuine, **changes))


@pytest.mark.parametrize("alpha", [9.9e-4, 1e-4, 1e-6])
def test_smaller_alpha(genuine: dict[str, Any], alpha: float) -> None:
    with pytest.raises(CertificateError, match="the counts or alpha are not those of the proof"):
        rsopt.check_certificate(forged(genuine, alpha=alpha, observed=genuine["observed"]))
    with pytest.raises(CertificateError, match="is not proven"):
        rsopt.check_certificate(forged(genuine, alpha=alpha))


@pytest.mark.parametrize(("changes", "message"), [
    ({"x1": 89}, "is not proven|exceeds alpha"), ({"alpha": 1.1e-3}, "witness"), ({"n": 101}, "is not proven|witness"),
    ({"functional": "margin"}, "above the largest value of the functional"),
    ({"statistic": "clopper-pearson"}, "is not proven|witness"),
    ({"third_cell": False}, "two classes, but votes fell on others"),
    ({"least_q1": 0.3}, "part of no proven bound"),
    ({"witness": [0.9, 0.2, 0.1]}, "no distribution of the domain"),
    ({"witness": [0.6, 0.3, 0.1]}, "witness has level .* not lower_at_most"),
    ({"witness": None}, "must come together"), ({"cuts": []}, "missing, out of order"),
    ({"lower": 1e300, "lower_at_most": 1e301}, "lies beyond every bound"),
    ({"lower": 59.0, "lower_at_most": 59.5}, "reaches a face")])
def test_other_forgeries(genuine: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CertificateError, match=message):
        rsopt.check_certificate(forged(genuine, **changes))


def test_restricted_nulls_need_a_passed_test() -> None:
    content = certificate_of(*CASES[2]).to_dict()
    with pytest.raises(CertificateError, match=r"5 votes of 12 do not pass it at alpha = 0\.05"):
        rsopt.check_certificate(forged(content, least_q1=0.5))


@pytest.mark.parametrize(("functional", "lower"), [("margin", 1.5), ("taylor-probit", 7.0), ("probit", 40.0)])
def test_a_level_above_all_values(functional: str, lower: float) -> None:
    """Its level curve is empty, which must not pass for a proof: every null lies below it."""
    content = certificate_of([90, 6, 4], functional, 15 if functional == "taylor-probit" else None, "studentized",
                             1e-3).to_dict()
    with pytest.raises(CertificateError, match=r"above the largest value|is not proven|do not match|reaches a face"):
        rsopt.check_certificate(forged(content, lower=lower, lower_at_most=None, witness=None))


def test_pieces_must_cover_the_curve(genuine: dict[str, Any]) -> None:
    cuts, runs = genuine["cuts"], genuine["kinds"]
    kinds = [kind for kind, count in runs for _ in range(count)]

    def with_mesh(cuts: list[float], kinds: list[str]) -> dict[str, Any]:
        return forged(genuine, cuts=cuts, kinds=[[kind, 1] for kind in kinds])

    assert rsopt.check_certificate(with_mesh(cuts, kinds)).pieces == len(kinds)
    for broken, message in [
            ((cuts[1:], kinds[1:]), "The pieces cover q2 from"), ((cuts[:-1], kinds[:-1]), "The pieces cover q2 from"),
            ((cuts, kinds[:-1]), "do not match the pieces"), ((cuts[::-1], kinds[::-1]), "out of order"),
            ((cuts[:1] + cuts[-1:], kinds[:1]), "is not proven"), ((cuts, ["corner"] * len(kinds)), "is not proven"),
            ((cuts, ["convex"] * len(kinds)), "reaches a face|is not proven"),
            ((cuts, ["magic"] * len(kinds)), "names an unknown bound, 'magic'"),
            ((cuts[:3] + cuts[-3:], [*kinds[:2], "convex", *kinds[-2:]]), "is not proven")]:
        with pytest.raises(CertificateError, match=message):
            rsopt.check_certificate(with_mesh(*broken))


def accepted(bound: rsopt.Bound, level: float, pieces: int) -> bool:
    """Whether a certificate of `level` is accepted whose mesh of `pieces` pieces was made up without any search."""
    segment = CheckedLink(bound.functional.name, None).segment(level, True, 0.0)
    if segment is None:
        return False
    inner = segment[0] + (segment[1] - segment[0]) * np.linspace(0.0, 1.0, pieces + 1)[1:-1] ** 2
    content = forged(bound.certificate.to_dict(), lower=level, lower_at_most=None, witness=None,
                     cuts=[segment[0] * (1.0 - 1e-12), *inner.tolist(), 1.0],
                     kinds=[["corner", 1], ["convex", pieces - 2], ["corner", 1]])
    try:
        rsopt.check_certificate(content)
    except CertificateError:
        return False
    return True


@settings(max_examples=80, deadline=None, derandomize=True)
@given(x1=st.integers(0, 30), x2=st.integers(0, 30), alpha=st.sampled_from([0.05, 0.01, 1e-3]),
       above=st.floats(0.0, 1.0), pieces=st.integers(3, 5000),
       functional=st.sampled_from(["margin", "probit", "laplace", "logit"]),
       statistic=st.sampled_from(["studentized", "clopper-pearson"]))
def test_no_mesh_proves_too_much(x1: int, x2: int, alpha: float, above: float, pieces: int, functional: str,
                                 statistic: str) -> None:
    """Whatever is written into a certificate, a level above the exact bound is refused."""
    bound = rsopt.lower_bound(rsopt.Counts((x1, x2, 20), 0, 1), functional=functional, statistic=statistic, alpha=alpha)
    if math.isfinite(bound.lower):
        assert not accepted(bound, bound.lower_at_most + 1e-9 + above ** 6, pieces)


def test_a_made_up_mesh_can_prove() -> None:
    """So that the refusals above are not for the form of those meshes."""
    bound = rsopt.lower_bound(rsopt.Counts((25, 3, 20), 0, 1), functional="margin", alpha=0.01)
    assert accepted(bound, bound.lower - 0.01, 5000)


@pytest.mark.parametrize(("changes", "message"), [
    ({"format": "rsopt certificate 0"}, "no certificate of this version"), ({"n": 0}, "no counts"),
    ({"x1": -1}, "no counts"), ({"x1": 95}, "no counts"), ({"n": 10 ** 15}, "no counts"),
    ({"x1": 90.0}, r"'x1' must be a whole number; found 90\.0"), ({"x2": True}, "'x2' must be a whole number"),
    ({"n": "100"}, "'n' must be a whole number; found '100'"), ({"n": 10 ** 30}, "whole number of at most 63 bits"),
    ({"alpha": 0.5}, r"alpha must lie in \[1e-15, 1/2\)"), ({"alpha": 0}, r"alpha must lie in \[1e-15, 1/2\); found 0"),
    ({"alpha": 9e-16}, r"alpha must lie in \[1e-15, 1/2\); found 9e-16"), ({"alpha": 5e-324}, "alpha must lie in"),
    ({"alpha": "0.001"}, "'alpha' must be a number; found '0.001'"), ({"alpha": True}, "'alpha' must be a number"),
    ({"alpha": None}, "'alpha' must be a number; found None"),
    ({"alpha": 0.45}, "supports alpha up to 0.4"), ({"functional": "median"}, "unknown functional 'median'"),
    ({"statistic": "magic"}, "unknown statistic 'magic'"), ({"order": 3}, "does not fit the functional"),
    ({"functional": ["probit"]}, "'functional' must be text"), ({"order": True}, "'order' must be a whole number"),
    ({"functional": "taylor-probit"}, "does not fit the functional"), ({"lower": "high"}, "'lower' must be a number"),
    ({"functional": "taylor-probit", "order": 4}, "does not fit the functional"),
    ({"functional": "taylor-probit", "order": 1003}, "does not fit the functional"),
    ({"functional": "taylor-probit", "order": 10 ** 9 + 1}, "does not fit the functional"),
    ({"lower": 60.5}, "lies beyond every bound"), ({"lower": 10 ** 300}, "double precision can hold"),
    ({"lower_at_most": "9"}, "'lower_at_most' must be a number"), ({"least_q1": 0.25}, "part of no proven bound"),
    ({"least_q1": 0.5}, "part of no proven bound"), ({"least_q1": "0.0"}, "'least_q1' must be a number"),
    ({"cuts": ["a", "b"]}, "'cuts' must be a number; found 'a'"), ({"cuts": None}, "'cuts' must be a list"),
    ({"cuts": [0.1, [0.2]]}, "'cuts' must be a number"), ({"cuts": {"0": 0.1}}, "'cuts' must be a list"),
    ({"kinds": [["convex"]]}, "'kinds' must be pairs"), ({"kinds": "corner"}, "'kinds' must be a list"),
    ({"kinds": [["convex", 10 ** 15]]}, "do not match the pieces"), ({"kinds": [["corner", 0]]}, "positive numbers of"),
    ({"kinds": [["corner", -1], ["corner", 43]]}, "positive numbers of"),
    ({"kinds": [["corner", 1.0]]}, "'kinds' must be a whole number"),
    ({"kinds": [["corner", True]]}, "'kinds' must be a whole number"), ({"kinds": [["corner", 1, 2]]}, "pairs"),
    ({"kinds": [[["corner"], 1]]}, "unknown bound"), ({"kinds": []}, "do not match the pieces"),
    ({"witness": [0.5]}, "'witness' must be three numbers; found 1"),
    ({"witness": ["a", "b", "c"]}, "'witness' must be a number; found 'a'"), ({"witness": []}, "three numbers"),
    ({"witness": 0.5}, "'witness' must be a list"), ({"third_cell": "yes"}, "'third_cell' must be true or false"),
    ({"third_cell": 1}, "'third_cell' must be true or false"), ({"observed": "x"}, "'observed' must be a number"),
    ({"look": None}, "does not know: 'look'"), ({"note": "trust me"}, "does not know: 'note'")])
def test_malformed(genuine: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CertificateError, match=message):
        rsopt.check_certificate(forged(genuine, **{"observed": genuine["observed"], **changes}))


def test_files_that_are_none(genuine: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "certificate.json"
    with pytest.raises(StorageError, match="cannot be read: No such file"):
        rsopt.check_certificate(path)
    for text, message in [("{", "is not JSON"), ("[1]", "expected a JSON object"),
                          ("{}", "no certificate of this version"), ("\xff", "is no text in UTF-8"),
                          (json.dumps({**genuine, "lower": math.nan}), "is no JSON value")]:
        path.write_text(text, encoding="latin-1")
        with pytest.raises((CertificateError, StorageError), match=message):
            rsopt.check_certificate(path)
    for entry in genuine:
        content = {key: value for key, value in genuine.items() if key not in (entry, "sha256")}
        with pytest.raises(CertificateError, match=r"incomplete|no certificate of this version|does not match"):
            rsopt.check_certificate({**content, "sha256": content_hash(content)} if entry != "sha256" else content)
    with pytest.raises(StorageError, match="cannot be written"):
        Certificate.from_dict(genuine).save(path / "certificate.json")


def test_unknown_arithmetic(genuine: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"There is no arithmetic named 'quad'\. Known: arb, double\."):
        rsopt.check_certificate(genuine, arithmetic="quad")


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("functional", list(FUNCTIONALS))
def test_the_checkers_own_tails(functional: str, statistic: str) -> None:
    """The rebuilt sets are those of the search, and both arithmetics bound the same tail from above."""
    g = FUNCTIONALS[functional]
    for x1, x2, x3, alpha in [(20, 5, 3, 0.05), (2, 20, 1, 1e-3), (150, 30, 20, 1e-3), (30, 180, 17, 1e-5)]:
        n = x1 + x2 + x3
        tail_set = as_statistic(statistic).tail_set(rsopt.Counts((x1, x2, x3), 0, 1), g, alpha)
        inside = [(a, b) for a in range(n + 1) for b in range(n + 1 - a) if tail_set.contains(a, b)]
        statement = Certificate(n, x1, x2, alpha, g.name, getattr(g, "order", None), statistic, 0.0, True, 0.0, 0.0,
                                None, None, (), ())
        double, ball = Double(statement), Arb(statement)
        points = [(x1 / n, x2 / n, x3 / n), (0.8 * x1 / n, x2 / n, 1 - (0.8 * x1 + x2) / n), (0.5, 0.5, 0.0),
                  (1e-3, 1e-3, 0.998), (0.7, 0.0, 0.3), (0.0, 0.4, 0.6), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)]
        double.prepare([*points, (1e-9, 0.5, 0.5), (1.0, 0.0, 0.0)])
        ball.prepare([tuple(map(arb, q)) for q in [*points, (0.5, 1e-9, 0.5), (0.0, 1.0, 0.0)]])
        for one in (double, ball):
            assert [(a, b) for a in range(n + 1) for b in range(n + 1 - a) if one.contains(a, b)] == inside
        for q in points:
            exact = float(tail_set.probability(q))
            for value in (double.upper(q), ball.upper(tuple(map(arb, q)))):
                assert exact * (1.0 - 1e-9) <= math.exp(value) <= exact * (1.0 + 1e-9) + 1e-6 * alpha
