"""What a network answers: its final activation, from every framework, by every engine, in numbers that are exact.

Weights and inputs are multiples of 1/4 and λ is 16, so that after 256 timesteps every spike count is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import spikewright as sw
from spikewright.conversion import Conversion, spiking_graph
from spikewright.encoders.constant import Constant
from spikewright.engines.cuda.simulation import CudaSimulation
from spikewright.errors import UnsupportedModelError
from spikewright.forward import run
from spikewright.graph import Array, Graph
from spikewright.nodes import Output, ReLU

T = 256
ENGINES = ("reference", "event", "cuda")
ENDINGS: dict[str, tuple[Callable[[], nn.Module], tuple[Any, ...], dict[str, Any]]] = {
    "relu": (nn.ReLU, ("Relu", []), {"activation": "relu"}),
    "relu6": (nn.ReLU6, ("Clip", [0.0, 6.0]), {"activation": "relu", "ceiling": 6.0}),
    "ceiling": (lambda: nn.Hardtanh(0, 0.75), ("Clip", [0.0, 0.75]), {"activation": "relu", "ceiling": 0.75}),
    "softmax": (lambda: nn.Softmax(1), ("Softmax", []), {"activation": "softmax"}),
    "log_softmax": (lambda: nn.LogSoftmax(1), ("LogSoftmax", []), {"activation": "log_softmax"}),
    "sigmoid": (nn.Sigmoid, ("Sigmoid", []), {"activation": "sigmoid"}),
    "tanh": (nn.Tanh, ("Tanh", []), {"activation": "tanh"}),
}


def quarters(seed: int, *shape: int) -> Array:
    return (np.random.default_rng(seed).integers(-4, 5, shape) / 4).astype(np.float32)


W1, B1, W2, B2, X = quarters(1, 5, 4), quarters(2, 5), quarters(3, 3, 5), quarters(4, 3), quarters(5, 8, 4)


def dyadic(module: nn.Module, seed: int = 0) -> nn.Module:
    """With all weights multiples of 1/4."""
    with torch.no_grad():
        for k, parameter in enumerate(module.parameters()):
            parameter.copy_(torch.from_numpy(quarters(seed + k, *parameter.shape)))
    return module.eval()


def mlp(*ending: nn.Module) -> nn.Module:
    module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3), *ending)
    arrays = (W1, B1, W2, B2)
    with torch.no_grad():
        for parameter, array in zip(module.parameters(), arrays, strict=True):
            parameter.copy_(torch.from_numpy(array))
    return module.eval()


@cache
def from_torch(name: str) -> tuple[Graph, Array]:
    module = mlp(ENDINGS[name][0]())
    with torch.no_grad():
        return sw.load(module, example=torch.from_numpy(X)), module(torch.from_numpy(X)).numpy()


@cache
def from_onnx(name: str) -> tuple[Graph, Array]:
    onnx = pytest.importorskip("onnx")
    from onnx_models import model

    operator, bounds = ENDINGS[name][1]
    constants = {f"bound{k}": np.float32(bound) for k, bound in enumerate(bounds)}
    attributes = {"axis": 1} if "Softmax" in operator else {}
    proto = model(
        [
            ("Gemm", ["", "w1", "b1"], {"transB": 1}),
            ("Relu", [""], {}),
            ("Gemm", ["", "w2", "b2"], {"transB": 1}),
            (operator, ["", *constants], attributes),
        ],
        ["N", 4],
        **{"w1": W1, "b1": B1, "w2": W2, "b2": B2, **constants},
    )
    (expected,) = onnx.reference.ReferenceEvaluator(proto).run(None, {"x": X})
    return sw.load(proto), expected


@cache
def from_keras(name: str) -> tuple[Graph, Array]:
    from keras_networks import L, keras

    ending = L.ReLU(0.75) if name == "ceiling" else L.Activation(name)
    start = keras.Input((4,))
    model = keras.Model(start, ending(L.Dense(3)(L.Dense(5, activation="relu")(start))))
    model.set_weights([W1.T, B1, W2.T, B2])
    return sw.load(model), np.asarray(model.predict(X, verbose=0))


FRONTENDS = {"PyTorch": from_torch, "ONNX": from_onnx, "Keras": from_keras}


def spiking(graph: Graph, **options: Any) -> Conversion:
    return sw.convert(graph, dict.fromkeys((n.name for n in graph.of_type(ReLU)), np.asarray(16.0)), **options)


def answers(network: Graph | Conversion, x: Array, engine: str, timesteps: int = T) -> dict[str, Array]:
    """By output, ``(N, T, *shape)``; the cuda engine runs on the CPU."""
    if engine != "cuda":
        return dict(sw.simulate(network, x, timesteps, engine=engine).outputs)
    found = CudaSimulation(spiking_graph(network), "cpu").run(torch.from_numpy(x), timesteps, Constant())
    return {name: value.numpy() for name, value in found.outputs.items()}


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_a_final_activation_from_any_framework_is_the_networks_own(frontend: str, name: str) -> None:
    graph, expected = FRONTENDS[frontend](name)
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(run(graph, X)["output"], expected, **close)
    kept, dropped = spiking(graph), spiking(graph, answer="drop")
    assert kept.spiking["output"].settings == {**Output(name="o", inputs=("i",)).settings, **ENDINGS[name][2]}
    assert dropped.spiking["output"].activation is None
    before = np.maximum(X @ W1.T + B1, 0) @ W2.T + B2
    np.testing.assert_allclose(run(kept.normalised, X)["output"], expected, **close)
    np.testing.assert_array_equal(run(dropped.normalised, X)["output"], before)
    for engine in ENGINES:
        np.testing.assert_allclose(answers(kept, X, engine)["output"][:, -1], expected, **close)
        np.testing.assert_array_equal(answers(dropped, X, engine)["output"][:, -1], before)


def test_every_timestep_has_an_answer_of_the_networks_kind() -> None:
    for name, low, high in (("relu", 0, np.inf), ("ceiling", 0, 0.75), ("sigmoid", 0, 1), ("tanh", -1, 1)):
        for engine in ENGINES:
            found = answers(spiking(from_torch(name)[0]), X, engine, 7)["output"]
            assert found.min() >= low
            assert found.max() <= high
    found = answers(spiking(from_torch("softmax")[0]), X, "event", 7)["output"]
    np.testing.assert_allclose(found.sum(axis=2), 1, rtol=1e-6)


def test_a_regression_network_that_answers_zero_is_never_below() -> None:
    """The last layer's values go down to -2.76; the network, which ends in a ReLU, gives 0 there."""
    module = dyadic(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1), nn.ReLU()))
    with torch.no_grad():
        module[2].weight.copy_(torch.full((1, 5), -0.25))
        module[2].bias.fill_(0.5)
        expected = module(torch.from_numpy(X)).numpy()
        assert module[:3](torch.from_numpy(X)).min() < -0.5 < expected.min() == 0
    graph = sw.load(module, example=torch.from_numpy(X))
    for engine in ENGINES:
        found = answers(spiking(graph), X, engine)["output"]
        assert found.min() == 0
        np.testing.assert_allclose(found[:, -1], expected, atol=1e-6)


def test_outputs_that_are_dead_stay_dead() -> None:
    """A classifier that ends in a ReLU of which two outputs never rise above 0: ties go to the first class."""
    module = dyadic(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6), nn.ReLU()), seed=3)
    with torch.no_grad():
        module[2].bias -= 1.5
        module[2].bias[[0, 3]] = -40.0
        x = torch.from_numpy(quarters(9, 60, 4))
        labels = module[:3](x).argmax(1).numpy()
        network = module(x).numpy()
    assert (network[:, [0, 3]] == 0).all()
    assert (network.max(axis=1) == 0).any()  # so that class 0 is the answer though it never rises
    graph = sw.load(module, example=x)
    net = spiking(graph)
    measures = sw.measure(net, (x.numpy(), labels), T, allow_overlap=True)
    right = (network.argmax(1) == labels).mean()
    assert right < 1
    assert measures.analog_accuracy == pytest.approx(right)
    assert measures.accuracy is not None
    assert measures.accuracy[-1] == pytest.approx(right)
    found = sw.simulate(net, x.numpy(), T).output[:, -1]
    np.testing.assert_array_equal(found.argmax(1), network.argmax(1))
    luck = sw.simulate(spiking(graph, answer="drop"), x.numpy(), T).output[:, -1]
    assert (luck.argmax(1) == labels).all()  # another function


# Counting the spikes of the output.


def test_counting_a_final_relu_and_its_ceiling() -> None:
    for name, ceiling in (("relu", None), ("relu6", 6.0), ("ceiling", 0.75)):
        graph, expected = from_torch(name)
        folded, _ = sw.prepare(graph)
        method = sw.threshold_method("max")
        scales = sw.calibrate(folded, X, [method]).scales(method)
        assert scales["output"] <= (ceiling or np.inf)
        net = sw.convert(graph, scales, readout="count")
        assert net.spiking["output_spikes"].population
        assert net.spiking["output"].activation is None
        for engine in ENGINES:
            found = answers(net, X, engine, 512)["output"][:, -1]
            np.testing.assert_allclose(found, expected, atol=0.03 * expected.max())
            assert found.max() <= (ceiling or np.inf) * (1 + 1e-6)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sigmoid", "tanh"])
def test_counts_have_no_negative_side(name: str) -> None:
    graph, _ = from_torch(name)
    scales = {"output": np.asarray(8.0), **dict.fromkeys((r.name for r in graph.of_type(ReLU)), np.asarray(16.0))}
    with pytest.raises(UnsupportedModelError, match=r"at 'output': counts of spikes .* are never negative.*'drop'"):
        sw.convert(graph, scales, readout="count")
    dropped = sw.convert(graph, scales, readout="count", answer="drop")
    expected = np.maximum(np.maximum(X @ W1.T + B1, 0) @ W2.T + B2, 0)
    np.testing.assert_allclose(sw.simulate(dropped, X, T).output[:, -1], expected, atol=0.1)


def test_a_softmax_of_what_is_never_negative_can_be_counted() -> None:
    module = mlp(nn.ReLU(), nn.Softmax(1))
    graph = sw.load(module, example=torch.from_numpy(X))
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).numpy()
    for readout in ("count", "potential"):
        net = spiking(graph, readout=readout)
        assert net.spiking["output"].activation == "softmax"
        np.testing.assert_allclose(sw.simulate(net, X, 1024).output[:, -1], expected, atol=0.02)


def test_steps_at_the_end_are_counted_exactly() -> None:
    class Steps(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.floor(torch.clamp(x / 2, 0, 1) * 4 + 0.5) / 4 * 2

    module = mlp(Steps())
    module[1] = Steps()
    graph = sw.load(module, example=torch.from_numpy(X))
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).numpy()
    for readout in ("potential", "count"):
        several = sw.convert(graph, scales_of(graph), neurons=sw.Neurons(max_spikes=None), readout=readout)
        np.testing.assert_allclose(sw.simulate(several, X, 1).output[:, 0], expected, atol=1e-5)


def scales_of(graph: Graph, x: Array = X, **options: Any) -> dict[str, Array]:
    method = sw.threshold_method("max")
    return sw.calibrate(sw.prepare(graph, **options)[0], x, [method]).scales(method)


def test_the_scale_of_an_output_is_one_of_what_it_reads() -> None:
    """Not of what a softmax or a sigmoid makes of it, which is 1 at most."""
    before = np.maximum(X @ W1.T + B1, 0) @ W2.T + B2
    for name in ("softmax", "sigmoid", "relu", "tanh"):
        assert scales_of(from_torch(name)[0])["output"] == pytest.approx(before.max())


# Several outputs.


class Heads(nn.Module):
    """A hidden layer that is an answer too, logits and probabilities, and an auxiliary head."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.side = nn.Linear(4, 5), nn.Linear(5, 3), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        hidden = self.first(x).relu()
        logits = self.second(hidden)
        return hidden, logits, logits.softmax(1), self.side(hidden).sigmoid(), logits, x


HEADS = [("relu", 5), (None, 3), ("softmax", 3), ("sigmoid", 2), (None, 3), (None, 4)]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_output_has_its_own_activation(engine: str) -> None:
    module = dyadic(Heads())
    with torch.no_grad():
        expected = [value.numpy() for value in module(torch.from_numpy(X))]
    graph = sw.load(module, example=torch.from_numpy(X))
    net = spiking(graph)
    outputs = net.spiking.of_type(Output)
    assert [(o.activation, *net.spiking.shapes[o.name]) for o in outputs] == HEADS
    found = answers(net, X, engine)
    for output, value in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(found[output.name][:, -1], value, rtol=1e-5, atol=1e-6, err_msg=output.name)
    for name, value in run(net.normalised, X).items():
        np.testing.assert_allclose(value, expected[list(found).index(name)], rtol=1e-5, atol=1e-6)


def test_several_outputs_counted_saved_and_exported(tmp_path: Path) -> None:
    class Plain(Heads):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            hidden, logits, _, _, again, same = super().forward(x)
            return hidden, logits.relu(), self.side(hidden), again, same

    module, x = dyadic(Plain()), np.abs(X)
    graph = sw.load(module, example=torch.from_numpy(x))
    with torch.no_grad():
        expected = [np.maximum(value.numpy(), 0) for value in module(torch.from_numpy(x))]
    counted = sw.convert(graph, scales_of(graph, x), readout="count")
    for engine in ENGINES:
        for value, found in zip(expected, answers(counted, x, engine, 512).values(), strict=True):
            np.testing.assert_allclose(found[:, -1], value, atol=0.03 * max(value.max(), 1))
    for net in (counted, sw.convert(graph, scales_of(graph, x))):
        before = sw.simulate(net, x, 16).outputs
        sw.save(net, tmp_path / "n.safetensors", force=True)
        sw.export(net, tmp_path / "n.nir", force=True)
        for name in ("n.safetensors", "n.nir"):
            again = sw.simulate(sw.load(tmp_path / name), x, 16).outputs
            assert before.keys() == again.keys()
            for output, values in before.items():
                np.testing.assert_allclose(again[output], values, atol=1e-6)
        assert sw.measure(net, x, 16, allow_overlap=True).summary()


@pytest.mark.parametrize("name", ENDINGS)
def test_an_activation_comes_back_from_files(name: str, tmp_path: Path) -> None:
    net = spiking(from_torch(name)[0])
    expected = sw.simulate(net, X, 12).output
    sw.save(net, tmp_path / "n.safetensors", force=True)
    pytest.importorskip("nir")
    sw.export(net, tmp_path / "n.nir")
    for file in ("n.safetensors", "n.nir"):
        again = sw.load(tmp_path / file)
        assert spiking_graph(again)["output"].settings == net.spiking["output"].settings
        np.testing.assert_allclose(sw.simulate(again, X, 12).output, expected, atol=1e-6)


@pytest.mark.parametrize(("key", "value"), [("activation", 5), ("axis", 0.5), ("ceiling", "six"), ("scalar", 1)])
def test_damaged_notes_of_an_output_are_refused(key: str, value: object) -> None:
    pytest.importorskip("nir")
    from spikewright.exporters.nir import to_nir
    from spikewright.frontends.nir.notes import notes

    written = to_nir(spiking(from_torch("softmax")[0]).spiking)
    written.nodes["output"].metadata = notes(**{"activation": "softmax", key: value})
    with pytest.raises(UnsupportedModelError, match=f"Output at 'output': its note says that its {key} is {value}"):
        sw.load(written)


class Shared(nn.Module):
    """One sigmoid, called inside and at the end."""

    def __init__(self, *, inside: bool) -> None:
        super().__init__()
        self.first, self.last, self.act, self.inside = nn.Linear(4, 5), nn.Linear(5, 3), nn.Sigmoid(), inside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.first(x)
        found: torch.Tensor = self.act(self.last(self.act(hidden) if self.inside else hidden.relu()))
        return found


def test_a_sigmoid_inside_is_refused_when_a_network_is_read() -> None:
    x = torch.from_numpy(X)
    assert sw.prepare(sw.load(Shared(inside=False), example=x))[0]["output"].activation == "sigmoid"
    with pytest.raises(UnsupportedModelError) as caught:
        sw.load(Shared(inside=True), example=x)
    advice = "use a ReLU in its place and train again: only a rectifier is what a spiking neuron's rate can follow"
    assert [(p.operator, p.where, p.advice) for p in caught.value.problems] == [("sigmoid", "act", advice)]


def test_counting_is_refused_before_data_are_read(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from spikewright.cli.app import app

    sw.save(from_torch("sigmoid")[0], tmp_path / "net.safetensors")
    words = ["convert", str(tmp_path / "net.safetensors"), "--data", "nowhere.npz", "--readout", "count"]
    with pytest.raises(UnsupportedModelError, match="are never negative"):
        CliRunner().invoke(app, words, catch_exceptions=False)
