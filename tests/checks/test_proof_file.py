"""Proofs are read strictly: whatever the format does not say is refused, and nothing but our own errors come out."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rsopt
from rsopt import proof_file
from rsopt.certificate import Certificate
from rsopt.errors import CertificateError, RsoptError
from rsopt.proof_file import content_hash, hashed
from rsopt.runs.verification import check_text
from rsopt.transcript import Transcript


@pytest.fixture(scope="module")
def certificate() -> str:
    bound = rsopt.lower_bound([90, 6, 4], top=0)
    return bound.certificate.to_json()


@pytest.fixture(scope="module")
def transcript() -> str:
    rows = np.random.default_rng(0).dirichlet([8.0, 2.0, 1.0], 120)
    return rsopt.lower_bound_scores(rows, top=0).transcript.to_json()


def rehashed(text: str, old: str, new: str) -> str:
    """The text with a part replaced and the hash that a lenient reader would compute."""
    assert old in text
    changed = text.replace(old, new, 1)
    content = json.loads(changed)
    content.pop("sha256")
    stated = json.loads(text)["sha256"]
    return changed.replace(stated, hash_of_anything(content))


def hash_of_anything(content: dict[str, Any]) -> str:
    import hashlib

    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@pytest.mark.parametrize(("old", "new", "message"), [
    ('"n":100,', '"n":100,"n":100,', r"the key 'n' stands twice"),
    ('"alpha":0.001,', '"alpha":0.5,"alpha":0.001,', r"the key 'alpha' stands twice"),
    ('"alpha":0.001,', '"alpha":"0.001",', r"'alpha' must be a number; found '0\.001'"),
    ('"alpha":0.001,', '"alpha":NaN,', r"NaN is no JSON value"),
    ('"alpha":0.001,', '"alpha":Infinity,', r"Infinity is no JSON value"),
    ('"alpha":0.001,', '"alpha":1e999,', r"'1e999' is beyond double precision"),
    ('"alpha":0.001,', '"alpha":[0.001],', r"'alpha' must be a number; found \[0\.001\]"),
    ('"alpha":0.001,', '"alpha":true,', r"'alpha' must be a number; found True"),
    ('"n":100,', '"n":100.0,', r"'n' must be a whole number; found 100\.0"),
    ('"n":100,', '"n":true,', r"'n' must be a whole number; found True"),
    ('"n":100,', '"n":1' + "0" * 60 + ",", r"'n' must be a whole number of at most 63 bits; found 1000"),
    ('"n":100,', '"n":100,"proven":true,', r"entries that the format does not know: 'proven'"),
    ('"n":100,', "", r"The certificate is incomplete: 'n' is missing"),
    ('"third_cell":true', '"third_cell":1', r"'third_cell' must be true or false; found 1"),
    ('"order":null', '"order":0.0', r"'order' must be a whole number; found 0\.0"),
    ('"kinds":[["corner",1]', '"kinds":[["corner",1.0]', r"'kinds' must be a whole number; found 1\.0")])
def test_a_certificate_is_what_the_format_says(certificate: str, old: str, new: str, message: str) -> None:
    with pytest.raises(CertificateError, match=message):
        check_text(rehashed(certificate, old, new))


def test_a_file_need_not_be_a_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: str) -> None:
    for text, message in (("[" * 100_000, "is not JSON"), ('{"a":' * 50_000, "is not JSON"), ("", "is not JSON"),
                          ('{"n":' + "1" * 6000 + "}", "is not JSON"), ("null", "expected a JSON object"),
                          ('{"format":"rsopt certificate 1","sha256":"0"}', "was changed after it was written"),
                          ('{"format":["rsopt certificate 1"]}', "no certificate of this version"),
                          ('{"format":"rsopt certificate 4"}', "its format is 'rsopt certificate 4'")):
        with pytest.raises(CertificateError, match=message):
            check_text(text)
    monkeypatch.setattr(proof_file, "MOST_BYTES", len(certificate) - 1)
    with pytest.raises(CertificateError, match="too large for a proof: 1,"):
        check_text(certificate)
    path = tmp_path / "large.json"
    path.write_text(certificate)
    with pytest.raises(CertificateError, match="too large for a proof: 1,"):
        rsopt.check_certificate(path)


def test_packed_proofs_are_bounded_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    import zlib

    packed = zlib.compress(b"{}")
    assert proof_file.unpacked(packed) == "{}"
    for body in (packed[:-3], packed + b"more", b"", b"no zlib", zlib.compress(b"\xff"), "text"):
        with pytest.raises(CertificateError, match="cannot be unpacked"):
            proof_file.unpacked(body)  # type: ignore[arg-type]
    monkeypatch.setattr(proof_file, "MOST_BYTES", 1000)
    with pytest.raises(CertificateError, match="too large: more than 1,000 bytes"):
        proof_file.unpacked(zlib.compress(bytes(10**7)))


def test_objects_are_read_as_strictly_as_files(certificate: str) -> None:
    content = json.loads(certificate)
    good = Certificate.from_dict(content)
    for change in ({"n": 100.0}, {"alpha": "0.001"}, {"cuts": None}, {"kinds": 3}, {"witness": (0.5,)},
                   {"lower": math.nan}, {"lower": math.inf}, {"alpha": 10**400}, {"x1": 10**5000},
                   {"functional": None}, {"look": 3}, {"third_cell": None}, {"cuts": [good]}):
        bad = object.__new__(Certificate)
        bad.__dict__.update({**good.__dict__, **change})
        with pytest.raises(CertificateError):
            rsopt.check_certificate(bad)
    recursive: dict[str, Any] = dict(content)
    recursive["cuts"] = recursive
    for mapping in (recursive, {**content, 3: 4}, {**content, "n": np.int64(100)}, {**content, "cuts": np.zeros(3)},
                    {"format": np.zeros(2)}, {}):
        with pytest.raises(CertificateError):
            rsopt.check_certificate(mapping)


def test_the_second_version_names_the_look(certificate: str, tmp_path: Path) -> None:
    plain = Certificate.from_dict(json.loads(certificate))
    assert json.loads(certificate)["format"] == "rsopt certificate 1"
    assert "look" not in json.loads(certificate)
    of_a_look = plain.at_look(2, 7, 0.004)
    of_a_look.save(tmp_path / "look.json")
    content = json.loads((tmp_path / "look.json").read_text())
    assert (content["format"], content["look"]) == ("rsopt certificate 2", {"number": 2, "of": 7, "alpha": 0.004})
    assert Certificate.load(tmp_path / "look.json") == of_a_look
    report = rsopt.check_certificate(tmp_path / "look.json")
    assert report.look == of_a_look.look
    assert report.lower == plain.lower
    assert "look 2 of 7, at alpha 0.004 for all of them" in check_text(of_a_look.to_json())
    for number, of, alpha in ((0, 7, 0.004), (8, 7, 0.004), (1, 0, 0.004), (2, 7, 0.0009), (2, 7, 0.5)):
        with pytest.raises(CertificateError, match="is none that a bound at alpha"):
            rsopt.check_certificate(plain.at_look(number, of, alpha))
    del content["sha256"]
    for look in (None, 2, {"number": 2, "of": 7}, {"number": 2, "of": 7, "alpha": 0.004, "more": 1}):
        with pytest.raises(CertificateError, match="look"):
            rsopt.check_certificate(hashed({**content, "look": look}))


BOMBS: list[Any] = [None, True, False, 0, 1, -1, 2, 0.5, -0.5, 1e-320, 5e-324, 1e308, -1e308, 10**30, 10**400, "",
                    "0.5", "NaN", [], [[]], {}, [0.5] * 40, [[0.5] * 9] * 3, [["corner", 10**15]], [[0.0, 10**30]],
                    {"a": {"b": 1}}, [None], "rsopt certificate 1"]


def altered(content: Any, chance: random.Random) -> Any:
    """A copy with one place somewhere in it replaced, removed or doubled."""
    if isinstance(content, dict) and content and chance.random() < 0.93:
        name = chance.choice(list(content))
        copy = dict(content)
        if chance.random() < 0.06:
            del copy[name]
        else:
            copy[name] = altered(copy[name], chance)
        return copy
    if isinstance(content, list) and content and chance.random() < 0.9:
        place = chance.randrange(len(content))
        replaced = [altered(content[place], chance)] if chance.random() < 0.85 else chance.choice(
            [[], [content[place]] * 2, [content[place - 1]]])
        return content[:place] + replaced + content[place + 1:]
    if isinstance(content, float) and chance.random() < 0.6:
        return content * chance.choice([1.0 + 1e-9, 1.001, 0.5, 2.0, -1.0, 1e300, 1e-300]) + chance.choice([0.0, 1e-9])
    if isinstance(content, int) and not isinstance(content, bool) and chance.random() < 0.6:
        return content + chance.choice([1, -1, 7, 10**6, 10**12, -content])
    return chance.choice(BOMBS)


@pytest.mark.parametrize("kind", ["certificate", "transcript"])
def test_only_our_own_errors_come_out(kind: str, request: pytest.FixtureRequest) -> None:
    """Proofs with something changed, hash and all, in time: no raw error, and no second bomb."""
    content = json.loads(request.getfixturevalue(kind))
    del content["sha256"]
    original = content_hash(content)
    chance = random.Random(5)
    accepted = 0
    for _ in range(1500 if kind == "certificate" else 400):
        changed = content
        for _ in range(chance.choice([1, 1, 1, 2, 5])):
            changed = altered(changed, chance)
        if not isinstance(changed, dict):
            continue
        try:
            text = json.dumps(hashed(changed))
        except RsoptError:
            # No JSON at all: handed over as an object.
            with pytest.raises(RsoptError):
                (rsopt.check_certificate if kind == "certificate" else rsopt.check_transcript)(changed)
            continue
        try:
            check_text(text)
            accepted += content_hash(changed) != original
        except RsoptError:
            pass
    # Some places may change without harm, such as a cut moved a little.
    assert accepted < 300


def test_a_transcript_is_what_the_format_says(transcript: str) -> None:
    assert Transcript.from_dict(json.loads(transcript)).to_json() == transcript
    for old, new, message in (
            ('"top":0', '"top":"0"', r"'top' must be a whole number; found '0'"),
            ('"top":0', '"top":0.7', r"'top' must be a whole number; found 0\.7"),
            ('"top":0', '"top":false', r"'top' must be a whole number; found False"),
            ('"alpha":0.001', '"alpha":"0.001"', r"'alpha' must be a number; found '0\.001'"),
            ('"alpha":0.001', '"alpha":5e-324', r"alpha must lie in \[1e-300, 1/2\); found 5e-324"),
            ('"alpha":0.001', '"alpha":0.5', r"alpha must lie in \[1e-300, 1/2\); found 0\.5"),
            ('"n":120', '"n":0', "n must be a number of rows"),
            ('"n":120', '"n":10000000000000', "n must be a number of rows"),
            ('"classes":3', '"classes":100000000', "class 0 of 100000000 cannot be certified"),
            ('"classes":3', '"classes":1000000', "the rivals are not all classes"),
            ('"prior":0', '"prior":-1', "first stage"), ('"prior":0', '"prior":0,"note":1', "does not know: 'note'"),
            ('"classes":[1]', '"classes":["1"]', "'classes' must be a whole number"),
            ('"classes":[1]', '"classes":[]', "the rivals are not all classes"),
            ('"classes":[1]', '"classes":[2]', "the rivals are not all classes"),
            ('"method":"digital-hedge"', '"method":"magic"', "unknown method 'magic'"),
            ('"method":"digital-hedge"', '"method":"fast-betting"', "a grid of nulls belongs to the digital hedge"),
            ('"functional":"probit"', '"functional":"taylor-probit"', "unknown functional 'taylor-probit'")):
        with pytest.raises(CertificateError, match=message):
            check_text(rehashed(transcript, old, new))


def test_a_transcript_bomb_is_refused_before_it_goes_off(transcript: str) -> None:
    content = json.loads(transcript)
    del content["sha256"]
    for slopes in ([[0.0, 10**30]], [[1.0, 10**18]], [[1.0, 10**9]], [[1.0, 0]], [[1.0, -1]], [[1.0, 2.0]], [[1.0]]):
        rivals = [{**rival, "slopes": slopes} for rival in content["rivals"]]
        with pytest.raises(CertificateError, match=r"different lengths|positive numbers of|whole number|pairs of"):
            rsopt.check_transcript(hashed({**content, "rivals": rivals}))
    for change in ({"index": -1}, {"index": 10**15}, {"doubt": 1e300}, {"lows": -1e300}, {"slope": 1e300},
                   {"slope": 0.0}, {"scale": 0.0}, {"centre": 1e308}):
        with pytest.raises(CertificateError, match="grid"):
            rsopt.check_transcript(hashed({**content, "grid": {**content["grid"], **change}}))
