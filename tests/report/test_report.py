"""The page loads from disk with no error and no network, and its charts are drawn."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import spikewright as sw
from networks import Builder, residual
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.nodes import ReLU
from spikewright.reports.document import Document
from spikewright.reports.table import table

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-quic",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=15000",
    "--window-size=1366,2400",
)


NASTY = "<!--<script>alert('layer')</script> %{x} {y}"


def write(path: Path, builder: Builder, methods: Sequence[str], timesteps: int = 16, labelled: bool = True) -> Path:
    """A report of a random network and random data; its first ReLU is called ``NASTY``."""
    x = builder.samples(12)
    graph = renamed(builder.graph())
    data = (x, builder.random.integers(0, 3, 12)) if labelled else x
    comparison = sw.compare(graph, x, data, methods, timesteps, allow_overlap=True)
    return sw.report(
        path,
        comparison,
        title="A <script>alert('title')</script> network",
        settings={"command": "spikewright </script> & more", "timesteps": timesteps},
    )


def renamed(graph: Graph) -> Graph:
    old = graph.of_type(ReLU)[0].name

    def new(name: str) -> str:
        return NASTY if name == old else name

    return graph.with_nodes(n.replace(name=new(n.name), inputs=tuple(new(i) for i in n.inputs)) for n in graph)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("report") / "report.html", residual(1), ("percentile:99.9", "max:channels"))


def charts_of(page: Path) -> list[dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', page.read_text(encoding="utf-8"))
    assert found is not None
    return cast(list[dict[str, Any]], json.loads(found[1]))


def test_the_page_needs_nothing_else(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=.?(?:https?:)?//", text)
    assert "Content-Security-Policy\" content=\"default-src 'none';" in text
    assert "<script>alert(" not in text
    assert "<!--" not in text
    packed = re.search(r'<script type="text/plain" id="library">([A-Za-z0-9+/=]+)</script>', text)
    assert packed is not None
    assert "plotly.js (basic - minified)" in gzip.decompress(b64decode(packed[1])).decode()[:200]
    assert "spikewright &lt;/script&gt; &amp; more" in text
    assert len(text) < 1_000_000


def test_charts_are_bars_and_lines(page: Path) -> None:
    """As the library that the page holds draws them; it knows pies beside."""
    assert {trace.get("type", "scatter") for chart in charts_of(page) for trace in chart["data"]} <= {"scatter", "bar"}


def test_the_page_says_what_matters(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for words in ("How good, how soon", "Layer by layer", "Where the work is", "The network", "To reproduce it"):
        assert words in text
    assert "replaced by IF" in text
    assert "folded" in text


def test_a_network_without_its_trained_one_has_no_page(tmp_path: Path) -> None:
    builder = residual(1)
    x = builder.samples(4)
    spiking = sw.convert(builder.graph(), x, "max").spiking
    with pytest.raises(SettingsError, match="without its trained one has nothing to be compared with"):
        sw.report(tmp_path / "r.html", spiking, sw.measure(spiking, x, 2))  # type: ignore[arg-type]


def test_the_page_names_all_that_it_compares(page: Path, tmp_path: Path) -> None:
    said = "12 samples, 16 timesteps, thresholds by percentile:99.9"
    assert f"{said}, compared with max:channels</p>" in page.read_text(encoding="utf-8")
    alone = write(tmp_path / "alone.html", residual(1), ("percentile:99.9",))
    assert f"{said}</p>" in alone.read_text(encoding="utf-8")


def test_the_network_is_drawn_above_its_table(page: Path) -> None:
    section = page.read_text(encoding="utf-8").partition("<h2>The network</h2>")[2].partition("<h2>")[0]
    picture, _, rows = section.partition("</svg>")
    assert "as spikes, thresholds by percentile:99.9" in picture
    assert picture.count(">IF</text>") == 3
    assert "norm2 folded</text>" in picture
    assert "<script" not in picture
    assert "norm2" in rows


def test_every_chart_names_its_axes_and_fits_its_colours(page: Path) -> None:
    for chart in charts_of(page):
        assert chart["layout"]["xaxis"]["title"]["text"]
        assert chart["data"]
        colours = re.findall(r'"(?:fill)?color": "([^"/]*)', json.dumps(chart))
        causes = {"c3", "c4", "line"} if len(chart["data"]) == 5 else set()
        assert set(colours) <= {"c0", "c1", "muted", "mark", "ink"} | causes


def test_curves_end_where_the_measures_do(page: Path) -> None:
    chart = charts_of(page)[0]
    *both, dotted, analog = [trace for trace in chart["data"] if trace["name"] != "95 % interval"]
    curves, quantised = both[::2], both[1::2]
    assert [c["name"] for c in curves] == ["percentile:99.9", "max:channels"]
    assert [c["name"] for c in quantised] == ["percentile:99.9, quantised", "max:channels, quantised"]
    assert all(c["x"] == [4, 8, 16] and c["showlegend"] is False for c in quantised)
    assert (dotted["name"], dotted["x"], dotted["line"]["dash"]) == ("quantised", [None], "dot")
    assert all(c["x"] == list(range(1, 17)) for c in curves)
    found = re.search(r"<b>([\d.]+) %</b><span>accuracy at T = 16</span>", page.read_text(encoding="utf-8"))
    assert found is not None
    assert curves[0]["y"][-1] == pytest.approx(float(found[1]), abs=0.01)
    assert analog["name"].startswith("analog, ")


def test_one_scale_gives_an_axis_in_its_units_and_many_give_two_views(page: Path) -> None:
    marked = [c["layout"] for c in charts_of(page) if c["layout"].get("annotations")]
    layer = [one for one in marked if "xaxis2" in one]
    channels = [one for one in marked if one["annotations"][0]["text"].startswith("median λ")]
    assert len(layer) == len(channels) > 0
    for one in layer:
        scale = one["shapes"][0]["x0"]
        assert one["xaxis"]["range"][1] / scale == pytest.approx(one["xaxis2"]["range"][1], rel=1e-3)
    assert sum(one["annotations"][0]["text"] == "λ" for one in marked) == len(channels)


@pytest.mark.parametrize("timesteps", [1, 5])
def test_without_labels_the_curves_are_of_agreement(tmp_path: Path, timesteps: int) -> None:
    page = write(tmp_path / "r.html", residual(2), ("max",), timesteps, labelled=False)
    text = page.read_text(encoding="utf-8")
    assert f"agreement with the analog network at T = {timesteps}" in text
    assert "accuracy of the analog network" not in text
    assert 'data-choose="' not in text.partition("<script")[0]
    assert charts_of(page)[0]["layout"]["yaxis"]["title"]["text"].startswith("agreement")


def test_nothing_but_numbers_reaches_the_page() -> None:
    document = Document()
    nan = {"x": [np.float64(np.nan), 1 / 3, np.inf]}
    document.figure({"data": [nan], "layout": {"height": 10}}, "caption")
    assert '{"x":[null,0.33333,null]}' in document.html("title", "body")


def test_what_is_no_comparison(tmp_path: Path) -> None:
    conversion = sw.convert(residual(1).graph(), residual(1).samples(4), "max")
    with pytest.raises(SettingsError, match="a comparison needs at least one conversion"):
        sw.Comparison(())
    for what in (conversion, residual(1).graph(), None):
        with pytest.raises(SettingsError, match=r"a report shows what compare\(...\) gives, or a conversion with its"):
            sw.report(tmp_path / "r.html", what)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_page_of_one_conversion(tmp_path: Path) -> None:
    builder = residual(1)
    x = builder.samples(12)
    conversion = sw.convert(builder.graph(), x, "max")
    measures = sw.measure(conversion, (x, np.arange(12) % 3), 4, allow_overlap=True)
    text = sw.report(tmp_path / "r.html", conversion, measures, title="one").read_text(encoding="utf-8")
    for words in ("max of 12 samples", "replaced by IF", "Layer by layer", "12 of these 12 samples were used"):
        assert words in text


def chromium(page: Path, tmp_path: Path, *flags: str) -> tuple[str, str]:
    """The document after its scripts ran, and what the console said."""
    if CHROMIUM is None:
        pytest.skip("no chromium here")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def with_script(page: Path, tmp_path: Path, script: str) -> Path:
    """The page with one more script, which runs when its charts are there."""
    probe = tmp_path / "probe.html"
    late = f'document.addEventListener("drawn", () => {{{script}}});'
    text = page.read_text(encoding="utf-8").replace("</body>", f"<script>{late}</script></body>")
    probe.write_text(text, encoding="utf-8")
    return probe


COUNT = """
const shown = [...document.querySelectorAll("[data-chart]")].filter((place) =>
  place.offsetParent !== null && !place.closest("details:not([open])"));
document.body.dataset.shown = shown.length;
document.body.dataset.drawn = shown.filter((place) => place.querySelector(
  ".scatterlayer path, .barlayer path")).length;
document.body.dataset.hidden = document.querySelectorAll("details:not([open]) .main-svg").length;
document.body.dataset.wide = document.documentElement.scrollWidth;
document.body.dataset.fetched = performance.getEntriesByType("resource").length;
"""


def counts(document: str) -> dict[str, int]:
    return {k: int(v) for k, v in re.findall(r'data-(shown|drawn|wide|fetched|hidden)="(\d+)"', document)}


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_are_drawn_in_a_browser(page: Path, tmp_path: Path, scheme: str) -> None:
    setting = f"--blink-settings=preferredColorScheme={1 if scheme == 'light' else 0}"
    document, console = chromium(with_script(page, tmp_path, COUNT), tmp_path, "--dump-dom", setting)
    assert console == ""
    found = counts(document)
    assert found["shown"] == found["drawn"] >= 7
    assert found["wide"] <= 1366
    assert found["fetched"] == 0
    assert found["hidden"] == 0  # layers that are shut cost nothing until they are opened
    ink = {"light": "rgb(31, 35, 40)", "dark": "rgb(231, 230, 227)"}[scheme]
    assert ink in document


@pytest.mark.browser
def test_another_candidate_and_other_views_can_be_chosen(page: Path, tmp_path: Path) -> None:
    press = """
document.querySelector("[data-choose='1']").click();
document.querySelectorAll("section:not([hidden]) details").forEach((layer) => { layer.open = true; });
document.querySelectorAll("[data-show]").forEach((button) => button.click());
setTimeout(() => {%s}, 500);
"""
    document, console = chromium(with_script(page, tmp_path, press % COUNT), tmp_path, "--dump-dom")
    assert console == ""
    found = counts(document)
    assert found["shown"] == found["drawn"] >= 12
    assert '<section data-of="0" hidden' in document
    assert '<section data-of="1">' in document


@pytest.mark.browser
def test_a_layer_is_shown_by_its_very_name(page: Path, tmp_path: Path) -> None:
    script = """
document.querySelectorAll("details").forEach((one) => { one.open = true; });
setTimeout(() => {
  const ticks = [...document.querySelectorAll("[data-chart] text")].map((text) => text.textContent);
  document.body.dataset.found = JSON.stringify(ticks.filter((text) => text.includes("alert")));
}, 500);
"""
    document, _ = chromium(with_script(page, tmp_path, script), tmp_path, "--dump-dom")
    found = re.search(r'data-found="([^"]*)"', document)
    assert found is not None
    assert NASTY in json.loads(unescape(found[1]))


@pytest.mark.browser
def test_on_paper_every_layer_is_open_and_fits(page: Path, tmp_path: Path) -> None:
    script = f"dispatchEvent(new Event('beforeprint')); setTimeout(() => {{{COUNT}}}, 500);"
    document, console = chromium(with_script(page, tmp_path, script), tmp_path, "--dump-dom", "--window-size=720,1000")
    assert console == ""
    found = counts(document)
    assert found["shown"] == found["drawn"] >= 12
    assert found["wide"] <= 720
    assert not re.search(r"<details(?![^>]* open)", document.partition("<script")[0])


@pytest.mark.browser
def test_a_picture_of_the_page_is_not_blank(page: Path, tmp_path: Path) -> None:
    from PIL import Image

    chromium(page, tmp_path, f"--screenshot={tmp_path / 'page.png'}")
    with Image.open(tmp_path / "page.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50


@pytest.mark.browser
def test_tables_are_sorted_by_a_click(page: Path, tmp_path: Path) -> None:
    script = """
const table = [...document.querySelectorAll("table.sortable")].find((one) => one.textContent.includes("parameters"));
const head = [...table.querySelectorAll("th")].find((one) => one.textContent === "parameters");
const column = () => [...table.tBodies[0].rows].map((row) => row.cells[head.cellIndex].textContent);
head.click();
document.body.dataset.falling = JSON.stringify(column());
head.click();
document.body.dataset.rising = JSON.stringify(column());
document.body.dataset.saving = document.querySelectorAll("figure .save button").length;
document.body.dataset.csv = dataOf(charts[0]).split("\\n")[0];
"""
    document, console = chromium(with_script(page, tmp_path, script), tmp_path, "--dump-dom")
    assert console == ""
    falling, rising = (
        [int(cell.replace(",", "") or -1) for cell in json.loads(unescape(found[1]))]
        for found in (re.search(rf'data-{way}="([^"]*)"', document) for way in ("falling", "rising"))
        if found is not None
    )
    assert len(falling) > 5
    assert falling == sorted(falling, reverse=True)
    assert rising == sorted(rising)
    saving = re.search(r'data-saving="(\d+)"', document)
    assert saving is not None
    assert int(saving[1]) > 9
    assert 'data-csv="trace,timesteps,&quot;accuracy, %&quot;"' in document


@pytest.mark.browser
def test_a_phone_shows_it_without_moving_sideways(page: Path, tmp_path: Path) -> None:
    """In a frame of 400 pixels: windows of this browser are not narrower than 500."""
    script = """
const box = (one) => one.getBoundingClientRect();
const titles = [...document.querySelectorAll("[class^='g-x'] > text")].filter((title) => box(title).width);
const cut = titles.filter((title) => box(title).right > box(title.closest("svg")).right);
parent.postMessage([document.documentElement.scrollWidth, titles.length, cut.map((title) => title.textContent)], "*");
"""
    probe = with_script(page, tmp_path, script)
    outer = tmp_path / "outer.html"
    told = "addEventListener('message', (event) => { [document.body.dataset.wide, document.body.dataset.shown,"
    told += " document.body.dataset.cut] = event.data; });"
    outer.write_text(
        f"<!doctype html><body><script>{told}</script><iframe src='{probe.name}' width=400 height=900 "
        "style='border:0'></iframe></body>",
        encoding="utf-8",
    )
    document, console = chromium(outer, tmp_path, "--dump-dom")
    assert console == ""
    assert counts(document)["wide"] <= 400
    assert counts(document)["shown"] > 5
    assert 'data-cut=""' in document  # titles of axes beside long names of layers


@pytest.mark.browser
def test_rows_that_belong_together_are_whole_in_a_file(page: Path, tmp_path: Path) -> None:
    script = """
const table = [...document.querySelectorAll("table")].find((one) => one.textContent.includes("arithmetic only"));
document.body.dataset.csv = tableData(table);
"""
    document, console = chromium(with_script(page, tmp_path, script), tmp_path, "--dump-dom")
    assert console == ""
    found = re.search(r'data-csv="([^"]*)"', document)
    assert found is not None
    header, *rows = unescape(found[1]).split("\n")[:-1]
    assert header == ',"method, estimate","spiking, µJ","trained, µJ",ratio,less up to T'
    assert [row.split(",")[:2] for row in rows[::3]] == [
        ["percentile:99.9", "arithmetic only"],
        ["max:channels", "arithmetic only"],
    ]
    assert len(rows) == 6


def test_tables_of_groups_and_of_many_rows() -> None:
    grouped = table(
        ["method", "what", "T=4"], [["a <b>", "score", "1"], ["", "lost", "2"], ["c", "score", "3"]], text=2
    )
    assert grouped.count('<tr class="group"><th colspan="2" scope="rowgroup"><span>') == 2
    assert "<span>a &lt;b&gt;</span>" in grouped
    assert "<tr><td>lost</td><td class=number>2</td></tr>" in grouped
    assert "<th>method, what</th>" in grouped
    assert '<div class="scroll long">' in table(["a"], [[str(k)] for k in range(41)], text=1)
    assert "rowgroup" not in table(["a", "b"], [["x", "y"], ["z", ""]], text=2)
