"""Calibration rectifies on the way where nobody else reads what a rectifier reads: nothing that comes of it changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import networks
from spikewright.calibration import Statistics, calibrate
from spikewright.calibration.requests import _native
from spikewright.forward import Forward, InPlace
from spikewright.graph import Graph
from spikewright.nodes import Add, Conv, Flatten, Input, Linear, Output, ReLU

pytest.importorskip("spikewright.calibration.requests._activations")
RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
WEIGHT = RNG.normal(size=(4, 4)).astype(np.float32)


def linear(name: str, reads: str) -> Linear:
    return Linear(name=name, inputs=(reads,), weight=WEIGHT, bias=np.full(4, 0.1, np.float32))


CHAIN = [Input(name="x", shape=(4,)), linear("a", "x"), ReLU(name="r", inputs=("a",))]
GRAPHS = {
    "alone": [*CHAIN, linear("b", "r"), Output(name="y", inputs=("b",))],
    "read before": [
        *CHAIN[:2],
        linear("b", "a"),
        CHAIN[2],
        Add(name="s", inputs=("r", "b")),
        Output(name="y", inputs=("s",)),
    ],
    "read after": [*CHAIN, Add(name="s", inputs=("r", "a")), Output(name="y", inputs=("s",))],
    "two rectifiers": [
        *CHAIN,
        ReLU(name="t", inputs=("a",)),
        Add(name="s", inputs=("r", "t")),
        Output(name="y", inputs=("s",)),
    ],
    "of the input": [CHAIN[0], ReLU(name="r", inputs=("x",)), Output(name="y", inputs=("r",))],
    "its input is an answer": [
        *CHAIN[:2],
        Output(name="y", inputs=("a",)),
        CHAIN[2],
        Output(name="z", inputs=("r",)),
    ],
    "a view was taken before": [
        Input(name="x", shape=(4,)),
        linear("a", "x"),
        Flatten(name="f", inputs=("a",)),
        ReLU(name="r", inputs=("a",)),
        Add(name="s", inputs=("f", "r")),
        Output(name="y", inputs=("s",)),
    ],
    "of a sum of one": [
        CHAIN[0],
        Add(name="s", inputs=("x",)),
        ReLU(name="r", inputs=("s",)),
        Output(name="y", inputs=("r",)),
    ],
    "of a sum": [
        *CHAIN[:2],
        linear("b", "a"),
        Add(name="s", inputs=("a", "b")),
        ReLU(name="r", inputs=("s",)),
        Output(name="y", inputs=("r",)),
    ],
    "a view": [
        Input(name="x", shape=(1, 2, 2)),
        Flatten(name="f", inputs=("x",)),
        ReLU(name="r", inputs=("f",)),
        linear("b", "r"),
        Output(name="y", inputs=("b",)),
    ],
    "with a ceiling": [*CHAIN[:2], ReLU(name="r", inputs=("a",), ceiling=0.5), Output(name="y", inputs=("r",))],
}
IN_PLACE = {"alone", "of a sum"}


class Watch(InPlace):
    """Rectifies by itself, and says that it did."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []
        self.overwritten = 0

    def __call__(self, value: torch.Tensor) -> None:
        self.seen.append(value.clone())

    def overwrite(self, x: torch.Tensor) -> bool:
        x.relu_()
        self.overwritten += 1
        self(x)
        return True


@pytest.mark.parametrize("name", GRAPHS)
def test_only_what_nobody_else_needs_is_overwritten(name: str) -> None:
    graph = Graph(GRAPHS[name])
    x = torch.from_numpy(RNG.normal(size=(5, *graph.sample_shape)).astype(np.float32))
    before, plain = x.clone(), Forward(graph)(x)
    watches = {node.name: Watch() for node in graph.of_type(ReLU) if node.ceiling is None}
    found = Forward(graph)(x, watches)
    assert torch.equal(x, before)
    for answer, value in plain.items():
        assert torch.equal(found[answer], value)
    assert any(one.overwritten for one in watches.values()) == (name in IN_PLACE)
    assert all(len(one.seen) == 1 for one in watches.values())


def assert_equal(one: Statistics, other: Statistics) -> None:
    assert one.scores == other.scores
    assert one.inputs == other.inputs
    for name, node in one.nodes.items():
        twin = other.nodes[name]
        assert node.count == twin.count
        assert (node.positives == twin.positives).all()
        assert (node.maximum == twin.maximum).all()
        for key, arrays in node.results.items():
            for label, array in arrays.items():
                assert np.array_equal(array, twin.results[key][label], equal_nan=True), (name, key, label)


def residual() -> Graph:
    builder = networks.residual(3)
    return builder.graph()


@pytest.mark.parametrize("make", [lambda: networks.plain(1).graph(), residual, lambda: Graph(GRAPHS["alone"])])
@pytest.mark.parametrize("threads", [1, 2])
def test_statistics_are_the_same_to_the_bit(
    make: Callable[[], Graph], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = make()
    x = np.random.default_rng(1).normal(size=(70, *graph.sample_shape)).astype(np.float32)
    methods = ["max", "percentile:99", "percentile:90,channels", "percentile:50,zeros", "mmse"]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = calibrate(graph, x, methods, batch_size=16)
        monkeypatch.setattr(_native, "module", lambda: None)
        assert_equal(found, calibrate(graph, x, methods, batch_size=16))
    finally:
        torch.set_num_threads(before)


def test_what_lies_otherwise_in_memory_is_left_as_it_is() -> None:
    """Channels last, as torch gives convolutions of such inputs."""
    graph = Graph(
        [
            Input(name="x", shape=(3, 6, 6)),
            Conv(
                name="c",
                inputs=("x",),
                weight=KERNEL,
                bias=np.zeros(4),
                stride=(1, 1),
                padding=((1, 1), (1, 1)),
                dilation=(1, 1),
                groups=1,
            ),
            ReLU(name="r", inputs=("c",)),
            Output(name="y", inputs=("r",)),
        ]
    )
    x = RNG.normal(size=(8, 6, 6, 3)).astype(np.float32)
    found = calibrate(graph, np.moveaxis(x, -1, 1), "percentile:99,channels", batch_size=4)
    assert_equal(
        found, calibrate(graph, np.ascontiguousarray(np.moveaxis(x, -1, 1)), "percentile:99,channels", batch_size=4)
    )
