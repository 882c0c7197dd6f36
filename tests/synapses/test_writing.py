"""Graphs on disk: every format, whole or not at all, and what happens when a run does not get to its end."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from listing import between, columns, random_rates
from networks import plain
from owners import dead_owner
from spikewright.calibration import Max
from spikewright.errors import DataError, SettingsError, StorageError
from spikewright.graph import Graph
from spikewright.nodes import Linear
from spikewright.synapse_graph import Synapses, synapses
from spikewright.synapse_graph.writers import formats
from spikewright.synapse_graph.writers.parquet import Parquet
from spikewright.synapse_graph.writers.pickle import dump_to_csv

pytest.importorskip("pyarrow")
ROWS = 300
PATHS = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(sw.__file__).parents[1])]


def network() -> Graph:
    builder = plain(1)
    graph, x = builder.graph(), builder.samples(4)
    folded, _ = sw.prepare(graph)
    return sw.convert(graph, sw.calibrate(folded, x, [Max()]).scales(Max())).spiking


def made(**options: object) -> Synapses:
    graph = network()
    return synapses(graph, random_rates(graph), part_rows=ROWS, **options)


def bytes_of(path: Path) -> dict[str, str]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def listed(graph: Synapses) -> list[tuple[str, str, str, str, float, float]]:
    """The lines of the CSV, made by a loop."""
    found = []
    for one in graph.projections:
        c = columns(graph, [one])
        sides = []
        for side, group in (("source", one.path.source), ("dest", one.path.dest)):
            names = ("row", "column", "channel") if len(group.shape) == 3 else ("channel",)
            sides.append([";".join(map(str, i)) for i in zip(*(c[f"{side}_{n}"].tolist() for n in names), strict=True)])
        for s, d, e, w in zip(*sides, c["edge"].tolist(), c["weight"].tolist(), strict=True):
            found.append((one.path.source.name, s, one.path.dest.name, d, e, w))
    return found


def test_csv(tmp_path: Path) -> None:
    graph = made()
    with graph.write(tmp_path / "graph.csv").open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["source_group", "source_neuron", "dest_group", "dest_neuron", "edge", "weight"]
    expected = listed(graph)
    assert [tuple(line[:4]) for line in lines] == [line[:4] for line in expected]
    assert [tuple(map(np.float32, line[4:])) for line in lines] == [line[4:] for line in expected]
    assert lines[0][:4] == ["input", "0;0;0", "relu5", "0;0;0"]


def test_the_byte_dump_and_its_csv(tmp_path: Path) -> None:
    graph = made()
    path = graph.write(tmp_path / "graph.pickle")
    with path.open("rb") as file:
        found = []
        while file.peek(1):
            found.append(pickle.load(file))
    assert len(found) == len(graph)
    assert set(found[0]) == {"source_group", "source_neuron", "dest_group", "dest_neuron", "edge"}
    assert found[-1]["source_neuron"] == (2, 2, 4)
    assert dump_to_csv(path, tmp_path / "dump.csv") == len(graph)
    graph.write(tmp_path / "graph.csv")
    with (tmp_path / "dump.csv").open() as dump, (tmp_path / "graph.csv").open() as whole:
        assert [line.strip() for line in dump] == [line.rpartition(",")[0] for line in whole]


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, ("harm",))


@pytest.mark.parametrize(
    "harm",
    [pickle.dumps(Harmful()), pickle.dumps({"source_group": Harmful()}), b"\x80\x04", b"no dump", pickle.dumps({})],
)
def test_nothing_in_a_dump_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.pickle").write_bytes(harm)
    with pytest.raises(DataError, match=r"bad.pickle: at byte 0: not a "):
        dump_to_csv("bad.pickle", "bad.csv")
    assert list(Path().iterdir()) == [Path("bad.pickle")]


def test_graphml(tmp_path: Path) -> None:
    networkx = pytest.importorskip("networkx")
    graph = made()
    found = networkx.read_graphml(graph.write(tmp_path / "graph.graphml"))
    assert found.number_of_nodes() == sum(group.neurons for group in graph.groups.values())
    assert found.number_of_edges() == len(graph)
    name = {(data["group"], data["neuron"]): node for node, data in found.nodes(data=True)}
    for source, s, dest, d, edge, weight in listed(graph)[::97]:
        data = found.edges[name[source, s], name[dest, d]]
        assert (data["edge"], data["weight"]) == pytest.approx((edge, weight))


def test_sparse_matrices(tmp_path: Path) -> None:
    path = made().write(tmp_path / "graph.scipy")
    graph = made()
    names = [line.split("\t") for line in (path / "pairs.txt").read_text().splitlines()]
    assert [tuple(pair) for _, *pair in names] == list(graph.summary().pairs)
    for file, source, dest in names:
        with np.load(path / file) as arrays:
            dense = np.zeros(arrays["shape"])
            np.add.at(dense, (arrays["row"], arrays["col"]), arrays["data"])
        expected = np.zeros_like(dense)
        for start, s, end, d, edge, _ in listed(graph):
            if (start, end) == (source, dest):
                expected[numbered(graph, start, s), numbered(graph, end, d)] += edge
        assert np.array_equal(dense, expected)
    scipy = pytest.importorskip("scipy.sparse")
    assert scipy.load_npz(path / names[0][0]).shape == (192, 256)


def numbered(graph: Synapses, group: str, neuron: str) -> int:
    """Through (row, column, channel), channel fastest."""
    channels, *spatial = graph.groups[group].shape
    return int(np.ravel_multi_index(tuple(map(int, neuron.split(";"))), (*spatial, channels)))


def test_edge_list_and_metis(tmp_path: Path) -> None:
    graph = made()
    first, at = {}, 0
    for group in graph.groups.values():
        first[group.name], at = at, at + group.neurons
    ends = [
        (first[a] + numbered(graph, a, s), first[b] + numbered(graph, b, d), edge)
        for a, s, b, d, edge, _ in listed(graph)
    ]
    lines = [line.split("\t") for line in graph.write(tmp_path / "graph.edges").read_text().splitlines()]
    assert [(int(s), int(d), np.float32(e)) for s, d, e in lines] == ends
    header, *lines = graph.write(tmp_path / "graph.metis").read_text().splitlines()
    assert header == f"{at} {len({(s, d) for s, d, _ in ends})} 001"
    neighbours = [list(map(int, line.split())) for line in lines]
    found = {(k, n - 1) for k, line in enumerate(neighbours) for n in line[::2]}
    assert found == {(s, d) for s, d, _ in ends} | {(d, s) for s, d, _ in ends}
    cost = {(k, n - 1): c for k, line in enumerate(neighbours) for n, c in zip(line[::2], line[1::2], strict=True)}
    means = graph.mean_values["input"].reshape(3, 8, 8)
    assert all(cost[k, n] == cost[n, k] >= 1 for k, n in cost)
    assert cost[0, 192] == max(1, round(1000 * float(means[0, 0, 0])))


def test_the_log_says_how_the_network_is_set_up(tmp_path: Path) -> None:
    graph = made(pool_weight="mean")
    graph.write(tmp_path / "graph.parquet")
    log = json.loads((tmp_path / "graph.parquet.json").read_text())
    assert log["network"] == graph.graph.fingerprint
    assert log["synapses"] == len(graph)
    assert log["pool_weight"] == "mean"
    assert log["groups"][1] == {
        "name": "relu5",
        "kind": "spiking",
        "axes": ["row", "column", "channel"],
        "shape": [8, 8, 4],
        "neurons": 256,
        "first_number": 192,
    }
    assert log["projections"][0]["through"][0]["stride"] == [1, 1]
    assert sum(one["parts"] for one in log["projections"]) == len(list((tmp_path / "graph.parquet").iterdir()))
    text = (tmp_path / "graph.parquet.txt").read_text()
    assert "7,524 synapses" in text
    assert "pool6 > conv7 > relu8" in text


@pytest.mark.parametrize("suffix", ["parquet", "csv", "edges", "pickle"])
def test_shards_together_are_the_whole(tmp_path: Path, suffix: str) -> None:
    graph = made()
    whole = graph.write(tmp_path / f"whole.{suffix}")
    path = tmp_path / f"shared.{suffix}"
    for share in (3, 1, 2):
        assert not path.exists()
        graph.write(path, shard=(share, 3))
    assert bytes_of(path) == bytes_of(whole)


KILLED = """
import sys, time
sys.path[:0] = {paths!r}
from test_writing import made
from spikewright.synapse_graph.writers.parquet import Parquet
write = Parquet.part
def slowly(self, synapses, projection, part, path):
    write(self, synapses, projection, part, path)
    time.sleep(0.15)
Parquet.part = slowly
made().write({target!r})
"""


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    graph, target = made(), tmp_path / "graph.parquet"
    whole = bytes_of(graph.write(tmp_path / "whole.parquet"))
    process = subprocess.Popen([sys.executable, "-c", KILLED.format(paths=PATHS, target=str(target))])
    until = time.monotonic() + 60
    while len(list(tmp_path.glob(".graph.parquet.*.parts/parts/*.parquet"))) < 4 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob(".graph.parquet.*/parts/*")}
    assert 4 <= len(kept) < len(whole)
    assert not target.exists()
    graph.write(target, resume=True)
    assert bytes_of(target) == whole
    assert all((target / name).stat().st_mtime_ns == when for name, when in kept.items())
    assert not list(tmp_path.glob(".*"))


def test_a_run_that_was_killed_while_joining_goes_on(tmp_path: Path) -> None:
    graph, target = made(), tmp_path / "graph.csv"
    graph.write(target, shard=(1, 2))
    (hidden,) = tmp_path.glob(".graph.csv.*.parts")
    hidden.rename(f"{hidden}.{dead_owner()}.abcd")
    graph.write(target, shard=(2, 2))
    assert bytes_of(target) == bytes_of(graph.write(tmp_path / "whole.csv"))
    assert not list(tmp_path.glob(".*"))


SHARED = """
import sys
sys.path[:0] = {paths!r}
from test_writing import made
graph = made()
print(graph.write({target!r}, shard=({share}, 3)))
"""


def test_processes_that_share_the_work_make_one_graph(tmp_path: Path) -> None:
    target = tmp_path / "graph.csv"
    codes = [SHARED.format(paths=PATHS, target=str(target), share=share) for share in (1, 2, 3)]
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for code in codes]
    said = [process.communicate()[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert str(target) in said
    assert bytes_of(target) == bytes_of(made().write(tmp_path / "whole.csv"))
    assert not list(tmp_path.glob(".*"))


def test_remains_of_another_graph_are_not_mixed_in(tmp_path: Path) -> None:
    target = tmp_path / "graph.parquet"
    made().write(target, shard=(1, 2))
    other = made(pool_weight="mean")
    with pytest.raises(StorageError, match="beginning of another graph"):
        other.write(target)
    other.write(target, force=True)
    assert bytes_of(target) == bytes_of(other.write(tmp_path / "whole.parquet"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_line_and_work_done_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, target = made(), tmp_path / "graph.parquet"
    write, count = Parquet.part, [0]

    def until_full(self: object, synapses: object, projection: object, part: object, path: Path) -> None:
        count[0] += 1
        if count[0] > 5:
            path.symlink_to("/dev/full")
        write(self, synapses, projection, part, path)

    monkeypatch.setattr(Parquet, "part", until_full)
    with pytest.raises(StorageError, match="No space left on device; finished parts stay") as problem:
        graph.write(target, workers=1)
    assert len(str(problem.value).splitlines()) == 1
    assert not target.exists()
    assert len(list(tmp_path.glob(".graph.parquet.*.parts/parts/*.parquet"))) == 5
    assert not list(tmp_path.glob(".graph.parquet.*/*.tmp"))
    monkeypatch.undo()
    assert bytes_of(graph.write(target)) == bytes_of(graph.write(tmp_path / "whole.parquet"))


@pytest.mark.parametrize("suffix", ["parquet", "csv", "scipy", "graphml"])
def test_what_stands_there_is_replaced_only_if_asked_and_only_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    target = tmp_path / f"graph.{suffix}"
    made().write(target)
    before = bytes_of(target)
    other = made(pool_weight="mean")
    with pytest.raises(StorageError, match="exists; choose another path, or give --force"):
        other.write(target)
    assert bytes_of(target) == before
    writer = next(one for one in formats().values() if f".{suffix}" in one.suffixes)
    name = "part" if hasattr(writer, "part") else "whole"
    with monkeypatch.context() as patch:
        patch.setattr(type(writer), name, lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(StorageError, match="No space left"):
            other.write(target, force=True)
    assert bytes_of(target) == before
    other.write(target, force=True)
    assert bytes_of(target) != before
    assert bytes_of(target) == bytes_of(other.write(tmp_path / f"whole.{suffix}"))


def test_a_folder_that_is_no_graph_is_never_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "precious.parquet"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years")
    with pytest.raises(StorageError, match="is not a graph of this format and is not replaced"):
        made().write(folder, force=True)
    assert (folder / "thesis.txt").read_text() == "years"
    with pytest.raises(StorageError, match="is not replaced"):
        made().write(folder, "csv", force=True)


def test_settings_outside_their_domain(tmp_path: Path) -> None:
    graph = made()
    for problem, call in {
        "shard 3 of 2 does not exist": lambda: graph.write(tmp_path / "a.parquet", shard=(3, 2)),
        "which format": lambda: graph.write(tmp_path / "a.docx"),
        "unknown format 'xlsx'; choose one of csv": lambda: graph.write(tmp_path / "a", "xlsx"),
        "written in one go": lambda: graph.write(tmp_path / "a.graphml", shard=(1, 2)),
        "pools must be": lambda: synapses(graph.graph, pools="none"),
        "pool_weight must be": lambda: synapses(graph.graph, pool_weight=2),
        "part_rows must be": lambda: synapses(graph.graph, part_rows=0),
        "no projection 'x'": lambda: graph["x"],
        "are not a range": lambda: list(graph.batches(start=5, stop=2)),
    }.items():
        with pytest.raises(SettingsError, match=problem):
            call()
    assert not list(tmp_path.iterdir())


def test_large_networks_are_refused_by_formats_for_small_ones(tmp_path: Path) -> None:
    weight = np.broadcast_to(np.float32(1), (3000, 2000))
    graph = between(Linear(name="linear", inputs=("input",), weight=weight, bias=np.zeros(3000)), shape=(2000,))
    with pytest.raises(SettingsError, match=r"6,003,000 synapses are too many .* write .parquet"):
        synapses(graph).write(tmp_path / "graph.graphml")
