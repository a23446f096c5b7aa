"""Does a run with a real network in forked children, each killed at a random moment, and at last to its end.

Usage: kill_driver.py FOLDER SEED KILLS   One line of JSON: how many inputs were finished at each of the kills.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from small_net import IMAGES, LABELS, SEED, TASK, Net, classifier
from waiting import finished

from rsopt.errors import StorageError
from rsopt.runs.certify import certify
from rsopt.runs.inputs import Inputs


class Watched(Net):
    """The network, noting every pass.

    Args:
        log: the file in which the passes are noted.
        tell: a pipe that gets a byte for every pass; None for no pipe.
        most: it stands still at the pass after so many, until its process is killed.
    """

    def __init__(self, log: Path, tell: int | None, most: int) -> None:
        super().__init__()
        self.log = log
        self.tell = tell
        self.left = most

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with self.log.open("a") as file:
            file.write("pass\n")
        if self.tell is not None:
            os.write(self.tell, b".")
            self.left -= 1
            while self.left < 0:
                signal.pause()
        return super().forward(x)


def run(folder: Path, tell: int | None = None, most: int = 0) -> None:
    """The run, from wherever it stands."""
    inputs = Inputs(IMAGES, [LABELS[idx] for idx in range(len(IMAGES))], range(len(IMAGES)))
    certify(classifier(Watched(folder.with_suffix(".log"), tell, most)), inputs, TASK, seed=SEED, output=folder)


def killed(folder: Path, passes: int, delay: float) -> int:
    """Works on the run in a child that is killed some seconds after it began a pass; how it ended.

    However late the kill comes, the child gets no further than to the pass after that one.
    """
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            run(folder, tell, most=passes)
        except StorageError as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(2)
        os._exit(0)
    os.close(tell)
    for _ in range(passes):
        os.read(told, 1)
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(told)
    return ended


def main() -> None:
    """Kills until the kills are spent, then lets the run end."""
    folder, seed, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    run(folder.with_name("warm"))
    chance = random.Random(seed)
    standing = []
    for _ in range(kills):
        assert killed(folder, chance.randint(0, 18), chance.uniform(0.0, 0.008)) == -signal.SIGKILL
        standing.append(finished(folder))
    run(folder)
    print(json.dumps(standing))


if __name__ == "__main__":
    main()
