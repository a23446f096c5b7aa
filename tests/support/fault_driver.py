"""Does the small run many times in forked children, each with one fault; started with fault_shim.c preloaded.

Usage: fault_driver.py FOLDER kill|full WRITE…   One line of JSON a fault: write, exit status, text on stderr.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path

from small_run import work

from rsopt.errors import StorageError

KINDS = {"kill": 1, "full": 2, "count": 3}


def child(folder: Path, kind: str, at: int) -> int:
    """The run with its fault armed: 0 done, 2 a storage error (told on stderr)."""
    shim = ctypes.CDLL(None)
    shim.fault_writes.restype = ctypes.c_long
    shim.fault_arm(KINDS[kind], ctypes.c_long(at))
    try:
        work(folder)
    except StorageError as error:
        shim.fault_arm(0, ctypes.c_long(0))
        print(error, file=sys.stderr)
        return 2
    count = shim.fault_writes()
    shim.fault_arm(0, ctypes.c_long(0))
    if kind == "count":
        print(json.dumps(count), flush=True)
    return 0


def main() -> None:
    """Runs the faults one after the other."""
    folder, kind, writes = Path(sys.argv[1]), sys.argv[2], [int(text) for text in sys.argv[3:]]
    work(folder / "warm")
    for at in writes:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(write, 2)
            status = child(folder / f"{kind}-{at}", kind, at)
            sys.stderr.flush()
            os._exit(status)
        os.close(write)
        with os.fdopen(read) as stream:
            told = stream.read()
        _, status = os.waitpid(pid, 0)
        if kind != "count":
            print(json.dumps({"write": at, "status": os.waitstatus_to_exitcode(status), "told": told}), flush=True)


if __name__ == "__main__":
    main()
