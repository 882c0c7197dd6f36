"""A graph that cannot be is refused when it is made."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest

from networks import plain, residual
from spikewright.errors import GraphError
from spikewright.graph import Graph
from spikewright.nodes import Add, Conv, Input, Linear, Output, ReLU, node_types


def relu(name: str, source: str) -> ReLU:
    return ReLU(name=name, inputs=(source,))


X = Input(name="x", shape=(3,))


def test_nodes_are_put_in_order() -> None:
    graph = Graph([Output(name="y", inputs=("b",)), relu("b", "a"), X, relu("a", "x")])
    assert [node.name for node in graph] == ["x", "a", "b", "y"]
    assert graph.consumers["a"] == ("b",)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([X, relu("a", "b")], "ReLU 'a': reads 'b', which does not exist"),
        ([X, relu("a", "b"), relu("b", "a")], "stands in a cycle; only feed-forward networks"),
        ([X, relu("a", "x"), relu("a", "x")], "two nodes have the name 'a'"),
        (
            [X, Linear(name="l", inputs=("x",), weight=np.zeros((2, 4)), bias=np.zeros(2))],
            r"Linear 'l': takes 4 values, its input has shape \(3,\)",
        ),
        ([X, Input(name="z", shape=(4,)), Add(name="s", inputs=("x", "z"))], "they must be equal"),
    ],
)
def test_graphs_that_cannot_be(nodes: list, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        Graph(nodes)


def test_a_kernel_that_does_not_fit() -> None:
    conv = Conv(
        name="c",
        inputs=("x",),
        weight=np.zeros((1, 1, 5, 5)),
        bias=np.zeros(1),
        stride=(1, 1),
        padding=((0, 0), (0, 0)),
        dilation=(1, 1),
    )
    with pytest.raises(GraphError, match=r"Conv 'c': a kernel of \(5, 5\) does not fit"):
        Graph([Input(name="x", shape=(1, 4, 4)), conv])


@pytest.mark.parametrize("frozen", [False, True])
def test_weights_that_are_not_numbers(frozen: bool) -> None:
    weight = np.zeros((2, 3), np.float32)
    weight[1, 2] = np.nan
    weight.setflags(write=not frozen)
    with pytest.raises(GraphError, match=r"Linear 'l': weight\[1, 2\] is nan, not a finite float32"):
        Linear(name="l", inputs=("x",), weight=weight, bias=np.zeros(2))


def test_weights_are_the_graphs_own() -> None:
    weight = np.ones((2, 3), np.float32)
    node = Linear(name="l", inputs=("x",), weight=weight, bias=np.zeros(2))
    weight[:] = 5
    assert node.weight.max() == 1
    with pytest.raises(ValueError, match="read-only"):
        node.weight[0, 0] = 3


def test_taking_out_and_putting_in() -> None:
    graph = Graph([X, relu("a", "x"), relu("b", "a"), Output(name="y", inputs=("b",))])
    assert graph.without("a", "b")["y"].inputs == ("x",)
    longer = graph.inserted(relu("c", "a"), "b")
    assert [n.name for n in longer] == ["x", "a", "c", "b", "y"]
    assert graph.fresh_name("a") == "a_2"
    with pytest.raises(GraphError, match="no node 'q' in the graph; it has x, a, b, y"):
        graph["q"]


def test_sums_of_parameters_and_work() -> None:
    graph = plain(0).graph()
    assert graph.parameters == sum(a.size for n in graph for k, a in n.arrays.items() if k not in ("mean", "variance"))
    assert graph.macs("conv1") == 4 * 3 * 9 * 64


def test_every_node_of_the_vocabulary_is_found() -> None:
    words = "Input Linear Conv AvgPool SumPool MaxPool BatchNorm ChannelAffine ReLU Add Concat Flatten Permute Pad"
    assert {*words.split(), "Upsample", "Output", "IF", "LIF", "SpikeMaxPool"} <= set(node_types())


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda graph: pickle.loads(pickle.dumps(graph))])
def test_a_graph_can_be_copied_and_sent_to_other_processes(again: Callable[[Graph], Graph]) -> None:
    graph = residual(1).graph().with_nodes(residual(1).graph(), source="here")
    found = again(graph)
    assert found.fingerprint == graph.fingerprint
    assert dict(found.meta) == {"source": "here"}
    assert not any(array.flags.writeable for node in found for array in node.arrays.values())
