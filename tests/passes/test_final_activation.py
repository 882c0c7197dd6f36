"""The activation at the end moves into the readout, or goes, wherever only moving nodes stand behind it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikewright.answer import own_ending
from spikewright.conversion import what_became
from spikewright.errors import UnsupportedModelError
from spikewright.forward import run
from spikewright.graph import Graph, Node
from spikewright.nodes import (
    AvgPool,
    Concat,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Identity,
    Input,
    Linear,
    MaxPool,
    Output,
    Pad,
    Permute,
    ReLU,
    Reshape,
    Sigmoid,
    Softmax,
    Tanh,
    Upsample,
)
from spikewright.preparation import prepare

MAP = (4, 4, 2)
ENDINGS: dict[str, Callable[[str, str, int], Node]] = {
    "relu": lambda name, source, _: ReLU(name=name, inputs=(source,)),
    "relu6": lambda name, source, _: ReLU(name=name, inputs=(source,), ceiling=1.5),
    "sigmoid": lambda name, source, _: Sigmoid(name=name, inputs=(source,)),
    "tanh": lambda name, source, _: Tanh(name=name, inputs=(source,)),
    "softmax": lambda name, source, axis: Softmax(name=name, inputs=(source,), axis=axis),
    "log_softmax": lambda name, source, axis: Softmax(name=name, inputs=(source,), axis=axis, log=True),
}


class Ends:
    """A network of heads, each a layer, an activation, and nodes that move values in random order."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[Node] = [Input(name="input", shape=(6,))]
        self.ends: list[str] = []

    def add(self, node: Node) -> str:
        self.nodes.append(node)
        return node.name

    def fresh(self, word: str) -> str:
        return f"{word}{len(self.nodes)}"

    def layer(self) -> str:
        weight, bias = self.random.normal(size=(32, 6)), self.random.normal(size=32)
        name = self.add(Linear(name=self.fresh("layer"), inputs=("input",), weight=weight, bias=bias))
        return self.add(Reshape(name=self.fresh("map"), inputs=(name,), shape=MAP))

    def ended(self, source: str, kind: str, axis: int) -> str:
        return self.add(ENDINGS[kind](self.fresh(kind), source, axis))

    def moved(self, at: str, kind: str, axis: int) -> tuple[str, int]:
        """Behind one more node that moves values, and where the axis of a softmax lies then."""
        shape = Graph(self.nodes).shapes[at]
        rows, spatial = "softmax" in kind, len(shape) - 1
        moves = ["identity", "permute", *(["upsample", "crop", "pick"] if spatial in (1, 2) else [])]
        moves += [] if rows else ["flatten", "largest"] if spatial in (1, 2) else ["flatten"]
        move = str(self.random.choice(moves))
        name = self.fresh(move)
        if move == "identity":
            return self.add(Identity(name=name, inputs=(at,), source="dropout")), axis
        if move == "permute":
            axes = tuple(int(a) for a in self.random.permutation(len(shape)))
            return self.add(Permute(name=name, inputs=(at,), axes=axes)), axes.index(axis) if rows else 0
        if move == "upsample":
            factor = tuple(1 if rows and k + 1 == axis else 2 for k in range(spatial))
            return self.add(Upsample(name=name, inputs=(at,), factor=factor)), axis
        if move == "crop":
            side = int(self.random.integers(len(shape)))
            cut = shape[side] > 1 and not (rows and side == axis)
            padding = tuple((0, -1) if cut and k == side else (0, 0) for k in range(len(shape)))
            return self.add(Pad(name=name, inputs=(at,), padding=padding)), axis
        if move == "pick" and not (rows and axis):
            one = {"kernel": (1,) * spatial, "stride": (2,) * spatial, "padding": ((0, 0),) * spatial}
            if self.random.integers(2):
                return self.add(MaxPool(name=name, inputs=(at,), dilation=(1,) * spatial, **one)), axis
            return self.add(AvgPool(name=name, inputs=(at,), **one)), axis
        if move == "largest" and kind in ("sigmoid", "tanh"):
            return self.add(GlobalMaxPool(name=name, inputs=(at,))), axis
        if move == "flatten":
            return self.add(Flatten(name=name, inputs=(at,))), axis
        return at, axis

    def head(self) -> str:
        kind = str(self.random.choice([*ENDINGS]))
        axis = int(self.random.integers(3))
        at = self.ended(self.layer(), kind, axis)
        if self.random.integers(3) == 0:  # two parts with the same activation, side by side
            side = (axis + 1) % 3
            other = self.ended(self.layer(), kind, axis)
            at = self.add(Concat(name=self.fresh("concat"), inputs=(at, other), axis=side))
        for _ in range(self.random.integers(4)):
            at, axis = self.moved(at, kind, axis)
        return at

    def graph(self) -> Graph:
        heads = [self.head() for _ in range(self.random.integers(1, 3))]
        if self.random.integers(3) == 0:  # the values before an activation are an answer too
            heads.append(next(node.name for node in self.nodes if node.name.startswith("map")))
        if self.random.integers(3) == 0:
            heads.append(heads[0])
        outputs = [Output(name=f"out{k}", inputs=(at,)) for k, at in enumerate(heads)]
        return Graph([*self.nodes, *outputs])


def samples(graph: Graph) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, *graph.sample_shape)).astype(np.float32)


def same(before: Graph, after: Graph) -> None:
    x = samples(before)
    old, new = run(before, x), run(after, x)
    assert old.keys() == new.keys()
    for name, values in old.items():
        assert values.shape == new[name].shape
        np.testing.assert_allclose(new[name], values, atol=1e-5, err_msg=name)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_every_ending_moves_into_the_readout_or_goes(seed: int) -> None:
    graph = Ends(seed).graph()
    kept, changes = prepare(graph)
    same(graph, kept)
    assert not [node for node in kept if own_ending(node)]
    assert {change.verb for change in changes if change.was in ("ReLU", "Softmax", "Sigmoid", "Tanh")} == {"applied"}
    assert not prepare(kept)[1]
    dropped, _ = prepare(graph, answer="drop")
    same(graph.without(*(node.name for node in graph if own_ending(node))), dropped)
    assert all(output.activation is None for output in dropped.of_type(Output))
    assert (kept.meta["answer"], dropped.meta["answer"]) == ("keep", "drop")
    again, _ = prepare(kept, answer="drop")
    same(dropped, again)


def ends(*nodes: Node, shape: tuple[int, ...] = (2, 3), inputs: tuple[str, ...] = ("last",)) -> Graph:
    outputs = [Output(name=f"out{k}" if k else "output", inputs=(name,)) for k, name in enumerate(inputs)]
    return Graph([Input(name="input", shape=shape), *nodes, *outputs])


def test_an_activation_that_something_else_reads_stays_for_it() -> None:
    graph = ends(
        Flatten(name="flat", inputs=("input",)),
        ReLU(name="hidden", inputs=("flat",)),
        Reshape(name="shaped", inputs=("hidden",), shape=(3, 2)),
        Linear(name="next", inputs=("hidden",), weight=np.ones((2, 6)), bias=np.zeros(2)),
        Flatten(name="row", inputs=("shaped",)),
        Linear(name="also", inputs=("row",), weight=np.ones((2, 6)), bias=np.zeros(2)),
        inputs=("shaped", "next", "also"),
    )
    kept, changes = prepare(graph)
    same(graph, kept)
    assert [(o.activation, kept.sources(o)[0].name) for o in kept.of_type(Output)] == [
        ("relu", "shaped_bare_to_output"),
        (None, "next"),
        (None, "also"),
    ]
    assert {"hidden", "shaped"} <= set(kept.by_name)
    assert "hidden" not in {change.node for change in changes}
    assert what_became(graph, changes)["hidden"] == "replaced by IF"


def test_one_of_two_activations_in_a_row_is_applied_and_all_are_dropped() -> None:
    graph = ends(ReLU(name="relu", inputs=("input",)), Softmax(name="last", inputs=("relu",)), shape=(4,))
    kept, _ = prepare(graph)
    same(graph, kept)
    assert (kept["output"].activation, kept.of_type(ReLU)[0].name) == ("softmax", "relu")
    dropped, _ = prepare(graph, answer="drop")
    assert not dropped.of_type(ReLU)


def test_steps_at_the_end_stay_what_neurons_count() -> None:
    graph = ends(ReLU(name="last", inputs=("input",), ceiling=2.0, levels=4))
    for answer in ("keep", "drop"):
        folded, _ = prepare(graph, answer=answer)
        same(graph, folded)
        assert folded.of_type(ReLU)[0].levels == 4
        assert folded["output"].activation is None


ONE = AvgPool(name="last", inputs=("act",), kernel=(2,), stride=(2,), padding=((0, 0),))
PARTS = (Pad(name="half", inputs=("input",), padding=((0, 0), (0, -2))), Sigmoid(name="act", inputs=("half",)))
ONLY_DROPPED = {
    "a softmax of one part": (
        Pad(name="half", inputs=("input",), padding=((0, -1), (0, 0))),
        Softmax(name="act", inputs=("half",), axis=0),
        Concat(name="last", inputs=("act", "act"), axis=0),
    ),
    "a softmax over rows that are joined": (
        Softmax(name="act", inputs=("input",), axis=1),
        Flatten(name="last", inputs=("act",)),
    ),
    "a sigmoid of one part": (*PARTS, Concat(name="last", inputs=("act", "input"), axis=1)),
    "two activations side by side": (
        *PARTS,
        Tanh(name="other", inputs=("input",)),
        Concat(name="last", inputs=("act", "other"), axis=1),
    ),
}


@pytest.mark.parametrize("case", ONLY_DROPPED)
def test_what_is_no_one_function_of_the_answer_can_only_be_dropped(case: str) -> None:
    graph = ends(*ONLY_DROPPED[case], shape=(2, 4))
    with pytest.raises(UnsupportedModelError, match=r"at 'act': the readout applies one activation.*answer='drop'"):
        prepare(graph)
    dropped, _ = prepare(graph, answer="drop")
    same(graph.without(*(node.name for node in graph if own_ending(node))), dropped)


INSIDE = {
    "averaged": (Sigmoid(name="act", inputs=("input",)), ONE),
    "padded": (Sigmoid(name="act", inputs=("input",)), Pad(name="last", inputs=("act",), padding=((0, 0), (1, 0)))),
    "followed by a softmax": (Tanh(name="act", inputs=("input",)), Softmax(name="last", inputs=("act",))),
    "pooled": (Softmax(name="act", inputs=("input",)), GlobalMaxPool(name="last", inputs=("act",))),
    "averaged over all": (Softmax(name="act", inputs=("input",)), GlobalAvgPool(name="last", inputs=("act",))),
}


@pytest.mark.parametrize("case", INSIDE)
@pytest.mark.parametrize("answer", ["keep", "drop"])
def test_inside_a_network_there_is_none(case: str, answer: str) -> None:
    with pytest.raises(UnsupportedModelError, match=r"(Sigmoid|Tanh|Softmax) at 'act': only the end of a network may"):
        prepare(ends(*INSIDE[case], shape=(2, 4)), answer=answer)


def test_zeros_around_what_stays_zero() -> None:
    for kind in (Tanh, ReLU):
        graph = ends(kind(name="act", inputs=("input",)), Pad(name="last", inputs=("act",), padding=((0, 1), (2, 0))))
        kept, _ = prepare(graph)
        same(graph, kept)
        assert kept["output"].activation == kind.__name__.lower()
