"""The first example runs as it stands; the ablations assert their own numbers when they are run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_quickstart() -> None:
    run = subprocess.run([sys.executable, str(EXAMPLES / "quickstart.py")], check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "proven lower bound 2.72888" in run.stdout
    assert "Worst case (equation 10)" in run.stdout
