"""Commands as jobs without a terminal meet them: version, exit codes, lines of a log, JSON for programs."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import pytest
from command_line import run

from rsopt.commands import progress
from rsopt.commands.cli import COMMANDS

LOG = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (.*)$")


def test_the_version_and_the_module() -> None:
    told = f"rsopt {metadata.version('rsopt')}\n"
    assert run("--version").stdout == told
    assert run("--version").exit_code == 0
    done = subprocess.run([sys.executable, "-m", "rsopt", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")


def test_exit_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the documentation names; 130 is tested where runs are interrupted."""
    page = (Path(__file__).parents[2] / "docs" / "scripts.md").read_text()
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)} == {0, 1, 2, 130, 137}
    monkeypatch.chdir(tmp_path)
    assert run("bound", 900, 60, 40).exit_code == 0
    assert run().exit_code == run("bound").exit_code == run("nothing").exit_code == 2
    assert run("bound", 900, "x").exit_code == run("verify", "absent.json").exit_code == 2
    (tmp_path / "broken_module.py").write_text("raise ValueError('its own')")
    (tmp_path / "data.npz").write_bytes(b"")
    foreign = run("certify", "--model", "broken_module:net", "--data", "data.npz")
    assert foreign.exit_code == 1
    assert isinstance(foreign.exception, ValueError)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_ends_in_a_table_has_json(name: str) -> None:
    source = inspect.getsource(import_module(COMMANDS[name].partition(":")[0]))
    tables = any(word in source for word in ("Table(", "print_summary", "print_facts", "certify_all"))
    assert "--json" in run(name, "--help").stdout or not tables


def test_a_line_a_minute_and_no_more(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    log = progress.Log("certifying", 500, "inputs")
    log.go_on_from(100)
    for now, done in ((130.0, 110), (161.0, 120), (170.0, 130), (220.0, 140), (221.0, 150), (3700.0, 150)):
        clock[0] = now
        log.tell(done, "7 samples")
    lines = [LOG.match(line)[1] for line in capsys.readouterr().err.splitlines()]  # type: ignore[index]
    assert lines == ["certifying: 120 of 500 inputs, 7 samples, about 19 min left",
                     "certifying: 150 of 500 inputs, 7 samples, about 14 min left",
                     "certifying: 150 of 500 inputs, 7 samples, about 7 h left"]


def test_jobs_leave_a_readable_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    monkeypatch.chdir(tmp_path)
    result = run("certify", "--inputs", 2, "--n", 400, "--output", "job")
    assert result.exit_code == 0, result.output
    lines = [LOG.match(line) for line in result.stderr.splitlines()]
    assert lines
    assert lines[-1] is not None
    assert re.fullmatch(r"digits, sigma 0\.25 on the grid of 1/16: 2 of 2 inputs, 1,000 samples, [\d,]+ a second",
                        lines[-1][1])
    verified = run("verify", "job")
    assert verified.stdout == "job: 2 of 2 proofs hold, at alpha 0.001 less 1e-13 for the draws.\n"
    assert "checking job: 2 of 2 proofs" in verified.stderr
    (tmp_path / "log.csv").write_text("label,c0,c1,c2\n0,90,6,4\n0,80,15,5\n")
    told = run("recertify", "log.csv", "--sigma", 0.25, "--jobs", 1, "--json")
    assert "proving: 2 of 2 bounds" in told.stderr
    assert json.loads(told.stdout)["inputs"] == 2
    told = run("bound", "--file", "log.csv", "--top", 0, "--jobs", 1, "--json")
    assert "proving: 2 of 2 bounds" in told.stderr
    assert json.loads(told.stdout)["inputs"] == 2
    compared = run("compare", "--solvers", "scipy", "--n", 5, "--functional", "margin", "--no-bounds", "--output", "c",
                   "--json")
    assert "comparing" in compared.stderr
    assert json.loads(compared.stdout)["summary"][0]["solver"] == "scipy"
