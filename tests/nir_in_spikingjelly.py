"""Our NIR files in SpikingJelly: the same spikes, neuron by neuron."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spikewright as sw
from spikewright.graph import Array, Graph


def same_spikes(graph: Graph, x: Array, file: Path, timesteps: int = 20) -> None:
    """Compare what every neuron sends here and there; skipped without SpikingJelly."""
    exchange = pytest.importorskip("spikingjelly.activation_based.nir_exchange")
    import torch

    module = exchange.import_from_nir(file)
    theirs: dict[str, Array] = {}
    for name, child in module.named_children():
        if name in graph and graph[name].population:
            child.register_forward_hook(
                lambda _m, _i, out, name=name: theirs.update({name: theirs.get(name, 0) + out[0].numpy()})
            )
    state = None
    with torch.no_grad():
        for _ in range(timesteps):
            _, state = module(torch.from_numpy(x), state)
    ours = sw.simulate(graph, x, timesteps, record="spikes")
    assert theirs.keys() == ours.spikes.keys()
    for name, trains in ours.spikes.items():
        np.testing.assert_array_equal(theirs[name], trains.sum(axis=1))
