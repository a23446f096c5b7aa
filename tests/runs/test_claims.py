"""A run is held against its own facts: whatever is changed in it, digests and all, the first difference is named."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_run
from command_line import run
from small_net import CLASSES, IMAGES, LABELS, SEED, SIGMA, Net

import rsopt
from rsopt.certificate import Certificate
from rsopt.errors import StorageError, UnknownNameError
from rsopt.methods import CLOPPER_PEARSON, COHEN, MELDED, OWN, SOFT_MARGIN, SOFT_PROBIT
from rsopt.noise import Gaussian
from rsopt.question import Question
from rsopt.runs.certify import certify
from rsopt.runs.claims import differences
from rsopt.runs.folder import STORE, TABLE
from rsopt.runs.inputs import Inputs
from rsopt.runs.overview import Overview
from rsopt.runs.proofs import proofs_in
from rsopt.runs.records import (
    ESTIMATION,
    SELECTION,
    BoundRow,
    CertificateRow,
    Fact,
    InputOutcome,
    Look,
    pack_votes,
)
from rsopt.runs.soft_outputs import SoftOutputs
from rsopt.runs.store import Record, Store, _digest
from rsopt.runs.task import Task
from rsopt.runs.verification import verdicts
from rsopt.sequential.adaptive import Precision, TargetRadii
from rsopt.sequential.looks import Looks
from rsopt.sequential.policy import FixedSamples
from rsopt.smoothing import SmoothedClassifier

GRID, DIMENSION = Question(Gaussian(small_run.SIGMA, grid=1 / 16)), 10**9
"""So many coordinates that the total variation of the draws shows in alpha."""
SOFT = ("digital-hedge", "fast-betting", "drawn-votes", "hoeffding-bonferroni")


def soft_run(folder: Path, method: str, n0: int | None = 50) -> Path:
    classifier = SmoothedClassifier(Net(), SIGMA, CLASSES, chunk=50, batch=100, progress=False)
    task = Task(Question(SIGMA), FixedSamples(200, 0.01), n0=n0, soft=SoftOutputs("softmax", 0.01, method))
    certify(classifier, Inputs(IMAGES, list(LABELS.values()), [0, 1]), task, seed=SEED, output=folder)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Sound runs of every kind, made once."""
    made = {}
    for name, task in {
            "fixed": small_run.TASK,
            "label": replace(small_run.TASK, n0=None),
            "margin": replace(small_run.TASK, question=Question(small_run.SIGMA, "margin")),
            "taylor": replace(small_run.TASK, question=Question(small_run.SIGMA, "taylor-probit", 5)),
            "clopper-pearson": replace(small_run.TASK, question=Question(small_run.SIGMA, statistic="clopper-pearson")),
            "plugin": replace(small_run.TASK, question=Question(small_run.SIGMA, statistic="plugin")),
            "radii": replace(small_run.TASK, policy=TargetRadii(
                (0.1, 0.6), small_run.TASK.question, Looks(1000, 0.01, chunk=small_run.CHUNK))),
            "precision": replace(small_run.TASK, policy=Precision(
                0.3, small_run.TASK.question, Looks(600, 0.01, chunk=small_run.CHUNK, spending="pocock"))),
            "grid": replace(small_run.TASK, question=GRID, dimension=DIMENSION),
            "grid radii": replace(small_run.TASK, question=GRID, dimension=DIMENSION, policy=TargetRadii(
                (0.1, 0.6), GRID, Looks(1000, 0.01, chunk=small_run.CHUNK))),
    }.items():
        made[name] = tmp_path_factory.mktemp(name)
        small_run.work(made[name], task=task)
    for method in SOFT:
        made[method] = soft_run(tmp_path_factory.mktemp(method), method)
    made["soft label"] = soft_run(tmp_path_factory.mktemp("soft-label"), "digital-hedge", None)
    return made


@pytest.fixture
def copy(runs: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a sound run, to be altered."""
    return lambda name: Path(shutil.copytree(runs[name], tmp_path / name))


def found(folder: Path) -> list[str]:
    with Store.read(folder / STORE) as store:
        return list(differences(store))


def records(folder: Path, kind: type[Any]) -> list[Any]:
    with Store.read(folder / STORE) as store:
        return list(store.all(kind))


def put(folder: Path, old: Record | None, new: Record | None) -> None:
    """Puts a record in the place of another, with a digest that fits, whatever it holds."""
    with closing(sqlite3.connect(folder / STORE)) as database, database:
        if old is not None:
            keys = " AND ".join(f"{name} = ?" for name in old.KEY)
            database.execute(f"DELETE FROM {old.TABLE} WHERE {keys}", [getattr(old, name) for name in old.KEY])
        if new is not None:
            values = astuple(new)
            names = ", ".join([*(field.name for field in fields(new)), "digest"])
            marks = ", ".join("?" * (len(values) + 1))
            database.execute(f"INSERT INTO {new.TABLE} ({names}) VALUES ({marks})",
                             (*values, _digest(new.TABLE, values)))


def put_fact(folder: Path, name: str, value: object) -> None:
    (old,) = (fact for fact in records(folder, Fact) if fact.name == name)
    put(folder, old, Fact(name, json.dumps(value)))


@pytest.mark.parametrize("name", ["fixed", "label", "margin", "taylor", "clopper-pearson", "plugin", "radii",
                                  "precision", "grid", "grid radii", *SOFT, "soft label"])
def test_sound_runs_are_not_suspected(runs: dict[str, Path], name: str) -> None:
    assert found(runs[name]) == []
    result = run("verify", runs[name])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", ["fixed", "radii", *SOFT])
def test_a_run_of_an_earlier_version_has_no_melded_limit(copy: Callable[[str], Path], name: str,
                                                        tmp_path: Path) -> None:
    """It holds, has its report and its card, and no table mentions the limit."""
    folder = copy(name)
    for bound in [row for row in records(folder, BoundRow) if row.method == MELDED]:
        put(folder, bound, None)
    for outcome in records(folder, InputOutcome):
        left = sum(row.idx == outcome.idx for row in records(folder, BoundRow))
        put(folder, outcome, replace(outcome, bounds=left))
    assert found(folder) == []
    assert MELDED not in Overview.read(folder).methods
    result = run("report", folder, "--output", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    assert "melded" not in (tmp_path / "page.html").read_text()


def test_a_melded_limit_is_at_every_look_and_that_of_the_votes(copy: Callable[[str], Path]) -> None:
    folder = copy("radii")
    idx = next(row.idx for row in records(folder, InputOutcome) if row.looks > 1)
    bound = first(folder, BoundRow, idx, method=MELDED, look=0)
    put(folder, bound, replace(bound, lower=bound.lower + 0.5, lower_at_most=bound.lower + 0.5))
    (named,) = found(folder)
    assert "melded at look 0: the bound" in named
    assert "the votes give" in named
    put(folder, bound, None)
    (named,) = found(folder)
    assert "melded at look 0 is missing" in named


def first(folder: Path, kind: type[Any], idx: int = 0, **values: object) -> Any:
    return next(row for row in records(folder, kind)
                if row.idx == idx and all(getattr(row, name) == value for name, value in values.items()))


BOUND, LOOK, OUTCOME = (BoundRow, {"method": OWN}), (Look, {"stream": ESTIMATION}), (InputOutcome, {})
CHOICE = (Look, {"stream": SELECTION})


@pytest.mark.parametrize(("where", "change", "said"), [
    (BOUND, {"alpha": 0.3}, "rsopt at look 0: alpha 0.3 is reported, and the look spends 0.01"),
    (BOUND, {"lower": 9.0, "lower_at_most": 9.0}, "rsopt at look 0: radius .* is reported, and the bound gives 2.25"),
    (BOUND, {"radius": 3.0}, "rsopt at look 0: radius 3 is reported, and the bound gives"),
    (BOUND, {"radius": math.inf}, "radius inf is reported"),
    (BOUND, {"lower_at_most": -3.0}, "and what it is at most, -3, contradict"),
    (BOUND, {"lower_at_most": 40.0}, "the largest exact bound 40 is reported, and the proof is of"),
    (BOUND, {"lower": -2.0, "radius": 0.0}, "rsopt: the bound -2 is reported, and the proof is of"),
    (BOUND, {"method": "magic"}, "magic at look 0 is none of this run"),
    (BOUND, {"look": 1}, "rsopt at look 0 is missing"),
    (BOUND, {"lower": "high"}, "lower of its bounds is 'high', which is no float"),
    (BOUND, {"radius": b"x"}, "radius of its bounds is b'x', which is no float"),
    ((BoundRow, {"method": COHEN}), {"lower": 3.0, "lower_at_most": 3.0, "radius": 0.75},
     "cohen at look 0: the bound 3 is reported, and the votes give"),
    ((BoundRow, {"method": CLOPPER_PEARSON}), {"lower": 3.0, "lower_at_most": 3.0, "radius": 0.75},
     "two-way-clopper-pearson at look 0: the bound 3 is reported, and the votes give"),
    ((BoundRow, {"method": COHEN}), {"radius": 0.01}, "cohen at look 0: radius 0.01 is reported"),
    ((BoundRow, {"method": COHEN}), {"alpha": 0.02}, "cohen at look 0: alpha 0.02 is reported"),
    (LOOK, {"alpha": 0.3}, "its looks take more than 220 samples, or spend more than alpha 0.01|the look spends 0.3"),
    (LOOK, {"n": 221}, "look 0 of stream 1 holds 220 votes, and 221 samples are reported"),
    (LOOK, {"look": 1}, "rsopt at look 1 is missing|is none of this run"),
    (LOOK, {"stream": 7}, "look 0 of stream 7 is of no known stream"),
    (LOOK, {"votes": pack_votes(np.array([220, 0, 0, 0]))}, "the votes give"),
    (LOOK, {"votes": pack_votes(np.array([-1, 221, 0, 0]))}, "holds 220 votes, and 220 samples"),
    (LOOK, {"votes": b"123"}, "holds no votes of two classes or more"),
    (LOOK, {"votes": pack_votes(np.array([200, 20]))}, "has votes for"),
    (CHOICE, {"n": 59}, "look 0 of stream 0 holds 60 votes, and 59 samples are reported"),
    (CHOICE, {"alpha": 0.001}, "its selection is not one look at 60 samples that spends no error"),
    (CHOICE, {"votes": pack_votes(np.array([0, 60, 0, 0]))}, "class 0 is certified, and its selection says 1"),
    (OUTCOME, {"top": 1}, "class 1 is certified, and its selection says 0"),
    (OUTCOME, {"top": None}, "class None is certified, and its selection says 0"),
    (OUTCOME, {"top": 9}, "class 9 is certified, and its selection says 0"),
    (OUTCOME, {"chosen": "label"}, "its class is said to be chosen by 'label', and in this run it is by 'selection'"),
    (OUTCOME, {"looks": 2}, "2 looks are reported, and 1 are stored"),
    (OUTCOME, {"best": 1}, "look 1 is reported as the best one, and the largest bound is at look 0"),
    (OUTCOME, {"bounds": 5}, "5 bounds are reported, and 4 are stored"),
    (OUTCOME, {"error": "broken"}, "it failed, and yet something is reported of it"),
    (OUTCOME, {"idx": 77}, "input 0: bounds are stored, but no outcome"),
    (OUTCOME, {"seconds": "long"}, "seconds of its outcomes is 'long', which is no float")])
def test_every_field_is_compared(copy: Callable[[str], Path], where: tuple[type[Any], dict[str, object]],
                                 change: dict[str, Any], said: str) -> None:
    folder = copy("fixed")
    old = first(folder, where[0], **where[1])
    put(folder, old, replace(old, **change))
    named = found(folder)
    assert named
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(" ".join(named))
    result = run("verify", folder)
    assert result.exit_code == 2
    assert named[0] in " ".join(result.stderr.split())


@pytest.mark.parametrize(("name", "fact", "value", "said"), [
    ("fixed", "sigma", 5.0, "radius .* is reported, and the bound gives"),
    ("fixed", "sigma", "0.5", "the facts of the run do not make a question: sigma must be a positive number"),
    ("fixed", "functional", "margin", "the votes give|the bound gives"),
    ("fixed", "functional", "median", "do not make a question: There is no functional named 'median'"),
    ("taylor", "order", 7, "order 7 is reported, and the proof is of 5|the votes give"),
    ("fixed", "order", 3, "do not make a question: order=3 has no meaning"),
    ("fixed", "statistic", "plugin", "statistic plugin is reported, and the proof is of studentized"),
    ("fixed", "n0", 50, "its selection is not one look at 50 samples"),
    ("fixed", "n0", None, "do not make a question: the certified class is said to be by 'selection', with n0 = None"),
    ("fixed", "certified class", "label", "do not make a question: the certified class is said to be by 'label'"),
    ("fixed", "inputs", 2, "4 inputs are finished, and the run is for 2"),
    ("fixed", "inputs", None, "inputs = None is no number of samples or inputs"),
    ("fixed", "stopping", {"policy": "fixed", "n": 220, "alpha": 0.001}, "is stored|spend more than alpha 0.001|plans"),
    ("fixed", "stopping", {"policy": "fixed", "n": 100, "alpha": 0.01}, "take more than 100 samples"),
    ("fixed", "stopping", {"policy": "fixed", "n": 500, "alpha": 0.01}, "the stopping policy plans 500 and 0.01"),
    ("fixed", "stopping", {"policy": "fixed", "n": 220, "alpha": 0.7}, "alpha must lie strictly between 0 and 1/2"),
    ("fixed", "stopping", {"policy": "fixed"}, "do not make a question: KeyError"),
    ("fixed", "stopping", 3, "do not make a question: TypeError"),
    ("fixed", "scores", {"method": "digital-hedge"}, "soft-.* at look 0 is missing"),
    ("digital-hedge", "scores", None, "soft-.* at look 0 is none of this run"),
    ("digital-hedge", "scores", {"method": "fast-betting"}, "method fast-betting is reported, and the proof is of"),
    ("digital-hedge", "scores", {"method": "drawn-votes"}, "its format is 'rsopt score transcript 2'"),
    ("digital-hedge", "scores", {"method": "hoeffding-bonferroni"}, "a proof of look 0 is stored, which is none of a"),
    ("digital-hedge", "sampling.sigma", 0.75, "samples were drawn under Gaussian noise, sigma 0.75"),
    ("digital-hedge", "sampling.num_classes", 11, "it has votes for .* classes, and the run for 11"),
    ("digital-hedge", "n0", 49, "its selection is not one look at 49 samples"),
    ("grid", "total variation", 1e-9, "the total variation of the draws is said to be 1e-09, and Gaussian noise"),
    ("grid radii", "total variation", 0.0, "the total variation of the draws is said to be 0.0, and"),
    ("grid", "dimension", 10, "the total variation of the draws is said to be .*, and"),
    ("grid", "dimension", 0, "dimension = 0 is no number of coordinates"),
    ("grid", "dimension", 10**17, "the total variation of the draws is said to be"),
    ("grid", "noise", {"name": "gaussian", "sigma": 0.5}, "Gaussian noise, sigma 0.5 makes it 0.0"),
    ("grid", "noise", {"name": "gaussian", "sigma": 0.5, "grid": 0.25}, "on the grid of 1/4 makes it")])
def test_the_facts_are_compared(copy: Callable[[str], Path], name: str, fact: str, value: object, said: str) -> None:
    folder = copy(name)
    put_fact(folder, fact, value)
    named = found(folder)
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(" ".join(named))
    assert run("verify", folder).exit_code == 2


@pytest.mark.parametrize("name", ["grid", "grid radii"])
def test_what_the_draws_take_of_alpha_is_not_spent_on_bounds(copy: Callable[[str], Path], name: str) -> None:
    folder = copy(name)
    facts = {fact.name: json.loads(fact.value) for fact in records(folder, Fact)}
    taken = facts["total variation"]
    assert taken == Gaussian(small_run.SIGMA, grid=1 / 16).total_variation(facts["stopping"]["n"], DIMENSION) > 1e-6
    looks = [look for look in records(folder, Look) if look.stream == ESTIMATION]
    proofs = [json.loads(zlib.decompress(proof.body)) for proof in records(folder, CertificateRow)]
    assert {proof["alpha"] for proof in proofs} <= {look.alpha for look in looks}
    if name == "grid":
        assert {look.alpha for look in looks} == {0.01 - taken}


@pytest.mark.parametrize("dimension", [64, DIMENSION])
@pytest.mark.parametrize("name", ["grid", "grid radii"])
def test_a_run_that_spends_all_of_alpha_on_bounds_is_refused(name: str, dimension: int, tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    """Sound in itself but for the total variation of its draws, however small that is."""
    task = replace(small_run.TASK, question=GRID, dimension=dimension)
    if name == "grid radii":
        task = replace(task, policy=TargetRadii((0.1, 0.6), GRID, Looks(1000, 0.01, chunk=small_run.CHUNK)))
    with monkeypatch.context() as patched:
        patched.setattr(Task, "error_of", lambda self, spent: spent)
        small_run.work(tmp_path, task=task)
    assert re.search("spend more than alpha|the stopping policy plans", found(tmp_path)[0])
    assert len(found(tmp_path)) == len(small_run.LABELS)


def planted(folder: Path, **changes: Any) -> None:
    """A bound of another question on the votes of input 0, with a certificate that holds and a radius that fits."""
    look, old = first(folder, Look, stream=ESTIMATION), first(folder, BoundRow, method=OWN)
    question: dict[str, Any] = {"functional": "probit", "alpha": look.alpha}
    votes = tuple(look.counts.tolist())
    if changes.pop("two_classes", False):
        votes = (votes[0], sum(votes[1:]))
    bound = rsopt.lower_bound(votes, top=0, **{**question, **changes})
    proof = first(folder, CertificateRow)
    assert bound.certificate is not None
    row = replace(old, lower=bound.lower, lower_at_most=bound.lower_at_most, radius=bound.radius(sigma=small_run.SIGMA),
                  alpha=bound.alpha)
    put(folder, old, row)
    put(folder, proof, replace(proof, body=zlib.compress(bound.certificate.to_json().encode())))


@pytest.mark.parametrize(("changes", "said"), [
    ({"alpha": 0.3}, "alpha 0.3 is reported, and the look spends 0.01"),
    ({"statistic": "clopper-pearson"}, "statistic studentized is reported, and the proof is of clopper-pearson"),
    ({"functional": "margin"}, "the bound gives|functional probit is reported, and the proof is of margin"),
    ({"functional": "taylor-probit", "order": 7}, "functional probit is reported, and the proof is of taylor-probit"),
    ({"two_classes": True}, "a third class True is reported, and the proof is of False")])
def test_proofs_of_another_question_are_refused_though_they_hold(copy: Callable[[str], Path], changes: dict[str, Any],
                                                                 said: str) -> None:
    folder = copy("fixed")
    planted(folder, **changes)
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(" ".join(found(folder)))
    result = run("verify", folder)
    assert result.exit_code == 2
    assert "4 of 4 proofs hold" in result.stdout


def test_a_share_of_the_error_cannot_be_moved_to_another_look(copy: Callable[[str], Path]) -> None:
    """Everything of look 0 at the error of the whole run, consistent but for the plan."""
    folder = copy("radii")
    taken = [look for look in records(folder, Look) if look.idx == 0 and look.stream == ESTIMATION]
    assert len(taken) > 1
    look = taken[0]
    votes = look.counts.tolist()
    put(folder, look, replace(look, alpha=0.0099))
    for bound in [row for row in records(folder, BoundRow) if row.idx == 0 and row.look == 0]:
        method = {OWN: rsopt.lower_bound, CLOPPER_PEARSON: rsopt.baselines.two_way_clopper_pearson,
                  COHEN: rsopt.baselines.cohen, MELDED: rsopt.baselines.melded}[bound.method]
        other = method(votes, top=0, functional="probit", alpha=0.0099)
        radius = rsopt.Question(small_run.SIGMA).radius(other.lower)
        put(folder, bound, replace(bound, alpha=0.0099, lower=other.lower, radius=radius,
                                   lower_at_most=other.lower_at_most if bound.method == OWN else other.lower))
    (named,) = found(folder)
    assert "look 0 is at 50 samples and alpha 0.0099, and the stopping policy plans 50 and" in named \
        or "spend more than alpha" in named


@pytest.mark.parametrize("name", ["radii", "precision"])
def test_looks_are_those_of_the_policy(copy: Callable[[str], Path], name: str) -> None:
    folder = copy(name)
    outcome = next(row for row in records(folder, InputOutcome) if row.looks > 1)
    last = first(folder, Look, outcome.idx, stream=ESTIMATION, look=outcome.looks - 1)
    # The last look and all that belongs to it is taken away: sampling ended before the policy would.
    put(folder, last, None)
    for row in records(folder, BoundRow):
        if row.idx == outcome.idx and row.look == last.look:
            put(folder, row, None)
    kept = [row for row in records(folder, BoundRow) if row.idx == outcome.idx]
    best = max((row for row in kept if row.method == OWN), key=lambda row: (row.lower, -row.look))
    put(folder, outcome, replace(outcome, looks=outcome.looks - 1, bounds=len(kept), best=best.look))
    named = " ".join(found(folder))
    assert "and the stopping policy goes on to" in named
    assert run("verify", folder).exit_code == 2


def test_proofs_belong_to_what_is_reported(copy: Callable[[str], Path]) -> None:
    for change, said in (
            (lambda proof, other: None, "rsopt: radius .* is reported and no proof is stored"),
            (lambda proof, other: replace(proof, body=other.body), "votes .* is reported, and the proof is of"),
            (lambda proof, other: replace(proof, look=1), "no proof is stored"),
            (lambda proof, other: replace(proof, method="cohen"), "no proof is stored"),
            (lambda proof, other: replace(proof, body=zlib.compress(b"{}")), "no certificate of this version"),
            (lambda proof, other: replace(proof, body=b"no proof"), "The proof cannot be unpacked"),
            (lambda proof, other: replace(proof, body="text"), "body of its certificates is 'text'")):
        folder = copy("fixed")
        proof, other = first(folder, CertificateRow), first(folder, CertificateRow, 3)
        put(folder, proof, change(proof, other))
        with pytest.raises(AssertionError, match=said):
            raise AssertionError(" ".join(found(folder)))
        assert run("verify", folder).exit_code == 2
        shutil.rmtree(folder)


@pytest.mark.parametrize("method", ["digital-hedge", "drawn-votes"])
def test_bounds_on_scores_are_those_of_their_proofs(copy: Callable[[str], Path], method: str) -> None:
    for name in (SOFT_PROBIT, SOFT_MARGIN):
        for change, said in (
                ({"lower": 0.9, "lower_at_most": 0.9}, "radius .* is reported, and the bound gives"),
                ({"alpha": 0.02}, "alpha 0.02 is reported, and the look spends 0.01"),
                ({"lower_at_most": 5.0}, "contradict"),
                ({"radius": 7.0}, "radius 7 is reported, and the bound gives")):
            folder = copy(method)
            old = first(folder, BoundRow, 1, method=name)
            put(folder, old, replace(old, **change))
            with pytest.raises(AssertionError, match=said):
                raise AssertionError(" ".join(found(folder)))
            shutil.rmtree(folder)
        folder = copy(method)
        probit, margin = (first(folder, CertificateRow, 1, method=one) for one in (SOFT_PROBIT, SOFT_MARGIN))
        put(folder, probit, replace(probit, body=margin.body))
        assert "functional probit is reported, and the proof is of margin" in " ".join(found(folder))
        shutil.rmtree(folder)


def test_the_look_that_a_certificate_names_is_compared(copy: Callable[[str], Path]) -> None:
    folder = copy("radii")
    outcome = first(folder, InputOutcome)
    proof = first(folder, CertificateRow)
    plain = Certificate.from_dict(json.loads(zlib.decompress(proof.body)))
    (stopping,) = (json.loads(fact.value) for fact in records(folder, Fact) if fact.name == "stopping")
    looks = len(Looks(**stopping["looks"]).sizes)
    for number, of, alpha, fine in ((outcome.best + 1, looks, 0.01, True), (outcome.best + 2, looks, 0.01, False),
                                    (outcome.best + 1, looks + 1, 0.01, False), (outcome.best + 1, looks, 0.02, False)):
        body = zlib.compress(plain.at_look(number, of, alpha).to_json().encode())
        put(folder, first(folder, CertificateRow), replace(proof, body=body))
        assert (found(folder) == []) == fine
    assert "the look LookShare" in found(folder)[0]


def test_the_table_is_the_store_s(copy: Callable[[str], Path]) -> None:
    folder = copy("fixed")
    table = folder / TABLE
    text = table.read_text()
    lines = text.splitlines(keepends=True)
    cells = lines[1].split("\t")
    head = lines[0].split("\t")

    def with_cell(column: str, cell: str) -> str:
        changed = list(cells)
        changed[head.index(column)] = cell
        return "".join([lines[0], "\t".join(changed), *lines[2:]])

    for forged, said in ((with_cell("radius", "9.9"), r"line 2: radius is '9\.9', and the store says"),
                         (with_cell("predict", "3"), "line 2: predict is '3', and the store says '0'"),
                         (with_cell("lower", "9.9"), r"line 2: lower is '9\.9'"),
                         (with_cell("counts", "220,0,0,0"), "line 2: counts is"),
                         ("".join(lines[:-1]), "has no line for input 8"),
                         (text + lines[1], "line 6: input '0' is not the one"),
                         ("".join([lines[0], lines[2], lines[1], *lines[3:]]), "line 2: input '3' is not the one")):
        table.write_text(forged)
        result = run("verify", folder)
        assert result.exit_code == 2
        with pytest.raises(AssertionError, match=said):
            raise AssertionError(" ".join(result.stderr.split()))
    table.write_text(with_cell("time", "0:00:09"))
    assert run("verify", folder).exit_code == 0
    table.unlink()
    assert run("verify", folder).exit_code == 0


GARBAGE: list[Any] = [None, 0, 1, -1, 2, 10**12, -10**18, 0.0, -0.5, 1e300, -math.inf, math.inf, "", "label", "x" * 50,
                      b"", b"\0" * 16, b"\xff" * 32, zlib.compress(b"[]"), pack_votes(np.array([5, 5])), OWN, COHEN]


def test_garbage_in_a_store_is_named_and_never_a_traceback(copy: Callable[[str], Path]) -> None:
    """Any column of any record, and any part of the facts, replaced by anything that SQLite keeps."""
    chance = random.Random(3)
    for name in ("fixed", "radii", "digital-hedge"):
        folder = copy(name)
        pristine = (folder / STORE).read_bytes()
        accepted = 0
        for _ in range(120):
            (folder / STORE).write_bytes(pristine)
            kind = chance.choice([InputOutcome, Look, BoundRow, CertificateRow, Fact])
            old = chance.choice(records(folder, kind))
            if kind is Fact:
                value = json.loads(old.value)
                if isinstance(value, dict) and chance.random() < 0.8:
                    value[chance.choice(list(value))] = chance.choice([None, 0, -1, 1e300, "x", [], {}, True, 0.5])
                else:
                    value = chance.choice([None, 0, -1, 1e300, "x", [], {}, True, 0.5])
                new = replace(old, value=json.dumps(value))
            else:
                new = replace(old, **{chance.choice([field.name for field in fields(old)]): chance.choice(GARBAGE)})
            try:
                put(folder, old, new)
            except sqlite3.IntegrityError:
                continue
            with suppress(StorageError):
                accepted += found(folder) == []
        # Facts that nothing else follows from, times, and what was there before.
        assert accepted < 60


def test_several_processes_say_the_same_in_the_same_order(copy: Callable[[str], Path]) -> None:
    folder = copy("fixed")
    proof = first(folder, CertificateRow, 3)
    put(folder, proof, replace(proof, body=zlib.compress(b"{}")))
    alone, together = (list(verdicts(proofs_in(folder), workers=workers)) for workers in (1, 2))
    assert alone == together
    assert [(name, holds) for name, holds, _ in alone] == [("000000", True), ("000003", False), ("000007", True),
                                                           ("000008", True)]
    one, two = (run("verify", folder, "--workers", workers) for workers in (1, 2))
    assert (one.exit_code, one.stdout, one.stderr) == (two.exit_code, two.stdout, two.stderr)
    assert "3 of 4 proofs hold" in one.stdout
    with pytest.raises(UnknownNameError, match="There is no arithmetic named 'quad'"):
        list(verdicts(proofs_in(folder), "quad"))
