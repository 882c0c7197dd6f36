"""What this package adds works wherever Spikewright's own does: in files, on engines, on the command line.

Nothing here names the package: Spikewright finds all of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import spikewright as sw
from spikewright.chips.formats import chip_formats
from spikewright.chips.known import chips
from spikewright.cli.app import app
from spikewright.exporters import formats
from spikewright.forward import run
from spikewright.graph import Graph, Node
from spikewright.nodes import Conv, Flatten, Input, Linear, Output, ReLU, node_types
from spikewright.passes import passes
from spikewright.synapse_graph.writers import formats as synapse_formats


@torch.library.custom_op("spikewright_flip::turned", mutates_args=())
def turned(x: torch.Tensor, dims: list[int]) -> torch.Tensor:
    return torch.flip(x, dims)


@turned.register_fake
def _(x: torch.Tensor, dims: list[int]) -> torch.Tensor:  # noqa: ARG001
    return torch.empty_like(x)


class Turned(nn.Module):
    """Reversed along some axes of a batch."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = list(axes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return turned(x, self.axes)


def network(*axes: int) -> Graph:
    """Two convolutions and a fully connected layer, with a flip of each axis behind the first."""
    random = np.random.default_rng(0)

    def weights(*shape: int) -> dict[str, np.ndarray[Any, Any]]:
        return {"weight": random.normal(0, 0.3, shape), "bias": random.normal(0, 0.1, shape[0])}

    window = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    nodes: list[Node] = [
        Input(name="input", shape=(1, 8, 8)),
        Conv(name="conv1", inputs=("input",), **weights(2, 1, 3, 3), **window),
        ReLU(name="relu1", inputs=("conv1",)),
    ]
    for k, axis in enumerate(axes):
        nodes.append(node_types()["Flip"](name=f"flip{k}", inputs=(nodes[-1].name,), axis=axis))
    nodes += [
        Conv(name="conv2", inputs=(nodes[-1].name,), **weights(3, 2, 3, 3), **window),
        ReLU(name="relu2", inputs=("conv2",)),
        Flatten(name="flatten", inputs=("relu2",)),
        Linear(name="linear", inputs=("flatten",), **weights(4, 48)),
        Output(name="output", inputs=("linear",)),
    ]
    return Graph(nodes)


def unscaled(graph: Graph) -> Graph:
    """The spiking network of a graph with every λ one."""
    return sw.convert(graph, {node.name: np.ones(()) for node in graph.of_type(ReLU)}).spiking


@pytest.fixture(scope="module")
def samples() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    random = np.random.default_rng(0)
    return random.uniform(0, 1, (20, 1, 8, 8)).astype(np.float32), random.integers(0, 4, 20)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, samples: Any) -> Path:
    folder = tmp_path_factory.mktemp("flip")
    np.savez(folder / "data.npz", x=samples[0], y=samples[1])
    others = np.random.default_rng(1).uniform(0, 1, samples[0].shape).astype(np.float32)
    np.savez(folder / "test.npz", x=others, y=samples[1])
    sw.save(network(1), folder / "network.safetensors")
    return folder


def command(*words: str | Path) -> str:
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    return result.output


def test_a_layer_is_read_and_comes_back_from_a_file(files: Path) -> None:
    graph = sw.load(files / "network.safetensors")
    assert [(node.type, node.settings["axis"]) for node in graph.of_type(node_types()["Flip"])] == [("Flip", 1)]


def test_an_operator_of_ones_own_is_read() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), Turned(1, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3)).eval()
    graph = sw.load(module, shape=(1, 8, 8))  # compared with the module before it is given out
    assert [node.settings["axis"] for node in graph.of_type(node_types()["Flip"])] == [0, 2]


def test_engines_and_synapses_take_it(samples: Any) -> None:
    x, _ = samples
    spiking = sw.convert(network(1), x, "half")
    reference, event = (sw.simulate(spiking, x, 16, engine=engine) for engine in ("reference", "event"))
    for name, counts in reference.counts.items():
        assert counts.sum() > 0
        np.testing.assert_array_equal(counts, event.counts[name])
    flipped, plain = unscaled(network(1)), unscaled(network())
    counts = [[projection.synapses for projection in sw.synapses(one).projections] for one in (flipped, plain)]
    assert counts[0] == counts[1]


def test_two_flips_cancel(samples: Any) -> None:
    graph = network(1, 1)
    folded, changes = sw.prepare(graph)
    assert "flips_cancel" in passes()
    assert not folded.of_type(node_types()["Flip"])
    assert [change.by for change in changes if change.was == "Flip"] == ["flips_cancel"] * 2
    for name, values in run(graph, samples[0]).items():
        np.testing.assert_allclose(run(folded, samples[0])[name], values, rtol=1e-5, atol=1e-6)
    assert sw.prepare(network(1, 2))[0].of_type(node_types()["Flip"])


def test_the_command_line_converts_and_measures(files: Path) -> None:
    spiking = files / "spiking.safetensors"
    report = files / "report.html"
    words = ("--data", files / "data.npz", "--method", "half", "--test", files / "test.npz", "-T", "8")
    said = command("convert", files / "network.safetensors", *words, "-o", spiking, "--report", report)
    assert "half" in said
    assert "most spikes of a sample" in report.read_text(encoding="utf-8")
    found = json.loads(command("simulate", spiking, "--data", files / "test.npz", "-T", "8", "--json"))
    reading = found["others"]["most_spikes"]
    assert reading["value"] == sum_of_most(spiking, files)
    assert set(reading["layers"]) == set(found["layers"])
    shown = command("simulate", spiking, "--data", files / "test.npz", "-T", "8", "-o", files / "run.npz")
    assert "most spikes" in shown
    assert np.load(files / "run.npz")["others/most_spikes"] == reading["value"]


def sum_of_most(spiking: Path, files: Path) -> float:
    graph = sw.load(spiking)
    with np.load(files / "test.npz") as data:
        trains = sw.simulate(graph, data["x"], 8, record=("spikes",)).spikes
    return float(sum(train.reshape(20, -1).sum(1) for train in trains.values()).max())


def test_the_command_line_exports(files: Path) -> None:
    assert formats() == ("dot", "nir")
    command("export", files / "network.safetensors", "-o", files / "network.dot")
    text = (files / "network.dot").read_text()
    assert text.count("->") == len(sw.load(files / "network.safetensors")) - 1
    assert "(Flip)" in text
    with pytest.raises(sw.SpikewrightError, match=r"the format \.dot: .*'dt'"):
        sw.export(sw.load(files / "network.safetensors"), files / "other.dot", dt=1)


def test_the_command_line_writes_synapses(files: Path) -> None:
    assert "pairs" in synapse_formats()
    sw.save(unscaled(network(1)), files / "ones.safetensors")
    command("synapses", files / "ones.safetensors", "-o", files / "net.pairs")
    command("synapses", files / "ones.safetensors", "-o", files / "net.edges")
    pairs = [tuple(map(int, line.split())) for line in (files / "net.pairs").read_text().splitlines()]
    edges = [tuple(map(int, line.split("\t")[:2])) for line in (files / "net.edges").read_text().splitlines()]
    assert pairs == edges


def deep(layers: int) -> Graph:
    """So many layers of neurons, one behind the other."""
    window = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    nodes: list[Node] = [Input(name="input", shape=(1, 8, 8))]
    for k in range(layers):
        weights = {"weight": np.full((1, 1, 1, 1), 0.5), "bias": np.zeros(1)}
        nodes.append(Conv(name=f"conv{k}", inputs=(nodes[-1].name,), **weights, **window))
        nodes.append(ReLU(name=f"relu{k}", inputs=(nodes[-1].name,)))
    return Graph([*nodes, Output(name="output", inputs=(nodes[-1].name,))])


def test_a_chip_and_a_format_of_its_integers(files: Path, samples: Any) -> None:
    """Wherever Spikewright's own chips are: check, quantise, simulate, export."""
    assert "half_speck" in chips()
    assert sw.check(deep(4), "half_speck").fits
    assert not sw.check(deep(5), "half_speck").fits
    assert sw.check(deep(5), "speck2f").fits
    spiking, chip = files / "deep.safetensors", files / "chip.safetensors"
    sw.save(sw.convert(deep(4), samples[0], "max", readout="count"), spiking)
    assert "fits half_speck" in command("check", spiking, "--chip", "half_speck")
    command("quantise", spiking, "--chip", "half_speck", "-o", chip)
    np.savez(files / "pictures.npz", x=samples[0][:, :, ::-1])  # others than calibrated
    found = json.loads(command("simulate", chip, "--data", files / "pictures.npz", "-T", "4", "--json"))
    assert (found["quantised"]["chip"], found["samples"]) == ("half_speck", 20)
    assert "words" in chip_formats()
    command("export", chip, "-o", files / "network.words")
    lines = [line.split() for line in (files / "network.words").read_text().splitlines()]
    layers = sw.load_quantised(chip).network.layers
    assert lines == [[one.name, str(one.weights.item())] for one in layers]


def test_an_unknown_method_is_told_of_this_one(files: Path) -> None:
    result = CliRunner().invoke(
        app, ["convert", str(files / "network.safetensors"), "--data", str(files / "data.npz"), "--method", "halb"]
    )
    assert result.exit_code != 0
    with pytest.raises(sw.SpikewrightError, match=r"choose one of .*half, .*max, .*percentile, scale"):
        sw.threshold_method("halb")
