"""Notebooks as pages: their text and code as Markdown, and below each cell what it showed when it was run."""

from __future__ import annotations

import base64
import json
import re
from functools import cached_property
from html import escape
from pathlib import PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.utils import get_relative_url

PLACE = '<div class="shown" id="shown-{}"></div>'
"""Where an output stands in the Markdown: it is put in later, so that nothing in it is read as Markdown."""
DOWNLOADS = "downloads"
WIDEST = 90
"""Characters of a line: what is longer is no table, and may be wrapped."""


class Notebook(File):
    """A notebook that is a page under its own name, so that one link holds on the code host and on the site."""

    def is_documentation_page(self) -> bool:
        return True

    @cached_property
    def cells(self) -> list[dict[str, Any]]:
        with open(str(self.abs_src_path), encoding="utf-8") as file:  # noqa: PTH123 - as MkDocs has its paths
            found: list[dict[str, Any]] = json.load(file)["cells"]
        return found

    @property
    def content_string(self) -> str:
        """The page as Markdown."""
        parts = []
        for number, cell in enumerate(self.cells):
            source = _joined(cell["source"])
            parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
            if cell.get("outputs"):
                parts.append(PLACE.format(number))
            if number == 0:
                up = "../" * self.src_uri.count("/")
                parts.append(f"*[The notebook]({up}{self.download}), to run it yourself.*")
        return "\n\n".join(parts) + "\n"

    @property
    def download(self) -> str:
        """Where the notebook itself lies."""
        return f"{DOWNLOADS}/{PurePosixPath(self.src_uri).name}"

    @cached_property
    def pictures(self) -> dict[str, bytes]:
        """Every picture by its place in the site."""
        folder = PurePosixPath(self.src_uri).with_suffix("")
        return {
            f"{folder}/{number}-{k}.png": base64.b64decode(output["data"]["image/png"])
            for number, cell in enumerate(self.cells)
            for k, output in enumerate(cell.get("outputs", ()))
            if "image/png" in output.get("data", {})
        }

    def shown(self, number: int, url: str) -> str:
        """What a cell showed, as HTML.

        Args:
            number: of the cell.
            url: of the page.
        """
        folder = PurePosixPath(self.src_uri).with_suffix("")
        told = _joined(self.cells[number]["source"]).strip().splitlines()[-1]
        parts = []
        for k, output in enumerate(self.cells[number]["outputs"]):
            data = output.get("data", {})
            if "image/png" in data:
                at = get_relative_url(f"{folder}/{number}-{k}.png", url)
                parts.append(f'<img src="{at}" alt="{escape(told)}">')
            elif "text/html" in data:
                parts.append(f'<div class="shown-value">{_joined(data["text/html"])}</div>')
            elif text := _joined(output.get("text", data.get("text/plain", ""))).rstrip():
                long = max(map(len, text.splitlines())) > WIDEST
                kind = f"{output.get('name', 'value')}{' sentences' if long else ''}"
                parts.append(f'<pre class="{kind}">{escape(text)}</pre>')
        return "".join(parts)


def on_files(files: Files, config: Any) -> Files:
    """Notebooks as pages, their pictures, and themselves to be downloaded."""
    found = []
    for file in files:
        if not file.src_uri.endswith(".ipynb"):
            found.append(file)
            continue
        page = Notebook(file.src_uri, file.src_dir, file.dest_dir, file.use_directory_urls)
        found.append(page)
        found.append(File.generated(config, page.download, abs_src_path=page.abs_src_path))
        found += [File.generated(config, place, content=picture) for place, picture in page.pictures.items()]
    return Files(found)


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:  # noqa: ARG001
    """Outputs at their places."""
    if not isinstance(page.file, Notebook):
        return html
    place = re.compile(re.escape(PLACE).replace(r"\{\}", r"(\d+)"))
    return place.sub(lambda at: f'<div class="shown">{page.file.shown(int(at[1]), page.url)}</div>', html)


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)
