"""Hooks of the site: formulas become MathML, citations become links, and fonts and pictures join the pages.

Everything happens when the site is built: a reader needs no network and no JavaScript to see a formula.
"""

from __future__ import annotations

import html
import os
import re
import sys
from importlib import resources
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
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
_TAG = re.compile(r"\\tag\{(\d+)\}")
# Citations are not looked for inside of these.
_OPAQUE = re.compile(r"<(a|code|pre|math|h[1-6]|nav|script|style)\b.*?</\1>|<[^>]*>", re.DOTALL)
_LIMITS = {"max", "min", "sup", "inf", "lim"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The font of the formulas, and the pictures that `make gallery` has drawn."""
    with resources.as_file(resources.files("ziamath.fonts") / FONT) as font:
        files.append(File.generated(config, f"assets/{FONT}", content=font.read_bytes()))
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
    if aligned := source != latex:
        for table in tree.iter(f"{{{_MATHML}}}mtable"):
            table.set("class", "aligned")
    for element in tree.iter():
        tag = element.tag.removeprefix(f"{{{_MATHML}}}")
        if tag == "mo" and (element.text or "").isalpha():
            # Names of functions: the dictionary of operators would set them apart like relations.
            element.set("lspace", "0.1em")
            element.set("rspace", "0.1em")
        if display and tag in ("msub", "msubsup") and (element[0].text or "") in _LIMITS:
            element.tag = f"{{{_MATHML}}}" + {"msub": "munder", "msubsup": "munderover"}[tag]
        if display and aligned and tag == "mtd":
            element.set("displaystyle", "true")
            element.set("style", "math-style: normal")
    ElementTree.register_namespace("", _MATHML)
    return ElementTree.tostring(tree, encoding="unicode")


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
