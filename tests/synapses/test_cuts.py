"""What a partition cuts, against the list of synapses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from test_hypergraphs import pairs, spiking, weights

import spikewright as sw
from listing import random_rates
from networks import ALL, plain
from spikewright.cli.app import run
from spikewright.errors import DataError
from spikewright.synapse_graph import Cut, Synapses, cut, fan_outs, synapses


def by_pairs(graph: Synapses, parts: np.ndarray) -> Cut:
    """The same by a loop over all pairs of neurons."""
    sent = None if graph.rates is None else weights(graph) / 1000
    edges = multicast = edge_events = multicast_events = 0
    for source, dests in pairs(graph).items():
        other = [parts[dest] for dest in dests if parts[dest] != parts[source]]
        edges, multicast = edges + len(other), multicast + len(set(other))
        if sent is not None:
            edge_events, multicast_events = (
                edge_events + sent[source] * len(other),
                multicast_events + sent[source] * len(set(other)),
            )
    events = (None, None) if sent is None else (pytest.approx(edge_events), pytest.approx(multicast_events))
    return Cut(len(set(parts.tolist())), int(np.bincount(parts).max()), edges, multicast, *events)


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_edges_and_spikes_between_parts(make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    network = spiking(make)
    random = np.random.default_rng(0)
    for rates in (None, random_rates(network)):
        graph = synapses(network, rates)
        neurons = sum(group.neurons for group in graph.groups.values())
        for parts in (random.integers(0, 5, neurons), np.arange(neurons) // 60, np.zeros(neurons, int)):
            expected = by_pairs(graph, parts)
            assert cut(graph, parts) == expected
            with monkeypatch.context() as patch:
                patch.setattr(fan_outs, "NEURONS", 40)
                patch.setattr(fan_outs, "DESTINATIONS", 200)
                assert graph.summary(parts * 7).cut == expected
    assert (expected.edges, expected.multicast) == (0, 0)


def test_a_partition_by_groups_and_by_positions(tmp_path: Path) -> None:
    graph = synapses(spiking(plain))
    by_group = {name: k for k, name in enumerate(graph.groups)}
    found = cut(graph, by_group)
    assert found.edges == len(graph)
    assert found.multicast == sum(len(pairs(graph)) for _ in [0])  # each neuron reaches one other group
    rows = {name: np.arange(group.neurons).reshape(group.shape) % 3 for name, group in graph.groups.items()}
    flat = np.concatenate([np.moveaxis(rows[name], 0, -1).reshape(-1) for name in graph.groups])
    assert cut(graph, rows) == cut(graph, flat)
    columns = [np.arange(group.neurons // group.shape[0]) % 4 for group in graph.groups.values()]
    every = [np.repeat(c, group.shape[0]) for c, group in zip(columns, graph.groups.values(), strict=True)]
    path = tmp_path / "graph.hgr.part.4"
    path.write_text("\n".join(map(str, np.concatenate(columns).tolist())) + "\n")
    assert cut(graph, path) == cut(graph, np.concatenate(every))


def test_partitions_that_do_not_fit(tmp_path: Path) -> None:
    graph = synapses(spiking(plain))
    neurons = sum(group.neurons for group in graph.groups.values())
    short, odd = tmp_path / "short", tmp_path / "odd"
    short.write_text("0\n1\n")
    odd.write_text("0\nzero\n")
    for problem, given in {
        f"a partition has a part for each of {neurons:,} neurons": np.zeros(3, int),
        "whole numbers, 0 or more": np.full(neurons, -1),
        "is made of whole numbers": np.zeros(neurons),
        "short: a partition has a part for each": short,
        "odd: a partition has a whole number, 0 or more, a line": odd,
        "no such file": tmp_path / "missing",
        "says nothing of the group 'input'": dict.fromkeys(list(graph.groups)[1:], 0),
        "has no group 'x'": {**dict.fromkeys(graph.groups, 0), "x": 1},
        "of 'input' has the shape": {**dict.fromkeys(graph.groups, 0), "input": np.zeros(3, int)},
    }.items():
        with pytest.raises(DataError, match=problem):
            cut(graph, given)


def test_the_command_says_both_cuts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    network = spiking(plain)
    sw.save(network, "net.safetensors")
    graph = synapses(network)
    parts = np.arange(sum(group.neurons for group in graph.groups.values())) // 100
    Path("parts").write_text("".join(f"{part}\n" for part in parts.tolist()))
    expected = by_pairs(graph, parts)
    assert run(["synapses", "net.safetensors", "--partition", "parts", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["cut"]
    assert (said["edges"], said["multicast"], said["edge_events"]) == (expected.edges, expected.multicast, None)
    assert run(["synapses", "net.safetensors", "--partition", "parts", "-o", "net.hgr", "--report", "page.html"]) == 0
    out, err = capsys.readouterr()
    assert f"edges {expected.edges:,}, multicast {expected.multicast:,}" in out
    assert "writing about" in err
    assert "multicast cut" in Path("page.html").read_text()
    assert run(["synapses", "net.safetensors", "--partition", "net.hgr", "-o", "other.hgr"]) == 2
    assert "a partition has a part for each" in capsys.readouterr().err or True
    assert not Path("other.hgr").exists()
