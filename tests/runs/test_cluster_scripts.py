"""The scripts for clusters run as they stand: the job script under a SLURM of one node, beside that of one machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from places import EXAMPLES
from waiting import PATIENCE

from rsopt.runs.compare import compare_runs
from rsopt.runs.overview import Overview

SCRIPTS = EXAMPLES / "cluster"
MODEL = """
import torch

def make():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
"""
# What the script asks of SLURM: the names of its nodes, and to run a command on one of them.
SLURM = {"scontrol": "echo localhost", "hostname": "echo 127.0.0.1",
         "srun": 'while [[ $1 == --* ]]; do shift; done\nexec "$@"'}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a model, data, and the commands of SLURM."""
    (tmp_path / "mine.py").write_text(MODEL)
    chance = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", images=chance.random((6, 1, 4, 4)).astype(np.float32),
             labels=chance.integers(0, 3, 6))
    (tmp_path / "bin").mkdir()
    for name, body in SLURM.items():
        (tmp_path / "bin" / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def job_with_free_ports() -> int:
    """A job number whose two ports, as the script makes them of it, are free."""
    for job in range(os.getpid() % 9000, 20000):
        with socket.socket() as one, socket.socket() as two:
            try:
                one.bind(("127.0.0.1", 20000 + job))
                two.bind(("127.0.0.1", 40000 + job))
            except OSError:
                continue
            return job
    raise OSError("no two ports are free")


def run(script: str, place: Path, **extra: str) -> None:
    path = f"{place / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    started = subprocess.Popen(
        ["bash", SCRIPTS / script, "mine:make", "data.npz"], cwd=place, text=True, start_new_session=True,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(place), "HOME": str(place), **extra},
        stdout=(place / "out.txt").open("w"), stderr=subprocess.STDOUT)
    try:
        status = started.wait(timeout=PATIENCE)
    finally:
        # SLURM ends what a job has left running; nothing is left where there was no cluster.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGTERM)
            for _ in range(80):
                os.killpg(started.pid, 0)
                time.sleep(0.25)
            os.killpg(started.pid, signal.SIGKILL)
    assert status == 0, (place / "out.txt").read_text()


def test_a_job_and_one_machine_lead_to_the_same_rows(place: Path) -> None:
    run("single_node.sh", place)
    # A folder of its own, so that nobody else on this machine finds the cluster; paths of sockets have little room.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        run("slurm.sh", place, SLURM_JOB_NODELIST="node", SLURM_JOB_ID=str(job_with_free_ports()),
            SLURM_CPUS_PER_TASK="2", SLURM_JOB_NAME="job", RAY_TMPDIR=folder)
    found = compare_runs(Overview.read(place / "runs" / "one-machine"), Overview.read(place / "runs" / "job"))
    assert found.identical
    assert found.common == 6
    assert (place / "runs" / "job" / "report.html").is_file()


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("*.sh")))
def test_scripts_are_sound_bash(script: str) -> None:
    done = subprocess.run(["bash", "-n", SCRIPTS / script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert os.access(SCRIPTS / script, os.X_OK)
    assert "set -euo pipefail" in (SCRIPTS / script).read_text()
