"""The documentation as a site: built strictly, whole, and without a request to another machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]
FETCHING = {
    ("script", "src"),
    ("img", "src"),
    ("link", "href"),
    ("iframe", "src"),
    ("source", "srcset"),
    ("video", "src"),
}
"""Attributes by which a browser fetches something without being asked."""
QUIET = {"canonical", "next", "prev"}
"""Links in a page's head that nothing is fetched by."""


class Fetched(HTMLParser):
    """What a page fetches, what it links to, and the places in it that can be linked to."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.places |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        for name, value in values.items():
            if (tag, name) in FETCHING and values.get("rel") not in QUIET:
                self.fetched.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    for package in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_pages_fetch_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        found = Fetched()
        found.feed(page.read_text(encoding="utf-8"))
        for target in found.fetched:
            assert not re.match(r"(https?:)?//", target), f"{page.relative_to(site)} fetches {target}"
            if target and not target.startswith("data:") and page.name != "404.html":
                assert (page.parent / unquote(target.split("?")[0].split("#")[0])).exists(), f"{page.name}: {target}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet.name


def test_links_of_the_pages_lead_somewhere(site: Path) -> None:
    pages = {}
    for page in site.rglob("*.html"):
        pages[page] = Fetched()
        pages[page].feed(page.read_text(encoding="utf-8"))
    for page, found in pages.items():
        for link in found.links:
            if page.name == "404.html" or re.match(r"[a-z]+:|//", link):
                continue
            path, _, place = link.partition("#")
            target = (page.parent / unquote(path)).resolve() if path else page
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), f"{page.relative_to(site)}: {link}"
            if place and target in pages:
                assert unquote(place) in pages[target].places, f"{page.relative_to(site)}: {link}"


def test_the_python_interface_is_there(site: Path) -> None:
    text = (site / "docs" / "api" / "networks.html").read_text(encoding="utf-8")
    assert "Read a trained network" in text
    assert 'id="spikewright.convert"' in text
    assert "UnsupportedModelError" in text


def test_notebooks_are_pages_with_what_they_showed(site: Path) -> None:
    """And can be downloaded as they are."""
    notebooks = sorted((ROOT / "examples").rglob("*.ipynb"))
    assert len(notebooks) == 8
    for notebook in notebooks:
        page = (site / notebook.relative_to(ROOT)).with_suffix(".html")
        text = page.read_text(encoding="utf-8")
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        shown = [cell for cell in cells if cell.get("outputs")]
        assert text.count('<div class="shown">') == len(shown) > 0
        assert 'id="shown-' not in text  # every output is at its place
        outputs = [output for cell in shown for output in cell["outputs"]]
        pictures = [output for output in outputs if "image/png" in output.get("data", {})]
        assert len(list(page.with_suffix("").glob("*.png"))) == len(pictures)
        assert (site / "downloads" / notebook.name).read_bytes() == notebook.read_bytes()
        assert f"downloads/{notebook.name}" in text
