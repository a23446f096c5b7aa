"""The annotations accept what README, pages and users write, and refuse what has no order of classes: mypy, strict."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from pages import blocks, pages
from places import ROOT

WRITTEN = """
import numpy as np
import torch
import rsopt
from rsopt.smoothing import SmoothedClassifier

votes = np.array([9000, 600, 400])
bound = rsopt.lower_bound(votes, top=votes.argmax(), functional=rsopt.ProbitMargin, statistic=rsopt.Studentized)
bound.certificate.save("bound.json")
rsopt.lower_bound(torch.tensor([9, 6]), top=np.int64(0), alpha=np.float32(1e-3))
rsopt.lower_bound((9, 6), top=0, functional="margin").radius(np.float32(0.25))
rsopt.baselines.cohen(votes, top=0).radius(0.25)
rsopt.Counts(votes, 0)
rsopt.LowerBoundProblem(rsopt.Counts([9, 6], 0), "probit", rsopt.ClopperPearson, 1e-3).solve("scipy")
rsopt.plan(votes, 0.1, np.float64(0.25), top=0)
rsopt.e_process_bound(votes, 0)
rsopt.Question(np.float32(0.25), "margin", statistic=rsopt.PlugIn(), solver="scipy")


def certified(model: torch.nn.Module, image: torch.Tensor) -> float:
    smoothed = SmoothedClassifier(model, 0.25, 10)
    label = smoothed.counts(image, 100, 0).argmax()
    return smoothed.certify(image, n=1000, alpha=1e-3, seed=np.int64(0), label=label).radius
"""
REFUSED = """
import rsopt

rsopt.lower_bound({0: 9, 1: 6}, top=0)
rsopt.lower_bound({9, 6}, top=0)
rsopt.lower_bound("96", top=0)
rsopt.lower_bound([9, 6], top="0")
rsopt.lower_bound([9, 6], top=0, alpha="0.001")
rsopt.lower_bound([9, 6], top=0, functional=int)
"""


def checked(folder: Path, files: dict[str, str]) -> list[str]:
    """What mypy finds in files, as "file:line" in its order."""
    for name, text in files.items():
        (folder / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--follow-imports", "silent",
         "--cache-dir", str(folder / "cache"), *files], cwd=folder, env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return [f"{match[1]}: {match[2]}"
            for match in re.finditer(r"^(.*\.py:\d+): error: (.*)$", done.stdout, re.MULTILINE)]


def test_what_is_written_has_the_right_types_and_nothing_else_has(tmp_path: Path) -> None:
    files = {"written.py": WRITTEN, "refused.py": REFUSED}
    for page in pages(ROOT):
        code = [block.body for block in blocks(page.read_text()) if block.language == "python"]
        if code:
            files[re.sub(r"\W", "_", str(page.relative_to(ROOT))) + ".py"] = "\n".join(code)
    assert "README_md.py" in files
    found = checked(tmp_path, files)
    assert [line.partition(": ")[0] for line in found] == [
        f"refused.py:{line}" for line, text in enumerate(REFUSED.splitlines(), 1) if text.startswith("rsopt.")], found
