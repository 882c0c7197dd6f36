"""Nodes that take positions, or weight them, along axes: everything derived from them is what they do with values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from listing import columns, flat
from runs import same
from spikewright.encoders.constant import Constant
from spikewright.engines.event.simulation import EventSimulation
from spikewright.engines.reference import Simulation
from spikewright.errors import GraphError
from spikewright.forward import run
from spikewright.frontends.common.gathers import moved_by
from spikewright.frontends.common.moves import NodePlan
from spikewright.frontends.common.products import contracted, equation
from spikewright.frontends.common.refusals import Refusal
from spikewright.graph import Array, Graph, Node, Shape
from spikewright.nodes import IF, Input, Output, Resample, Take
from spikewright.storage.graphs import arrays_of, entry, node_of
from spikewright.synapse_graph import synapses

SEEDS = st.integers(0, 10**6)
NEURONS = {"threshold": np.ones(()), "v_init": np.full((), 0.5)}


def resample(shape: Shape, pick: np.random.Generator) -> Resample:
    """Weights along some axes of a map, many of them nothing; axes without a matrix stay."""
    matrices = [pick.integers(-4, 5, (pick.integers(1, 5), n)) / 8 if pick.random() < 0.7 else None for n in shape[1:]]
    weights = [m.ravel() for m in matrices if m is not None]
    sizes = tuple((0, 0) if m is None else m.shape for m in matrices)
    return Resample(name="fixed", inputs=("a",), weights=np.concatenate([np.zeros(0), *weights]), sizes=sizes)


def take(shape: Shape, pick: np.random.Generator) -> Take:
    """Positions along some axes, some of them several times."""
    read = tuple(tuple(int(k) for k in pick.integers(0, n, pick.integers(0, 5))) for n in shape)
    return Take(name="fixed", inputs=("a",), positions=read)


def drawn(seed: int) -> tuple[Node, Shape, Array]:
    """A node, the shape it reads, and the matrix that it is."""
    pick = np.random.default_rng(seed)
    shape = tuple(int(n) for n in pick.integers(1, 5, pick.integers(2, 5)))
    node = (take if seed % 2 else resample)(shape, pick)
    graph = Graph([Input(name="a", shape=shape), node, Output(name="y", inputs=("fixed",))])
    units = np.eye(int(np.prod(shape)), dtype=np.float32).reshape(-1, *shape)
    return node, shape, run(graph, units, dtype="float64")["y"].reshape(len(units), -1).T


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_engines_and_synapses_are_what_the_values_say(seed: int) -> None:
    node, shape, matrix = drawn(seed)
    nodes = [Input(name="x", shape=shape), IF(name="a", inputs=("x",), **NEURONS), node]
    graph = Graph([*nodes, IF(name="b", inputs=("fixed",), **NEURONS), Output(name="y", inputs=("b",))])
    x = torch.from_numpy(np.random.default_rng(1).integers(0, 9, (2, *shape)).astype(np.float32) / 8)
    records = ("spikes", "nonzero")
    same(graph, Simulation(graph).run(x, 6, Constant(), records), EventSimulation(graph).run(x, 6, Constant(), records))
    stream = synapses(graph, pool_weight="mean")
    (one,) = (p for p in stream.projections if (p.path.source.name, p.path.dest.name) == ("a", "b"))
    found = columns(stream, [one])
    listed = np.zeros_like(matrix)
    np.add.at(listed, (flat(found, "dest", graph.shapes["b"]), flat(found, "source", shape)), found["weight"])
    np.testing.assert_array_equal(listed, matrix)
    assert one.fan_out().sum() == one.fan_in().sum() == one.synapses
    assert node_of(entry(node), arrays_of([node])).alike(node)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(GraphError, match="reads positions from 0 to 3 of axis 1, of 3"):
        take((2, 3), np.random.default_rng(0)).replace(positions=((), (0, 3))).infer_shape((2, 3))
    with pytest.raises(GraphError, match="do not fit"):
        Resample(name="r", inputs=("a",), weights=np.ones(6), sizes=((2, 3),)).infer_shape((1, 4))


def applied(plans: list[NodePlan], x: Array) -> Array:
    """What nodes make of a batch, one behind the other."""
    nodes: list[Node] = [Input(name="n0", shape=x.shape[1:])]
    for k, plan in enumerate(plans, start=1):
        nodes.append(plan.kind(name=f"n{k}", inputs=(f"n{k - 1}",), **plan.fields))
    return run(Graph([*nodes, Output(name="y", inputs=(nodes[-1].name,))]), x, dtype="float64")["y"]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.flip(x, 2),
        lambda x: np.roll(x, (1, 2), (1, 3)),
        lambda x: np.rot90(x, 1, (1, 3)),
        lambda x: np.repeat(np.tile(x, (1, 2, 1, 1)), 3, 2),
        lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, 2),
        lambda x: np.broadcast_to(x[:, :, None, :1], (2, 3, 5, 1, 5)),
        lambda x: np.diagonal(x, 0, 2, 3),
        lambda x: x[:, [0, 2, 1], [1, 1, 0]],
        lambda x: np.tril(x),
        lambda x: x.transpose(0, 3, 1, 2).reshape(2, 5, 12)[:, ::-1],
    ],
)
def test_any_move_is_read_off_numbers(function: object) -> None:
    """Axes that hang together, as in a diagonal, are listed place by place."""
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    assert callable(function)
    np.testing.assert_array_equal(applied(moved_by(function, (3, 4, 5)), x), function(x))


@pytest.mark.parametrize("function", [lambda x: x[::-1], lambda x: x + 1, lambda x: x[:1], lambda x: x.mean(0)])
def test_samples_that_mix_are_refused(function: object) -> None:
    assert callable(function)
    with pytest.raises(Refusal, match="samples would mix"):
        moved_by(function, (3, 4))


@pytest.mark.parametrize(
    ("text", "shape", "weight"),
    [
        ("bij,jk->bik", (3, 4), (4, 5)),
        ("bij,ik->bkj", (3, 4), (3, 5)),
        ("bij,ij->b", (3, 4), (3, 4)),
        ("bijk,ikl->bjil", (3, 4, 5), (3, 5, 2)),
        ("b...c,co->b...o", (2, 3, 4), (4, 5)),
        ("bij,kl->bjk", (3, 4), (2, 3)),
        ("bij,j->bji", (3, 4), (4,)),
        ("bi,jk->bikj", (3,), (2, 4)),
    ],
)
def test_products_with_a_constant(text: str, shape: Shape, weight: Shape) -> None:
    pick = np.random.default_rng(0)
    x, w = pick.normal(size=(2, *shape)).astype(np.float32), pick.normal(size=weight).astype(np.float32)
    data, of_weight, result = equation(text, (len(shape) + 1, len(weight)), 0)
    found = applied(contracted(shape, data, w, of_weight, result), x)
    np.testing.assert_allclose(found.reshape(np.einsum(text, x, w).shape), np.einsum(text, x, w), atol=1e-5)
