"""Hypergraphs: a hyperedge a neuron that sends, with all that it reaches, against the list of synapses."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from listing import between, columns, random_rates
from networks import ALL, plain
from spikewright.calibration import Max
from spikewright.errors import SettingsError, StorageError
from spikewright.graph import Graph
from spikewright.nodes import Conv, Upsample
from spikewright.synapse_graph import Synapses, fan_outs, hyperedges, synapses
from spikewright.synapse_graph.decimals import decimals

SPACE = b" "[0]


def spiking(make: object, seed: int = 1) -> Graph:
    builder = make(seed)
    graph, x = builder.graph(), builder.samples(4)
    folded, _ = sw.prepare(graph)
    return sw.convert(graph, sw.calibrate(folded, x, [Max()]).scales(Max())).spiking


def pairs(graph: Synapses) -> dict[int, set[int]]:
    """What each neuron reaches, by the list of synapses; neurons counted through from 0, channels fastest."""
    first, at = {}, 0
    for group in graph.groups.values():
        first[group.name], at = at, at + group.neurons
    found = defaultdict(set)
    for one in graph.projections:
        c = columns(graph, [one])
        ends = []
        for side, group in (("source", one.path.source), ("dest", one.path.dest)):
            shape = group.shape if len(group.shape) > 2 else (*group.shape, 1, 1)[:3]
            row, column, channel = (c[f"{side}_{axis}"].astype(np.int64) for axis in ("row", "column", "channel"))
            width = shape[-1] if len(group.shape) > 2 else 1
            ends.append(first[group.name] + (row * width + column) * group.shape[0] + channel)
        for source, dest in zip(*(end.tolist() for end in ends), strict=True):
            found[source].add(dest)
    return dict(found)


def read(path: Path) -> tuple[list[int], list[list[int]]]:
    header, *rest = ([int(word) for word in line.split(" ")] for line in path.read_text().splitlines())
    return header, rest


def weights(graph: Synapses) -> np.ndarray:
    found = [np.zeros(0)]
    for group in graph.groups.values():
        sizes = graph.mean_sizes.get(group.name, np.zeros(group.neurons))
        found.append(np.moveaxis(sizes.reshape(group.shape), 0, -1).reshape(-1).astype(np.float64))
    return np.concatenate(found) * 1000


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
@pytest.mark.parametrize("pools", ["groups", "folded"])
def test_every_hyperedge_is_what_a_neuron_reaches(tmp_path: Path, make: object, pools: str) -> None:
    network = spiking(make)
    graph = synapses(network, random_rates(network), pools=pools, part_rows=700)
    (edges, vertices, kinds), lines = read(graph.write(tmp_path / "graph.hgr"))
    assert kinds == 1
    assert vertices == sum(group.neurons for group in graph.groups.values())
    assert {line[1] - 1: {pin - 1 for pin in line[2:]} for line in lines} == pairs(graph)
    assert edges == len(lines) == len({line[1] for line in lines})
    assert all(len(set(line[1:])) == len(line) - 1 for line in lines)
    expected = np.maximum(np.rint(weights(graph)), 1)
    assert [line[0] for line in lines] == [expected[line[1] - 1] for line in lines]


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_stretches_do_not_matter(tmp_path: Path, make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = synapses(spiking(make, 2))
    for options in ("hgr", "hgr:grouped"):
        whole = graph.write(tmp_path / f"{options[4:]}whole", options).read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(fan_outs, "NEURONS", 50)
            patch.setattr(fan_outs, "DESTINATIONS", 300)
            patch.setattr(hyperedges, "PIECE", 100)
            assert graph.write(tmp_path / f"{options[4:]}parts", options).read_bytes() == whole


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_positions_as_vertices(tmp_path: Path, make: object) -> None:
    network = spiking(make)
    graph = synapses(network, random_rates(network), part_rows=700)
    vertex: list[int] = []
    for group in graph.groups.values():
        start = vertex[-1] + 1 if vertex else 0
        vertex += (start + np.arange(group.neurons) // group.shape[0]).tolist()
    (edges, vertices, kinds), lines = read(graph.write(tmp_path / "graph.hgr", "hgr:grouped"))
    assert (vertices, kinds, len(lines)) == (vertex[-1] + 1, 11, edges + vertices)
    assert [line[0] for line in lines[edges:]] == np.bincount(vertex).tolist()
    expected: dict[int, set[int]] = defaultdict(set)
    for source, dests in pairs(graph).items():
        expected[vertex[source]] |= {vertex[dest] for dest in dests}
    assert {line[1] - 1: {pin - 1 for pin in line[2:]} for line in lines[:edges]} == expected
    sums = np.maximum(np.rint(np.bincount(vertex, weights(graph))), 1)
    assert [line[0] for line in lines[:edges]] == [sums[line[1] - 1] for line in lines[:edges]]


def test_what_vertices_weigh(tmp_path: Path) -> None:
    graph = synapses(spiking(plain))
    fan_in = np.zeros(sum(group.neurons for group in graph.groups.values()), np.int64)
    for dests in pairs(graph).values():
        fan_in[list(dests)] += 1
    (edges, vertices, kinds), lines = read(graph.write(tmp_path / "graph.hgr", "hgr:balance=synapses"))
    assert kinds == 10
    assert [line[0] for line in lines[edges:]] == np.maximum(fan_in, 1).tolist()
    assert len(lines) == edges + vertices
    header, lines = read(graph.write(tmp_path / "plain.hgr"))
    assert header == [edges, vertices]
    assert {line[0] - 1: {pin - 1 for pin in line[1:]} for line in lines} == pairs(graph)


def test_the_size_is_known_before(tmp_path: Path) -> None:
    network = spiking(plain)
    for rates in (None, random_rates(network)):
        graph = synapses(network, rates)
        path = tmp_path / f"{rates is None}.hgr"
        assert graph.size(path) == graph.write(path).stat().st_size
    assert graph.size("graph.hgr", "hgr:grouped") is None


def test_shards_together_are_the_whole(tmp_path: Path) -> None:
    graph = synapses(spiking(plain), part_rows=300)
    whole = graph.write(tmp_path / "whole.hgr", "hgr:grouped")
    for share in (3, 1, 2):
        assert not (tmp_path / "shared.hgr").exists()
        graph.write(tmp_path / "shared.hgr", "hgr:grouped", shard=(share, 3))
    assert (tmp_path / "shared.hgr").read_bytes() == whole.read_bytes()


def test_parts_of_other_options_are_not_taken(tmp_path: Path) -> None:
    graph = synapses(spiking(plain), part_rows=300)
    graph.write(tmp_path / "graph.hgr", shard=(1, 3))
    with pytest.raises(StorageError, match="the beginning of another graph"):
        graph.write(tmp_path / "graph.hgr", "hgr:grouped")


def test_options_that_a_format_does_not_have(tmp_path: Path) -> None:
    graph = synapses(spiking(plain))
    for text, problem in {
        "hgr:coarse": "hgr: unknown option 'coarse'; it has grouped, balance",
        "hgr:balance=rates": "hgr: balance is one of neurons, synapses, not 'rates'",
        "csv:grouped": "csv: unknown option 'grouped'",
        "": "unknown format ''; choose one of csv",
    }.items():
        with pytest.raises(SettingsError, match=problem):
            graph.write(tmp_path / "graph", text)
    assert not list(tmp_path.iterdir())


def test_a_neuron_that_is_read_twice_reaches_each_neuron_once(tmp_path: Path) -> None:
    weight = np.ones((3, 2, 2, 2), np.float32)
    conv = Conv(
        name="conv",
        inputs=("up",),
        weight=weight,
        bias=np.zeros(3),
        stride=(1, 1),
        padding=((0, 0),) * 2,
        dilation=(1, 1),
    )
    graph = synapses(between(Upsample(name="up", inputs=("input",), factor=(2, 2)), conv, shape=(2, 3, 3)))
    _, lines = read(graph.write(tmp_path / "graph.hgr"))
    assert sum(len(line) - 1 for line in lines) < len(graph)
    assert {line[0] - 1: {pin - 1 for pin in line[1:]} for line in lines} == pairs(graph)


def test_numbers_as_text() -> None:
    random = np.random.default_rng(0)
    for beyond in (1, 10, 100, 9999, 10001, 10**6, 10**8 + 1, 2**32, 10**13):
        numbers = np.append(random.integers(0, beyond, 20_000), [0, beyond - 1])
        assert decimals(numbers, SPACE) == b"".join(b"%d " % number for number in numbers.tolist())
    assert decimals(numbers[:0], SPACE) == b""
