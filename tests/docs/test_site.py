"""The site builds without a warning, needs nothing from outside, and has a place for every link and public name."""

from __future__ import annotations

import importlib
import os
import re
import tomllib
from functools import cached_property
from html.parser import HTMLParser
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image
from places import ROOT

import rsopt

SITE = ROOT / "docs" / "site" / "mkdocs.yml"
# What a browser fetches by itself when a page is opened.
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
CODE = {"code", "pre", "script", "style"}


class Page(HTMLParser):
    """The ids, links and fetched addresses of one built page, and its text outside of code."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.text: list[str] = []
        self.formulas = 0
        self._inside = 0
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._inside += tag in CODE
        self.formulas += tag == "math"
        if identifier := values.get("id"):
            self.ids.append(identifier)
        if tag == "a" and (link := values.get("href")) is not None:
            self.links.append(link)
        if (address := values.get(FETCHED.get(tag, ""))) and values.get("rel") != "canonical":
            self.fetched.append(address)

    def handle_endtag(self, tag: str) -> None:
        self._inside -= tag in CODE

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.text.append(data)


class Site:
    """A built site."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def pages(self) -> dict[str, Page]:
        return {str(path.relative_to(self.folder)): Page(path) for path in sorted(self.folder.rglob("*.html"))
                if path.name != "404.html"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site, built in strict mode, with squares in the place of pictures: examples take minutes to draw them."""
    from mkdocs.commands import build
    from mkdocs.config import load_config

    pictures, folder = tmp_path_factory.mktemp("pictures"), tmp_path_factory.mktemp("site")
    for name in re.findall(r"\]\(gallery/(.*?)\)", "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))):
        Image.new("RGB", (8, 8)).save(pictures / name)
    config = load_config(str(SITE), site_dir=str(folder), strict=True)
    config.extra["pictures"] = str(pictures)
    os.environ["NO_MKDOCS_2_WARNING"] = "1"
    config.plugins.on_startup(command="build", dirty=False)
    build.build(config)
    return Site(folder)


def test_every_link_inside_the_site_has_a_target(site: Site) -> None:
    broken = []
    for name, page in site.pages.items():
        for link in page.links:
            path, _, anchor = unquote(link).partition("#")
            if "://" in path or path.startswith("mailto:"):
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
            found = site.pages.get(target)
            if not (site.folder / target).is_file() or (found is not None and anchor and anchor not in found.ids):
                broken.append((name, link))
    assert not broken


def test_ids_are_unique_on_each_page(site: Site) -> None:
    for name, page in site.pages.items():
        twice = {identifier for identifier in page.ids if page.ids.count(identifier) > 1}
        assert not twice, name


def test_nothing_is_fetched_from_elsewhere(site: Site) -> None:
    assert not [(name, address) for name, page in site.pages.items() for address in page.fetched if "//" in address]
    for style in [*site.folder.rglob("*.css")]:
        assert not re.search(r"url\(['\"]?https?:|@import", style.read_text()), style.name
    # The theme would bring these from other hosts if it were not told otherwise.
    assert not re.search(r"fonts\.g|unpkg|cdn", (site.folder / "index.html").read_text())


def test_the_search_works_from_the_file_system(site: Site) -> None:
    assert (site.folder / "search" / "search_index.js").read_text().startswith("var __index = ")
    page = (site.folder / "theory" / "bound.html").read_text()
    assert page.index("iframe-worker.js") < page.index("assets/javascripts/bundle")


def test_formulas_are_rendered_when_the_site_is_built(site: Site) -> None:
    assert site.pages["theory/bound.html"].formulas > 100
    for name, page in site.pages.items():
        left = [text for text in page.text if "$" in text or "\\(" in text or re.search(r"\\[a-z]{2,}", text)]
        assert not left, (name, left)
    assert (site.folder / "assets" / "STIXTwoMath-Regular.ttf").stat().st_size > 100_000


def test_every_public_name_has_its_place(site: Site) -> None:
    documented = {identifier for name, page in site.pages.items() if name.startswith("api/") for identifier in page.ids}
    public = {f"rsopt.{name}" for name in rsopt.__all__ if name not in ("adapters", "compat", "RsoptError")}
    for module in ("rsopt.smoothing", "rsopt.testing", "rsopt.smoothing.adapters", "rsopt.compat"):
        public |= {f"{module}.{name}" for name in importlib.import_module(module).__all__}
    for module in ("rsopt.intervals", "rsopt.baselines", "rsopt.errors"):
        found = importlib.import_module(module)
        public |= {f"{module}.{name}" for name, value in vars(found).items()
                   if not name.startswith("_") and getattr(value, "__module__", None) == module}
    assert not sorted(public - documented)


def test_citations_in_docstrings_are_links(site: Site) -> None:
    assert "../theory/bound.html#fact-7" in site.pages["api/bounds.html"].links


def test_the_version_is_told_and_has_its_entry() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert rsopt.__version__ == metadata.version("rsopt")
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first is not None
    assert first[1] == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
