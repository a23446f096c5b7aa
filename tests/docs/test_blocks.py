"""Every python and console block of the README and of the site runs, and prints what the page says it prints."""

from __future__ import annotations

import shlex
import sys
import types
from pathlib import Path

import pytest
from command_line import run
from pages import Block, blocks, commands, like, pages, run_python, same
from places import ROOT

# What a page may hold besides blocks that run: commands of make and pip, what a block prints.
SHOWN = {"sh", "text"}
PAGES = {str(page.relative_to(ROOT)): blocks(page.read_text()) for page in pages(ROOT)}


@pytest.mark.parametrize("page", [page for page, found in PAGES.items() if any(b.language not in SHOWN for b in found)])
def test_the_blocks_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # A script of its own, whose functions and classes are found again by name.
    script = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", script)
    namespace = vars(script)
    wrong: list[str] = []
    following = [*PAGES[page][1:], None]
    for block, after in zip(PAGES[page], following, strict=True):
        if block.language == "python":
            expected = after if after is not None and after.language == "text" and after.follows else None
            wrong += run_python(block, expected, namespace)
        elif block.language == "console":
            wrong += run_console(block)
    assert not wrong


def run_console(block: Block) -> list[str]:
    """Runs the commands of a block; what differs from what the page says, as sentences."""
    wrong = []
    for command, stated in commands(block):
        program, *arguments = shlex.split(command)
        assert program == "rsopt", f"line {block.line}: only rsopt is run here, not {program!r}"
        result = run(*arguments)
        if result.exit_code != 0:
            wrong.append(f"{command!r} ends with status {result.exit_code}: {result.output}")
        elif stated and not like(stated, result.output):
            wrong.append(f"{command!r} prints {result.output!r}, not {stated!r}")
    return wrong


def test_every_block_is_of_a_kind_that_is_run_or_shown() -> None:
    kinds = {(page, block.line, block.language, block.options) for page, found in PAGES.items() for block in found
             if block.language not in SHOWN | {"python", "console"} or block.options}
    assert not kinds


def test_blocks_are_found_with_what_follows_them() -> None:
    one, two, three = blocks("```python\nx = 1\n```\n\n```text\n1\n```\nwords\n```console\n$ rsopt\n```\n")
    assert (one.language, one.body, one.line, two.follows, three.follows) == ("python", "x = 1\n", 2, True, False)
    assert commands(three) == [("rsopt", "")]


@pytest.mark.parametrize(("stated", "printed", "equal"), [
    ("0.5 True", "0.5000001 True\n", True), ("0.5 True", "0.51 True", False), ("3 of 4", "3 of 4", True),
    ("3 of 4", "4 of 4", False), ("0.5 True", "0.5 False", False), ("[0.143 0.192]", "[0.143 0.192]", True)])
def test_numbers_are_compared_as_numbers(stated: str, printed: str, equal: bool) -> None:
    assert same(stated, printed) is equal


@pytest.mark.parametrize(("stated", "equal"), [
    ("a\nb\nc\n", True), ("...\nc\n", True), ("a\n...\n", True), ("...\nb\n...\n", True), ("a\n...\nc\n", True),
    ("...\nb\n", False), ("b\n...\n", False), ("...\nd\n...\n", False), ("a\nb\n", False), ("...\n", True)])
def test_dots_stand_for_any_lines(stated: str, equal: bool) -> None:
    assert like(stated, "a\nb\nc\n") is equal


@pytest.mark.parametrize(("code", "expected", "count"), [
    ("print(1 + 1)  # 2", None, 0), ("print(1 + 1)  # 3", None, 1), ("print(0.5)  # 0.5: half of it", None, 0),
    ("print(0.25, True)  # 0.25 True, a quarter", None, 0), ("x = 1  # 2", None, 0),
    ("for k in range(2):\n    print(k)", "0\n1\n", 0), ("for k in range(2):\n    print(k)", "0\n2\n", 1)])
def test_what_a_block_prints_is_compared(code: str, expected: str | None, count: int) -> None:
    after = None if expected is None else Block("text", "", expected, 5, True)
    assert len(run_python(Block("python", "", code + "\n", 1, False), after, {})) == count
