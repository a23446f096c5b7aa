"""Hooks of the site: formulas become MathML, citations become links, and fonts and pictures join the pages.

Everything happens when the site is built: a reader needs no network and no JavaScript to see a formula.
"""

from __future__ import annotations

import html
import os
import re
import sys
from importlib.metadata import distribution
from pathlib import Path
from xml.etree import ElementTree

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))
from citations import anchors, citations

FONT = "STIXTwoMath-Regular.ttf"

_MATHML = "http://www.w3.org/1998/Math/MathML"
_NAMESPACE = f"{{{_MATHML}}}"
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
_TAG = re.compile(r"\\tag\{(\d+)\}")
# Citations are not looked for inside of these.
_OPAQUE = re.compile(r"<(a|code|pre|math|h[1-6]|nav|script|style)\b.*?</\1>|<[^>]*>", re.DOTALL)
_LIMITS = {"max", "min", "sup", "inf"}
_FUNCTIONS = {*_LIMITS, "log", "ln", "exp", "sinh", "arg"}
_OPENING, _CLOSING = set("([{|⌊⌈"), set(")]}|⌋⌉!∞")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The font of the formulas, and the pictures that `make gallery` has drawn."""
    font = distribution("ziamath").locate_file(f"ziamath/fonts/{FONT}")
    files.append(File.generated(config, f"assets/{FONT}", abs_src_path=str(font)))
    for picture in sorted((Path(config.config_file_path).parent / config.extra["pictures"]).glob("*.png")):
        files.append(File.generated(config, f"gallery/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_content(text: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with its formulas as MathML and its citations as links."""
    return linked(_FORMULA.sub(_formula, text), page.file.src_uri)


def _formula(match: re.Match[str]) -> str:
    latex = html.unescape(match[2]).strip()
    if match[1] == "span":
        return mathml(latex, display=False)
    number = _TAG.search(latex)
    formula = f'<div class="formula">{mathml(_TAG.sub("", latex), display=True)}</div>'
    if number is None:
        return f'<div class="equation">{formula}</div>'
    name = f"equation-{number[1]}"
    return f'<div class="equation" id="{name}">{formula}<a class="number" href="#{name}">({number[1]})</a></div>'


def mathml(latex: str, *, display: bool) -> str:
    """MathML of a formula, put right where the converter leaves something to be wished for."""
    source = latex.replace(r"\begin{aligned}", r"\begin{array}{rl}").replace(r"\end{aligned}", r"\end{array}")
    tree = ElementTree.fromstring(convert(source, display="block" if display else "inline"))
    for row in tree.iter():
        for before, element, after in zip([None, *row], list(row), [*row[1:], None], strict=False):
            _spaced(element, before, after)
        if display and _tag(row) in ("msub", "msubsup") and row[0].text in _LIMITS:
            row.tag = _NAMESPACE + {"msub": "munder", "msubsup": "munderover"}[_tag(row)]
        if _tag(row) == "mrow" and len(row) and all(part.get("mathvariant") == "monospace" for part in row):
            word = ElementTree.Element(_NAMESPACE + "mtext", {"class": "code"})
            word.text = "".join(part.text or "" for part in row)
            row[:] = [word]
        if _tag(row) == "msqrt":
            # A radical of its least size is taller than most letters; without a strut it hangs below the line.
            strut = {"width": "0", "height": "0.73em", "depth": "0.2em"}
            row.insert(0, ElementTree.Element(_NAMESPACE + "mspace", strut))
        if _tag(row) == "mtable" and source != latex:
            row.set("class", "aligned")
    ElementTree.register_namespace("", _MATHML)
    return ElementTree.tostring(tree, encoding="unicode")


def _spaced(element: ElementTree.Element, before: ElementTree.Element | None, after: ElementTree.Element | None
            ) -> None:
    """Letters and operators as they are printed: upright Greek capitals, names of functions, signs, colons, slashes."""
    text = element.text or ""
    if _tag(element) == "mi" and len(text) == 1 and text in "ΓΔΘΛΞΠΣΥΦΨΩ":
        element.set("mathvariant", "normal")
    elif text in _FUNCTIONS and _tag(element) in ("mi", "mo"):
        element.tag = _NAMESPACE + "mo"
        element.set("lspace", "0" if before is None or before.text in _OPENING else "0.17em")
        element.set("rspace", "0" if after is None or after.text in _OPENING else "0.17em")
    elif text == ";":
        element.tag = _NAMESPACE + "mo"
        element.attrib |= {"lspace": "0", "rspace": "0.17em"}
    elif text == "∞":
        element.tag = _NAMESPACE + "mi"
    elif text == ":":
        element.tag = _NAMESPACE + "mo"
        element.set("lspace", "0.25em")
        element.set("rspace", "0.25em")
    elif text in ("/", "|", "‖"):
        element.tag = _NAMESPACE + "mo"
        element.attrib |= {"lspace": "0", "rspace": "0", "stretchy": "false"}
    elif text == "\N{MINUS SIGN}" and (before is None or (_tag(before) == "mo" and before.text not in _CLOSING)):
        element.set("form", "prefix")


def _tag(element: ElementTree.Element) -> str:
    return element.tag.removeprefix(_NAMESPACE)


def linked(text: str, page: str) -> str:
    """The HTML of `page` with a link at each citation that has a target."""
    targets, parts, done = anchors(), [], 0
    for opaque in _OPAQUE.finditer(text):
        parts += [_with_links(text[done:opaque.start()], page, targets), opaque[0]]
        done = opaque.end()
    return "".join([*parts, _with_links(text[done:], page, targets)])


def _with_links(text: str, page: str, targets: dict[str, str]) -> str:
    result, done = [], 0
    for match, named in citations(text):
        if named[0] not in targets:
            continue
        folder = os.path.dirname(page) or "."
        href = os.path.relpath(f"theory/{targets[named[0]]}", folder).removesuffix(".md")
        result += [text[done:match.start()], f'<a href="{href}.html#{named[0]}">{match[0]}</a>']
        done = match.end()
    return "".join([*result, text[done:]])
