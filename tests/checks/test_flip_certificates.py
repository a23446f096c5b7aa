"""Certificates of radii under flips of bits: what is accepted is true by enumeration, and nothing else is accepted."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from command_line import run
from enumeration import outcomes, probabilities
from scipy import stats

import rsopt
from rsopt.certificate import Certificate, FlippedBits
from rsopt.checks.flip_curve import ONE, Corners, FlipCurve
from rsopt.errors import CertificateError, InvalidInputError
from rsopt.nested_certificate import NestedCertificate
from rsopt.noise import Flips
from rsopt.proof_file import hashed

Array = npt.NDArray[np.float64]

NOISES = [Flips(0.01, 0.6), Flips(0.42, 0.44), Flips(0.0, 0.3), Flips(0.2, 0.0), Flips(0.7, 0.6), Flips(0.5, 0.5)]
FORGERIES = int(os.environ.get("RSOPT_FORGERIES", "600"))


def highest(add: Fraction, remove: Fraction, additions: int, deletions: int) -> list[tuple[Fraction, Fraction]]:
    """(P_x, P_x') of every single drawing of the changed bits, from the largest ratio P_x'/P_x to the smallest."""
    found = []
    for bits in itertools.product((0, 1), repeat=additions + deletions):
        before = after = Fraction(1)
        for place, bit in enumerate(bits):
            ones, others = (add, 1 - remove) if place < additions else (1 - remove, add)
            before *= ones if bit else 1 - ones
            after *= others if bit else 1 - others
        if before or after:
            found.append((before, after))
    return sorted(found, key=lambda pair: (pair[0] == 0, pair[1] / pair[0] if pair[0] else 0), reverse=True)


def most(drawings: list[tuple[Fraction, Fraction]], p: Fraction) -> Fraction:
    """The largest probability under x' of a set, randomized if need be, of probability p under x."""
    left, total = p, Fraction(0)
    for before, after in drawings:
        share = Fraction(1) if before <= left else left / before
        total, left = total + share * after, left - share * before
        if share < 1:
            break
    return total


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_corners_are_those_of_all_drawings(noise: Flips) -> None:
    """Exactly: the regions from polynomials against every single drawing of the changed bits."""
    for additions, deletions in itertools.product(range(4), repeat=2):
        flips = FlippedBits(*noise.exact, ((additions, deletions),))
        corners = Corners.of(flips, additions, deletions)
        drawings = highest(*noise.exact, additions, deletions)
        for above, sign in ((True, 1), (False, -1)):
            at, values = corners.rounded(above=above)
            for p, value, across, along in zip(corners.at, corners.values, at, values, strict=True):
                # To the left and up, or to the right and down, by less than a unit of 2^-192.
                assert 0 <= sign * (p * ONE - across * corners.whole) < corners.whole
                assert 0 <= sign * (along * corners.whole - value * ONE) < corners.whole
        for p, value in zip(corners.at, corners.values, strict=True):
            assert Fraction(value, corners.whole) == most(drawings, Fraction(p, corners.whole))
        for p in (Fraction(k, 37) for k in range(38)):
            assert least_upper(corners, p) == most(drawings, p)


def least_upper(corners: Corners, p: Fraction) -> Fraction:
    points = [(Fraction(a, corners.whole), Fraction(b, corners.whole)) for a, b in zip(corners.at, corners.values,
                                                                                    strict=True)]
    (at, value), (then, more) = max((pair for pair in itertools.pairwise(points) if pair[0][0] <= p),
                                    key=lambda pair: pair[0][0])
    return value + (p - at) * (more - value) / (then - at)


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_level_curves_are_rounded_outwards_and_by_little(noise: Flips) -> None:
    flips = FlippedBits(*noise.exact, ((0, 2), (1, 1), (2, 0)))
    curve = FlipCurve(flips)
    drawings = [highest(*noise.exact, *pair) for pair in flips.changes]

    def g(q1: Fraction, q2: Fraction) -> Fraction:
        return 1 - max(most(each, 1 - q1) + most(each, q2) for each in drawings)

    for level, q2 in itertools.product((-0.3, 0.0, 0.2), (0.0, 1e-9, 0.1, 0.37, 0.8)):
        found = Fraction(curve.largest_q1(level, q2), ONE)
        if 0 <= found < 1:
            beyond = found + Fraction(1, 1 << 60)
            assert g(beyond, Fraction(q2)) > Fraction(level) or beyond > 1
            # At the point itself the functional is at the level but for 192 bits.
            assert abs(g(found, Fraction(q2)) - Fraction(level)) < Fraction(1, 1 << 120) or g(
                found - Fraction(1, 1 << 60), Fraction(q2)) <= Fraction(level)
        elif found < 0:
            assert g(Fraction(0), Fraction(q2)) > Fraction(level)
        exact = g(Fraction(0.7), Fraction(q2))
        assert exact <= curve.value_at_most(0.7, q2) <= exact + Fraction(1, 1 << 120)
    for level in (-0.3, 0.0, 0.2):
        ends = curve.ends(level)
        assert ends is not None
        assert ends[0] <= ends[1] <= ends[2]
        assert g(1 - Fraction(ends[1]), Fraction(ends[1])) > Fraction(level) or ends[1] == 0.0
        assert g(1 - Fraction(ends[2]), Fraction(ends[2])) <= Fraction(level) + Fraction(1, 1 << 50)


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_polygons_are_rounded_outwards_to_the_last_unit(noise: Flips) -> None:
    """Against fractions: the curve of the polygon with moved corners, rounded up by hardly more than its slopes ask."""
    for pair in ((0, 1), (2, 0), (1, 3)):
        curve = FlipCurve(FlippedBits(*noise.exact, (pair,)))
        at, values = curve.exact[0].rounded(above=True)

        def high(p: Fraction, at: tuple[int, ...] = at, values: tuple[int, ...] = values) -> Fraction:
            k = max(k for k in range(len(at)) if at[k] <= p)
            return Fraction(values[k]) if k == len(at) - 1 else values[k] + (p - at[k]) * Fraction(
                values[k + 1] - values[k], at[k + 1] - at[k])

        for level, q2 in itertools.product((-0.37, 0.0, 0.11), (1e-9, 0.1, 0.37, 0.8)):
            found = curve.largest_q1(level, q2)
            if 0 <= found < ONE:
                # Everything to the right of it lies above the level: what the polygons leave is less than asked for.
                wanted = ONE - Fraction(level) * ONE - high(Fraction(q2) * ONE)
                assert high(Fraction(ONE - found - 1)) < wanted


def nested(votes: tuple[int, ...], functional_of: Callable[[int], Any], **options: Any) -> rsopt.NestedRadius[int]:
    return rsopt.largest_certified(votes, 0, radii=itertools.count(1), functional_of=functional_of, **options)


@pytest.mark.parametrize("noise", NOISES[:5], ids=str)
@pytest.mark.parametrize("statistic", ["clopper-pearson", "plugin"])
def test_prover_and_checkers_agree(noise: Flips, statistic: str) -> None:
    """Random observations; every radius has a certificate, and both arithmetics prove it again."""
    random = np.random.default_rng([7, *statistic.encode()])
    kinds = [noise.margin_within, lambda r: noise.margin(r, 0), lambda r: noise.margin(0, r)]
    proven = 0
    for trial in range(24):
        classes = 2 if trial % 4 == 0 else 3
        p = random.dirichlet([12.0, 1.0, 0.5][:classes])
        votes = tuple(random.multinomial(int(random.choice([8, 40, 300])), p).tolist())
        found = rsopt.largest_certified(votes, 0, radii=range(1, 6), functional_of=kinds[trial % 3],
                                        statistic=statistic, alpha=0.02)
        if not found.certified:
            with pytest.raises(InvalidInputError, match="no radius is proven"):
                _ = found.certificate
            continue
        proven += 1
        reports = [rsopt.check_nested_certificate(found.certificate, name) for name in ("double", "arb")]
        for report in reports:
            assert (report.radii, report.alpha, report.look) == (found.proven, 0.02, None)
            assert report.tail_at_most <= 0.02
        assert reports[0].tail_at_most == pytest.approx(reports[1].tail_at_most, rel=1e-6, abs=1e-8)
    assert proven or noise in (NOISES[2], NOISES[3])


@pytest.mark.parametrize("votes", [(95, 3, 2), (60, 30, 10), (90, 10), (9900, 60, 40)])
def test_one_bound_has_a_certificate_too(votes: tuple[int, ...], tmp_path: Path) -> None:
    functional = NOISES[0].margin_within(2)
    bound = rsopt.lower_bound(votes, 0, functional=functional, statistic="clopper-pearson")
    certificate = bound.certificate
    content = json.loads(certificate.to_json())
    assert content["format"] == "rsopt certificate 3"
    assert content["flips"]["changes"] == [[0, 2], [1, 1], [2, 0]]
    assert [Fraction(content["flips"][name]) for name in ("add", "remove")] == list(NOISES[0].exact)
    assert Certificate.from_dict(content) == certificate
    certificate.save(tmp_path / "bound.json")
    for arithmetic in ("double", "arb") if sum(votes) < 1000 else ("double",):
        report = rsopt.check_certificate(tmp_path / "bound.json", arithmetic)
        assert (report.lower, report.witness_checked) == (bound.lower, bound.proof.witness is not None)
    raised = {**content, "lower": content["lower"] + 0.01, "lower_at_most": content["lower_at_most"] + 0.01}
    with pytest.raises(CertificateError):
        rsopt.check_certificate(rehashed(raised))


def rehashed(content: dict[str, Any]) -> dict[str, Any]:
    return hashed({name: value for name, value in content.items() if name != "sha256"})


def test_what_a_file_cannot_name_is_said() -> None:
    found = nested((95, 3, 2), NOISES[0].margin_within, statistic="studentized")
    assert found.proof is None
    with pytest.raises(InvalidInputError, match=r"at most 128 bits, by 'clopper-pearson' or 'plugin'"):
        _ = found.certificate
    with pytest.raises(InvalidInputError, match="flip-margin' by 'studentized'"):
        _ = rsopt.lower_bound((95, 3, 2), 0, functional=NOISES[0].margin(0, 1)).certificate
    weak = Flips(0.4999, 0.5)
    many = rsopt.largest_certified((9000, 0, 0), 0, radii=[1], functional_of=lambda r: weak.margin(0, 129))
    assert many.certified
    assert many.proof is None


def oracle_tails(claim: dict[str, Any], points: int = 300) -> tuple[float, float]:
    """(largest tail over the nulls found, without outcomes in doubt; the same with them), by enumeration."""
    n, alpha, level = claim["n"], claim["alpha"], claim["lower"]
    x = outcomes(n)
    drawings = [highest(Fraction(claim["flips"]["add"]), Fraction(claim["flips"]["remove"]), *pair)
                for pair in claim["flips"]["changes"]]
    tables = [(np.cumsum([0.0, *(float(b) for b, _ in each)]), np.cumsum([0.0, *(float(a) for _, a in each)]))
              for each in drawings]

    def g(q1: Array, q2: Array) -> Array:
        return np.asarray(1.0 - np.max([np.interp(1.0 - q1, *each) + np.interp(q2, *each) for each in tables], axis=0))

    x1, x2 = x[:, 0].astype(float), x[:, 1].astype(float)
    if claim["statistic"] == "plugin":
        table = g(x1 / n, x2 / n)
    else:
        low = np.where(x1 > 0, stats.beta.ppf(alpha / 2.0, np.maximum(x1, 1.0), n - x1 + 1.0), 0.0)
        table = g(low, np.where(x2 < n, stats.beta.isf(alpha / 2.0, x2 + 1.0, np.maximum(n - x2, 1.0)), 1.0))
    observed = float(table[(x1 == claim["x1"]) & (x2 == claim["x2"])][0])
    claim.setdefault("observed", observed)
    q2 = np.unique(np.concatenate([np.linspace(0.0, 1.0, points), 10.0 ** np.linspace(-9, -2, 60)]))
    low, high = np.zeros(q2.size), np.ones(q2.size)
    for _ in range(50):
        middle = 0.5 * (low + high)
        below = g(middle, q2) <= level
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    low = np.where(g(np.zeros(q2.size), q2) <= level, low, np.nan)
    q1 = np.minimum(low, 1.0 - q2)
    q = np.stack([q1, q2, 1.0 - q1 - q2], axis=1)[~np.isnan(q1)]
    if not claim["third_cell"]:
        q = q[(q[:, 2] <= 1e-12)]
        q[:, 0], q[:, 2] = 1.0 - q[:, 1], 0.0
    if q.size == 0:
        return 0.0, 0.0
    tails = []
    for room in (1e-8, -1e-8):
        inside = (table >= observed + room) | ((x1 == claim["x1"]) & (x2 == claim["x2"]))
        inside = np.array([bool(np.any(inside & (x1 <= a) & (x2 >= b))) for a, b in zip(x1, x2, strict=True)])
        tails.append(float((probabilities(np.maximum(q, 0.0), x) * inside).sum(axis=1).max()))
    return tails[0], tails[1]


def made_up(random: np.random.Generator) -> dict[str, Any]:
    """A claim about few votes, most often near what can be proven, with a mesh that may prove it."""
    n = int(random.integers(1, 9))
    x1 = int(random.integers(0, n + 1))
    x2 = int(random.integers(0, n - x1 + 1))
    noise = NOISES[int(random.integers(len(NOISES)))]
    changes = [[[0, 1]], [[1, 0]], [[0, 2], [1, 1], [2, 0]], [[0, 0]], [[2, 1]]][int(random.integers(5))]
    alpha = float(random.choice([0.05, 0.2, 0.4, 10.0 ** random.uniform(-4, -0.4)]))
    claim: dict[str, Any] = {
        "format": "rsopt certificate 3", "n": n, "x1": x1, "x2": x2, "alpha": alpha, "functional": "flip-margin",
        "order": None, "statistic": str(random.choice(["clopper-pearson", "plugin"])),
        "third_cell": bool(x1 + x2 < n or random.random() < 0.5), "least_q1": 0.0, "lower": 0.0,
        "lower_at_most": None, "witness": None, "look": None,
        "flips": {**FlippedBits(*noise.exact, ()).to_dict(), "changes": changes}}
    if random.random() < 0.8:
        low, high = -1.0, 1.0
        for _ in range(8):
            claim["lower"] = 0.5 * (low + high)
            low, high = (claim["lower"], high) if oracle_tails(claim, 40)[0] <= alpha else (low, claim["lower"])
        claim["lower"] = float(np.clip(low + random.choice([0.0, -0.02, 0.02, random.normal(0, 0.1)]), -1.2, 1.2))
    oracle_tails(claim, 2)
    ends = FlipCurve(FlippedBits.from_dict(claim["flips"])).ends(claim["lower"])
    start, end = (0.0, 1.0) if ends is None else (ends[0], ends[2])
    pieces = int(random.choice([1, 2, 5, 40, 200])) if claim["third_cell"] else 1
    cuts = start + (end - start) * np.linspace(0.0, 1.0, pieces + 1) ** float(random.choice([1.0, 2.0]))
    if not claim["third_cell"]:
        cuts = np.array([end, end])
    if random.random() < 0.15:
        cuts = np.sort(random.random(pieces + 1)) if random.random() < 0.5 else cuts * 0.9
    claim["cuts"], claim["kinds"] = cuts.tolist(), [["corner" if random.random() < 0.95 else "convex", pieces]]
    return claim


def test_what_is_accepted_is_true() -> None:
    """Claims are made up; whatever either arithmetic accepts is held against the sample space."""
    random = np.random.default_rng(int(os.environ.get("RSOPT_FORGERIES_SEED", "1")))
    accepted = refused_false = 0
    for _ in range(FORGERIES):
        claim, verdicts = made_up(random), []
        for arithmetic in ("double", "arb"):
            try:
                verdicts.append(rsopt.check_certificate(hashed(claim), arithmetic))
            except CertificateError:
                verdicts.append(None)
        tail = oracle_tails(claim)[0]
        if any(verdicts):
            assert tail <= claim["alpha"] * (1.0 + 1e-9), claim
            accepted += 1
        elif tail > claim["alpha"]:
            refused_false += 1
    assert accepted > 0.1 * FORGERIES
    assert refused_false > 0.1 * FORGERIES


@pytest.fixture(scope="module")
def genuine() -> dict[str, Any]:
    """Three radii of deletions, as a file holds them."""
    return nested((95, 3, 2), lambda r: Flips(0.05, 0.6).margin(0, r)).certificate.to_dict()


def changed(content: dict[str, Any], number: int, **entries: Any) -> dict[str, Any]:
    steps = [dict(step) for step in content["steps"]]
    steps[number] = rehashed({**steps[number], **entries})
    return hashed({"format": content["format"], "steps": steps})


@pytest.mark.parametrize(("entries", "said"), [
    ({"lower": -0.001}, "Radius 2 is not proven: the level -0.001 is below 0"),
    ({"alpha": 0.01}, "Radius 2 has another alpha than the first: 0.01, not 0.001"),
    ({"x1": 96, "x2": 2}, "Radius 2 has another x1"),
    ({"n": 101}, "Radius 2 has another n"),
    ({"statistic": "plugin"}, "Radius 2 has another statistic"),
    ({"look": {"number": 1, "of": 2, "alpha": 0.002}}, "Radius 2 has another look"),
    ({"flips": {"add": "1/20", "remove": "3/5", "changes": [[0, 2]]}}, "Radius 2 has another noise"),
    ({"observed": 0.9}, "Radius 2: The statistic at the counts"),
    ({"lower": 0.9}, "Radius 2:"),
    ({"cuts": [], "kinds": []}, "Radius 2: The cuts of the level curve are missing"),
    ({"kinds": [["convex", 1]]}, "Radius 2: The cuts|Radius 2: Piece 0 reaches a face"),
    ({"statistic": "studentized"}, "unknown statistic 'studentized'"),
    ({"functional": "margin"}, "unknown functional 'margin'"),
    ({"format": "rsopt certificate 1"}, "unknown functional 'flip-margin'"),
    ({"format": "rsopt certificate 4"}, "no certificate of this version"),
    ({"least_q1": 0.5}, "Radius 2 has another least_q1"),
    ({"order": 3}, "does not fit"),
])
def test_steps_that_do_not_belong_together(genuine: dict[str, Any], entries: dict[str, Any], said: str) -> None:
    with pytest.raises(CertificateError, match=said):
        rsopt.check_nested_certificate(changed(genuine, 1, **entries))


@pytest.mark.parametrize(("flips", "said"), [
    ({"add": "2/40"}, "in its lowest terms"), ({"add": "-1/20"}, "in its lowest terms"),
    ({"add": 0.05}, "must be text"),
    ({"add": "1/0"}, "in its lowest terms"), ({"add": "1/" + "9" * 21}, "in its lowest terms"),
    ({"add": "1/99999999999999999999"}, "flips are none"), ({"add": "1/1"}, "flips are none"),
    ({"add": "0/1", "remove": "0/1"}, "flips are none"), ({"add": "٣/7"}, "in its lowest terms"),
    ({"add": " 1/20"}, "in its lowest terms"), ({"add": "1/20\n"}, "in its lowest terms"),
    ({"changes": []}, "flips are none"), ({"changes": [[0, 129]]}, "flips are none"),
    ({"changes": [[-1, 2]]}, "flips are none"), ({"changes": [[0, 10**30]]}, "flips are none"),
    ({"changes": [[0, True]]}, "pairs of whole numbers"), ({"changes": [[0, 1.0]]}, "pairs of whole numbers"),
    ({"changes": [0, 1]}, "pairs of whole numbers"), ({"changes": [[0, 1]] * 130}, "130 pairs of changes"),
    ({"more": 1}, "does not know")])
def test_flips_that_are_none(genuine: dict[str, Any], flips: dict[str, Any], said: str) -> None:
    step = dict(genuine["steps"][0])
    step["flips"] = {**step["flips"], **flips}
    for arithmetic in ("double", "arb"):
        with pytest.raises(CertificateError, match=said):
            rsopt.check_certificate(rehashed(step), arithmetic)


def test_radii_out_of_order_and_too_many(genuine: dict[str, Any]) -> None:
    steps = genuine["steps"]
    for listed, said in [(steps[::-1], "Radius 2 is not larger"), ([steps[0]] * 2, "Radius 2 is not larger"),
                         ([], "of 0 radii"), ([steps[0]] * 129, "of 129 radii"), ([1], "must be certificates"),
                         ([rsopt.lower_bound([95, 3, 2], 0).certificate.to_dict()], "not of changes of bits")]:
        with pytest.raises(CertificateError, match=said):
            rsopt.check_nested_certificate(hashed({"format": genuine["format"], "steps": listed}))
    with pytest.raises(CertificateError, match="content hash does not match"):
        rsopt.check_nested_certificate({**genuine, "steps": steps[:1]})
    with pytest.raises(CertificateError, match="content hash does not match"):
        rsopt.check_nested_certificate(hashed({"format": genuine["format"], "steps": [{**steps[0], "x1": 96}]}))
    with pytest.raises(CertificateError, match="no nested certificate, nor the path"):
        rsopt.check_nested_certificate(3)  # type: ignore[arg-type]
    with pytest.raises(CertificateError, match="malformed"):
        rsopt.check_nested_certificate(NestedCertificate((1,)))  # type: ignore[arg-type]


def test_bombs_are_refused_before_work(genuine: dict[str, Any]) -> None:
    step = dict(genuine["steps"][0])
    many = {**step, "cuts": [0.0] * 100_000, "kinds": [["corner", 99_999]],
            "flips": {**step["flips"], "changes": [[a, 128 - a] for a in range(129)]}}
    with pytest.raises(CertificateError, match="100,000 cuts times 129 pairs"):
        rsopt.check_certificate(rehashed(many))
    few = [rehashed({**step, "cuts": [0.0] * 2000, "kinds": [["corner", 1999]],
                     "flips": {**step["flips"], "changes": [[a, r - a] for a in range(r + 1)]}})
           for r in range(20, 128)]
    with pytest.raises(CertificateError, match="cuts times pairs of changes together"):
        rsopt.check_nested_certificate(hashed({"format": genuine["format"], "steps": few}))


def test_the_command_knows_it(genuine: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "radius.json"
    NestedCertificate.from_dict(genuine).save(path)
    assert NestedCertificate.load(path).to_dict() == genuine
    for arithmetic in ("double", "arb"):
        result = run("verify", path, "--arithmetic", arithmetic)
        assert result.exit_code == 0
        assert (f"holds: the class with votes 95 against 3 of 100 stays ahead after changes of at most 0 of 0 to 1 and "
                f"{len(genuine['steps'])} of 1 to 0 at alpha 0.001 (radii: {len(genuine['steps'])}, pieces:"
                ) in " ".join(result.output.split())
    path.write_text(json.dumps(changed(genuine, 0, lower=0.9)))
    result = run("verify", path)
    assert result.exit_code == 2
    assert "REJECTED: Radius 1:" in " ".join(result.stderr.split())
    assert not math.isnan(rsopt.check_nested_certificate(genuine).tail_at_most)
