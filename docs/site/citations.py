"""What counts as a citation of the theory, and where its target stands.

"fact 7", "Lemma 1", "equation 8", "proposition P3", "theorem N1", "theorem D1" and "theorem U1" name headings and
formulas of docs/theory. The site turns them into links, in pages and in docstrings; a test fails for one that has no
target.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

THEORY = Path(__file__).resolve().parents[1] / "theory"

# A citation names one target or several: "fact 7", "facts 4 and 5", "equations 7, 9, 10, 11", "equations 4 to 6".
_CITATION = re.compile(
    r"\b(?P<kind>[Ff]acts?|[Ll]emma|[Ee]quations?|[Pp]ropositions?|[Tt]heorems?)"
    r"(?P<gap>\s+)(?P<first>\(?[PNDU]?\d+\)?)(?P<more>(?:\s*(?:,|and|to)\s+\(?[PNDU]?\d+\)?(?![\w.]*\d))*)")
# Ours are numbered with a letter, so that "Proposition 1 of …" and "Theorem 2" of a paper are none of them.
_LETTERS = {"proposition": "P", "theorem": "NDU"}
_ANCHORED_HEADING = re.compile(r"^#+ .*\{\s*#([\w-]+)\s*\}\s*$", re.MULTILINE)
_TAG = re.compile(r"\\tag\{(\d+)\}")


def anchors() -> dict[str, str]:
    """{anchor: page} of the theory, the page relative to docs/theory; an anchor that stands twice is an error."""
    found: dict[str, str] = {}
    for page in sorted(THEORY.glob("*.md")):
        text = page.read_text()
        for anchor in [*_ANCHORED_HEADING.findall(text), *(f"equation-{number}" for number in _TAG.findall(text))]:
            if anchor in found:
                raise ValueError(f"The anchor {anchor} stands in {found[anchor]} and in {page.name}.")
            found[anchor] = page.name
    return found


def citations(text: str) -> Iterator[tuple[re.Match[str], list[str]]]:
    """Each citation in a text, and the anchors that it names."""
    for match in _CITATION.finditer(text):
        kind = match["kind"].lower().removesuffix("s")
        letters = _LETTERS.get(kind, "")
        letter = next((letter for letter in letters if letter in match["first"]), "")
        if letters and not letter:
            continue
        numbers = [int(number) for number in re.findall(r"\d+", match["first"] + match["more"])]
        if " to " in match["more"] and len(numbers) == 2:
            numbers = list(range(numbers[0], numbers[1] + 1))
        names = {"proposition": "p", "theorem": f"theorem-{letter.lower()}"}
        yield match, [f"{names.get(kind, f'{kind}-')}{number}" for number in numbers]
