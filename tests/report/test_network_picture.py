"""The picture of a network: everything in it once, nothing on top of anything else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spikewright as sw
from networks import ALL, Builder, plain, pre_activation, residual
from random_graphs import anything
from spikewright.drawing import Picture, shortened, text_width
from spikewright.errors import SettingsError
from spikewright.graph import Graph, Node
from spikewright.nodes import Input, Output, ReLU
from spikewright.preparation import prepare
from spikewright.reports.network import captions_of, network_picture, write_picture
from spikewright.reports.network.diagram import diagram
from spikewright.reports.network.layered import Layout, Rectangle, layered
from spikewright.reports.network.picture import arranged
from spikewright.reports.network.rows import Edge

CHROMIUM = shutil.which("chromium")
SVG = "{http://www.w3.org/2000/svg}"
ONE = ((0, 0), (0, 0))


def inception(seed: int) -> Builder:
    """Two blocks of four branches that are joined."""
    b = Builder(seed, (3, 12, 12))
    b.conv(6)
    b.relu()
    for _ in range(2):
        start, ends = b.at, []
        for branch in ((1,), (1, 3), (1, 3, 3), ()):
            b.at = start
            if not branch:
                b.max_pool(3, 1, (1, 1))
            for kernel in branch or (1,):
                b.conv(4, kernel, padding=ONE if kernel == 1 else ((1, 1), (1, 1)))
                b.norm()
                b.relu()
            ends.append(b.at)
        b.concat(*ends)
    b.global_pool()
    b.flatten()
    b.linear(3)
    return b


def inverted(seed: int) -> Builder:
    """Bottlenecks without ReLU, depthwise layers and ReLU6, with shortcuts from one bottleneck to the next."""
    b = Builder(seed)
    b.conv(4)
    b.norm()
    for _ in range(3):
        start = b.at
        b.conv(8, 1, padding=ONE)
        b.relu(6.0)
        b.conv(8, groups=8)
        b.norm()
        b.relu(6.0)
        b.conv(4, 1, padding=ONE)
        b.norm()
        b.sum(b.at, start)
    b.flatten()
    b.linear(3)
    return b


def all_to_all(seed: int) -> Builder:
    """Every layer reads all that stand before it."""
    b = Builder(seed)
    b.conv(3)
    ends = [b.relu()]
    for _ in range(4):
        if len(ends) > 1:
            b.concat(*ends)
        b.conv(3)
        ends.append(b.relu())
    b.flatten()
    b.linear(3)
    return b


BUILDERS = (*ALL, inception, inverted, all_to_all)


def folded(graph: Graph) -> Graph:
    return prepare(graph, leaky="split")[0]


def converted(graph: Graph) -> sw.Conversion:
    return sw.convert(graph, {relu.name: np.asarray(1.5) for relu in folded(graph).of_type(ReLU)}, leaky="split")


def spiking(graph: Graph) -> Graph:
    return converted(graph).spiking


def elements(picture: Picture, tag: str) -> Iterator[ElementTree.Element]:
    return ElementTree.fromstring(picture.svg).iter(SVG + tag)


def drawn_nodes(picture: Picture) -> list[str]:
    return sorted(g.attrib["data-node"] for g in elements(picture, "g") if "data-node" in g.attrib)


def texts(picture: Picture) -> list[str]:
    return [text.text or "" for text in elements(picture, "text")]


def check(graph: Graph) -> None:
    """Every node and every connection once, and nothing on top of anything else."""
    shown = diagram(graph)
    links: Counter[tuple[str, str]] = Counter()
    for arrow in shown.arrows:
        start, end = shown.vertices[arrow.source], shown.vertices[arrow.target]
        ends = [end.node] if end.kind != "fork" else []
        names = [start.node, *(operator.node for operator in arrow.operators), *ends]
        links.update(pairwise(names))
    assert links == Counter((name, node.name) for node in graph for name in node.inputs)
    assert drawn_nodes(network_picture(graph, title="a network")) == sorted(node.name for node in graph)
    check_geometry(arranged(shown))


def check_geometry(layout: Layout) -> None:
    places = [place for place in (*layout.vertices, *layout.labels) if place is not None]
    for one, other in combinations(places, 2):
        assert not one.overlaps(other), (one, other)
    whole = Rectangle(layout.width / 2, layout.height / 2, layout.width + 0.2, layout.height + 0.2)
    assert all(p.left >= whole.left and p.right <= whole.right for p in places)
    assert all(p.top >= whole.top and p.bottom <= whole.bottom for p in places)
    x, y = np.array([p for strokes in layout.strokes for stroke in strokes for p in sampled(stroke)]).reshape(-1, 2).T
    for place in places:
        within = (place.left + 0.2 < x) & (x < place.right - 0.2) & (place.top + 0.2 < y) & (y < place.bottom - 0.2)
        assert not within.any(), place


def sampled(stroke: tuple[tuple[float, float], ...]) -> Iterator[tuple[float, float]]:
    """Points of a stroke: between two of its own a line, or a cubic curve whose ends are upright."""
    for (x0, y0), (x1, y1) in pairwise(stroke):
        for t in np.linspace(0, 1, 9).tolist():
            across = 3 * t**2 - 2 * t**3
            yield x0 + (x1 - x0) * across, y0 * (1 - t) ** 3 + 1.5 * (y0 + y1) * t * (1 - t) + y1 * t**3


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_everything_is_there_once_and_on_top_of_nothing(build: Callable[[int], Builder]) -> None:
    graph = build(1).graph()
    check(graph)
    check(folded(graph))
    check(spiking(graph))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_any_network_can_be_drawn(seed: int) -> None:
    graph = anything(seed)
    check(graph)
    check(folded(graph))
    check(spiking(graph))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_graph_can_be_laid_out(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 25))
    size = st.tuples(st.integers(1, 200), st.integers(1, 80)).map(lambda pair: (float(pair[0]), float(pair[1])))
    pair = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] < pair[1])
    ends = data.draw(st.lists(pair, max_size=60)) if count > 1 else []
    edges = [Edge(a, b, data.draw(st.none() | size)) for a, b in ends]
    check_geometry(layered([data.draw(size) for _ in range(count)], edges))


def test_a_network_of_hundreds_of_nodes_is_laid_out() -> None:
    b = Builder(3, (4, 6, 6))
    seen = [b.at]
    while len(b.nodes) < 300:
        b.conv(4)
        seen.append(b.relu())
        if len(seen) % 3 == 0:
            seen.append(b.sum(b.at, str(b.random.choice(seen))))
    b.flatten()
    b.linear(3)
    check(folded(b.graph()))


def test_a_chain_is_straight_and_shortcuts_stand_beside_it() -> None:
    for build in (plain, residual, pre_activation, all_to_all):
        graph = folded(build(1).graph())
        shown = diagram(graph)
        layout = arranged(shown)
        assert len({place.x for place in layout.vertices}) == 1
        boxes = zip(shown.vertices, layout.vertices, strict=True)
        assert len({place.width for vertex, place in boxes if vertex.kind in ("neurons", "pool", "terminal")}) == 1


def test_the_same_graph_gives_the_same_picture() -> None:
    code = (
        "from random_graphs import anything; from spikewright.preparation import prepare; from hashlib import sha256;"
        "from spikewright.reports.network import captions_of, network_picture;"
        "print(sha256(network_picture(prepare(anything(7), leaky='split')[0], title='a').svg.encode()).hexdigest())"
    )
    said = set()
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}
        command = [sys.executable, "-c", code]
        said.add(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert len(said) == 1


def test_arrows_say_what_they_are_made_of() -> None:
    said = texts(network_picture(folded(residual(1).graph()), title="a network"))
    for text in ("conv8", "conv 3×3 /2, 216 weights", "norm9 folded", "1:1 shortcut", "average pool over all 4×4"):
        assert text in said, said
    said = texts(network_picture(folded(plain(1).graph())))
    assert "norm2, affine3, norm4 folded" in said
    assert {"average pool 2×2", "flatten", "linear, 180 weights"} <= set(said)
    said = texts(network_picture(folded(inverted(1).graph())))
    assert {"conv 3×3, depthwise, 72 weights", "at most 6"} <= set(said)


def test_boxes_say_what_populations_are_like() -> None:
    conversion = converted(residual(1).graph())
    said = texts(network_picture(conversion.spiking, captions=captions_of(conversion)))
    assert said.count("IF") == 3
    assert said.count("θ 1") == said.count("λ 1.5") == 3
    assert said.count("4×8×8, 256 neurons") == 2
    assert {"3×8×8, 192 values", "3 values"} <= set(said)


def test_what_was_absorbed_is_said_where_it_was() -> None:
    b = Builder(0)
    start = b.conv(4)
    b.conv(4)
    b.sum(b.at, start)
    b.dropout()
    b.relu()
    b.dropout()
    b.flatten()
    b.linear(3)
    shown = diagram(folded(b.graph()))
    assert [v.notes for v in shown.vertices if v.kind == "neurons"] == [("dropout6 absorbed",)]
    assert [arrow.notes for arrow in shown.arrows if arrow.notes] == [("dropout4 absorbed",)]
    assert "dropout4 absorbed" in texts(network_picture(folded(b.graph())))


NASTY = "<b>&\"'</b>\x00\x1b]]> \ud800"


def test_names_are_text_and_nothing_else() -> None:
    graph = plain(1).graph()
    conv, relu = "conv1", graph.of_type(ReLU)[0].name
    names = {conv: f"{NASTY} conv", relu: f"{NASTY} {'x' * 400}"}

    def renamed(node: Node) -> Node:
        return node.replace(name=names.get(node.name, node.name), inputs=[names.get(n, n) for n in node.inputs])

    picture = network_picture(graph.with_nodes(map(renamed, graph)), title=NASTY)
    assert "<b>" not in picture.svg
    drawn = drawn_nodes(picture)
    assert "<b>&\"'</b>\ufffd\ufffd]]> \ufffd conv" in drawn
    assert any(name.endswith("x" * 400) for name in drawn)
    assert all(len(text) < 60 for text in texts(picture))
    assert any("x" * 400 in (title.text or "") for title in elements(picture, "title"))


def test_long_texts_lose_their_middle() -> None:
    assert shortened("short", 100, 13) == "short"
    cut = shortened("/features/features.0/conv/Conv_output_0", 100, 13)
    assert re.fullmatch(r"/fe.*….*output_0", cut)
    assert text_width(cut, 13) <= 100
    assert shortened("wide", 1, 13) == "…"
    assert text_width("漢字", 10) == pytest.approx(21)


def test_a_file_that_says_nonsense_about_scales_is_drawn_without_them() -> None:
    graph = spiking(residual(1).graph())
    for nonsense in (5, "x", {"relu3": "x", "relu7": [], "relu13": None}):
        said = texts(network_picture(graph.with_nodes(graph, scales=nonsense)))
        assert {"θ 1", "IF"} <= set(said)


def test_the_smallest_network() -> None:
    graph = Graph([Input(name="input", shape=(3,)), Output(name="output", inputs=("input",))])
    check(graph)


def test_a_picture_needs_nothing_else(tmp_path: Path) -> None:
    graph = folded(residual(1).graph())
    svg = write_picture(tmp_path / "net.svg", graph, title="a & b").read_text(encoding="utf-8")
    page = write_picture(tmp_path / "net.html", graph, title="a & b").read_text(encoding="utf-8")
    for text in (svg, page):
        assert "prefers-color-scheme: dark" in text
        assert not re.search(r"(?:href|src)=|url\(|<script|@import", text)
    assert "default-src 'none'" in page
    assert "<title>a &amp; b</title>" in page
    assert sorted(tmp_path.iterdir()) == [tmp_path / "net.html", tmp_path / "net.svg"]


def test_other_kinds_of_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = plain(1).graph()
    with pytest.raises(SettingsError, match=r"net.pdf: a picture is a .svg, .html or .png file"):
        write_picture(tmp_path / "net.pdf", graph, title="")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match=r"takes Chromium, which is not installed; write a .svg or .html file"):
        write_picture(tmp_path / "net.png", graph, title="")
    assert not list(tmp_path.iterdir())


@pytest.mark.browser
def test_a_png_is_the_picture(tmp_path: Path) -> None:
    from PIL import Image

    if CHROMIUM is None:
        pytest.skip("no chromium here")
    graph = folded(plain(1).graph())
    size = network_picture(graph, title="plain")
    with Image.open(write_picture(tmp_path / "net.png", graph, title="plain")) as picture:
        assert picture.size == pytest.approx((2 * size.width, 2 * size.height), abs=2)
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50


PROBE = """
const all = (selector) => [...document.querySelectorAll(selector)].map((e) => e.getBoundingClientRect());
const hit = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom - 3 && b.top < a.bottom - 3;
const words = all("svg text"), boxes = all("svg rect.box");
let bad = 0;
words.forEach((one, k) => words.slice(k + 1).forEach((other) => { bad += hit(one, other); }));
words.forEach((word) => boxes.forEach((box) => {
  bad += hit(word, box) && !(word.left > box.left && word.right < box.right
                             && word.top > box.top - 3 && word.bottom < box.bottom + 3); }));
document.body.dataset.bad = bad;
document.body.dataset.words = words.length;
"""


@pytest.mark.browser
@pytest.mark.parametrize("build", [inception, inverted, all_to_all, residual], ids=lambda build: build.__name__)
def test_text_fits_as_a_browser_sets_it(build: Callable[[int], Builder], tmp_path: Path) -> None:
    if CHROMIUM is None:
        pytest.skip("no chromium here")
    graph = spiking(build(1).graph())
    picture = network_picture(graph, title="a network with quite a long name")
    page = tmp_path / "page.html"
    text = f"<!doctype html><meta charset=utf-8><body>{picture.svg}<script>{PROBE}</script></body>"
    page.write_text(text, encoding="utf-8")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
    command = [CHROMIUM, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    document = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert f'data-words="{len(texts(picture))}"' in document
    assert 'data-bad="0"' in document
