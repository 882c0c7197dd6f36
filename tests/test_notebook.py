"""Values in a notebook: short in text, a table or a picture in HTML, and a data frame."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright as sw
from networks import plain, residual
from spikewright.chips.quantise import quantise
from spikewright.chips.simulation.comparing import compare_on_chip
from spikewright.chips.simulation.trains import PictureTrains
from spikewright.errors import SettingsError
from spikewright.events import load_events
from spikewright.tabular import SHOWN, Table, Tabular, cell_text, pictures
from spikewright.text import brief

LONGEST = 1500
"""Characters of a text: those of what ``measure`` gives has a line for each thing to know."""


@pytest.fixture(scope="module")
def comparison() -> sw.Comparison:
    builder = residual(1)
    x = builder.samples(40)
    labelled = (x[20:], builder.random.integers(0, 3, 20))
    return sw.compare(builder.graph(), x[:20], labelled, ["max", "percentile:99.9,channels"], 8)


@pytest.fixture(scope="module")
def recording() -> sw.Recording:
    t = np.arange(0, 3000, 3)
    return sw.load_recording({"x": t % 7, "y": t % 5, "t": t, "p": t % 2}, sensor=(8, 6))


@pytest.fixture(scope="module")
def values(
    comparison: sw.Comparison, recording: sw.Recording, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Tabular]:
    first = comparison.candidates[0]
    assert comparison.graph is not None
    assert comparison.statistics is not None
    return {
        "graph": comparison.graph,
        "spiking graph": first.conversion.spiking,
        "conversion": first.conversion,
        "run": first.measures.run,
        "measures": first.measures,
        "statistics": comparison.statistics,
        "data set": sw.ArrayDataset(np.zeros((5, 1, 4, 4), np.float32), np.array([0, 1, 1, 1, 2])),
        "rates": first.measures.rates,
        "fit": sw.check(first.conversion, "speck2f"),
        "recording": recording,
        "synapses": sw.synapses(first.conversion, first.measures.rates),
        "comparison": comparison,
        **on_a_chip(),
        **chosen_and_learned(),
        "events": events(first.conversion, tmp_path_factory.mktemp("events")),
    }


def on_a_chip() -> dict[str, Tabular]:
    """A network in integers, and what came of it on a chip."""
    builder = plain(1)
    x = builder.samples(12)
    conversion = sw.convert(builder.graph(), x[:6], "percentile:99.9", readout="count")
    made = quantise(conversion, "speck2f")
    compared = compare_on_chip(made, (np.abs(x[6:]), np.arange(6) % 3), PictureTrains(4), beside=conversion)
    return {"quantised": made, "on a chip": compared.chip, "beside a chip": compared}


def chosen_and_learned() -> dict[str, Tabular]:
    """What tuning chose, and what training learned."""
    builder = plain(1)
    x, y = builder.samples(24), np.arange(24) % 3
    graph = builder.graph()
    found = sw.tune(graph, (x, y), "method=max", timesteps=4)
    return {"tuning": found, "learned": sw.training.finetune(found.conversion, (x, y), timesteps=2, epochs=2)}


def events(conversion: sw.Conversion, folder: Path) -> Tabular:
    pytest.importorskip("pyarrow")
    sw.simulate(conversion, residual(1).samples(3), 4, events_to=folder / "all", quiet=True)
    return load_events(folder / "all")


NAMES = (
    *("graph", "spiking graph", "conversion", "run", "measures", "statistics", "data set", "rates", "fit", "recording"),
    *("synapses", "comparison", "quantised", "on a chip", "beside a chip", "tuning", "learned", "events"),
)


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_short_and_html_is_whole(values: dict[str, Tabular], name: str) -> None:
    value = values[name]
    assert len(repr(value)) < LONGEST
    html = value._repr_html_()
    assert len(html) < 60_000
    assert "<script" not in html
    assert not re.findall(r"(?:src|href)=.?(?:https?:)?//", html)
    for tag in ("div", "table", "tr", "td"):
        assert html.count(f"<{tag}>") + html.count(f"<{tag} ") == html.count(f"</{tag}>")


@pytest.mark.parametrize("name", NAMES)
def test_frames_have_the_rows_of_the_table(values: dict[str, Tabular], name: str) -> None:
    pytest.importorskip("pandas")
    frame = values[name].to_pandas()
    assert len(frame) > 0
    assert all(isinstance(title, str) for title in frame.columns)


def parts(value: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """A value and all that it is made of, each once."""
    if id(value) in seen or isinstance(value, str | bytes | type):
        return
    seen.add(id(value))
    if is_dataclass(value):
        yield path, value
        for f in fields(value):
            yield from parts(getattr(value, f.name, None), f"{path}.{f.name}", seen)
    elif isinstance(value, dict) or hasattr(value, "items"):
        for key, one in value.items():
            yield from parts(one, f"{path}[{key}]", seen)
    elif isinstance(value, list | tuple):
        for k, one in enumerate(value):
            yield from parts(one, f"{path}[{k}]", seen)


def test_nothing_that_values_are_made_of_prints_its_arrays(values: dict[str, Tabular]) -> None:
    """Nodes printed all their weights, statistics their histograms."""
    seen: set[int] = set()
    checked = [(path, len(repr(one))) for name, value in values.items() for path, one in parts(value, name, seen)]
    assert len(checked) > 100
    assert not [(path, length) for path, length in checked if length > LONGEST]


def test_a_node_is_told_without_its_weights() -> None:
    node = sw.Graph(residual(1).graph().nodes).nodes[1]
    assert re.fullmatch(r"Conv\(name='conv1', inputs=\('input',\), weight=float32 [\d×]+, .*\)", repr(node))


def test_the_graph_is_its_picture(comparison: sw.Comparison) -> None:
    graph = comparison.candidates[0].conversion.spiking
    html = graph._repr_html_()
    assert 'src="data:image/svg+xml;base64,' in html
    assert "Graph(spiking, 3 populations" in html
    assert list(pictures()) == ["graph"]
    frame = graph.to_pandas()
    assert list(frame["node"]) == [node.name for node in graph]
    assert frame["MACs"].sum() == sum(graph.macs(node) for node in graph)
    assert frame["parameters"].sum() == graph.parameters


def test_frames_hold_the_numbers_of_their_values(comparison: sw.Comparison, recording: sw.Recording) -> None:
    first = comparison.candidates[0]
    measures, conversion = first.measures, first.conversion
    curves = measures.to_pandas("timesteps")
    assert measures.accuracy is not None
    np.testing.assert_array_equal(curves["accuracy"], measures.accuracy)
    np.testing.assert_array_equal(curves["agreement"], measures.agreement)
    assert list(curves["timesteps"]) == list(range(1, 9))
    layers = measures.to_pandas("layers").set_index("layer")
    assert layers["synops of spikes"].to_dict() == {name: one.spikes for name, one in measures.synops.items()}
    analog = {name: 8.0 * one.input_connections for name, one in measures.synops.items()}
    assert layers["MACs of an analog input"].to_dict() == analog
    populations = measures.to_pandas().set_index("population")
    assert populations["firing rate"].to_dict() == {name: one.firing.mean for name, one in measures.layers.items()}
    sent = measures.run.to_pandas().set_index("population")["spikes"]
    assert sent.to_dict() == {name: int(value.sum()) for name, value in measures.run.sent.items()}
    units = conversion.to_pandas().set_index("population")["λ, highest"]
    assert units.to_dict() == {name: float(value.max()) for name, value in conversion.units.items()}
    assert comparison.to_pandas()["synops"].tolist() == [c.measures.total_synops for c in comparison.candidates]
    events = recording.to_pandas()
    assert list(events.columns) == ["x", "y", "t", "p"]
    np.testing.assert_array_equal(events["t"], recording.columns("t")[0])


def test_classes_are_counted_where_labels_are_known() -> None:
    data = sw.ArrayDataset(np.zeros((5, 4), np.float32), np.array([0, 1, 1, 1, 2]), classes=("a", "b", "c"))
    assert data.to_pandas().to_dict("list") == {"class": ["a", "b", "c"], "samples": [1, 3, 1]}
    bare = sw.ArrayDataset(np.zeros((5, 4), np.float32))
    assert "without labels" in bare._repr_html_()
    assert "<table" not in bare._repr_html_()


def test_a_recording_is_not_read_to_be_shown() -> None:
    class Source:
        sensor_size = (8, 6)

        def pieces(self, _counted: Any) -> Iterator[Any]:
            raise AssertionError("it was read")

    html = sw.Recording(Source(), "one.aedat", None)._repr_html_()  # type: ignore[arg-type]
    assert "one.aedat, sensor 8×6" in html


def test_other_rows_of_measures(comparison: sw.Comparison) -> None:
    with pytest.raises(SettingsError, match="rows of measures are populations, timesteps, layers, not 'neurons'"):
        comparison.candidates[0].measures.to_pandas("neurons")  # type: ignore[arg-type]


def test_without_pandas(values: dict[str, Tabular], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SettingsError, match=r"this needs pandas: pip install 'spikewright\[pandas\]'"):
        values["run"].to_pandas()
    assert "<table" in values["run"]._repr_html_()


def test_long_tables_keep_their_ends() -> None:
    table = Table({"k": list(range(100)), "square": [k * k for k in range(100)]}, ("many",))
    rows = re.findall(r"<tr>(.*?)</tr>", table.html())
    assert len(rows) <= SHOWN + 1
    assert "99" in rows[-1]
    gap = next(row for row in rows if "more" in row)
    shown = len(rows) - 2
    assert f"… {100 - shown:,} more" in gap


def test_text_of_cells() -> None:
    told = [None, True, 12345, 1.23456789, -0.5, 123456.7, float("nan"), "<b>"]
    assert [cell_text(one) for one in told] == ["", "yes", "12,345", "1.235", "−0.5", "123,457", "–", "<b>"]
    assert "&lt;b&gt;" in Table({"what": ["<b>"]}, ("<i>",)).html()
    assert "&lt;i&gt;" in Table({"what": ["<b>"]}, ("<i>",)).html()


def test_brief() -> None:
    assert brief(sw.Energy()) == "Energy(mac=4.6, ac=0.9)"


def test_the_page_lists_every_value() -> None:
    """docs/notebooks.md has a row for each kind, and says all of the tables of measures."""
    page = Path(__file__).parents[1] / "docs" / "notebooks.md"
    text = page.read_text(encoding="utf-8")
    for kind in ("Graph", "Conversion", "Run", "Measures", "Statistics", "Dataset", "Rates", "Fit", "Recording"):
        assert f"| `{kind}`" in text
    for kind in ("Synapses", "Comparison"):
        assert f"| `{kind}`" in text
    assert all(f'"{rows}"' in text for rows in ("populations", "timesteps", "layers"))
