"""Files cut, doubled, reordered, re-encoded and retyped: each is whole and understood, or refused in our words.

By hand: FUZZ=20000 python -m pytest tests/fuzz.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import shutil
import warnings
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from mutations import mutated_bytes, mutated_json, mutated_lines, outcome, pick, seeded
from small_run import work

import rsopt
from rsopt.checks.transcript import check_transcript
from rsopt.errors import RsoptError
from rsopt.noise import Flips
from rsopt.noise.flip_margin import FlipMargin
from rsopt.proof_file import hashed
from rsopt.runs.logs import CohenLog, LoggedInput, read_log
from rsopt.runs.rows import stored_rows
from rsopt.runs.store import Store
from rsopt.runs.verification import run_differences
from rsopt.smoothing import load_data, load_weights

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252")
COUNTED = "idx,label,c0,c1,c2\n0,0,90,6,4\n1,1,5,80,15\n2,0,70,20,10\n"
VECTORS = 'idx,top,counts\n0,0,"90,6,4"\n1,1,"5,80,15"\n'
COHEN = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n0\t3\t3\t0.43\t1\t0:00:01.5\n20\t7\t-1\t0.0\t0\t0:00:01.5\n"
TABLES = ((COUNTED, ","), (VECTORS, ","), (COHEN, "\t"))


def said(text: str, found: list[LoggedInput]) -> None:
    """Every number that was taken from a log stands in its line, read by another reader."""
    separator = "\t" if "\t" in text.partition("\n")[0] else ","
    lines = [line for line in csv.reader(io.StringIO(text), delimiter=separator) if line]
    columns = [name.strip() for name in lines[0]]
    assert len(lines) - 1 == len(found)
    for cells, line in zip(lines[1:], found, strict=True):
        stands = dict(zip(columns, cells, strict=True))
        if line.merged:
            assert line.predicted is None or int(stands["predict"]) == line.predicted
            continue
        texts = (stands["counts"].split(",") if "counts" in stands else
                 [cell for name, cell in stands.items() if name.lstrip("cC").strip(" _").isdigit()
                  or name.lower().startswith(("count", "class"))])
        assert sorted(Decimal(cell.strip()) for cell in texts) == sorted(line.counts)
        if stands.get("idx"):
            assert int(stands["idx"]) == line.idx


def test_logs(tmp_path: Path) -> None:
    path, read = tmp_path / "log", 0
    for rng in seeded("logs", 1500):
        text, separator = pick(rng, TABLES)
        text = mutated_lines(rng, text, separator)
        try:
            path.write_bytes(text.encode(pick(rng, ENCODINGS)))
        except UnicodeEncodeError:
            continue
        cohen = None if rng.random() < 0.1 else CohenLog(0.25, 1000, 0.001)
        found = outcome(lambda cohen=cohen: read_log(path, top=None, cohen=cohen), RsoptError)
        if found is not None:
            said(path.read_bytes().decode("utf-8-sig"), found)
            read += 1
    assert read > 20


@pytest.fixture(scope="module")
def certificate() -> str:
    return rsopt.lower_bound([90, 6, 4], 0).certificate.to_json()


@pytest.fixture(scope="module")
def transcript() -> str:
    rows = np.random.default_rng(0).dirichlet([30.0, 3.0, 2.0], size=60)
    return str(rsopt.lower_bound_scores(rows, top=0).transcript.to_json())


def test_certificates_as_bytes(tmp_path: Path, certificate: str) -> None:
    path, whole = tmp_path / "bound.json", json.loads(certificate)
    for rng in seeded("certificate bytes", 600):
        path.write_bytes(mutated_bytes(rng, certificate.encode(pick(rng, ENCODINGS))))
        found = outcome(lambda: rsopt.check_certificate(path), RsoptError)
        assert found is None or json.loads(path.read_bytes().decode("utf-8-sig")) == whole


def test_certificates_with_their_hash_made_anew(certificate: str) -> None:
    """What is accepted is true: the exact bound on the votes that the file then states is not below it."""
    whole = json.loads(certificate)
    del whole["sha256"]
    for rng in seeded("certificate entries", 400):
        content = mutated_json(rng, whole)
        try:
            content = hashed(content)
        except RsoptError:
            continue
        report = outcome(lambda content=content: rsopt.check_certificate(content), RsoptError)
        if report is not None and report.lower > -np.inf:
            votes = [content["x1"], content["x2"], content["n"] - content["x1"] - content["x2"]]
            exact = rsopt.lower_bound(votes if content["third_cell"] else votes[:2], 0, alpha=content["alpha"],
                                      functional=content["functional"], statistic=content["statistic"])
            assert report.lower <= exact.lower_at_most + 1e-6


def test_nested_certificates(tmp_path: Path) -> None:
    """As bytes and with their hashes made anew: what is accepted is what the votes that it states prove."""
    noise, path = Flips(0.05, 0.6), tmp_path / "radius.json"
    found = rsopt.largest_certified([95, 3, 2], 0, radii=itertools.count(1), functional_of=lambda r: noise.margin(0, r))
    whole = found.certificate.to_dict()
    for rng in seeded("nested certificates", 400):
        if rng.random() < 0.3:
            path.write_bytes(mutated_bytes(rng, found.certificate.to_json().encode(pick(rng, ENCODINGS))))
            report = outcome(lambda: rsopt.check_nested_certificate(path), RsoptError)
            assert report is None or json.loads(path.read_bytes().decode("utf-8-sig")) == whole
            continue
        steps = [{name: value for name, value in step.items() if name != "sha256"} for step in whole["steps"]]
        content = mutated_json(rng, {"format": whole["format"], "steps": steps})
        try:
            content = {**content, "steps": [hashed(step) for step in content["steps"]]}
            content = hashed(content)
        except (RsoptError, TypeError, KeyError):
            continue
        report = outcome(lambda content=content: rsopt.check_nested_certificate(content), RsoptError)
        if report is not None:
            last = content["steps"][-1]
            add, remove = (Fraction(last["flips"][name]) for name in ("add", "remove"))
            votes = [last["x1"], last["x2"], last["n"] - last["x1"] - last["x2"]]
            assert rsopt.largest_certified(
                votes, 0, radii=[report.changes], functional_of=partial(FlipMargin, add, remove),
                statistic=last["statistic"], alpha=last["alpha"] * (1.0 + 1e-5)).certified


def test_transcripts(tmp_path: Path, transcript: str) -> None:
    path, whole = tmp_path / "scores.json", json.loads(transcript)
    bare = {name: value for name, value in whole.items() if name != "sha256"}
    for rng in seeded("transcripts", 300):
        if rng.random() < 0.5:
            path.write_bytes(mutated_bytes(rng, transcript.encode()))
            found = outcome(lambda: check_transcript(path), RsoptError)
            assert found is None or json.loads(path.read_text()) == whole
        else:
            content = mutated_json(rng, bare)
            found = outcome(lambda content=content: check_transcript(hashed(content)), RsoptError)
            # Nothing that is stated may exceed what the same rows prove, but where the file says fewer of them.
            assert found is None or found.lower <= bare["lower"] or content["alpha"] > bare["alpha"]


def test_stores(tmp_path: Path) -> None:
    rows = work(tmp_path / "run")
    with Store.read(tmp_path / "run" / "run.sqlite") as store:
        facts = store.facts
    body = (tmp_path / "run" / "run.sqlite").read_bytes()
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    path = tmp_path / "other" / "run.sqlite"
    for rng in seeded("stores", 150):
        for leftover in path.parent.glob("run.sqlite-*"):
            leftover.unlink()
        path.write_bytes(mutated_bytes(rng, body))

        def look() -> object:
            with Store.read(path) as store:
                return store.facts, stored_rows(store)

        found = outcome(look, RsoptError)
        # Pages that hold nothing may change unseen.
        assert found is None or found == (facts, rows)
        outcome(lambda: run_differences(path), RsoptError)


def test_arrays(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    images = np.random.default_rng(0).random((3, 1, 2, 2)).astype(np.float32)
    labels = np.array([0, 1, 2])
    for rng in seeded("arrays", 300):
        given: dict[str, object] = {"images": images, "labels": labels}
        name = pick(rng, ["images", "labels"])
        kind = int(rng.integers(6))
        if kind == 0:
            given[name] = np.asarray(given[name]).astype(pick(rng, ["f2", "f8", "i4", "u1", "c8", "?", "U3", "O"]))
        elif kind == 1:
            given[name] = np.asarray(given[name])[: int(rng.integers(4))]
        elif kind == 2:
            given[name] = np.asarray(given[name]).reshape(-1)[: int(rng.integers(13))]
        elif kind == 3:
            del given[name]
        elif kind == 4:
            given[name] = np.where(rng.random(np.shape(given[name])) < 0.3, np.nan, given[name])
        np.savez(path, **given)
        if kind == 5 or rng.random() < 0.3:
            path.write_bytes(mutated_bytes(rng, path.read_bytes()))
        found = outcome(lambda: load_data(str(path)), RsoptError)
        if found is not None:
            assert len(found.images) == len(found.labels)
            with np.load(path) as stored:
                assert np.array_equal(np.asarray(found.images), stored["images"], equal_nan=True)


def test_weights(tmp_path: Path) -> None:
    path, net = tmp_path / "weights.pt", torch.nn.Linear(2, 3)
    torch.save(net.state_dict(), path)
    body, read = path.read_bytes(), 0
    for rng in seeded("weights", 200):
        state: dict[str, object] = dict(net.state_dict())
        if rng.random() < 0.5:
            path.write_bytes(mutated_bytes(rng, body))
        else:
            name = pick(rng, list(state))
            state[name] = pick(rng, [state[name], torch.zeros(2), torch.zeros((3, 2), dtype=torch.int8), 5, None, "x"])
            torch.save(pick(rng, [state, {"state_dict": state}, {"a": state, "b": state}, [state], {}, {"epoch": 3}]),
                       path)
        fresh = torch.nn.Linear(2, 3)

        def load(model: torch.nn.Module = fresh) -> bool:
            load_weights(model, path)
            return True

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = outcome(load, RsoptError)
        read += bool(loaded)
    assert read > 5
