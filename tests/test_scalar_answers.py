"""Networks whose answer has no axes, one number a sample: everything that can be done with others can be with these."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

import spikewright as sw
from spikewright.cli.app import app
from spikewright.engines.run import Run
from spikewright.errors import GraphError
from spikewright.forward import run
from spikewright.graph import Array, Graph
from spikewright.nodes import Input, Output
from spikewright.rates import simulated_rates
from spikewright.synapse_graph import synapses
from test_answers import ENGINES, T, X, answers, dyadic, quarters, scales_of, spiking

PICTURES = quarters(6, 8, 1, 5, 5)


class Parts(nn.Module):
    def __init__(self, function: Callable[[Parts, Tensor], Any]) -> None:
        super().__init__()
        self.first, self.second, self.one = nn.Linear(4, 5), nn.Linear(5, 3), nn.Linear(5, 1)
        self.conv = nn.Conv2d(1, 2, 3)
        self.vector = nn.Parameter(torch.zeros(5))
        self.function = function

    def hidden(self, x: Tensor) -> Tensor:
        return self.first(x).relu() if x.ndim == 2 else self.conv(x).relu()

    def number(self, x: Tensor) -> Tensor:
        return self.one(self.hidden(x)).squeeze(1)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


ROWS: dict[str, Callable[[Parts, Tensor], Any]] = {
    "squeeze": lambda m, x: m.number(x),
    "view": lambda m, x: m.one(m.hidden(x)).view(-1),
    "one of several": lambda m, x: m.second(m.hidden(x))[:, 0],
    "mean": lambda m, x: m.hidden(x)[:, :4].mean(1),
    "sum": lambda m, x: m.hidden(x).sum(1),
    "largest": lambda m, x: m.hidden(x).amax(1),
    "product with a vector": lambda m, x: m.hidden(x) @ m.vector,
    "relu": lambda m, x: m.number(x).relu(),
    "ceiling": lambda m, x: m.number(x).clamp(0, 1.5),
    "sigmoid": lambda m, x: m.number(x).sigmoid(),
    "tanh before": lambda m, x: torch.tanh(m.one(m.hidden(x))).flatten(),
    "scaled and shifted": lambda m, x: m.number(x) * 2 + 1,
    "a sum of numbers": lambda m, x: m.number(x) + m.hidden(x).sum(1),
    "neurons on a number": lambda m, x: m.number(x).relu() * 0.5,
    "in the middle": lambda m, x: torch.cat([(m.number(x) - 1).relu().unsqueeze(1), m.second(m.hidden(x))], 1),
    "beside others": lambda m, x: (m.number(x), m.second(m.hidden(x)).softmax(1), m.number(x).sigmoid()),
    "dropout": lambda m, x: nn.functional.dropout(m.number(x), training=m.training),
    "of the input": lambda _, x: x.mean(1),
}
MAPS: dict[str, Callable[[Parts, Tensor], Any]] = {
    "mean of a map": lambda m, x: m.hidden(x)[:, :, :2, :2].mean(dim=(1, 2, 3)),
    "sum of a map": lambda m, x: m.hidden(x).sum(dim=(1, 2, 3)),
    "largest of a map": lambda m, x: m.hidden(x).amax(dim=(1, 2, 3)),
}
CASES = {**{name: (f, X) for name, f in ROWS.items()}, **{name: (f, PICTURES) for name, f in MAPS.items()}}
DEEP = ("neurons on a number", "in the middle")
"""With a second layer of neurons, whose counts are exact only in the long run."""


def loaded(name: str) -> tuple[Graph, list[Array], Array]:
    function, x = CASES[name]
    module = dyadic(Parts(function), seed=20)
    with torch.no_grad():
        found = module(torch.from_numpy(x))
    graph = sw.load(module, example=torch.from_numpy(x))
    return graph, [value.numpy() for value in (found if isinstance(found, tuple) else (found,))], x


@pytest.mark.parametrize("name", CASES)
def test_a_number_is_an_answer(name: str, tmp_path: Path) -> None:
    graph, expected, x = loaded(name)
    folded, _ = sw.prepare(graph)
    for value, found in zip(expected, run(folded, x).values(), strict=True):
        assert found.shape == value.shape
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6)
    assert not sw.prepare(folded)[1]
    assert set(scales_of(graph, x)) >= {output.name for output in graph.of_type(Output)}
    net = spiking(folded)
    for engine in ENGINES:
        for value, found in zip(expected, answers(net, x, engine).values(), strict=True):
            assert found.shape == (len(x), T, *value.shape[1:])
            np.testing.assert_allclose(found[:, -1], value, rtol=1e-5, atol=0.1 if name in DEEP else 1e-6)
    for value, found in zip(expected, run(net.normalised, x).values(), strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6)
    sw.save(net, tmp_path / "n.safetensors")
    again = sw.load(tmp_path / "n.safetensors")
    assert again == net
    for text in ("max", "max:channels"):
        method = sw.threshold_method(text)
        scales = sw.calibrate(folded, x, [method]).scales(method)
        for options in ({"view": "thresholds"}, {"view": "weights"}):
            poisson = sw.simulate(sw.convert(graph, scales, **options), np.abs(x).clip(0, 1), 16, encoder="poisson")
            assert all(np.isfinite(output).all() for output in poisson.outputs.values())


def test_measures_synapses_and_counts_of_a_number() -> None:
    for name in ("squeeze", "neurons on a number"):
        graph, expected, x = loaded(name)
        scales = scales_of(graph, x)
        for readout in ("potential", "count"):
            net = sw.convert(graph, scales, readout=readout)
            found = sw.simulate(net, x, T, record=("spikes", "potentials", "events"))
            assert isinstance(found, Run)
            goal = np.maximum(expected[0], 0) if readout == "count" else expected[0]
            np.testing.assert_allclose(found.output[:, -1], goal, atol=0.05 * max(np.abs(goal).max(), 1))
            measures = sw.measure(net, x, 16, allow_overlap=True)
            assert all(np.isfinite(layer.firing.mean) for layer in measures.layers.values())
            assert json.dumps(measures.summary())
            edges = synapses(net, simulated_rates(net, x, 8))
            assert len(edges) == sum(batch.num_rows for batch in edges.batches()) > 0


def test_a_number_goes_through_nir(tmp_path: Path) -> None:
    pytest.importorskip("nir")
    graph, expected, x = loaded("sigmoid")
    sw.export(spiking(graph), tmp_path / "n.nir")
    again = sw.load(tmp_path / "n.nir")
    assert (again.shapes["output"], again["output"].scalar) == ((), True)
    np.testing.assert_allclose(sw.simulate(again, x, T).output[:, -1], expected[0], atol=1e-6)


def test_a_number_on_the_command_line(tmp_path: Path) -> None:
    graph, _, x = loaded("sigmoid")
    sw.save(graph, tmp_path / "net.safetensors")
    np.savez(tmp_path / "data.npz", x=x)
    runner = CliRunner()

    def call(*words: str) -> str:
        done = runner.invoke(app, list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    net, data, out = (str(tmp_path / name) for name in ("net.safetensors", "data.npz", "spiking.safetensors"))
    assert "applied to the readout" in call("inspect", net, "--picture", str(tmp_path / "net.svg"))
    assert "dropped" in call("inspect", net, "--answer", "drop")
    assert "scalar" in call("inspect", net)
    call("convert", net, "--data", data, "-o", out)
    assert sw.load(out).answer == "keep"
    written = call("export", out, "-o", str(tmp_path / "n.nir"))
    assert "'output' applies a sigmoid to its readout" in " ".join(written.split())


def test_numbers_from_onnx() -> None:
    onnx = pytest.importorskip("onnx")
    from onnx_models import model

    start = [("Gemm", ["", "w", "b"], {"transB": 1}), ("Relu", [""], {})]
    arrays = {"w": quarters(1, 5, 4), "b": quarters(2, 5)}
    row = {"o": quarters(3, 1, 5), "z": quarters(4, 1)}
    one = [*start, ("Gemm", ["", "o", "z"], {"transB": 1})]
    axes = {"axes": np.array([1])}
    ends: dict[str, tuple[Any, dict[str, Array]]] = {
        "squeeze": ([*one, ("Squeeze", ["", "axes"], {})], {**row, **axes}),
        "reshape": ([*one, ("Reshape", ["", "axes"], {})], {**row, "axes": np.array([-1])}),
        "sigmoid": ([*one, ("Sigmoid", [""], {}), ("Squeeze", ["", "axes"], {})], {**row, **axes}),
        "mean": ([*start, ("ReduceMean", [""], {"axes": [1], "keepdims": 0})], {}),
        "sum": ([*start, ("ReduceSum", ["", "axes"], {"keepdims": 0})], axes),
        "sum, one axis": ([*start, ("ReduceSum", ["", "axes"], {"keepdims": 1})], axes),
        "largest": ([*start, ("ReduceMax", [""], {"axes": [1], "keepdims": 0})], {}),
        "vector": ([*start, ("MatMul", ["", "v"], {})], {"v": quarters(5, 5)}),
        "scaled": (
            [*start, ("MatMul", ["", "v"], {}), ("Mul", ["", "h"], {})],
            {"v": quarters(5, 5), "h": np.float32(2)},
        ),
        "back": (
            [*one, ("Squeeze", ["", "axes"], {}), ("Relu", [""], {}), ("Unsqueeze", ["", "axes"], {})],
            {**row, **axes},
        ),
    }
    for name, (nodes, constants) in ends.items():
        proto = model(nodes, ["N", 4], **arrays, **constants)
        (expected,) = onnx.reference.ReferenceEvaluator(proto).run(None, {"x": X})
        graph = sw.load(proto)
        found = sw.simulate(spiking(graph), X, T).output
        assert found.shape == (len(X), T, *expected.shape[1:]), name
        np.testing.assert_allclose(found[:, -1], expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_numbers_from_keras() -> None:
    from keras_networks import L, keras

    ops = keras.ops
    ends: dict[str, Callable[[Any], Any]] = {
        "reshape": lambda h: L.Reshape(())(L.Dense(1)(h)),
        "squeeze": lambda h: ops.squeeze(L.Dense(1, activation="sigmoid")(h), axis=-1),
        "reshape to the batch": lambda h: ops.reshape(L.Dense(1)(h), (-1,)),
        "mean": lambda h: ops.mean(h, axis=1),
        "sum": lambda h: ops.sum(h, axis=-1),
        "sum, one axis": lambda h: ops.sum(h, axis=1, keepdims=True),
        "largest": lambda h: ops.max(h, axis=1),
        "scaled": lambda h: ops.squeeze(L.Dense(1)(h), axis=1) * 2.0 + 1.0,
        "largest, tanh": lambda h: ops.tanh(ops.amax(h, axis=1)),
    }
    for name, end in ends.items():
        start = keras.Input((4,))
        net = keras.Model(start, end(L.Dense(4, activation="relu")(start)))
        net.set_weights([quarters(30 + k, *w.shape) for k, w in enumerate(net.get_weights())])
        expected = np.asarray(net.predict(X, verbose=0))
        found = sw.simulate(spiking(sw.load(net)), X, T).output
        assert found.shape == (len(X), T, *expected.shape[1:]), name
        np.testing.assert_allclose(found[:, -1], expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_reductions_of_keras_maps() -> None:
    from keras_networks import L, keras, same

    for function in (keras.ops.mean, keras.ops.sum, keras.ops.max):
        for axis in ((1, 2), (1, 2, 3), (1, 3)):
            for keepdims in (False, True):
                start = keras.Input((5, 6, 3))
                same(keras.Model(start, function(L.Conv2D(2, 2)(start), axis=axis, keepdims=keepdims)))


def test_what_is_no_number_cannot_be_one() -> None:
    with pytest.raises(GraphError, match=r"an answer without axes is read from one value, not from \(2,\)"):
        Graph([Input(name="x", shape=(2,)), Output(name="y", inputs=("x",), scalar=True)])
