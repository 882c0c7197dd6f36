"""Every architecture people bring: the graph, the normalised graph and, in the end, the rates are the network's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import spikewright as sw
from spikewright.calibration import Max
from spikewright.errors import DataError
from spikewright.forward import run
from spikewright.graph import Array, Graph
from spikewright.nodes import ReLU
from zoo import ARCHITECTURES, architecture, randomised


def close(found: Array, expected: Array) -> None:
    assert np.abs(found - expected).max() <= 1e-4 * max(np.abs(expected).max(), 1)


def clipped(graph: Graph) -> Graph:
    """Without the steps of quantised activations: what rates approach when T outgrows the steps."""
    return graph.replaced(*(relu.replace(levels=None) for relu in graph.of_type(ReLU)))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_is_converted_exactly(name: str) -> None:
    module, batch = architecture(name)
    with torch.inference_mode():
        expected = module(batch).numpy()
    x = batch.numpy()
    graph = sw.load(module, example=batch)
    close(run(graph, x)["output"], expected)

    folded, _ = sw.prepare(graph, leaky="split")
    scales = sw.calibrate(folded, x, [Max(channels=True)]).scales(Max(channels=True))
    close(run(sw.normalise(folded, scales), x)["output"], expected)

    spiking = sw.convert(graph, scales, leaky="split")
    close(run(spiking.normalised, x)["output"], expected)
    goal = run(clipped(spiking.normalised), x)["output"]
    found = sw.simulate(spiking, x, 1024).output
    early, late = (np.abs(found[:, t - 1] - goal).mean() for t in (64, 1024))
    assert late <= early / 4
    assert late <= 0.02 * max(np.abs(goal).max(), 1)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_engines_agree_on_an_architecture(name: str) -> None:
    """On weights of all sizes sums are rounded in another order, so that now and then a spike comes a step later."""
    module, batch = architecture(name, seed=1)
    graph = sw.load(module, example=batch)
    x = batch.numpy()
    folded, _ = sw.prepare(graph, leaky="split")
    scales = sw.calibrate(folded, x, [Max()]).scales(Max())
    spiking = sw.convert(graph, scales, leaky="split")
    runs = [sw.simulate(spiking, x, 32, engine=engine) for engine in ("reference", "event")]
    for population, counts in runs[0].counts.items():
        assert np.abs(counts - runs[1].counts[population]).sum() <= 2e-3 * counts.sum() + 1, population
    assert np.abs(runs[0].output - runs[1].output).max() <= 0.02 * max(np.abs(runs[0].output).max(), 1)


class TwoInputs(nn.Module):
    """A picture and a row of numbers in, two answers out."""

    def __init__(self) -> None:
        super().__init__()
        self.look, self.read = nn.Conv2d(2, 4, 3), nn.Linear(5, 6)
        self.both, self.other = nn.Linear(4 * 16 + 6, 4), nn.Linear(6, 3)

    def forward(self, image: torch.Tensor, row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen, read = self.look(image).relu().flatten(1), self.read(row).relu()
        return self.both(torch.cat([seen, read], 1)), self.other(read)


def test_several_inputs_and_outputs() -> None:
    torch.manual_seed(0)
    module, batch = randomised(TwoInputs()), (torch.rand(5, 2, 6, 6), torch.rand(5, 5))
    with torch.inference_mode():
        expected = [y.numpy() for y in module(*batch)]
    graph = sw.load(module, example=batch)
    x = {name: tensor.numpy() for name, tensor in zip(graph.inputs, batch, strict=True)}
    folded, _ = sw.prepare(graph)
    scales = sw.calibrate(folded, x, [Max()]).scales(Max())
    spiking = sw.convert(graph, scales)
    found = sw.simulate(spiking, x, 512, engine="event").outputs
    for (name, values), answer in zip(found.items(), expected, strict=True):
        assert np.abs(values[:, -1] - answer).max() < 0.02, name
    labels = {name: answer.argmax(1) for name, answer in zip(found, expected, strict=True)}
    heads = sw.measure(spiking, (x, labels), 128, allow_overlap=True).heads
    assert [head.scores["accuracy"][-1] for head in heads.values()] == [1, 1]
    with pytest.raises(DataError, match=r"the network has the outputs .* give labels of each by name, not one array"):
        sw.measure(spiking, (x, labels["output"]), 2)
    with pytest.raises(DataError, match="the network has the inputs image, row; the data are for image"):
        sw.simulate(spiking, {"image": x["image"]}, 2)
    with pytest.raises(DataError, match=r"as many samples .* not image: 5, row: 4"):
        sw.simulate(spiking, {**x, "row": x["row"][:4]}, 2)


def test_channels_last_arrays_are_taken_where_that_is_clear() -> None:
    module, batch = architecture("ResNet")
    graph = sw.load(module, example=batch)
    folded, _ = sw.prepare(graph)
    x = batch.numpy()
    last = np.moveaxis(x, 1, -1)
    scales = [sw.calibrate(folded, data, [Max()]).scales(Max()) for data in (x, last)]
    assert scales[0] == scales[1]
    spiking = sw.convert(graph, scales[0])
    np.testing.assert_array_equal(*(sw.simulate(spiking, data, 4).output for data in (x, last)))
