"""Rates and whose they are; the command as a user types it; what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from networks import plain
from spikewright.calibration import Max
from spikewright.cli.app import run
from spikewright.errors import DataError, GraphError
from spikewright.graph import Graph
from spikewright.rates import Rates, load_rates, simulated_rates

pytest.importorskip("pyarrow")


def network(seed: int = 1) -> Graph:
    builder = plain(seed)
    graph, x = builder.graph(), builder.samples(4)
    folded, _ = sw.prepare(graph)
    return sw.convert(graph, sw.calibrate(folded, x, [Max()]).scales(Max())).spiking


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    sw.save(network(), "spiking.safetensors")
    sw.save(network(2), "other.safetensors")
    np.savez("data.npz", x=random.random((8, 3, 8, 8), np.float32), y=random.integers(0, 4, 8))
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    before = sorted(Path().rglob("*"))
    capsys.readouterr()
    assert run(["synapses", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert sorted(Path().rglob("*")) == before
    return said.err


def test_a_stored_run_and_a_new_one_give_the_same_graph(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "spiking.safetensors", "--data", "data.npz", "-T", "8", "-o", "run.npz"]) == 0
    assert run(["synapses", "spiking.safetensors", "--rates", "run.npz", "-o", "a.parquet"]) == 0
    assert run(["synapses", "spiking.safetensors", "--data", "data.npz", "-T", "8", "-o", "b.parquet"]) == 0
    capsys.readouterr()
    names = sorted(file.name for file in Path("a.parquet").iterdir())
    assert names == sorted(file.name for file in Path("b.parquet").iterdir())
    for name in names:
        assert Path("a.parquet", name).read_bytes() == Path("b.parquet", name).read_bytes()
    log = json.loads(Path("a.parquet.json").read_text())
    assert (log["samples"], log["timesteps"]) == (8, 8)


def test_without_an_output_it_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(folder.rglob("*"))
    assert run(["synapses", "spiking.safetensors", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["synapses"] == 7524
    assert said["projections"][0]["events_per_timestep"] is None
    assert run(["synapses", "spiking.safetensors"]) == 0
    assert "7,524" in capsys.readouterr().out
    assert sorted(folder.rglob("*")) == before


def test_folded_pools_and_mean_weights(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, kinds, edge in (
        (("--pools", "folded"), ["input", "spiking", "spiking", "output"], None),
        (("--pool-weight", "mean"), ["input", "spiking", "pool", "spiking", "output"], 0.25),
        ((), ["input", "spiking", "pool", "spiking", "output"], 1.0),
    ):
        assert run(["synapses", "spiking.safetensors", "--data", "data.npz", "-T", "4", *option, "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert [group["kind"] for group in said["groups"]] == kinds
        if edge is not None:
            pool = said["projections"][1]
            assert pool["edge"] == pytest.approx(edge * pool["events_per_timestep"])


def test_shards_from_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["synapses", "spiking.safetensors", "-o", "graph.csv", "--shard"]
    assert run([*common, "1/2"]) == 0
    assert "the other shards' parts are still to come" in " ".join(capsys.readouterr().out.split())
    assert not Path("graph.csv").exists()
    assert run([*common, "2/2"]) == 0
    assert len(Path("graph.csv").read_text().splitlines()) == 7525


def test_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["synapses", "spiking.safetensors", "--data", "data.npz", "-T", "4", "--report", "page.html"]
    assert run(words) == 0
    page = Path("page.html").read_text(encoding="utf-8")
    for text in ("7.52 k", "5.81 k synapses", "fan-in", "fan-out", "sum of edges", "spikewright synapses spiking"):
        assert text in page
    assert "http-equiv" in page


def test_a_dump_becomes_csv(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["synapses", "spiking.safetensors", "-o", "graph.pickle"]) == 0
    assert run(["synapses", "graph.pickle", "-o", "graph.csv", "--json"]) == 0
    assert len(Path("graph.csv").read_text().splitlines()) == 7525
    assert "exists" in refused(capsys, "graph.pickle", "-o", "graph.csv")
    assert "only ever made into CSV" in refused(capsys, "graph.pickle", "-o", "graph.parquet")


def test_bad_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = network()
    rates = simulated_rates(graph, np.load("data.npz")["x"], 4)
    good = rates.arrays()
    for name, where, value in (("negative", "relu5", -0.25), ("nan", "relu8", np.nan), ("endless", "input", np.inf)):
        values = good[f"rate/{where}"].copy()
        values.flat[3] = value
        np.savez(f"{name}.npz", **{**good, f"rate/{where}": values})
    np.savez("foreign.npz", **simulated_rates(network(2), np.load("data.npz")["x"], 4).arrays())
    np.savez("short.npz", **{key: value for key, value in good.items() if key != "rate/relu8"})
    np.savez("shape.npz", **{**good, "rate/relu8": np.zeros(45)})
    np.savez("empty.npz", x=np.zeros(3))
    np.savez("objects.npz", **{**good, "rate/relu8": np.array([{}], object)})
    with Path("single.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    Path("torn.npz").write_bytes(b"PK\x03\x04torn")
    Path("taken.csv").write_text("mine")
    net = "spiking.safetensors"
    for words, text in {
        ("--rates", "negative.npz"): "the rate of 'relu5'[0, 0, 3] is -0.25; rates are numbers, 0 or more",
        ("--rates", "nan.npz"): "the rate of 'relu8'[0, 1, 0] is nan",
        ("--rates", "endless.npz"): "the rate of 'input'[0, 0, 3] is inf",
        ("--rates", "foreign.npz"): "rates of another network",
        ("--rates", "short.npz"): "no rates of 'relu8'",
        ("--rates", "shape.npz"): "rates of 'relu8' have the shape (45,)",
        ("--rates", "empty.npz"): "holds no rates; simulate again",
        ("--rates", "objects.npz"): "damaged or not what its name says",
        ("--rates", "torn.npz"): "damaged or not what its name says",
        ("--rates", "single.npz"): "damaged or not what its name says",
        ("--rates", "none.npz"): "no such file",
        ("--rates", "negative.npz", "--data", "data.npz"): "not both",
        ("--data", "data.npz", "-T", "0"): "--timesteps must be 1 or more",
        ("--shard", "3/2"): "--shard takes a share like 2/8",
        ("--shard", "two"): "--shard takes a share like 2/8",
        ("-o", "graph.docx"): "which format",
        ("-o", "taken.csv"): "taken.csv exists",
        ("-o", "a.parquet", "--format", "xlsx"): "unknown format",
    }.items():
        assert text in refused(capsys, net, *words), words
    assert Path("taken.csv").read_text() == "mine"
    assert "no such file" in refused(capsys, "none.safetensors")


def test_without_pyarrow_one_line_says_what_is_missing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'spikewright[synapses]'" in refused(capsys, "spiking.safetensors", "-o", "a.parquet")
    assert run(["synapses", "spiking.safetensors", "-o", "a.csv"]) == 0  # text needs none


def test_trained_networks_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sw.save(plain(1).graph(), "trained.safetensors")
    assert "run 'spikewright convert' first" in refused(capsys, "trained.safetensors")
    with pytest.raises(GraphError, match="has no spikes; convert the network first"):
        sw.synapses(plain(1).graph())


def test_a_file_keeps_its_fingerprint_and_any_change_changes_it(folder: Path) -> None:
    graph = network()
    assert sw.load("spiking.safetensors").fingerprint == graph.fingerprint == network().fingerprint
    conv = next(node for node in graph if node.type == "Conv")
    weight = conv.arrays["weight"].copy()
    weight.flat[0] += np.float32(1e-6)
    changed = graph.replaced(conv.replace(weight=weight))
    assert changed.fingerprint != graph.fingerprint
    rates = simulated_rates(graph, np.load("data.npz")["x"], 4)
    with pytest.raises(DataError, match="rates of another network"):
        sw.synapses(changed, rates)
    assert sw.synapses(changed, Rates(rates.values, ""))  # whoever makes rates by hand need not know it


def test_stored_rates_are_those_that_were_measured(folder: Path) -> None:
    graph = network()
    rates = simulated_rates(graph, np.load("data.npz")["x"], 4)
    np.savez("run.npz", timestep=np.arange(1, 5), **rates.arrays())
    found = load_rates("run.npz", graph)
    assert (found.samples, found.timesteps, found.network) == (8, 4, graph.fingerprint)
    assert all(np.array_equal(found.values[name], values) for name, values in rates.values.items())
