"""Every architecture people bring: the graph, the normalised graph and, in the end, the rates are the network's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import spikewright as sw
from spikewright.calibration import Max
from spikewright.convert import analog_of
from spikewright.forward import run
from spikewright.graph import Array, Graph
from spikewright.nodes import ReLU
from zoo import ARCHITECTURES, architecture


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
    close(run(analog_of(spiking), x)["output"], expected)
    goal = run(clipped(analog_of(spiking)), x)["output"]
    found = sw.simulate(spiking, x, 1024).output
    early, late = (np.abs(found[:, t - 1] - goal).mean() for t in (64, 1024))
    assert late <= early / 4
    assert late <= 0.02 * max(np.abs(goal).max(), 1)
