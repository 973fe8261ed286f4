"""The site is built without a warning, hangs together, and loads nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from docs_blocks import ROOT, pages

if TYPE_CHECKING:
    from pathlib import Path

DOCS = ROOT / "docs"
LARGEST_BYTES = 1_000_000
MOST_PICTURES_BYTES = 5_000_000
FRAGMENTS = ("docs/models/",)
"""Parts of a page that a program puts together; no pages."""
LINK = re.compile(r"(?<!`)\]\((?P<to>[^)\s]+)\)")


class Page(HTMLParser):
    """What a page of the site loads, where it links to, and which anchors it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()
        self.unnamed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.anchors.add(values["id"])
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        if tag in ("img", "script", "iframe", "source") and "src" in values:
            self.loaded.add(values["src"])
        if tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload", "preconnect", "modulepreload"):
            self.loaded.add(values["href"])
        if tag == "img" and not values.get("alt"):
            self.unnamed.append(values.get("src", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if importlib.util.find_spec("mkdocs") is None:
        pytest.fail("the site cannot be built: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return folder


@pytest.fixture(scope="module")
def built(site):
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def test_every_link_and_anchor_leads_somewhere(site, built):
    lost = []
    for path, page in built.items():
        for link in page.links | page.loaded:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("//") or path.name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                lost.append(f"{path.relative_to(site)}: {link}")
            elif (
                parts.fragment
                and target in built
                and unquote(parts.fragment) not in built[target].anchors | {"__comments"}
            ):
                lost.append(f"{path.relative_to(site)}: {link} (no such anchor)")
    assert not lost


def test_nothing_is_loaded_from_elsewhere(site, built):
    for path, page in built.items():
        assert not [at for at in page.loaded if urlsplit(at).scheme or at.startswith("//")], path
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"url\(\s*['\"]?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_every_picture_has_words(site, built):
    for path, page in built.items():
        assert not page.unnamed, path.relative_to(site)


def test_search_finds_pages(site):
    index = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    for word in ("corticomedullary", "negative_control", "Hedges", "LazyImage"):
        assert word in index


def test_the_navigation_names_every_page():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"[\w/]+\.md", yaml.safe_dump(yaml.safe_load(text)["nav"])))
    there = {p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md")}
    assert named == {p for p in there if not f"docs/{p}".startswith(FRAGMENTS)}


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_of_the_sources_resolve(page):
    """Also where the pages are read as they are, in a file browser."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for match in LINK.finditer(text):
        to = match["to"].split("#")[0]
        if to and "://" not in to and not to.startswith("mailto:"):
            assert (page.parent / to).exists(), to


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        return [
            p
            for p in ROOT.rglob("*")
            if p.is_file() and not any(part.startswith(".") for part in p.relative_to(ROOT).parts)
        ]
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_no_file_is_large():
    assert not [p for p in tracked() if p.is_file() and p.stat().st_size > LARGEST_BYTES]


def test_the_pictures_are_small_and_used():
    pictures = [p for p in DOCS.rglob("*") if p.suffix in (".png", ".jpg", ".svg")]
    assert sum(p.stat().st_size for p in pictures) < MOST_PICTURES_BYTES
    text = "".join(p.read_text(encoding="utf-8") for p in pages())
    assert not [p.name for p in pictures if p.name not in text]


def test_vector_pictures_run_no_script():
    for path in DOCS.rglob("*.svg"):
        assert not [e for e in ET.parse(path).iter() if e.tag.rsplit("}")[-1] == "script"]  # noqa: S314  our own files


def sources() -> str:
    """Every text of the program, its lines put together where Python puts them together."""
    text = "\n".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "thymusimg").rglob("*.py")))
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_the_sentences_that_are_explained_are_the_programs():
    program = sources()
    page = (DOCS / "faq.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^> `(.+)`$", page, re.M)
    assert len(quoted) > 10
    assert not [sentence for sentence in quoted if sentence not in program]


def test_the_error_tree_is_the_programs():
    import thymusimg.errors as errors

    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    tree = page[page.index("```text") :]
    shown = set(re.findall(r"[A-Z]\w*Error\b", re.sub(r"\([A-Z]\w+\)", "", tree))) - {"CancelledError"}
    ours = {n for n, e in vars(errors).items() if isinstance(e, type) and issubclass(e, errors.ThymusimgError)}
    assert shown | {"CancelledError"} == ours
