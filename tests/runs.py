"""What two engines made of the same network, compared."""

from __future__ import annotations

import numpy as np

from spikewright.encoders import Encoder, encoder
from spikewright.encoders.poisson import Poisson
from spikewright.engines import BatchRun
from spikewright.graph import Graph


def sender(name: str, scale: float = 2.0) -> Encoder:
    """An encoder by name; events of the Poisson encoder stand for more than the largest value of drawn samples."""
    return Poisson(scale=scale) if name == "poisson" else encoder(name)


def same(graph: Graph, expected: BatchRun, found: BatchRun) -> None:
    """Bit for bit, but for what a softmax makes of equal numbers."""
    for part in ("outputs", "counts", "spikes", "potentials", "nonzero", "negative"):
        wanted, got = getattr(expected, part), getattr(found, part)
        assert set(wanted) == set(got), part
        for name, value in wanted.items():
            tolerance = 1e-6 if getattr(graph[name], "activation", None) else 0.0
            np.testing.assert_allclose(
                got[name].cpu().numpy(), value.cpu().numpy(), rtol=0, atol=tolerance, err_msg=f"{part} {name}"
            )
    assert expected.graded == found.graded
    assert set(expected.events) == set(found.events)
    for name, events in expected.events.items():
        for column in ("sample", "timestep", "neuron", "value"):
            wanted, got = getattr(events, column), getattr(found.events[name], column)
            np.testing.assert_array_equal(got, wanted, err_msg=f"{column} of {name}")
            assert got.dtype == wanted.dtype
