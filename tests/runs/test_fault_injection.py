"""Real processes, really killed and interrupted: a run ends in the complete result of an undisturbed one."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keyed_crew import KILLS, KeyedRecipe, image
from places import SUPPORT
from small_net import CLASSES, IMAGES, LABELS, SIGMA
from small_run import left_behind, work
from waiting import PATIENCE, finished, held, wait_until

from rsopt.runs.workers.crew import CrewExecutor
from rsopt.runs.workers.processes import ProcessCrew

RSOPT = (sys.executable, "-c", "from rsopt.commands.cli import main; main()")
CHUNKS = len(LABELS) * (1 + 450 // 50)
# Passes of every session before its first chunk: the check of the rows, and what tells this model from another.
CHECKS = 10


def test_killed_at_twenty_random_moments(tmp_path: Path) -> None:
    """Twenty kills of one run, each at a moment of its own; every one costs no more than the chunk in hand."""
    ran = subprocess.run([sys.executable, SUPPORT / "kill_driver.py", tmp_path / "run", "5", "20"], check=True,
                         capture_output=True, text=True)
    standing = json.loads(ran.stdout.splitlines()[-1])
    assert len(standing) == 20
    assert standing == sorted(standing)
    assert standing[-1] > 0
    assert left_behind(tmp_path / "run") == left_behind(tmp_path / "warm")
    passes = len((tmp_path / "run.log").read_text().splitlines())
    assert CHUNKS + CHECKS <= passes <= CHUNKS + 20 + 21 * CHECKS


def test_worker_processes_killed_at_random_moments(tmp_path: Path) -> None:
    """The work goes no further than the kills have, so that each hits a worker at work or just started."""
    work(tmp_path / "plain")
    chance, stop, kills = random.Random(9), threading.Event(), tmp_path / "kills"
    kills.mkdir()

    def assassin() -> None:
        struck = 0
        while struck < KILLS and not stop.wait(chance.uniform(0.05, 0.3)):
            victims = [process for process in multiprocessing.active_children() if process.name.startswith("rsopt")]
            if victims:
                os.kill(chance.choice(victims).pid, signal.SIGKILL)
                struck += 1
                (kills / str(struck)).touch()

    killer = threading.Thread(target=assassin)
    recipe = KeyedRecipe(log=tmp_path / "log", kills=kills)
    with CrewExecutor(ProcessCrew(recipe, samplers=2), image) as executor:
        killer.start()
        try:
            work(tmp_path / "struck", executor)
        finally:
            stop.set()
            killer.join()
    assert len(list(kills.iterdir())) == KILLS
    assert left_behind(tmp_path / "struck") == left_behind(tmp_path / "plain")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(path, images=IMAGES.numpy(), labels=np.array([LABELS[idx] for idx in range(len(IMAGES))]))
    return path


def command(data: Path, folder: Path, *options: str) -> dict[str, Any]:
    """Arguments of `subprocess.Popen` for a run in a session of its own, as a terminal would start it."""
    arguments = ["certify", "--model", "small_net:Held", "--data", data, "--classes", CLASSES, "--sigma", SIGMA, "--n",
                 450, "--n0", 50, "--alpha", 0.01, "--chunk", 50, "--batch", 50, "--seed", 11, "--output", folder]
    return {"args": [*RSOPT, *map(str, arguments), *options], "text": True, "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT, "start_new_session": True,
            "env": {**os.environ, "PYTHONPATH": str(SUPPORT), "OMP_NUM_THREADS": "1"}}


def whole(options: dict[str, Any]) -> str:
    """Runs a command to its end and returns what it printed."""
    process = subprocess.Popen(**options)
    told = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0, told
    return told


@pytest.fixture(scope="module")
def plain(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("plain")
    whole(command(data, folder))
    return left_behind(folder)


def workers(leader: int) -> list[int]:
    """The living workers in the session of a run: spawned processes, or Ray's actors."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            title = (folder / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(session) == leader and state != "Z" and ("spawn_main" in title or "ray::RayWorker" in title):
            found.append(int(folder.name))
    return found


def stopped(how: signal.Signals, after: int, data: Path, folder: Path, *options: str) -> str:
    """A run that is hit where it was made to stand still, and whose workers must then be gone; what it printed."""
    begun = command(data, folder, *options)
    with held(after, folder) as environment:
        begun["env"] |= environment
        # A suite that runs in the background may have been told to ignore interrupts, and children inherit that.
        process = subprocess.Popen(preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **begun)
        wait_until(lambda: process.poll() is not None or (finished(folder) >= after and len(workers(process.pid)) == 2),
                   f"{after} inputs finished, two workers")
        os.killpg(process.pid, how) if how == signal.SIGINT else process.kill()
    told = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == (130 if how == signal.SIGINT else -how), told
    wait_until(lambda: workers(process.pid) == [], "the workers are gone")
    assert after <= finished(folder) < len(LABELS)
    return told


def test_a_run_with_workers_interrupted_and_killed(data: Path, plain: dict[str, object], tmp_path: Path) -> None:
    """Ctrl-C, which a terminal sends to every process, then kill -9, then without workers to the end."""
    told = stopped(signal.SIGINT, 1, data, tmp_path / "run", "--workers", "2")
    assert "the same command goes on from there" in told
    assert "Traceback" not in told
    stopped(signal.SIGKILL, 4, data, tmp_path / "run", "--workers", "2")
    assert "Going on with a run that has" in whole(command(data, tmp_path / "run"))
    assert left_behind(tmp_path / "run") == plain


def test_a_run_on_a_cluster_killed(data: Path, plain: dict[str, object], tmp_path: Path) -> None:
    stopped(signal.SIGKILL, 1, data, tmp_path / "run", "--cluster", "ray", "--workers", "2")
    assert "Going on with a run that has" in whole(command(data, tmp_path / "run"))
    assert left_behind(tmp_path / "run") == plain
