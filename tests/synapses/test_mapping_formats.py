"""Formats that mappers and simulators of chips read: each read back, against the list of synapses."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from test_hypergraphs import pairs, spiking, weights

import spikewright as sw
from listing import between, random_rates
from networks import plain, residual
from spikewright.cli.app import run
from spikewright.errors import SettingsError, StorageError
from spikewright.graph import Graph
from spikewright.nodes import Conv, Linear, SumPool
from spikewright.rates import Rates, mean_values
from spikewright.synapse_graph import Synapses, synapses
from spikewright.synapse_graph.writers.writer import every_block, number


def with_rates(network: Graph, **options: object) -> Synapses:
    rates = random_rates(network)
    return synapses(network, Rates(rates.values, rates.network, samples=3, timesteps=20), **options)


def listed(graph: Synapses) -> Counter[tuple[int, int, float]]:
    """(source, destination, weight) of every synapse, neurons of all groups counted through."""
    first, at = {}, 0
    for group in graph.groups.values():
        first[group.name], at = at, at + group.neurons
    found: Counter[tuple[int, int, float]] = Counter()
    for one in graph.projections:
        source, dest = one.path.source, one.path.dest
        for block in every_block(graph, one):
            starts = number(block, "source", source.shape) + first[source.name]
            ends = number(block, "dest", dest.shape) + first[dest.name]
            found.update(zip(starts.tolist(), ends.tolist(), block.column("weight").tolist(), strict=True))
    return found


@pytest.mark.parametrize("make", [plain, residual], ids=["plain", "residual"])
def test_hysmap(tmp_path: Path, make: object) -> None:
    graph = with_rates(spiking(make))
    found = json.loads(graph.write(tmp_path / "graph.hysmap").read_text())
    sent = weights(graph) / 1000
    assert [neuron["id"] for neuron in found["neurons"]] == list(range(len(sent)))
    assert [neuron["activity"] for neuron in found["neurons"]] == pytest.approx(sent.tolist())
    assert found["neurons"][0]["label"] == "input[0;0;0]"
    assert found["neurons"][-1]["label"].startswith("output[")
    assert {edge["source"]: set(edge["destinations"]) for edge in found["hyperedges"]} == pairs(graph)
    assert all(len(set(edge["destinations"])) == len(edge["destinations"]) for edge in found["hyperedges"])
    assert [e["activity"] for e in found["hyperedges"]] == pytest.approx(
        sent[[e["source"] for e in found["hyperedges"]]]
    )
    found = json.loads(synapses(graph.graph).write(tmp_path / "plain.hysmap").read_text())
    assert {edge["activity"] for edge in found["hyperedges"]} == {1}


@pytest.mark.parametrize("make", [plain, residual], ids=["plain", "residual"])
def test_spinemap(tmp_path: Path, make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikewright.synapse_graph.by_source.AT_ONCE", 400)
    graph = with_rates(spiking(make))
    path = graph.write(tmp_path / "graph.spinemap")
    assert sorted(file.name for file in path.iterdir()) == ["connection_info.txt", "spike_info.txt", "weight_info.txt"]
    connections, values, spikes = (
        [line.split() for line in (path / f"{name}_info.txt").read_text().splitlines()]
        for name in ("connection", "weight", "spike")
    )
    senders = [int(line[0]) for line in connections]
    assert senders == sorted(set(senders)) == [int(line[0]) for line in values] == [int(line[0]) for line in spikes]
    found: Counter[tuple[int, int, float]] = Counter()
    for ends, of in zip(connections, values, strict=True):
        found.update((int(ends[0]), int(d), float(np.float32(w))) for d, w in zip(ends[1:], of[1:], strict=True))
    assert found == listed(graph)
    sent = np.rint(weights(graph) / 1000 * 20)
    assert [len(line) - 1 for line in spikes] == sent[senders].tolist()
    times = [list(map(int, line[1:])) for line in spikes]
    assert all(one == sorted(set(one)) and (not one or one[-1] < 20) for one in times if len(one) <= 20)
    graph.write(path, "spinemap:timesteps=100", force=True)
    more = [len(line.split()) - 1 for line in (path / "spike_info.txt").read_text().splitlines()]
    assert more == np.rint(weights(graph) / 10)[senders].tolist()
    with pytest.raises(SettingsError, match="how often neurons spike: give --data or --rates"):
        synapses(graph.graph).write(tmp_path / "silent.spinemap")


def test_sonata(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    graph = with_rates(spiking(residual))
    path = graph.write(tmp_path / "graph.sonata")
    first = dict(zip(graph.groups, np.cumsum([0, *(g.neurons for g in graph.groups.values())]).tolist(), strict=False))
    config = json.loads((path / "circuit_config.json").read_text())["networks"]
    assert config["nodes"][0]["nodes_file"] == "$BASE_DIR/nodes.h5"
    assert set(config["nodes"][0]["populations"]) == set(graph.groups)
    texts = ((path / f"{kind}_types.csv").read_text().splitlines() for kind in ("node", "edge"))
    types = [list(csv.reader(lines, delimiter=" ")) for lines in texts]
    nodes, edges = ([dict(zip(rows[0], row, strict=True)) for row in rows[1:]] for rows in types)
    assert [one["group"] for one in nodes] == list(graph.groups)
    assert nodes[0]["model_type"] == "virtual"
    assert [one["projection"] for one in edges] == [one.name for one in graph.projections]
    start = {one["population"]: first[one["group"]] for one in nodes}
    with h5py.File(path / "nodes.h5") as file:
        for k, (one, group) in enumerate(zip(nodes, graph.groups.values(), strict=True)):
            made = file["nodes"][one["population"]]
            assert (made["node_type_id"][:] == k).all()
            assert made["node_group_index"][:].tolist() == list(range(group.neurons))
            places = zip(*(made[f"0/{axis}"][:].tolist() for axis in ("row", "column", "channel")), strict=True)
            spatial = (*group.shape[1:], 1, 1)[:2] if len(group.shape) < 4 else group.shape[1:]
            assert list(places) == [(*position, c) for position in np.ndindex(*spatial) for c in range(group.shape[0])]
        rate = file["nodes"][nodes[0]["population"]]["0/rate"][:]
        assert rate == pytest.approx(weights(graph)[: len(rate)] / 1000)
    found: Counter[tuple[int, int, float]] = Counter()
    with h5py.File(path / "edges.h5") as file:
        for k, (one, projection) in enumerate(zip(edges, graph.projections, strict=True)):
            made = file["edges"][one["population"]]
            assert len(made["0/syn_weight"]) == projection.synapses
            assert (made["edge_type_id"][:] == k).all()
            assert not made["edge_group_id"][:].any()
            assert made["edge_group_index"][:].tolist() == list(range(projection.synapses))
            ends = [
                made[f"{side}_node_id"][:] + start[made[f"{side}_node_id"].attrs["node_population"]]
                for side in ("source", "target")
            ]
            found.update(zip(*(end.tolist() for end in ends), made["0/syn_weight"][:].tolist(), strict=True))
            assert made["0/edge"].shape == (projection.synapses,)
    assert found == listed(graph)
    size = sum(file.stat().st_size for file in path.iterdir())
    assert graph.size("graph.sonata") - (1 << 21) <= size <= graph.size("graph.sonata")
    graph.write(path, force=True)


def test_a_disk_that_is_too_small_for_sonata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = synapses(spiking(plain))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6, 10**4))
    with pytest.raises(StorageError, match="No space left"):
        graph.write(tmp_path / "graph.sonata")
    assert not list(tmp_path.iterdir())


def test_folders_of_others_are_not_replaced(tmp_path: Path) -> None:
    graph = with_rates(spiking(plain))
    for name, file in (("a.sonata", "nodes.h5"), ("b.spinemap", "spike_info.txt"), ("c.sonata", "node_types.csv")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / file).write_text("years of work")
        with pytest.raises(StorageError, match="is not a graph of this format and is not replaced"):
            graph.write(folder, force=True)
        assert (folder / file).read_text() == "years of work"


EDGE = re.compile(r"(\w+)\.(\d+) -> (\w+)\.(\d+): \[weight: (\S+)\]")


def sanafe(path: Path) -> dict[str, list[str]]:
    """The entries of each section, by a reader of just this form."""
    found: dict[str, list[str]] = defaultdict(list)
    section = ""
    for line in path.read_text().splitlines():
        if line.lstrip().startswith("- name: "):
            section = line.partition("name: ")[2]
        elif re.fullmatch(r" *(edges|mappings|groups|network):", line):
            section = line.strip(" :")
        elif line.lstrip().startswith("- "):
            found[section].append(line.strip()[2:])
    return found


def chip_network() -> Graph:
    """Neurons that differ in threshold and start, behind an input, a convolution and a dense layer."""
    random = np.random.default_rng(0)
    conv = Conv(
        name="conv",
        inputs=("input",),
        weight=random.normal(size=(3, 2, 3, 3)),
        bias=random.normal(size=3),
        stride=(1, 1),
        padding=((1, 1),) * 2,
        dilation=(1, 1),
    )
    graph = between(conv, shape=(2, 4, 4))
    neurons = graph["neurons"].replace(threshold=np.array([1.0, 2.0, 0.5]), v_init=np.array([0.5, 1.0, 0.0]))
    nodes = [neurons if node.name == "neurons" else node for node in graph][:-1]
    flat = sw.nodes.Flatten(name="flat", inputs=("neurons",))
    dense = Linear(name="dense", inputs=("flat",), weight=random.normal(size=(5, 48)), bias=random.normal(size=5))
    return Graph([*nodes, flat, dense, sw.nodes.Output(name="output", inputs=("dense",))])


def test_sana_fe(tmp_path: Path) -> None:
    network = chip_network()
    graph = with_rates(network)
    found = sanafe(graph.write(tmp_path / "graph.yaml", "sanafe:neurons=20,cores=2"))
    first = dict(zip(graph.groups, np.cumsum([0, *(g.neurons for g in graph.groups.values())]).tolist(), strict=False))
    assert [len(found[name]) for name in ("start", "input", "neurons", "output")] == [1, 32, 48, 5]
    threshold = np.tile([1.0, 2.0, 0.5], 16)
    unit = np.concatenate([np.zeros(32), 1024 / threshold, np.ones(5)])
    edges = [match.groups() for match in map(EDGE.fullmatch, found["edges"]) if match]
    initial = {int(edge[3]): float(edge[4]) for edge in edges if edge[0] == "start"}
    assert initial == {k: 512.0 for k in range(48) if k % 3 != 2}
    seen = {(first[a] + int(i), first[b] + int(j)): float(w) for a, i, b, j, w in edges if a != "start"}
    expected = {(s, d): w * unit[d] for s, d, w in listed(graph)}
    assert seen.keys() == expected.keys()
    assert list(seen.values()) == pytest.approx([expected[pair] for pair in seen], rel=1e-6)
    bias = [float(re.search(r"bias: ([^,]+),", entry)[1]) for entry in found["neurons"]]
    assert bias == pytest.approx((np.tile(network["conv"].bias, 16) * 1024 / threshold).tolist())
    assert {entry.partition("threshold: ")[2].partition(",")[0] for entry in found["neurons"]} == {"1023.9921875"}
    assert all("reset_mode: soft, leak_decay: 1" in entry for entry in found["neurons"])
    trains = [list(map(int, re.search(r"\[spikes: \[(.*)\]\]", entry)[1].split(", "))) for entry in found["input"]]
    assert {len(train) for train in trains} == {20}
    assert [sum(train) for train in trains] == np.floor(weights(graph)[:32] / 1000 * 20 + 1e-9).tolist()
    cores = Counter()
    for entry in found["mappings"]:
        low, high = re.match(r"\w+\.(\d+)(?:\.\.(\d+))?:", entry).groups()
        cores[re.search(r"core: ([\d.]+),", entry)[1]] += int(high or low) - int(low) + 1
    assert cores == {"0.0": 20, "0.1": 20, "1.0": 20, "1.1": 20, "2.0": 6}
    assert 'soma: "loihi_inputs[19]"' in found["mappings"][19]


def test_sana_fe_says_what_it_cannot_hold(tmp_path: Path) -> None:
    network = chip_network()
    graph = with_rates(network)

    def replaced(**settings: object) -> Synapses:
        return with_rates(network.with_nodes([n.replace(**settings) if n.population else n for n in network]))

    loud = random_rates(network)
    loud = Rates({**loud.values, "input": loud.values["input"] * 3}, loud.network, 1, 10)
    pool = SumPool(name="pool", inputs=("input",), kernel=(2, 2), stride=(2, 2), padding=((0, 0),) * 2)
    for problem, other, options in (
        ("how often inputs spike: give --data or --rates", synapses(network), ""),
        ("86 neurons need 5 cores of 20, the chip has 4", graph, "sanafe:neurons=20,tiles=1"),
        ("cannot hold 'pool': a pool holds values", with_rates(between(pool, shape=(2, 4, 4))), ""),
        ("cannot hold 'neurons': its neurons know only max_spikes=1", replaced(max_spikes=None), ""),
        ("its neurons have no lowest potential", replaced(v_min=-1.0), ""),
        ("mean values must lie in 0 to 1", synapses(network, loud), ""),
        ("soma is the name of a unit", graph, "sanafe:soma=a-b"),
        ("neurons must be", graph, "sanafe:neurons=0"),
    ):
        with pytest.raises(SettingsError, match=problem):
            other.write(tmp_path / "graph.yaml", options or None)
    assert not list(tmp_path.iterdir())


def test_what_the_bias_of_a_neuron_is() -> None:
    """That of all that leads to it: what arrives where nobody sends."""
    network = chip_network()
    silent = Rates({"input": np.zeros((2, 4, 4)), "neurons": np.zeros((3, 4, 4))}, network.fingerprint)
    arriving = mean_values(network, silent, {"conv", "dense"})
    assert np.allclose(arriving["conv"], network["conv"].bias[:, None, None])
    assert np.allclose(arriving["dense"], network["dense"].bias)


@pytest.mark.parametrize("name", ["graph.hgr", "graph.hysmap", "graph.spinemap", "graph.sonata", "graph.yaml"])
def test_the_command_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    network = chip_network()
    sw.save(network, "net.safetensors")
    data = np.random.default_rng(0).random((4, 2, 4, 4), np.float32)
    np.savez("data.npz", x=data)
    command = ["synapses", "net.safetensors", "--data", "data.npz", "-T", "8", "-o", name]
    assert run(command) == 0
    log = json.loads(Path(f"{name}.json").read_text())
    assert log["writer"] == {"graph.yaml": "sanafe"}.get(name, name.partition(".")[2])
    assert run(command) == 2
    assert run([*command, "--force"]) == 0
