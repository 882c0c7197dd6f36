"""The file around the text: style, charts as data, the library that draws them, and the script that tells it to."""

from __future__ import annotations

import gzip
import json
import math
import re
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from html import escape
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from spikewright.drawing import resource
from spikewright.errors import SettingsError
from spikewright.files import check_destination, shown
from spikewright.reports.charts import Chart

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""The page may run what it holds and load nothing: the browser itself keeps it from the network."""

LIBRARY = "plotly-basic.min.js"
"""plotly.js with bars and lines alone, as its authors publish it (MIT): a third of what the whole library is."""


def check_report(path: Path | str, force: bool = False) -> None:
    """Refuse a place that no report can be written to, before any work is done.

    Args:
        path: of the page.
        force: whether a file that stands there may be replaced.

    Raises:
        SettingsError: for a name that no browser takes for a page.
        StorageError: as ``files.check_destination``.
    """
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise SettingsError(f"{shown(path)}: a report is a .html file")
    check_destination(path, force)


class Document:
    """Collects charts while the text is written, then puts the file together."""

    def __init__(self) -> None:
        self.charts: list[Chart] = []

    def figure(self, chart: Chart, caption: str) -> str:
        """A place for one chart."""
        return self.figures([("", chart)], caption)

    def figures(self, views: Sequence[tuple[str, Chart]], caption: str) -> str:
        """A place for one of several charts, with a button for each."""
        first = len(self.charts)
        self.charts += [chart for _, chart in views]
        buttons = "".join(
            f'<button type="button" data-show="{k}" aria-pressed="{str(k == first).lower()}">{escape(name)}</button>'
            for k, (name, _) in enumerate(views, first)
        )
        choice = f'<span class="choice">{buttons}</span>' if len(views) > 1 else ""
        height, label = views[0][1]["layout"]["height"], escape(caption)
        place = f'<div data-chart="{first}" role="img" aria-label="{label}" style="height:{height}px"></div>'
        return f"<figure><figcaption>{label}{choice}</figcaption>{place}</figure>"

    def html(self, title: str, body: str) -> str:
        """The whole file."""
        script = "".join(resource(name, "spikewright.reports") for name in ("page.js", "tools.js"))
        data = json.dumps(_numbers(self.charts), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        own = (resource(name, "spikewright.reports") for name in ("style.css", "network.css"))
        style = "".join([resource("palette.css"), *own, resource("floor_plan.css", "spikewright.chips")])
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
            f"<title>{escape(title)}</title><style>{style}</style></head>\n<body><main>\n{with_contents(body)}\n</main>\n"
            f'<script type="application/json" id="charts">{data}</script>\n'
            f'<script type="text/plain" id="library">{_packed_library()}</script>\n'
            f"<script>{script}</script></body></html>\n"
        )


def with_contents(body: str) -> str:
    """A page's text with a table of contents before its first section, where it has three sections or more."""
    titles = re.findall(r"<h2>(.*?)</h2>", body)
    if len(titles) < 3:
        return body
    numbers = count(1)
    marked = re.sub("<h2>", lambda _: f'<a class="anchor" id="s{next(numbers)}"></a><h2>', body)
    links = "".join(f'<a href="#s{k}">{title}</a>' for k, title in enumerate(titles, 1))
    contents = f'<nav class="contents" aria-label="Contents">{links}</nav>'
    first = re.search(r'(?:<section class="first">)?<a class="anchor"', marked)
    place = 0 if first is None else first.start()
    return f"{marked[:place]}{contents}{marked[place:]}"


@cache
def _packed_library() -> str:
    """The library in gzip and base 64, less than half of what it is; every time the same text."""
    return b64encode(gzip.compress(resource(LIBRARY, "spikewright.reports").encode(), mtime=0)).decode()


def _numbers(value: Any) -> Any:
    """The same with numbers to five digits, more than a screen shows; what is not finite becomes null."""
    if isinstance(value, dict):
        return {key: _numbers(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_numbers(inner) for inner in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value
