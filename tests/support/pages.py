"""The code blocks of Markdown pages: how they are found, run, and compared with what the page says they print."""

from __future__ import annotations

import ast
import contextlib
import io
import math
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)\s*?$", re.DOTALL | re.MULTILINE)
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
# Where a stated result ends and a remark begins: "2.729: a witness rules out more", "2.728, proven again".
_REMARK = re.compile(r"(?<=[^\s:,])(?::|,)\s+[A-Za-z]")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        language: first word of the info string.
        options: the others.
        body: its lines.
        line: number of its first line, from 1.
        follows: whether it follows the block before it with nothing but white space between.
    """

    language: str
    options: str
    body: str
    line: int
    follows: bool


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found: list[Block] = []
    end = None
    for match in _FENCE.finditer(text):
        language, _, options = match["info"].strip().partition(" ")
        line = text.count("\n", 0, match.start("body")) + 1
        follows = end is not None and not text[end:match.start()].strip()
        found.append(Block(language, options, match["body"], line, follows))
        end = match.end()
    return found


def same(stated: str, printed: str) -> bool:
    """Whether two texts are equal but for the last digits of numbers with decimals."""
    stated, printed = " ".join(stated.split()), " ".join(printed.split())
    if _NUMBER.sub("#", stated) != _NUMBER.sub("#", printed):
        return False
    pairs = zip(_NUMBER.findall(stated), _NUMBER.findall(printed), strict=True)
    return all(one == other or ("." in one and math.isclose(_value(one), _value(other), rel_tol=1e-5))
               for one, other in pairs)


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def like(stated: str, printed: str) -> bool:
    """Whether the lines printed are those stated, where a line "..." stands for any lines, none included."""
    first, *others = re.split(r"^\.\.\.[^\S\n]*\n?", stated, flags=re.MULTILINE)
    if not others:
        return same(stated, printed)
    lines = printed.splitlines(keepends=True)
    *middle, last = others
    start, end = len(first.splitlines()), len(lines) - len(last.splitlines())
    if end < start or not same(first, "".join(lines[:start])) or not same(last, "".join(lines[end:])):
        return False
    for part in middle:
        size = len(part.splitlines())
        found = next((k for k in range(start, end - size + 1) if same(part, "".join(lines[k:k + size]))), None)
        if found is None:
            return False
        start = found + size
    return True


def run_python(block: Block, expected: Block | None, namespace: dict[str, object]) -> list[str]:
    """Runs a block statement by statement; what differs from what the page says, as sentences.

    Args:
        block: the code.
        expected: the `text` block that follows it, with all that it prints.
        namespace: of the page, updated.
    """
    tokens = tokenize.generate_tokens(io.StringIO(block.body).readline)
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    everything, wrong = io.StringIO(), []
    for statement in ast.parse(block.body).body:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(ast.Module([statement], []), f"line {block.line}", "exec"), namespace)
        everything.write(printed.getvalue())
        comment = comments.get(statement.end_lineno or 0)
        if comment is not None and _prints(statement) and expected is None:
            stated = _REMARK.split(comment)[0]
            if not same(stated, printed.getvalue()):
                wrong.append(f"line {block.line + statement.lineno - 1} prints {printed.getvalue()!r}, not {stated!r}")
    if expected is not None and not like(expected.body, everything.getvalue()):
        wrong.append(f"the block at line {block.line} prints {everything.getvalue()!r}, not {expected.body!r}")
    return wrong


def _prints(statement: ast.stmt) -> bool:
    return (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
            and isinstance(statement.value.func, ast.Name) and statement.value.func.id == "print")


def commands(block: Block) -> list[tuple[str, str]]:
    """The commands of a console block, after "$ ", each with the output that is stated."""
    parts = re.split(r"^\$ ", block.body, flags=re.MULTILINE)
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts[1:]]


def pages(root: Path) -> list[Path]:
    """README and all pages of the site."""
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]
