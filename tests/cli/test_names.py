"""Names of layers, files and groups may hold anything: they are shown as they are, and steer nothing."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from spikewright.cli.app import run
from spikewright.cli.terminal import Terminal, compact_table, out
from spikewright.graph import Graph
from spikewright.nodes import Conv, Flatten, Input, Linear, Output, ReLU
from spikewright.synapse_graph.writers.csv import plain_text
from spikewright.text import LONGEST, one_line, visible

INPUT, CONV, RELU = "in[/]put", "[bold red]:smile:=conv\x1b[31m", "=\trelu[/]\n\u202e\x07"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spiking network with such names, rates of it, and data."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    window = {"stride": (1, 1), "dilation": (1, 1), "padding": ((0, 0), (0, 0))}
    nodes = [
        Input(name=INPUT, shape=(1, 4, 4)),
        Conv(name=CONV, inputs=(INPUT,), weight=random.normal(size=(2, 1, 3, 3)), bias=np.zeros(2), **window),
        ReLU(name=RELU, inputs=(CONV,)),
        Flatten(name="-flat", inputs=(RELU,)),
        Linear(name="@fc", inputs=("-flat",), weight=random.normal(size=(3, 8)), bias=np.zeros(3)),
        Output(name="output", inputs=("@fc",)),
    ]
    sw.save(Graph(nodes), "net.safetensors")
    np.savez("data.npz", x=random.random((9, 1, 4, 4), np.float32), y=random.integers(0, 3, 9))
    assert run(["convert", "net.safetensors", "--data", "data.npz", "-o", "[/].safetensors"]) == 0
    return tmp_path


def test_tables_show_names_as_they_are(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out, "_width", 300)
    capsys.readouterr()
    for command in (
        ["inspect", "[/].safetensors", "--picture", "[b].svg"],
        ["simulate", "[/].safetensors", "--data", "data.npz", "-T", "4", "--allow-overlap", "-o", "[i].npz"],
        ["synapses", "[/].safetensors", "--data", "data.npz", "-T", "4"],
    ):
        assert run(command) == 0
        said = capsys.readouterr().out
        assert "\x1b" not in said
        assert "\u202e" not in said
        assert visible(RELU) in said
    ElementTree.parse("[b].svg")


@pytest.mark.parametrize("suffix", ["csv", "graphml", "scipy", "edges", "metis", "pickle", "parquet"])
def test_synapses_of_such_networks(folder: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    assert run(["synapses", "[/].safetensors", "-o", f"made.{suffix}"]) == 0
    names = {INPUT, RELU, "output"}
    if suffix == "csv":
        with Path("made.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
        assert {name for row in rows for name in (row[0], row[2])} == {INPUT, f"'{RELU}", "output"}
    if suffix == "graphml":
        found = ElementTree.parse("made.graphml").iter("{http://graphml.graphdrawing.org/xmlns}data")
        assert {data.text for data in found if data.get("key") == "group"} == {visible(name) for name in names}
    if suffix == "scipy":
        lines = Path("made.scipy/pairs.txt").read_text(encoding="utf-8").splitlines()
        assert [line.split("\t")[1:] for line in lines] == [[INPUT, visible(RELU)], [visible(RELU), "output"]]
    if suffix == "parquet":
        from pyarrow.parquet import read_table

        assert set(read_table("made.parquet")["source_group"].to_pylist()) == {INPUT, RELU}
    if suffix == "pickle":
        assert run(["synapses", "made.pickle", "-o", "back.csv"]) == 0
        with Path("back.csv").open(newline="", encoding="utf-8") as file:
            assert {row[0] for row in list(csv.reader(file))[1:]} == {INPUT, f"'{RELU}"}


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum", "\tx", "\rx"])
def test_no_name_is_a_formula(name: str) -> None:
    assert plain_text(name) == f"'{name}"
    assert plain_text(f"a{name}") == f"a{name}"


def test_what_steers_is_written_out() -> None:
    assert visible("a\x1b[2Jb\x00\x9b\u202e\u2028\ud800\n") == r"a\x1b[2Jb\x00\x9b\u202e\u2028\ud800\n"
    assert visible("größe 層 🙂") == "größe 層 🙂"
    assert one_line("one\n  two\r\nthree") == "one two three"
    long = one_line("a" * 5000 + "; do this")
    assert len(long) == LONGEST
    assert long.endswith("; do this")


def test_the_terminal_knows_no_markup() -> None:
    terminal = Terminal()
    terminal.file = io.StringIO()
    table = compact_table("[/]\x1b", ("name",), 1)
    table.add_row("[/] :smile:\n\x07")
    terminal.print(table)
    terminal.print("[red]\x1b[31m[/]\nnext")
    said = terminal.file.getvalue()
    assert "\x1b" not in said
    for words in (r"[/]\x1b", r"[/] :smile:\n\x07", "[red]\\x1b[31m[/]\nnext"):
        assert words in said
