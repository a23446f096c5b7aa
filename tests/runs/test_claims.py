"""What a run reports and its proofs do not give is noticed, and a sound run is not suspected."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import small_run
from command_line import run
from small_net import CLASSES, IMAGES, LABELS, SEED, SIGMA, Net

from rsopt.methods import OWN, SOFT_MARGIN, SOFT_PROBIT
from rsopt.question import Question
from rsopt.runs.certify import certify
from rsopt.runs.folder import STORE
from rsopt.runs.inputs import Inputs
from rsopt.runs.records import BoundRow, CertificateRow, Look
from rsopt.runs.soft_outputs import SoftOutputs
from rsopt.runs.store import Store
from rsopt.runs.task import Task
from rsopt.runs.verification import unproven_claims
from rsopt.sequential.adaptive import TargetRadii
from rsopt.sequential.looks import Looks
from rsopt.sequential.policy import FixedSamples
from rsopt.smoothing import SmoothedClassifier


def soft_run(folder: Path, method: str, inputs: int = 2) -> None:
    classifier = SmoothedClassifier(Net(), SIGMA, CLASSES, chunk=50, batch=100, progress=False)
    task = Task(Question(SIGMA), FixedSamples(200, 0.01), n0=50, soft=SoftOutputs("softmax", 0.01, method))
    certify(classifier, Inputs(IMAGES, list(LABELS.values()), list(range(inputs))), task, seed=SEED, output=folder)


def claims(folder: Path) -> list[str]:
    with Store.read(folder / STORE) as store:
        return list(unproven_claims(store))


def alter(folder: Path, old: BoundRow | CertificateRow | Look, new: BoundRow | CertificateRow | Look | None) -> None:
    """Puts a record in the place of another, with a digest that fits."""
    with Store.read(folder / STORE) as store:
        facts = store.facts
    keys = " AND ".join(f"{name} = ?" for name in old.KEY)
    with closing(sqlite3.connect(folder / STORE)) as database, database:
        database.execute(f"DELETE FROM {old.TABLE} WHERE {keys}", [getattr(old, name) for name in old.KEY])
    with Store.open(folder / STORE, facts) as store:
        if new is not None and not isinstance(new, Look):
            store.add(new)
        elif isinstance(new, Look):
            store.add_look(new)


@pytest.mark.parametrize("change", [{"functional": "margin"}, {"functional": "taylor-probit", "order": 5},
                                    {"statistic": "clopper-pearson"}, {"statistic": "plugin"}])
def test_sound_runs_on_votes(change: dict[str, object], tmp_path: Path) -> None:
    task = small_run.TASK
    small_run.work(tmp_path, task=Task(Question(small_run.SIGMA, **change), task.policy, task.n0))
    assert claims(tmp_path) == []


def test_a_sound_run_of_several_looks(tmp_path: Path) -> None:
    policy = TargetRadii((0.1, 0.6), small_run.TASK.question, Looks(1000, 0.01, chunk=small_run.CHUNK))
    small_run.work(tmp_path, task=replace(small_run.TASK, policy=policy))
    assert claims(tmp_path) == []


@pytest.mark.parametrize("method", ["digital-hedge", "fast-betting", "drawn-votes", "hoeffding-bonferroni"])
def test_sound_runs_on_scores(method: str, tmp_path: Path) -> None:
    soft_run(tmp_path, method)
    assert claims(tmp_path) == []
    result = run("verify", tmp_path)
    assert result.exit_code == 0, result.output


def test_reports_that_no_proof_gives(tmp_path: Path) -> None:
    soft_run(tmp_path, "drawn-votes")
    with Store.read(tmp_path / STORE) as store:
        bounds = {(row.idx, row.method): row for row in store.all(BoundRow)}
        proofs = {(row.idx, row.method): row for row in store.all(CertificateRow)}
        look = next(row for row in store.of_input(Look, 1) if row.alpha > 0.0)
    raised = bounds[1, SOFT_PROBIT]
    for old, new, said in (
            (raised, replace(raised, lower=raised.lower + 0.1), "is reported, and the proof is of"),
            (raised, replace(raised, radius=raised.radius + 0.01), "is reported, and the bound gives"),
            (raised, replace(raised, alpha=0.001), "alpha 0.001 is reported, and the proof is at 0.01"),
            (proofs[1, SOFT_MARGIN], None, "is reported and no proof is stored"),
            (proofs[1, OWN], replace(proofs[1, OWN], body=proofs[0, OWN].body), "and the proof is of"),
            (proofs[1, OWN], replace(proofs[1, OWN], body=zlib.compress(b"{}")), "incomplete or malformed"),
            (proofs[1, OWN], replace(proofs[1, OWN], look=1), "the proof is of look 1, which is not the one reported"),
            (look, replace(look, votes=look.counts[::-1].astype("<i8").tobytes()), "the votes are"),
            (look, replace(look, n=300), "on 300 samples is reported, and the proof is of another class or number")):
        alter(tmp_path, old, new)
        assert any(claim.startswith("input 1, ") and said in claim for claim in claims(tmp_path)), said
        result = run("verify", tmp_path)
        assert result.exit_code == 2
        assert said in " ".join(result.stderr.split())
        alter(tmp_path, old if new is None else new, old)
        assert claims(tmp_path) == []
