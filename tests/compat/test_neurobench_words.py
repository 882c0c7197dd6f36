"""A network in NeuroBench's words: its layers are hooked, and what hooks see are our operations and rates.

Without NeuroBench a stand-in has the part of its interface that is used; with it, its own metrics are compared.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import spikewright as sw
from spikewright.compat.neurobench import LayeredNetwork, Spikes, neurobench_model
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Graph
from spikewright.measures import operations

T, SAMPLES = 9, 6


class StandIn:
    """What is used of ``NeuroBenchModel``."""

    def __init__(self) -> None:
        self.activation_modules: list[type] = []

    def add_activation_module(self, kind: type) -> None:
        self.activation_modules.append(kind)


@pytest.fixture(scope="module")
def conversion() -> sw.Conversion:
    torch.manual_seed(7)
    ann = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, 2), nn.ReLU(), nn.Flatten())
    ann = nn.Sequential(*ann, nn.Linear(54, 5)).eval()
    with torch.no_grad():
        ann[2].weight[:, :, 0, 0] = 0
    data = np.random.default_rng(0).uniform(0, 1, (40, 1, 8, 8)).astype(np.float32)
    return sw.convert(sw.load(ann, shape=(1, 8, 8)), data, "max")


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 1, (SAMPLES, 1, 8, 8)).astype(np.float32)


def stood_in(monkeypatch: pytest.MonkeyPatch) -> None:
    package, models = ModuleType("neurobench"), ModuleType("neurobench.models")
    models.NeuroBenchModel = StandIn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "neurobench", package)
    monkeypatch.setitem(sys.modules, "neurobench.models", models)


def ours(conversion: sw.Conversion, x: np.ndarray) -> tuple[sw.Run, dict[str, Any]]:
    run = sw.simulate(conversion, x, timesteps=T, record=["nonzero"], engine="reference", quiet=True)
    return run, dict(operations(conversion.spiking, run))


def test_layers_and_spikes_are_seen_in_every_step(
    conversion: sw.Conversion, x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    stood_in(monkeypatch)
    model = neurobench_model(conversion, T)
    net = model.__net__()
    assert model.activation_modules == [Spikes]
    layers = [part for part in net.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    assert [type(part).__name__ for part in layers] == ["Conv2d", "Conv2d", "Linear"]
    effective = dict.fromkeys(layers, 0.0)
    sent: list[float] = []

    def count(layer: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        """As NeuroBench does: the layer with ones for what is not zero."""
        weight = (layer.weight != 0).float()  # type: ignore[operator]
        active = (given[0] != 0).float()
        made = nn.functional.linear(active, weight) if isinstance(layer, nn.Linear) else None
        if made is None:
            made = nn.functional.conv2d(active, weight, None, layer.stride, layer.padding)  # type: ignore[arg-type]
        effective[layer] += float(made.sum())

    for layer in layers:
        layer.register_forward_pre_hook(count)
    for part in net.modules():
        if isinstance(part, Spikes):
            part.register_forward_hook(lambda _, __, spikes: sent.append(float(spikes.sum())))
    out = model(torch.from_numpy(x))
    run, found = ours(conversion, x)
    np.testing.assert_allclose(out.cumsum(1) / torch.arange(1, T + 1)[:, None], run.output, atol=1e-5)
    for layer, one in zip(layers, found.values(), strict=True):
        assert effective[layer] / SAMPLES == pytest.approx(one.acs + one.macs)
    assert sum(sent) == sum(counts.sum() for counts in run.counts.values())


def test_it_answers_as_the_reference_does_whatever_the_padding() -> None:
    from spikewright.nodes import Conv, Input, Output, ReLU

    random = np.random.default_rng(3)
    conv = Conv(
        name="a.conv",
        inputs=("x",),
        weight=random.normal(size=(4, 2, 3, 2)).astype(np.float32),
        bias=random.normal(size=(4, 5, 7)).astype(np.float32),
        stride=(1, 1),
        padding=((2, 0), (1, 1)),
        dilation=(1, 1),
        groups=1,
    )
    graph = Graph(
        [Input(name="x", shape=(2, 5, 6)), conv, ReLU(name="r", inputs=("a.conv",)), Output(name="y", inputs=("r",))]
    )
    x = random.uniform(0, 1, (3, 2, 5, 6)).astype(np.float32)
    conversion = sw.convert(graph, x, "max", readout="count")
    net = LayeredNetwork(conversion.spiking)
    assert dict(net.named_children()).keys() >= {"a_conv", "y_spikes"}
    out = net(torch.from_numpy(x)[:, None].expand(-1, T, *x.shape[1:]))
    run = sw.simulate(conversion, x, timesteps=T, engine="reference", quiet=True)
    np.testing.assert_allclose(out.mean(1), run.output[:, -1], atol=1e-5)


def test_what_it_takes(conversion: sw.Conversion, x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    stood_in(monkeypatch)
    frames = torch.from_numpy(x)[:, None].expand(-1, T, *x.shape[1:])
    expected = neurobench_model(conversion, T)(torch.from_numpy(x))
    assert torch.equal(neurobench_model(conversion)(frames), expected)
    assert torch.equal(neurobench_model(sw.training.module(conversion))(frames), expected)
    with pytest.raises(DataError, match=r"takes \(samples, timesteps, 1, 8, 8\)"):
        neurobench_model(conversion)(torch.from_numpy(x))
    with pytest.raises(SettingsError, match="no spiking populations"):
        neurobench_model(conversion.folded)


def test_without_neurobench(conversion: sw.Conversion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "neurobench.models", None)
    with pytest.raises(SettingsError, match="NeuroBench is not installed: pip install neurobench"):
        neurobench_model(conversion)


def test_its_own_metrics_are_ours(conversion: sw.Conversion, x: np.ndarray) -> None:
    """Run in an environment that has NeuroBench."""
    pytest.importorskip("neurobench")
    from neurobench.benchmarks import Benchmark
    from neurobench.metrics.static import ConnectionSparsity, ParameterCount
    from neurobench.metrics.workload import ActivationSparsity, ClassificationAccuracy, SynapticOperations
    from neurobench.processors.postprocessors import ChooseMaxCount

    run, found = ours(conversion, x)
    labels = torch.from_numpy(run.output[:, -1].argmax(1))
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.from_numpy(x), labels), batch_size=SAMPLES
    )
    metrics = [[ConnectionSparsity, ParameterCount], [ActivationSparsity, ClassificationAccuracy, SynapticOperations]]
    benchmark = Benchmark(neurobench_model(conversion, T), loader, [], [ChooseMaxCount()], metrics)
    results = benchmark.run(quiet=True)
    operations_there = results["SynapticOperations"]
    assert operations_there["Effective_ACs"] == pytest.approx(sum(one.acs for one in found.values()))
    assert operations_there["Effective_MACs"] == pytest.approx(sum(one.macs for one in found.values()))
    sent = sum(counts.sum() for counts in run.counts.values())
    neurons = conversion.neuron_count * SAMPLES * T
    assert results["ActivationSparsity"] == pytest.approx(1 - sent / neurons)
    assert results["ClassificationAccuracy"] == 1.0
    assert results["ParameterCount"] == conversion.spiking.parameters
    weights = [node.arrays["weight"] for node in conversion.spiking if "weight" in node.arrays]
    zeros = sum(int((weight == 0).sum()) for weight in weights) / sum(weight.size for weight in weights)
    assert results["ConnectionSparsity"] == pytest.approx(zeros, abs=1e-4)
