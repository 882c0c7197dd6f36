"""Every kind of layer against nested loops, on random settings."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listing import Row, between, rows
from spikewright.errors import GraphError
from spikewright.graph import Graph, Node
from spikewright.nodes import (
    IF,
    AdaptiveAvgPool,
    AvgPool,
    ChannelAffine,
    Conv,
    ConvTranspose,
    Flatten,
    Input,
    Linear,
    Output,
    SpikeMaxPool,
    SumPool,
)
from spikewright.synapse_graph import synapses

random = np.random.default_rng(0)


def place(channel: int, position: tuple[int, ...]) -> tuple[int, ...]:
    """(row, column, channel); what a layer lacks is 0."""
    return (*(*position, 0, 0)[:2], channel)


@st.composite
def windows(draw: st.DrawFn) -> dict[str, tuple[object, ...]]:
    """Kernel, stride, padding and dilation over one or two axes: any, and different along each."""
    axes = draw(st.integers(1, 2))
    numbers = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(axes))  # noqa: E731
    padding = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(axes))
    return {
        "spatial": numbers(3, 6),
        "kernel": numbers(1, 3),
        "stride": numbers(1, 3),
        "padding": padding,
        "dilation": numbers(1, 2),
    }


def fits(node: Node, shape: tuple[int, ...]) -> bool:
    try:
        return min(node.infer_shape(shape)) >= 1
    except GraphError:
        return False


@given(windows(), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2))
@settings(max_examples=120, deadline=None)
def test_convolutions(window: dict[str, tuple[int, ...]], groups: int, inputs: int, outputs: int) -> None:
    weight = random.normal(size=(groups * outputs, inputs, *window["kernel"])).astype(np.float32)
    keep = {key: window[key] for key in ("stride", "padding", "dilation")}
    conv = Conv(name="conv", inputs=("input",), weight=weight, bias=np.zeros(groups * outputs), groups=groups, **keep)
    shape = (groups * inputs, *window["spatial"])
    if not fits(conv, shape):
        return
    expected: list[Row] = []
    for out in product(*map(range, conv.infer_shape(shape)[1:])):
        for tap in product(*map(range, window["kernel"])):
            axes = zip(out, tap, *keep.values(), strict=True)
            at = tuple(o * stride - low + k * dilation for o, k, stride, (low, _), dilation in axes)
            if all(0 <= a < n for a, n in zip(at, window["spatial"], strict=True)):
                for f in range(groups * outputs):
                    for c in range(inputs):
                        source = place(f // outputs * inputs + c, at)
                        expected.append((source, place(f, out), float(weight[(f, c, *tap)])))
    assert rows(synapses(between(conv, shape=shape))) == sorted(expected)


@given(windows(), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2))
@settings(max_examples=120, deadline=None)
def test_transposed_convolutions(window: dict[str, tuple[int, ...]], groups: int, inputs: int, outputs: int) -> None:
    weight = random.normal(size=(groups * inputs, outputs, *window["kernel"])).astype(np.float32)
    keep = {key: window[key] for key in ("stride", "padding", "dilation")}
    up = ConvTranspose(
        name="up", inputs=("input",), weight=weight, bias=np.zeros(groups * outputs), groups=groups, **keep
    )
    shape = (groups * inputs, *window["spatial"])
    if not fits(up, shape):
        return
    expected: list[Row] = []
    made = up.infer_shape(shape)[1:]
    for at in product(*map(range, window["spatial"])):
        for tap in product(*map(range, window["kernel"])):
            axes = zip(at, tap, *keep.values(), strict=True)
            out = tuple(i * stride + k * dilation - low for i, k, stride, (low, _), dilation in axes)
            if all(0 <= o < n for o, n in zip(out, made, strict=True)):
                for c in range(groups * inputs):
                    for f in range(outputs):
                        dest = place(c // inputs * outputs + f, out)
                        expected.append((place(c, at), dest, float(weight[(c, f, *tap)])))
    assert rows(synapses(between(up, shape=shape))) == sorted(expected)


@given(windows(), st.integers(1, 3), st.booleans(), st.sampled_from(["avg", "sum", "max"]))
@settings(max_examples=120, deadline=None)
def test_pools(window: dict[str, tuple[int, ...]], channels: int, count_padding: bool, kind: str) -> None:
    keep = {key: window[key] for key in ("kernel", "stride", "padding")}
    make = {"avg": AvgPool, "sum": SumPool, "max": SpikeMaxPool}[kind]
    more = {"avg": {"count_padding": count_padding}, "sum": {}, "max": {"dilation": window["dilation"]}}[kind]
    pool = make(name="pool", inputs=("input",), **keep, **more)
    shape = (channels, *window["spatial"])
    if not fits(pool, shape):
        return
    dilation = window["dilation"] if kind == "max" else (1,) * len(window["kernel"])
    neutral: list[Row] = []
    mean: list[Row] = []
    for out in product(*map(range, pool.infer_shape(shape)[1:])):
        inside = []
        for tap in product(*map(range, window["kernel"])):
            axes = zip(out, tap, window["stride"], window["padding"], dilation, strict=True)
            at = tuple(o * stride - low + k * d for o, k, stride, (low, _), d in axes)
            if all(0 <= a < n for a, n in zip(at, window["spatial"], strict=True)):
                inside.append(at)
        area = int(np.prod(window["kernel"])) if count_padding else len(inside)
        for c, at in product(range(channels), inside):
            neutral.append((place(c, at), place(c, out), 1.0))
            mean.append((place(c, at), place(c, out), float(np.float32(1 / area)) if kind == "avg" else 1.0))
    graph = between(pool, shape=shape)
    dest = "pool"
    assert rows(synapses(graph), dest) == sorted(neutral)
    for (*found, weight), (*wanted, share) in zip(
        rows(synapses(graph, pool_weight="mean"), dest), sorted(mean), strict=True
    ):
        assert found == wanted
        assert weight == pytest.approx(share, rel=1e-6)


@given(st.lists(st.integers(2, 7), min_size=1, max_size=2), st.data())
@settings(max_examples=60, deadline=None)
def test_adaptive_pools(spatial: list[int], data: st.DataObject) -> None:
    size = tuple(data.draw(st.integers(1, n)) for n in spatial)
    expected: list[Row] = []
    for out in product(*map(range, size)):
        spans = [range(o * n // m, -(-(o + 1) * n // m)) for o, n, m in zip(out, spatial, size, strict=True)]
        for c, at in product(range(2), product(*spans)):
            expected.append((place(c, at), place(c, out), float(np.float32(1 / np.prod([len(s) for s in spans])))))
    pool = AdaptiveAvgPool(name="pool", inputs=("input",), size=size)
    found = rows(synapses(between(pool, shape=(2, *spatial)), pool_weight="mean"), "pool")
    assert [row[:2] for row in found] == [row[:2] for row in sorted(expected)]
    np.testing.assert_allclose([row[2] for row in found], [row[2] for row in sorted(expected)], rtol=1e-6)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_dense_layers_behind_a_flattened_map(channels: int, height: int, width: int, outputs: int) -> None:
    weight = random.normal(size=(outputs, channels * height * width)).astype(np.float32)
    flatten = Flatten(name="flatten", inputs=("input",))
    linear = Linear(name="linear", inputs=("flatten",), weight=weight, bias=np.zeros(outputs))
    expected = [
        ((r, k, c), (0, 0, f), float(weight[f, (c * height + r) * width + k]))
        for c, r, k, f in product(range(channels), range(height), range(width), range(outputs))
    ]
    assert rows(synapses(between(flatten, linear, shape=(channels, height, width)))) == sorted(expected)


@pytest.mark.parametrize("per_neuron", [False, True])
def test_one_to_one(per_neuron: bool) -> None:
    scale = random.normal(size=(2, 3, 4) if per_neuron else 2).astype(np.float32)
    affine = ChannelAffine(name="affine", inputs=("input",), scale=scale, bias=np.zeros(2))
    wide = scale if per_neuron else np.broadcast_to(scale[:, None, None], (2, 3, 4))
    expected = [((r, k, c), (r, k, c), float(wide[c, r, k])) for c, r, k in np.ndindex(2, 3, 4)]
    assert rows(synapses(between(affine, shape=(2, 3, 4)))) == sorted(expected)


def test_three_axes_count_planes_into_the_rows() -> None:
    weight = random.normal(size=(2, 1, 2, 1, 2)).astype(np.float32)
    none, one = ((0, 0),) * 3, (1, 1, 1)
    conv = Conv(name="conv", inputs=("input",), weight=weight, bias=np.zeros(2), stride=one, padding=none, dilation=one)
    expected = []
    for d, r, k in np.ndindex(2, 3, 3):
        for f, i, j in np.ndindex(2, 2, 2):
            expected.append((((d + i) * 3 + r, k + j, 0), (d * 3 + r, k, f), float(weight[f, 0, i, 0, j])))
    assert rows(synapses(between(conv, shape=(1, 3, 3, 4)))) == sorted(expected)


def test_neurons_right_behind_the_input() -> None:
    neurons = IF(name="neurons", inputs=("input",), threshold=1.0, v_init=0.5)
    ends = Input(name="input", shape=(2, 2, 3)), Output(name="output", inputs=("neurons",))
    expected = [((r, k, c), (r, k, c), 1.0) for c, r, k in np.ndindex(2, 2, 3)]
    assert rows(synapses(Graph([ends[0], neurons, ends[1]]))) == sorted(expected)
