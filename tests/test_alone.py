"""The project stands alone: no file of it points to anything outside of its own folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest
from places import ROOT

UPWARDS = re.compile(r"(?<![\w./])(?:[\w.-]+/)*\.\.(?:/[\w.-]+)*(?=[/\"'`\s)>])")
# A lone "..", joined to who knows what.
LONE = re.compile(r"([\"'])\.\.\1")
FROM_A_FILE = re.compile(r"__file__\)(?:\.resolve\(\)|\.absolute\(\))?(?:\.parents\[(\d+)\]|((?:\.parent\b)+))")
# Folders that a machine has for people and their work; /tmp, /proc, /usr and the like are anybody's.
SOMEBODYS = re.compile(r"(?<![\w./:}>])/(?:home|root|Users|work|workspace|mnt|media|srv)(?:/[\w.-]+)+")


def outside(file: PurePosixPath, text: str) -> list[str]:
    """What in a file of this name leads out of the project; relative paths count from the folder of the file."""
    found = [match[0] for pattern in (SOMEBODYS, LONE) for match in pattern.finditer(text)]
    for match in UPWARDS.finditer(text):
        if os.path.normpath(file.parent / match[0]).startswith(".."):
            found.append(match[0])
    for match in FROM_A_FILE.finditer(text):
        up = int(match[1]) + 1 if match[1] else match[2].count(".parent")
        if up > len(file.parts):
            found.append(match[0])
    return found


def project_files() -> Iterator[PurePosixPath]:
    """All files but those that git is told to ignore."""
    patterns = (ROOT / ".gitignore").read_text().split()

    def kept(path: PurePosixPath) -> bool:
        return path.name != ".git" and not any(
            fnmatch(str(path) if pattern.startswith("/") else path.name, pattern.strip("/")) for pattern in patterns)

    for folder, folders, files in os.walk(ROOT):
        here = PurePosixPath(Path(folder).relative_to(ROOT).as_posix())
        folders[:] = [name for name in folders if kept(here / name)]
        yield from (here / name for name in files if kept(here / name))


def test_nothing_points_outside() -> None:
    files = list(project_files())
    assert {"README.md", ".ci/run", "rsopt/runs/run.py", "tests/test_alone.py"} < set(map(str, files))
    found = {}
    for file in files:
        if str(file) == "tests/test_alone.py":
            continue
        try:
            text = (ROOT / file).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        if paths := outside(file, text):
            found[str(file)] = paths
    assert found == {}


@pytest.mark.parametrize(("file", "text"), [
    ("README.md", "see `../elsewhere/data`."),
    ("Makefile", "cp ../data/x.csv ."),
    ("tests/runs/test_x.py", 'open("../../../data.csv")'),
    ("tests/runs/test_x.py", 'ROOT / ".." / "data"'),
    ("Makefile", "cp rsopt/../../data/x.csv ."),
    ("docs/faq.md", "[there](../../other/README.md)"),
    ("tests/test_x.py", "Path(__file__).resolve().parents[2] / 'data'"),
    ("tests/test_x.py", "Path(__file__).parent.parent.parent"),
    ("rsopt/x.py", "read('/home/somebody/data.csv')"),
])
def test_what_points_outside_is_found(file: str, text: str) -> None:
    assert len(outside(PurePosixPath(file), text)) == 1


@pytest.mark.parametrize(("file", "text"), [
    ("docs/theory/bound.md", "[there](../faq.md#anchor) and [here](../../README.md)"),
    ("tests/support/x.py", "Path(__file__).resolve().parents[2] / 'data'"),
    ("tests/support/x.py", "Path(__file__).parent.parent.parent"),
    ("rsopt/x.py", "from .. import y, tuple[int, ...], https://host/home/page, /tmp/x, /proc/self, 1/..2"),
    (".ci/run", 'cd "$(dirname "$0")/.."'),
])
def test_what_stays_inside_is_not(file: str, text: str) -> None:
    assert outside(PurePosixPath(file), text) == []
