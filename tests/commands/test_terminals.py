"""Every command ends well whatever the encoding of the pipe, and says what it has to say in the characters it has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import MODULE
from places import SUPPORT

from rsopt.commands.cli import COMMANDS
from rsopt.commands.terminal import written

# A name with a character that no encoding of one byte has, one that only some have, and what rich takes for markup.
FOLDER = "läufe [bold]✓[/x]"
COMMAND = ["certify", "--model", "own_models:fixed", "--data", "own_models:data", "--n", "60", "--n0", "20", "--alpha",
           "0.05", "--sigma", "0.1", "--chunk", "20"]
EVERY = [
    [*COMMAND, "--output", FOLDER], [*COMMAND, "--target-radius", "0.01", "--output", "second"],
    ["bound", "900", "60", "40", "--sigma", "0.25", "--output", f"{FOLDER}/bound.json"], ["bound", "1e400", "…"],
    ["plan", "--counts", "95,3,2", "--radius", "0.3"], ["plan", "--counts", "60,30,10", "--radius", "0.3"],
    ["recertify", "log.csv", "--sigma", "0.25", "--jobs", "1"], ["verify", FOLDER, "absent"],
    ["export", FOLDER, f"{FOLDER}/cohen.tsv", "--format", "cohen"], ["report", FOLDER],
    ["bound", "--file", "log.csv", "--top", "0", "--jobs", "1", "--sigma", "0.5"],
    ["bound", "900", "60", "40", "--two-sided"],
    ["card", FOLDER], ["card", "--check", f"{FOLDER}/card.zip"], ["board", FOLDER],
    ["compare-runs", FOLDER, "second"], ["solvers"],
    ["compare", "--solvers", "scipy", "--n", "5", "--functional", "margin", "--output", FOLDER],
    ["zoo", "zoo", "--most-terms", "1", "--no-nl"], ["intervals"],
    ["intervals", "--compare", "--n", "50", "--runs", "2"], ["certify", "--help"], ["--help"]]
REFUSED = {3, 7}


def test_every_command_is_here() -> None:
    assert {arguments[0] for arguments in EVERY} - {"--help"} == set(COMMANDS)


@pytest.mark.parametrize(("encoding", "locale"), [
    ("ascii", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}),
    ("latin-1", {"PYTHONIOENCODING": "latin-1"}), ("cp1252", {"PYTHONIOENCODING": "cp1252"}),
    ("utf-16", {"PYTHONIOENCODING": "utf-16"})])
def test_every_command_in_every_encoding(encoding: str, locale: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "own_models.py").write_text(MODULE)
    (tmp_path / "log.csv").write_text("label,c0,c1,c2\n0,90,6,4\n0,80,15,5\n")
    (tmp_path / FOLDER).mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, str(SUPPORT / "many_commands.py"), json.dumps(EVERY)], cwd=tmp_path, capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100", **locale}, check=False)
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    ends = [json.loads(line) for line in err.splitlines() if line.startswith("[")]
    assert ends == [[arguments[0], 2 if place in REFUSED else 0] for place, arguments in enumerate(EVERY)], err
    named = FOLDER.encode().decode("ascii", "surrogateescape") if encoding == "ascii" else FOLDER
    for text in ("Samples for our radius: the n' at which", "≥ 0.1", "Clopper–Pearson", "1.00×",
                 f"table            {named}", f"rsopt verify '{named}'", f"rsopt verify '{named}/bound.json'", "≤ ",
                 "Certified at radius …, share of the common inputs", "at all times at once"):
        assert written(text, encoding) in out, text
    assert "rsopt: '1e400' is no count." in err
    assert {path.name for path in (tmp_path / FOLDER).iterdir()} >= {
        "certified_accuracy.png", "report.html", "table.tsv", "bound.json", "cohen.tsv", "gaps.png"}


def test_what_has_no_character_is_written_in_ascii() -> None:
    text = "≥ 0.25 – ≤ 1.5× 5…, ✓ \udcff"
    assert written(text, "ascii") == ">= 0.25 - <= 1.5x 5..., \\u2713 \\udcff"
    assert written(text, "cp1252") == ">= 0.25 – <= 1.5× 5…, \\u2713 \\udcff"
    assert written(text[:-2], "utf-16") == text[:-2]
