"""Every statement that code and pages cite has a target in docs/theory, and every paper stands in its list."""

from __future__ import annotations

import io
import re
import sys
import tokenize
from pathlib import Path

import pytest
from places import ROOT

sys.path.insert(0, str(ROOT / "docs" / "site"))
from citations import anchors, citations

CODE = [path for folder in ("rsopt", "solvers", "tests", "examples") for path in sorted((ROOT / folder).rglob("*.py"))
        if path != Path(__file__)]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]

# "Waudby-Smith & Ramdas (2024)", "Cohen et al. 2019", "Cox, Ross & Rubinstein 1979".
_NAME = r"[A-Z][\w’-]*[a-z](?:[-–][A-Z][a-z]+)?"
_PAPER = re.compile(rf"\b({_NAME}(?:, {_NAME})*(?: (?:&|and) {_NAME}| et al\.)?),? \(?((?:18|19|20)\d\d)\b")
# "the source", "DESIGN", "problem 9", "formula 4": names that a reader of the repository cannot look up.
_UNCLEAR = re.compile(
    r"\bDESIGN\b|\b(?:the|its|their|an unnamed) source(?:'s)?\b(?! (?:code|paper))|\bproblem \d|\bformulas? \d")


def prose(path: Path) -> str:
    """A page, or the comments and strings of a module, with white space as in running text."""
    if path.suffix == ".md":
        text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    else:
        tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
        kinds = (tokenize.COMMENT, tokenize.STRING)
        text = " ".join(token.string.lstrip("#: ") for token in tokens if token.type in kinds)
    return " ".join(text.split())


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {str(path.relative_to(ROOT)): prose(path) for path in [*CODE, *PAGES]}


def test_every_cited_statement_has_a_target(texts: dict[str, str]) -> None:
    targets = anchors()
    found = {(place, name) for place, text in texts.items() for _, names in citations(text) for name in names}
    assert {name for _, name in found} >= {f"fact-{k}" for k in range(1, 12)} | {"lemma-1", "p1", "p3", "equation-8"}
    assert not [(place, name) for place, name in sorted(found) if name not in targets]


def test_every_numbered_statement_is_on_the_pages() -> None:
    expected = {f"fact-{k}" for k in range(1, 12)} | {f"equation-{k}" for k in range(4, 12)}
    assert expected | {"lemma-1", "p1", "p2", "p3", "p4", "p5"} <= set(anchors())


def test_every_cited_paper_is_in_the_list(texts: dict[str, str]) -> None:
    listed = " ".join((ROOT / "docs" / "theory" / "references.md").read_text().split())
    missing = [(place, match[0]) for place, text in texts.items() for match in _PAPER.finditer(text)
               if place != "docs/theory/references.md" and not in_list(match, listed)]
    assert not missing


def in_list(match: re.Match[str], listed: str) -> bool:
    """Whether an entry with one of the names and the year is in the list; the first name may belong to the sentence."""
    names = re.split(r", | & | and | et al\.", match[1])
    return any(re.search(rf"- [^–]*?\b{re.escape(name)}\b[^()]*\({match[2]}\)", listed) for name in names if name)


def test_nothing_is_cited_that_a_reader_cannot_look_up(texts: dict[str, str]) -> None:
    assert not [(place, match[0]) for place, text in texts.items() for match in _UNCLEAR.finditer(text)]


def test_pages_that_the_code_names_exist(texts: dict[str, str]) -> None:
    named = {(place, page) for place, text in texts.items() for page in re.findall(r"\bdocs/[\w/-]+\.md", text)}
    assert named
    assert not [(place, page) for place, page in sorted(named) if not (ROOT / page).is_file()]


@pytest.mark.parametrize(("text", "names"), [
    ("as fact 7 says", ["fact-7"]),
    ("(facts 4 and 5)", ["fact-4", "fact-5"]),
    ("Equations 7, 9, 10, 11 at 3 levels", ["equation-7", "equation-9", "equation-10", "equation-11"]),
    ("equations 4 to 6", ["equation-4", "equation-5", "equation-6"]),
    ("propositions P3 to P5", ["p3", "p4", "p5"]),
    ("theorems D1 to D3", ["theorem-d1", "theorem-d2", "theorem-d3"]),
    ("theorem N5 and theorem D2", ["theorem-n5", "theorem-d2"]),
    ("theorems U1 and U2", ["theorem-u1", "theorem-u2"]),
    ("by theorem N1.", ["theorem-n1"]),
    ("Theorem 2 of a paper", []),
    ("by Lemma 1.", ["lemma-1"]),
    ("Proposition 1 of another paper", []),
    ("in fact 7 of these are no citation", ["fact-7"]),
])
def test_citations_are_understood(text: str, names: list[str]) -> None:
    assert [name for _, found in citations(text) for name in found] == names
