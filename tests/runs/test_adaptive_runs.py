"""Adaptive runs from end to end: what is stored and shown, interruption, workers, soft outputs, the command line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import MODULE, refused, run
from keyed_crew import BenchCrew, KeyedRecipe, image
from linear_model import POINTS, classifier, inputs
from places import SUPPORT
from small_run import CHUNK, LABELS, SIGMA, KeyedExecutor, chunk_votes, left_behind, work

import rsopt
from rsopt.commands.stopping import parsed_share
from rsopt.counts import Counts
from rsopt.errors import InvalidInputError, StorageError
from rsopt.methods import CLOPPER_PEARSON, COHEN, MELDED, OWN, RIVALS, SOFT_MARGIN, SOFT_PROBIT
from rsopt.question import Question
from rsopt.runs.certify import certify
from rsopt.runs.compare import compare_runs
from rsopt.runs.decisions import decided, spent
from rsopt.runs.export import write_parquet_table
from rsopt.runs.folder import STORE, TABLE
from rsopt.runs.overview import Overview
from rsopt.runs.proofs import stored_proofs
from rsopt.runs.records import ESTIMATION, BoundRow, Look
from rsopt.runs.savings import savings
from rsopt.runs.soft_outputs import SoftOutputs
from rsopt.runs.store import Store
from rsopt.runs.task import Task
from rsopt.runs.verification import check_text
from rsopt.runs.workers.crew import CrewExecutor
from rsopt.sequential.adaptive import Precision, TargetRadii
from rsopt.sequential.looks import Looks
from rsopt.sequential.policy import FixedSamples
from rsopt.smoothing import Softmax, Stream

ALPHA = 0.01
ASKED = Question(SIGMA)
LOOKS = Looks(1020, ALPHA, chunk=CHUNK, spending="linear")
TARGETS = TargetRadii((0.1, 0.4), ASKED, LOOKS)
TASKS = {"targets": Task(ASKED, TARGETS, n0=60), "precision": Task(ASKED, Precision(0.6, ASKED, LOOKS), n0=60)}


def stored_looks(folder: Path, idx: int) -> list[Look]:
    with Store.read(folder / STORE) as store:
        return [look for look in store.of_input(Look, idx) if look.stream == ESTIMATION]


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_run_takes_the_looks_of_its_policy_and_reports_the_best(task: Task, tmp_path: Path) -> None:
    rows = work(tmp_path, task=task)
    assert len({row.n for row in rows}) > 1
    for row in rows:
        looks = stored_looks(tmp_path, row.idx)
        assert [(look.n, look.alpha) for look in looks] == [
            (planned.n, planned.alpha) for planned in task.policy.plan[: len(looks)]]
        lower = {method: [] for method in (OWN, *RIVALS)}
        for look in looks:
            chunks = -(-look.n // CHUNK)
            votes = sum(chunk_votes(row.idx, 1, k, min(CHUNK, look.n - k * CHUNK)) for k in range(chunks))
            assert look.counts.tolist() == votes.tolist()
            for method, bound in ((OWN, rsopt.lower_bound), (COHEN, rsopt.baselines.cohen),
                                  (CLOPPER_PEARSON, rsopt.baselines.two_way_clopper_pearson),
                                  (MELDED, rsopt.baselines.melded)):
                lower[method].append(bound(votes, top=row.top, functional="probit", alpha=look.alpha).lower)
        assert {method: bound.lower for method, bound in row.bounds.items()} == {
            method: max(found) for method, found in lower.items()}
        best = looks[lower[OWN].index(max(lower[OWN]))]
        assert row.reported is not None
        assert (row.reported.n, row.reported.alpha, row.reported.x1) == (best.n, best.alpha, best.counts[row.top])
        assert (row.looks, row.n, row.saved) == (len(looks), looks[-1].n, 1020 - looks[-1].n)
    with Store.read(tmp_path / STORE) as store:
        for row in rows:
            spent_alpha = {bound.look: Fraction(bound.alpha) for bound in store.of_input(BoundRow, row.idx)}
            assert sum(spent_alpha.values()) <= Fraction(ALPHA)
        proofs = dict(stored_proofs(store))
    for row in rows:
        if row.radius() > 0.0:
            assert f"is at least {row.bounds[OWN].lower:.6f} at alpha {row.reported.alpha:g}" in check_text(
                proofs[f"{row.idx:06d}"])


@pytest.mark.parametrize("after", [100, 410, 800, 1500])
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_an_interrupted_run_ends_as_an_uninterrupted_one(task: Task, after: int, tmp_path: Path) -> None:
    class Dying(KeyedExecutor):
        def wait(self):
            if self.drawn >= after:
                raise KeyboardInterrupt
            return super().wait()

    rows = work(tmp_path / "whole", task=task)
    first, second = Dying(shuffle=3), KeyedExecutor(shuffle=1)
    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "broken", first, task=task)
    work(tmp_path / "broken", second, task=task)
    assert left_behind(tmp_path / "broken") == left_behind(tmp_path / "whole")
    assert first.drawn + second.drawn == sum(row.n + row.n0 for row in rows)


KILLED = """
import os, signal, sys
from pathlib import Path
from small_run import CHUNK, SIGMA, KeyedExecutor, work
from rsopt.runs.task import Task
from rsopt.sequential.adaptive import TargetRadii
from rsopt.question import Question
from rsopt.sequential.looks import Looks

class Killed(KeyedExecutor):
    def wait(self):
        if self.drawn >= int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().wait()

looks = Looks(1020, 0.01, chunk=CHUNK, spending="linear")
work(Path(sys.argv[1]), Killed(), task=Task(Question(SIGMA), TargetRadii((0.1, 0.4), Question(SIGMA), looks), n0=60))
"""


def test_a_run_killed_between_its_looks_goes_on(tmp_path: Path) -> None:
    """Killed twice, the second time while it goes on; no sample is drawn again."""
    rows = work(tmp_path / "whole", task=TASKS["targets"])
    for after in (330, 700):
        killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "broken", str(after)],
                                cwd=SUPPORT, check=False)
        assert killed.returncode == -9
    last = KeyedExecutor()
    work(tmp_path / "broken", last, task=TASKS["targets"])
    assert left_behind(tmp_path / "broken") == left_behind(tmp_path / "whole")
    # Selection takes chunks of 50 and 10, so that the kills came after 360 and after 710 samples.
    assert last.drawn == sum(row.n + row.n0 for row in rows) - 360 - 710


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_workers_that_die_change_nothing(task: Task, tmp_path: Path) -> None:
    work(tmp_path / "plain", task=task)
    with CrewExecutor(BenchCrew(KeyedRecipe(), 3, seed=2, fate=(1, 4, 9), provers=1), image) as executor:
        work(tmp_path / "crew", executor, task=task)
    assert left_behind(tmp_path / "crew") == left_behind(tmp_path / "plain")


def test_the_table_tells_samples_and_savings(tmp_path: Path) -> None:
    rows = work(tmp_path, task=TASKS["targets"])
    with (tmp_path / TABLE).open() as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    for row, line in zip(rows, lines, strict=True):
        assert int(line["n"]) + int(line["saved"]) == 1020
        assert int(line["looks"]) == row.looks
        assert sum(int(vote) for vote in line["counts"].split(",")) == int(line["n"]) >= int(line["look_n"])
        n, x1, x2 = (int(line[f"look_{name}"]) for name in ("n", "x1", "x2"))
        again = rsopt.lower_bound(Counts((x1, x2, n - x1 - x2), 0, 1), alpha=float(line["look_alpha"]))
        assert again.lower == float(line["lower"])
    found = spent(rows)
    assert (found.spent, found.fixed, found.inputs) == (sum(row.n for row in rows), 4 * 1020, 4)
    assert found.selection == 4 * 60
    assert found.early == sum(row.n < 1020 for row in rows)
    assert found.factor == found.fixed / found.spent > 1.5
    from pyarrow import parquet

    write_parquet_table(tmp_path / "table.parquet", rows, {"stopping": TARGETS.facts()})
    columns = parquet.read_table(tmp_path / "table.parquet").to_pydict()
    assert columns["saved"] == [row.saved for row in rows]
    assert columns["look.alpha"] == [row.reported.alpha for row in rows]


def test_every_input_is_reached_out_of_reach_or_undecided(tmp_path: Path) -> None:
    rows = work(tmp_path, task=TASKS["targets"])
    with Store.read(tmp_path / STORE) as store:
        found = decided(store, TARGETS)
        facts = json.loads(json.dumps(store.facts["stopping"]))
    assert facts == json.loads(json.dumps(TARGETS.facts()))
    for target in found:
        assert target.certified == sum(row.radius() >= target.radius for row in rows)
        assert target.correct == sum(row.radius() >= target.radius and row.top == row.label for row in rows)
        assert target.certified + target.out_of_reach + target.undecided == len(LABELS)
        assert target.undecided <= sum(row.saved == 0 for row in rows)
    assert found[0].certified > found[1].certified > 0
    assert sum(target.out_of_reach for target in found) > 0


def test_baselines_are_charged_at_the_look_that_is_reported(tmp_path: Path) -> None:
    rows = work(tmp_path, task=TASKS["targets"])
    certified = [row for row in rows if row.radius() > 0.0]
    for method, baseline in ((COHEN, rsopt.baselines.cohen),
                             (CLOPPER_PEARSON, rsopt.baselines.two_way_clopper_pearson)):
        for row, factor in zip(certified, savings(rows, method, TASKS["targets"].question).factors, strict=True):
            look = row.reported
            alone = baseline([look.x1, look.x2, look.n - look.x1 - look.x2], 0, alpha=look.alpha).lower
            assert (factor > 1.0) == (alone < row.bounds[OWN].lower)


def test_runs_are_compared_at_the_targets(tmp_path: Path) -> None:
    work(tmp_path / "adaptive", task=TASKS["targets"])
    work(tmp_path / "fixed", task=Task(Question(SIGMA), FixedSamples(1020, ALPHA), n0=60))
    found = compare_runs(Overview.read(tmp_path / "adaptive"), Overview.read(tmp_path / "fixed"))
    assert [share.radius for share in found.shares] == [0.1, 0.4]
    assert found.samples[0] < found.samples[1] == 4 * 1080
    assert [share.first for share in found.shares] == [share.second for share in found.shares]


def test_a_run_that_asked_something_else_is_refused(tmp_path: Path) -> None:
    work(tmp_path, task=TASKS["targets"])
    other = Task(Question(SIGMA), TargetRadii((0.1, 0.3), ASKED, LOOKS), n0=60)
    with pytest.raises(StorageError, match=r"radii is \[0\.1, 0\.4\] there and \[0\.1, 0\.3\] here"):
        work(tmp_path, task=other)


@pytest.mark.parametrize(("build", "text"), [
    (lambda: Task(Question(0.25), TARGETS), r"asks about Question\(noise=Gaussian\(sigma=0.5\), .*the "
     r"task about Question\(noise=Gaussian\(sigma=0.25"),
    (lambda: Task(Question(SIGMA, "margin"), TARGETS), r"functional=ProbitMargin\(\)"),
    (lambda: Task(Question(SIGMA), FixedSamples(9)), "nothing can be certified with fewer than 10 samples"),
    (lambda: Task(Question(SIGMA), FixedSamples(6, 0.01)), "nothing can be certified with fewer than 7 samples")])
def test_tasks_that_contradict_themselves_are_refused(build, text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        build()


def test_looks_within_chunks_are_refused_before_sampling(tmp_path: Path) -> None:
    task = Task(Question(SIGMA), TargetRadii((0.1,), ASKED, Looks(1000, ALPHA, chunk=30)), n0=60)
    with pytest.raises(InvalidInputError, match=r"first look is at 30 samples; .* a chunk is 50 samples here"):
        work(tmp_path, task=task)


def test_soft_outputs_are_bounded_at_the_level_of_the_last_look(tmp_path: Path) -> None:
    policy = TargetRadii((0.05, 0.5), ASKED, Looks(640, ALPHA, chunk=64, growth=2.0))
    plain = certify(classifier(), inputs(), Task(ASKED, policy, n0=50), seed=3, output=tmp_path / "votes")
    rows = certify(classifier(), inputs(), Task(ASKED, policy, n0=50, soft=SoftOutputs("softmax", 0.3)), seed=3,
                   output=tmp_path / "soft")
    assert [(row.counts, row.radius(), row.looks) for row in rows] == [
        (row.counts, row.radius(), row.looks) for row in plain]
    assert len({row.n for row in rows}) > 1
    for row in rows:
        looks = stored_looks(tmp_path / "soft", row.idx)
        with classifier().sampler(3) as sampler:
            drawn, selection = (np.concatenate([block.rows for block in sampler.iter_scores(
                POINTS[row.idx], row.idx, n, Softmax(0.3), stream=stream)])
                for n, stream in ((looks[-1].n, Stream.ESTIMATION), (50, Stream.SELECTION)))
        for method, functional in ((SOFT_PROBIT, "probit"), (SOFT_MARGIN, "margin")):
            bound = rsopt.lower_bound_scores(drawn, top=row.top, functional=functional, alpha=looks[-1].alpha,
                                             selection=selection)
            assert row.bounds[method].lower == bound.lower
    with Store.read(tmp_path / "soft" / STORE) as store:
        for text in dict(stored_proofs(store)).values():
            check_text(text)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a module of models and data."""
    (tmp_path / "own_models.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    weights = torch.tensor([[1.0, -1, -1, -1], [-1, 1, -1, -1], [-1, -1, 1, 1]])
    torch.save({"1.weight": weights, "1.bias": torch.zeros(3)}, tmp_path / "weights.pt")
    return tmp_path


OWN_MODEL = ("--model", "own_models:build", "--weights", "weights.pt", "--data", "own_models:data", "--sigma", 0.5,
             "--n0", 40, "--alpha", 0.01)


def test_target_radii_from_the_command_line(place: Path) -> None:
    options = (*OWN_MODEL, "--target-radius", 0.3, "--target-radius", 0.1, "--n", 3000)
    result = run("certify", *options)
    assert result.exit_code == 0, result.output
    assert "n at most 3,000, alpha 0.01" in result.stdout
    assert "looks; radius 0.1 from 50 samples on, 0.3 from 50 samples on at best" in result.stdout
    assert "Inputs by what became of a target radius" in result.stdout
    assert "of the 12,000 that a fixed n = 3,000 takes" in result.stdout
    assert "≥ 0.1" in result.stdout
    (folder,) = (place / "runs").iterdir()
    with (folder / TABLE).open() as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    assert all(int(line["n"]) + int(line["saved"]) == 3000 for line in lines)
    assert sum(int(line["saved"]) for line in lines) > 6000
    assert run("verify", folder).exit_code == 0
    again = run("certify", *options)
    assert "Going on with a run that has 4 finished inputs" in again.stdout
    parallel = run("certify", *options, "--workers", 2, "--output", "parallel")
    assert parallel.exit_code == 0, parallel.output
    assert left_behind(place / "parallel") == left_behind(folder)
    assert run("report", "parallel").exit_code == 0


def test_precision_from_the_command_line(place: Path) -> None:
    result = run("certify", *OWN_MODEL, "--precision", "50%", "--n", 2000, "--spending", "pocock", "--chunk", 100)
    assert result.exit_code == 0, result.output
    assert "until the bound is known to 0.5 of itself; fewer than 7 samples certify nothing at this alpha" in (
        result.stdout)
    assert "of the 8,000 that a fixed n = 2,000 takes" in result.stdout
    (folder,) = (place / "runs").iterdir()
    with Store.read(folder / STORE) as store:
        stopping = store.facts["stopping"]
    assert (stopping["policy"], stopping["share"], stopping["looks"]["spending"]) == ("precision", 0.5, "pocock")
    assert stopping["looks"]["chunk"] == 100


def test_a_fixed_run_says_from_how_many_samples_on_anything_is_certified(place: Path) -> None:
    result = run("certify", *OWN_MODEL, "--n", 300)
    assert "fewer than 7 samples certify nothing at this alpha" in result.stdout
    assert "that a fixed n" not in result.stdout


@pytest.mark.parametrize(("options", "text"), [
    (("--target-radius", 0.1, "--precision", "5%"), "--target-radius and --precision ask different questions"),
    (("--precision", "50%", "--give-up", 0.01), "--give-up is the error with which a target radius is called"),
    (("--spending", "linear"), "--spending shares out the error of several looks"),
    (("--target-radius", 0.1, "--spending", "lineal"), "Did you mean 'linear'?"),
    (("--target-radius", -1), "A target radius must be a number from 0 on; found -1.0"),
    (("--target-radius", "nan"), "A target radius must be a number from 0 on; found nan"),
    (("--target-radius", 0.8), "Radius 0.8 at sigma 0.25 on the grid of 1/16 needs at least 10,"),
    (("--target-radius", 0.4, "--functional", "margin"),
     "No votes certify radius 0.4 at sigma 0.25 on the grid of 1/16 with 'margin'"),
    (("--target-radius", 0.1, "--n", 5), "needs at least"),
    (("--target-radius", 0.1, "--alpha", 1e-12), "too small to be shared out over looks"),
    (("--precision", "5 percent"), "--precision is a share of the bound between 0 and 1"),
    (("--precision", "0%"), "found '0%'"), (("--precision", "nan"), "found 'nan'"), (("--precision", "120%"), "120%"),
    (("--precision", "5%", "--n", 9), "Nothing can be certified with fewer than 10 samples"),
    (("--n", 9), "nothing can be certified with fewer than 10 samples")])
def test_what_is_refused_before_the_first_sample(options: tuple[object, ...], text: str, place: Path) -> None:
    assert text in refused("certify", *options)
    assert not (place / "runs").exists()


def test_shares_are_read_as_people_write_them() -> None:
    assert parsed_share("5%") == pytest.approx(0.05)
    assert parsed_share(" 2.5 % ") == pytest.approx(0.025)
    assert parsed_share("0.05") == 0.05
