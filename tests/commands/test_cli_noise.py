"""Every noise from the command line to a report in its norm; stores and logs know theirs."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from command_line import refused, run

import rsopt
from rsopt.functionals import as_functional
from rsopt.noise import Ablation, Deletion, Flips, Laplace, Logistic, Noise, Uniform
from rsopt.runs.folder import STORE
from rsopt.runs.overview import Overview
from rsopt.runs.proofs import stored_proofs
from rsopt.runs.rows import stored_rows
from rsopt.runs.store import Store, _digest
from rsopt.scores.lower_bound_scores import PROVEN

MODULE = '''
import numpy as np
import torch
from torch import nn

def flat():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 3))
    with torch.no_grad():
        net[1].weight.mul_(4.0)
    return net

def masked():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(18, 3))

class Tokens(nn.Module):
    """Counts tokens 1 to 4: padding, 0, counts for nothing."""
    def forward(self, x):
        counts = torch.stack([(x == token).sum(dim=1) for token in range(1, 5)], dim=1).float()
        return counts @ torch.tensor([[1.0, 0.0, 0.2], [0.0, 1.0, 0.1], [0.1, 0.3, 1.0], [0.2, 0.2, 0.2]])

def images():
    drawn = torch.rand((3, 1, 3, 3), generator=torch.Generator().manual_seed(1))
    return drawn, torch.tensor([0, 1, 2])

def bits():
    return (images()[0] > 0.5).float(), torch.tensor([0, 1, 2])

def texts():
    texts = [[1, 1, 1, 2, 1, 1, 3, 1], [2, 2, 2, 2, 2, 1, 0, 0], [3, 3, 3, 3, 3, 1, 2, 0]]
    return torch.tensor(texts), torch.tensor([0, 1, 2])
'''
SMALL = ("--n", 200, "--n0", 40, "--alpha", 0.01, "--chunk", 50)
CASES: list[tuple[tuple[object, ...], str, str, Noise, str]] = [
    (("--noise", "laplace", "--scale", 0.2), "flat", "images", Laplace(0.2), "laplace"),
    (("--noise", "logistic", "--scale", 0.2), "flat", "images", Logistic(0.2), "logit"),
    (("--noise", "uniform", "--scale", 0.5), "flat", "images", Uniform(0.5), "margin"),
    (("--noise", "ablation", "--keep", 4), "masked", "images", Ablation(4, 9), "margin"),
    (("--noise", "deletion", "--probability", 0.6), "Tokens", "texts", Deletion(0.6), "margin"),
    (("--noise", "flips", "--add", 0.1, "--remove", 0.2), "flat", "bits", Flips(0.1, 0.2), "margin")]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "noise_models.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("options", "model", "data", "noise", "functional"), CASES)
def test_a_run_under_each_noise(options: tuple[object, ...], model: str, data: str, noise: Noise, functional: str,
                                models: Path) -> None:
    command = ("certify", "--model", f"noise_models:{model}", "--data", f"noise_models:{data}", *SMALL, *options)
    result = run(*command, "--output", "run")
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert f"{noise.title}, n 200" in said
    assert f"by {noise.radius_name}" in said
    with Store.read(models / "run" / STORE) as store:
        rows, facts = stored_rows(store), store.facts
    assert Overview.read(models / "run").question.noise == noise
    assert facts["functional"] == functional
    assert "sigma" not in facts
    for row in rows:
        bound = rsopt.lower_bound(row.counts, row.top, functional=functional, alpha=0.01)
        assert row.radius() == bound.radius(noise)
        for method, baseline in (("cohen", rsopt.baselines.cohen),
                                 ("two-way-clopper-pearson", rsopt.baselines.two_way_clopper_pearson)):
            assert row.radius(method) == baseline(row.counts, row.top, functional=functional, alpha=0.01).radius(noise)
    assert run("verify", "run").exit_code == 0
    assert run("report", "run").exit_code == 0
    page = (models / "run" / "report.html").read_text(encoding="utf-8")
    assert f"mean certified {noise.radius_name}" in page
    assert "Gaussian" not in page
    again = run(*command, "--output", "again", "--workers", 2)
    assert again.exit_code == 0, again.output
    with Store.read(models / "again" / STORE) as store:
        assert [row.counts for row in stored_rows(store)] == [row.counts for row in rows]


@pytest.mark.parametrize("temperature", [("--temperature", 0.2), ("--temperature", "auto")], ids=["given", "auto"])
@pytest.mark.parametrize(("options", "model", "data", "noise", "functional"), CASES[:4])
def test_a_run_with_scores_under_each_noise(options: tuple[object, ...], model: str, data: str, noise: Noise,
                                            functional: str, temperature: tuple[object, ...], models: Path) -> None:
    command = ("certify", "--model", f"noise_models:{model}", "--data", f"noise_models:{data}", *SMALL, *options,
               "--scores", "softmax", *temperature, "--output", "run")
    result = run(*command)
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    bounded = list(dict.fromkeys([functional, "margin"]))
    for name in bounded:
        assert f"by a bound on '{name}' of the means, the radius is {noise.rule(as_functional(name))}" in said
    with Store.read(models / "run" / STORE) as store:
        rows, facts, proofs = stored_rows(store), store.facts, dict(stored_proofs(store))
    kept = facts["scores"]["method"] in PROVEN
    for row in rows:
        soft = {method: bound for method, bound in row.bounds.items() if method.startswith("soft-")}
        assert set(soft) == {f"soft-{name}" for name in bounded}
        for method, bound in soft.items():
            assert bound.radius == noise.radius(method.removeprefix("soft-"), bound.lower)
            if kept:
                proof = json.loads(proofs[f"{row.idx:06d}-{method}"])
                assert proof["functional"] == method.removeprefix("soft-")
    header = (models / "run" / "table.tsv").read_text().splitlines()[0].split("\t")
    assert [name for name in header if name.startswith("soft_")] == [
        f"soft_{name}_{what}" for name in bounded for what in ("lower", "radius")]
    for check in (("verify", "run"), ("report", "run"), ("card", "run"), ("card", "--check", "run/card.zip")):
        assert run(*check).exit_code == 0, check
    assert "Gaussian" not in (models / "run" / "report.html").read_text(encoding="utf-8")
    # The same command finds the run finished, with the temperature that it chose.
    assert run(*command).exit_code == 0


@pytest.mark.parametrize("change", ["functional", "radius"])
def test_a_bound_on_scores_that_is_another_one_does_not_verify(change: str, models: Path) -> None:
    command = ("certify", "--model", "noise_models:flat", "--data", "noise_models:images", *SMALL, "--output", "run",
               "--noise", "laplace", "--scale", 0.2, "--scores", "softmax", "--temperature", 0.2)
    assert run(*command).exit_code == 0
    path = models / "run" / STORE
    with sqlite3.connect(path) as database:
        # One of the bounds gets the other's method and radius, or the radius of the logistic law.
        names = [line[1] for line in database.execute("PRAGMA table_info(bounds)")][:-1]
        lines = database.execute(f"SELECT {', '.join(names)} FROM bounds WHERE method = 'soft-laplace'").fetchall()
        for values in lines:
            row = dict(zip(names, values, strict=True))
            before = row["method"]
            if change == "functional":
                row["method"] = "soft-logit"
            row["radius"] = Logistic(0.2).radius("logit", row["lower"]) + (change == "radius") * 1e-3
            database.execute("UPDATE bounds SET method = ?, radius = ?, digest = ? WHERE idx = ? AND method = ?",
                             (row["method"], row["radius"], _digest("bounds", tuple(row.values())), row["idx"], before))
    (models / "run" / "table.tsv").unlink()
    result = run("verify", "run")
    assert result.exit_code == 2
    told = "soft-laplace at look 0 is missing" if change == "functional" else "is reported, and the bound gives"
    assert told in result.output


def test_a_store_of_another_noise_is_refused(models: Path) -> None:
    command = ("certify", "--model", "noise_models:flat", "--data", "noise_models:images", *SMALL, "--output", "run")
    assert run(*command, "--noise", "laplace", "--scale", 0.2).exit_code == 0
    for options, told in ((("--noise", "laplace", "--scale", 0.3), "noise.scale is 0.2 there and 0.3 here."),
                          (("--noise", "logistic", "--scale", 0.2), '"laplace" there and "logistic" here'),
                          (("--sigma", 0.2), 'noise.name is "laplace" there and not said here')):
        text = run(*command, *options).stderr
        assert told in text, text


def test_a_radius_of_another_noise_does_not_verify(models: Path) -> None:
    command = ("certify", "--model", "noise_models:flat", "--data", "noise_models:images", *SMALL, "--output", "run")
    assert run(*command, "--noise", "uniform", "--scale", 0.5).exit_code == 0
    path = models / "run" / STORE
    with sqlite3.connect(path) as database:
        names = [line[1] for line in database.execute("PRAGMA table_info(bounds)")][:-1]
        for values in database.execute(f"SELECT {', '.join(names)} FROM bounds WHERE method = 'rsopt'").fetchall():
            row = dict(zip(names, values, strict=True))
            row["radius"] = rsopt.radius.smoothed_margin_radius(row["lower"], 0.5)
            database.execute("UPDATE bounds SET radius = ?, digest = ? WHERE idx = ? AND method = 'rsopt'",
                             (row["radius"], _digest("bounds", tuple(row.values())), row["idx"]))
    (models / "run" / "table.tsv").unlink()
    result = run("verify", "run")
    assert result.exit_code == 2
    assert "is reported, and the bound gives" in result.output


def test_bounds_plans_and_logs_know_a_noise(models: Path) -> None:
    found = json.loads(run("bound", 90, 6, 4, "--noise", "laplace", "--scale", 0.5, "--json").stdout)
    bound = rsopt.lower_bound([90, 6, 4], 0, functional="laplace")
    assert (found["lower"], found["radius"], found["norm"]) == (bound.lower, bound.radius(Laplace(0.5)), "l1")
    assert found["noise"] == {"name": "laplace", "scale": 0.5}
    assert "3.000000 (edit, probability 0.9)" in run("bound", 90, 6, 4, "--noise", "deletion", "--probability",
                                                     0.9).stdout
    plan = json.loads(run("plan", "--counts", "95,3,2", "--radius", 0.5, "--noise", "uniform", "--scale", 1,
                          "--json").stdout)
    assert plan["noise"] == {"name": "uniform", "half_width": 1.0}
    assert plan["n"] == rsopt.plan([95, 3, 2], 0.5, Uniform(1.0), top=0).n
    # The probability of a deletion and the chance that is asked for are two options.
    plan = json.loads(run("plan", "--counts", "95,3,2", "--radius", 3, "--noise", "deletion", "--probability", 0.9,
                          "--chance", 0.8, "--json").stdout)
    assert (plan["noise"]["probability"], plan["chance"]) == (0.9, 0.8)
    assert plan["n"] == rsopt.plan([95, 3, 2], 3, Deletion(0.9), top=0, chance=0.8).n
    (models / "log.csv").write_text("label,c0,c1,c2\n0,90,6,4\n")
    assert run("recertify", "log.csv", "--noise", "laplace", "--scale", 0.5, "--jobs", 1).exit_code == 0
    table = (models / "log.csv.rsopt" / "table.tsv").read_text()
    assert repr(bound.radius(Laplace(0.5))) in table


@pytest.mark.parametrize(("command", "text"), [
    (("bound", 90, 6, "--noise", "laplace"), "The noise 'laplace' needs scale. Give --scale."),
    (("bound", 90, 6, "--noise", "laplace", "--scale", 1, "--sigma", 1), "--sigma has no meaning for the noise"),
    (("bound", 90, 6, "--noise", "laplace", "--scale", 1, "--functional", "probit"), "has no radius by bounds on"),
    (("bound", 90, 6, "--noise", "laplac", "--scale", 1), "There is no noise named 'laplac'. Did you mean 'laplace'?"),
    (("recertify", "log.csv"), "Say under which noise the votes were cast"),
    (("certify", "--noise", "deletion", "--probability", 0.5), "Deletion is for sequences of tokens"),
    (("certify", "--noise", "ablation", "--keep", 65), "keep=65 positions of 64 cannot be shown")])
def test_what_has_no_meaning_is_refused(command: tuple[object, ...], text: str, models: Path) -> None:
    (models / "log.csv").write_text("label,c0,c1\n0,9,1\n")
    assert text in refused(*command)


def test_tokens_reach_the_model_as_whole_numbers(models: Path) -> None:
    import noise_models

    classifier = rsopt.smoothing.SmoothedClassifier(noise_models.Tokens(), Deletion(0.5), 3, progress=False)
    text = noise_models.texts()[0][0]
    found = classifier.certify(text, n=200, n0=20, alpha=0.01, seed=0)
    assert found.radius == found.bound.radius(Deletion(0.5))
    assert found.noise == Deletion(0.5)
    assert found.bound.functional.name == "margin"
    with pytest.raises(rsopt.RsoptError, match="Deletion is for sequences of tokens"):
        classifier.certify(np.zeros((2, 2), dtype=np.int64), n=200, n0=20, alpha=0.01, seed=0)
