"""The command line as a person or a script meets it: output, exit status, one-line errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import RSOPT, refused, run

import rsopt
from rsopt.commands.cli import COMMANDS
from rsopt.errors import StorageError
from rsopt.runs.folder import STORE
from rsopt.runs.records import InputOutcome
from rsopt.runs.store import Store


def test_bound_as_the_design_writes_it() -> None:
    result = run("bound", 9000, 600, 400, "--functional", "probit", "--alpha", 0.001, "--solver", "scipy", "--json")
    assert result.exit_code == 0
    assert result.stderr == ""
    (line,) = result.stdout.splitlines()
    content = json.loads(line)
    bound = rsopt.lower_bound([9000, 600, 400], top=0, functional="probit", alpha=1e-3, solver="scipy")
    assert content["lower"] == bound.lower
    assert content["lower_at_most"] == bound.lower_at_most
    assert content["certified"] is True
    assert content["abstain"] is False
    assert (content["functional"], content["statistic"], content["alpha"], content["solver"]) == (
        "probit", "studentized", 0.001, "scipy")
    assert (content["top"], content["top_chosen"], content["n"]) == (0, "the first count", 10000)
    assert "radius" not in content


def test_bound_with_top_and_sigma() -> None:
    content = json.loads(run("bound", 600, 400, 9000, "--top", 2, "--sigma", 0.25, "--json").stdout)
    first = json.loads(run("bound", 9000, 600, 400, "--sigma", 0.25, "--json").stdout)
    assert (content["top"], content["top_chosen"]) == (2, "--top")
    assert content["lower"] == first["lower"]
    assert content["radius"] == first["radius"] == pytest.approx(0.125 * first["lower"], rel=1e-12)


def test_a_bound_of_minus_infinity_is_null_and_an_abstention() -> None:
    content = json.loads(run("bound", 0, 10, 0, "--sigma", 0.5, "--json").stdout)
    assert content["lower"] is None
    assert content["abstain"] is True
    assert content["radius"] == 0.0


def test_bound_for_people() -> None:
    text = run("bound", 9000, 600, 400, "--sigma", 0.25).stdout
    assert "certified class  0 (from the first count): 9,000 of 10,000 votes; runner-up 1: 600; all others: 400" in text
    assert "proven" in text
    assert "radius           0.3411" in text
    assert "abstain" in run("bound", 500, 495, 5, "--sigma", 0.25).stdout


@pytest.mark.parametrize(("arguments", "text"), [
    ((9000, -5, 400), "Count 1 is -5; counts cannot be negative."),
    (("nan", 3, 4), "'nan' is no count. Counts are whole numbers"),
    ((0.9, 0.1), "'0.9' is no count."),
    ((100,), "Counts must be one row with at least two classes"),
    ((0, 0, 0), "All counts are 0"),
    ((5, 4, 3, "--top", 3), "top=3 is no class: there are 3"),
    ((5, 4, 3, "--alpha", 0), "alpha must lie strictly between 0 and 1/2; found 0.0"),
    ((5, 4, 3, "--alpha", 0.45), "is above 0.4, the largest this statistic supports"),
    ((5, 4, 3, "--functional", "probits"), "There is no functional named 'probits'. Did you mean 'probit'?"),
    ((5, 4, 3, "--statistic", "plug"), "There is no statistic named 'plug'."),
    ((5, 4, 3, "--solver", "scip"), "There is no solver named 'scip'. Did you mean 'scipy'?"),
    ((5, 4, 3, "--sigma", -1), "sigma must be a positive number"),
    ((90, 4, 3, "--output", "/dev/null/all.json"), "The certificate /dev/null/all.json cannot be written: File exists"),
])
def test_bad_input_to_bound_is_one_line_and_status_2(arguments: tuple[object, ...], text: str) -> None:
    assert text in refused("bound", *arguments)


def test_misspelt_options_are_no_counts() -> None:
    result = run("bound", 9000, 600, "--functinal", "probit")
    assert result.exit_code == 2
    assert "No such option: --functinal" in result.stderr


def test_verify_accepts_what_bound_saved_and_nothing_else(tmp_path: Path) -> None:
    proof, edited = tmp_path / "proof.json", tmp_path / "edited.json"
    assert run("bound", 9000, 600, 400, "--output", proof).exit_code == 0
    for arithmetic in ("double", "arb"):
        result = run("verify", proof, "--arithmetic", arithmetic)
        assert result.exit_code == 0, result.output
        assert "holds: probit at votes 9,000 against 600 of 10,000 is at least 2.72" in result.stdout
        assert f"{arithmetic} arithmetic" in result.stdout
    edited.write_text(proof.read_text().replace('"x1":9000', '"x1":9001'))
    result = run("verify", edited, proof)
    assert result.exit_code == 2
    assert "REJECTED: The certificate was changed after it was written" in result.stderr
    assert "proof.json: holds" in result.stdout


@pytest.mark.parametrize(("content", "text"), [
    ("not json", "It is not JSON"), ("[1]", "expected a JSON object"), ('{"format": "x"}', "This is no certificate")])
def test_verify_names_what_is_no_proof(content: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text(content)
    result = run("verify", tmp_path / "file.json")
    assert result.exit_code == 2
    assert text in result.stderr


def test_verify_of_nothing(tmp_path: Path) -> None:
    assert "holds no proofs" in run("verify", tmp_path).stderr
    assert "cannot be read: No such file" in run("verify", tmp_path / "absent.json").stderr
    assert run("verify", tmp_path).exit_code == 2


def test_help_names_every_command() -> None:
    text = run("--help").stdout
    assert all(name in text for name in COMMANDS)


def test_bound_loads_neither_torch_nor_matplotlib_nor_sqlite() -> None:
    script = ("import sys\nfrom rsopt.commands.cli import application\n"
              "arguments = ['bound', '90', '6', '4', '--json']\n"
              "application(arguments)(arguments, standalone_mode=False)\n"
              "print([name for name in ('torch', 'matplotlib', 'sklearn', 'sqlite3', 'ray') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


MODEL = """
import time
import torch
from torch import nn

class Slow(nn.Module):
    def forward(self, x):
        time.sleep(0.008)
        return torch.stack([x.sum(dim=1), -x.sum(dim=1), 0 * x.sum(dim=1)], dim=1)

def data():
    return torch.linspace(0.1, 1, 9)[:, None] * torch.ones(9, 4), torch.zeros(9, dtype=torch.int64)
"""


def certify_command(folder: Path) -> tuple[list[str], dict[str, object]]:
    arguments = ["certify", "--model", "slow_model:Slow", "--data", "slow_model:data", "--n", "400", "--n0", "40",
                 "--chunk", "20", "--batch", "20", "--alpha", "0.01", "--sigma", "0.5", "--output", "out"]
    return [*RSOPT, *arguments], {"cwd": folder, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True,
                                  "env": {**os.environ, "OMP_NUM_THREADS": "1"}}


def without_times(folder: Path) -> list[list[str]]:
    lines = [line.split("\t") for line in (folder / "table.tsv").read_text().splitlines()]
    return [[cell for name, cell in zip(lines[0], line, strict=True) if name != "time"] for line in lines]


def finished_inputs(folder: Path) -> int:
    """How many inputs the run in a folder has finished so far, asked while it is at work."""
    try:
        with Store.read(folder / "out" / STORE) as store:
            return len(store.all(InputOutcome))
    except StorageError:
        return 0  # it is just being made


def test_interrupted_and_killed_runs_go_on_to_the_same_result(tmp_path: Path) -> None:
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "slow_model.py").write_text(MODEL)
    command, options = certify_command(tmp_path / "whole")
    whole = subprocess.run(command, check=False, **options)
    assert whole.returncode == 0, whole.stderr

    command, options = certify_command(tmp_path / "broken")
    for stop, status, after in ((signal.SIGINT, 130, 3), (signal.SIGKILL, -signal.SIGKILL, 6)):
        # A suite that runs in the background may have been told to ignore interrupts, and children inherit that.
        process = subprocess.Popen(command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **options)
        deadline = time.monotonic() + 60
        while finished_inputs(tmp_path / "broken") < after and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.008)
        process.send_signal(stop)
        told = process.communicate(timeout=60)[1]
        assert process.returncode == status, told
        if stop == signal.SIGINT:
            assert "the same command goes on from there" in told
            assert "Traceback" not in told
    last = subprocess.run(command, check=False, **options)
    assert last.returncode == 0, last.stderr
    assert "Going on with a run that has" in last.stdout
    assert without_times(tmp_path / "broken" / "out") == without_times(tmp_path / "whole" / "out")
    proofs = [sorted((path.name, path.read_text()) for path in (tmp_path / name / "out" / "certificates").iterdir())
              for name in ("whole", "broken")]
    assert proofs[0] == proofs[1]
    assert len(proofs[0]) == 9
