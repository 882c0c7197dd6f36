"""Whole networks: synapses are the linear operators between groups, counts are exact, sums are the currents."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import spikewright as sw
from listing import arriving, columns, flat, put, random_rates
from networks import ALL
from random_graphs import anything
from spikewright.calibration import Max
from spikewright.graph import Array, Graph
from spikewright.nodes import IF, Add, Concat, Conv, Flatten, Input, Linear, Output, Permute, SpikeMaxPool, Upsample
from spikewright.rates import mean_values
from spikewright.synapse_graph import Synapses, synapses
from zoo import ARCHITECTURES, architecture


def spiking(graph: Graph) -> Graph:
    x = np.random.default_rng(0).random((4, *graph.sample_shape)).astype(np.float32)
    folded, _ = sw.prepare(graph, leaky="split")
    return sw.convert(graph, sw.calibrate(folded, x, [Max()]).scales(Max()), leaky="split").spiking


def operators(made: Synapses, dest: str) -> dict[str, Array]:
    """By source group the matrix ``(source, destination)`` of a group's input, from one pulse for each neuron."""
    graph, groups = made.graph, made.groups
    sources = {one.path.source.name for one in made.projections if one.path.dest.name == dest}
    found = {}
    for source in sources:
        count = groups[source].neurons
        values = {name: torch.zeros(count, *group.shape, dtype=torch.float64) for name, group in groups.items()}
        values[source] = torch.eye(count, dtype=torch.float64).reshape(count, *groups[source].shape)
        found[source] = arriving(graph, groups, dest, values).reshape(count, -1).numpy()
    return found


def check_network(graph: Graph) -> None:
    for pools in ("groups", "folded"):
        made = synapses(graph, random_rates(graph), pools=pools, pool_weight="mean", part_rows=700)
        means = mean_values(graph, made.rates)
        for dest, group in made.groups.items():
            own = [one for one in made.projections if one.path.dest.name == dest]
            found: dict[str, Array] = {}
            for one in own:
                source = one.path.source
                c = columns(made, [one])
                start, end = flat(c, "source", source.shape), flat(c, "dest", group.shape)
                assert len(start) == one.synapses == sum(part.rows for part in made.parts(one))
                for part in made.parts(one):
                    assert sum(block.rows for block in made.blocks(one, part)) == part.rows
                assert np.array_equal(one.fan_in(), np.bincount(end, minlength=group.neurons))
                assert np.array_equal(one.fan_out(), np.bincount(start, minlength=source.neurons))
                assert np.array_equal(c["edge"] == 0, (c["weight"] == 0) | (means[source.name].ravel()[start] == 0))
                total = one.total(made.mean_values[source.name])
                if total is not None:
                    assert total == pytest.approx(c["edge"].sum(dtype=np.float64), rel=1e-4, abs=1e-4)
                if pools == "folded":
                    pairs = start * group.neurons + end
                    merged = any(graph[name].type.endswith("Pool") for name in one.path.through)
                    assert not merged or len(np.unique(pairs)) == len(pairs)
                matrix = found.setdefault(source.name, np.zeros((source.neurons, group.neurons)))
                np.add.at(matrix, (start, end), c["weight"].astype(np.float64))
            if own and not isinstance(graph[dest], SpikeMaxPool):
                expected = operators(made, dest)
                for source, matrix in expected.items():
                    np.testing.assert_allclose(found[source], matrix, atol=1e-5 * max(1, np.abs(matrix).max()))


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_synapses_are_the_operators_between_groups(make: object) -> None:
    check_network(spiking(make(1).graph()))


@pytest.mark.parametrize("seed", range(40))
def test_of_any_network(seed: int) -> None:
    graph = spiking(anything(seed))
    if graph.populations:
        check_network(graph)


def test_moves_and_branches_move_indices_exactly() -> None:
    """Concat on both sides, axes turned, growing before and after a layer, two paths between one pair of groups."""
    random = np.random.default_rng(3)

    def conv(name: str, source: str, inputs: int, outputs: int, groups: int = 1) -> Conv:
        weight = random.normal(size=(outputs, inputs // groups, 3, 2))
        return Conv(
            name=name,
            inputs=(source,),
            weight=weight,
            bias=random.normal(size=outputs),
            stride=(2, 1),
            padding=((1, 1), (1, 0)),
            dilation=(1, 1),
            groups=groups,
        )

    neurons = {"threshold": 1.0, "v_init": 0.5}
    graph = Graph(
        [
            Input(name="input", shape=(2, 4, 6)),
            IF(name="one", inputs=("input",), **neurons),
            Concat(name="joined", inputs=("one", "input")),
            Permute(name="turned", inputs=("joined",), axes=(0, 2, 1)),
            conv("a", "turned", 4, 4, groups=2),
            Upsample(name="grown", inputs=("a",), factor=(2, 1)),
            conv("b", "joined", 4, 4, groups=4),
            Permute(name="back", inputs=("b",), axes=(0, 2, 1)),
            Concat(name="both", inputs=("grown", "a"), axis=1),
            IF(name="two", inputs=("both",), **neurons),
            IF(name="three", inputs=("back",), **neurons),
            Add(name="twice", inputs=("three", "three")),
            Upsample(name="large", inputs=("twice",), factor=(1, 2)),
            conv("c", "large", 4, 3),
            Flatten(name="flat", inputs=("c",)),
            Flatten(name="flat2", inputs=("two",)),
            Concat(name="row", inputs=("flat", "flat2")),
            IF(name="four", inputs=("row",), **neurons),
            Linear(name="last", inputs=("four",), weight=random.normal(size=(2, 180)), bias=np.zeros(2)),
            Output(name="output", inputs=("last",)),
        ]
    )
    check_network(graph)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_people_bring(name: str) -> None:
    """What arrives at each group is what its synapses bring, and there are as many as was counted."""
    module, batch = architecture(name)
    graph = sw.load(module, example=batch)
    folded, _ = sw.prepare(graph, leaky="split")
    graph = sw.convert(graph, sw.calibrate(folded, batch.numpy(), [Max()]).scales(Max()), leaky="split").spiking
    for pools in ("groups", "folded"):
        made = synapses(graph, random_rates(graph), pools=pools, pool_weight="mean")
        values = {name: put(mean)[None] for name, mean in mean_values(graph, made.rates).items() if name in made.groups}
        into = {name: np.zeros(group.neurons) for name, group in made.groups.items()}
        for one in made.projections:
            c = columns(made, [one])
            assert len(c["edge"]) == one.synapses
            np.add.at(into[one.path.dest.name], flat(c, "dest", one.path.dest.shape), c["edge"].astype(np.float64))
        for dest, group in made.groups.items():
            if group.kind != "input" and not isinstance(graph[dest], SpikeMaxPool):
                expected = arriving(graph, made.groups, dest, values).numpy().ravel()
                np.testing.assert_allclose(into[dest], expected, atol=1e-5 * max(1, np.abs(expected).max()))
