"""Does a run with a real network in forked children, each killed at a random moment, until one of them is done.

Usage: kill_driver.py FOLDER SEED KILLS   One line of JSON: kills, and how many inputs were finished at each of them.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
import time
from pathlib import Path

import torch
from small_net import IMAGES, LABELS, SEED, TASK, Net, classifier

from rsopt.errors import StorageError
from rsopt.runs.certify import certify
from rsopt.runs.folder import STORE
from rsopt.runs.inputs import Inputs


class Slow(Net):
    """The network, slow enough to be hit in the middle, noting every pass."""

    def __init__(self, log: Path) -> None:
        super().__init__(pace=0.02)
        self.log = log

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with self.log.open("a") as file:
            file.write("pass\n")
        return super().forward(x)


def run(folder: Path) -> None:
    """The run, from wherever it stands."""
    inputs = Inputs(IMAGES, [LABELS[idx] for idx in range(len(IMAGES))], range(len(IMAGES)))
    certify(classifier(Slow(folder.with_suffix(".log"))), inputs, TASK, seed=SEED, output=folder)


def killed(folder: Path, after: float) -> bool:
    """Works on the run in a child that is killed after some seconds; False if it was done before."""
    pid = os.fork()
    if pid == 0:
        try:
            run(folder)
        except StorageError as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(2)
        os._exit(0)
    deadline = time.monotonic() + after
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def finished(folder: Path) -> int:
    """Inputs that the run has finished."""
    if not (folder / STORE).exists():
        return 0
    with sqlite3.connect(folder / STORE) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'outcomes'").fetchone():
            return 0
        (count,) = database.execute("SELECT COUNT(*) FROM outcomes").fetchone()
    return int(count)


def main() -> None:
    """Kills until the kills are spent, then lets the run end."""
    folder, seed, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    run(folder.with_name("warm"))
    chance = random.Random(seed)
    standing = []
    for _ in range(kills):
        if not killed(folder, chance.uniform(0.01, 0.2)):
            break
        standing.append(finished(folder))
    run(folder)
    print(json.dumps({"kills": len(standing), "finished": standing}))


if __name__ == "__main__":
    main()
