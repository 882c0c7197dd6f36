"""Effective operations in the manner of NeuroBench: what is zero costs nothing.

A connection counts in a timestep where its input value and its weight are both not zero: as an accumulate (AC)
where every value that arrives at its layer is −1, 0 or 1, else as a multiply-accumulate (MAC).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spikewright.connections import Array, Connections
from spikewright.connections.listing import one_by_one
from spikewright.engines import Run
from spikewright.graph import Graph


@dataclass(frozen=True)
class Operations:
    """Operations of one layer, per sample, over all timesteps.

    Attributes:
        acs: effective accumulates.
        macs: effective multiply-accumulates.
        dense: connections times timesteps, zero or not; of recordings of different length the mean.
        activation_sparsity: fraction of the input values that were zero, over all timesteps.
        connection_sparsity: fraction of the weights that are zero.
    """

    acs: float
    macs: float
    dense: float
    activation_sparsity: float
    connection_sparsity: float


def operations(graph: Graph, run: Run) -> dict[str, Operations]:
    """Effective operations of every layer with weights; the run must have recorded "nonzero"."""
    found = {}
    for name, active in run.nonzero.items():
        node = graph[name]
        made = node.connections(*graph.input_shapes(node)) if node.weighted else None
        if made is None:
            continue
        effective = _meeting(made, active) / run.samples
        graded = name in run.graded
        found[name] = Operations(
            acs=0.0 if graded else effective,
            macs=effective if graded else 0.0,
            dense=graph.macs(node) * run.mean_steps,
            activation_sparsity=1 - float(active.mean()) / run.total_steps,
            connection_sparsity=float(np.mean(np.concatenate([w.ravel() for w in _weights(made)]) == 0)),
        )
    return found


def _weights(made: Connections) -> list[Array]:
    return [weights for weights in (made.kernel, made.gain) if weights is not None] or [np.ones(1)]


def _meeting(made: Connections, active: Array) -> float:
    """How often an input value that is not zero meets a weight that is not.

    Args:
        made: the connections of a layer.
        active: in the shape of its input, how often each value was not zero.
    """
    there = {
        label: (w != 0).astype(np.float64) for label in ("kernel", "gain") if (w := getattr(made, label)) is not None
    }
    found = replace(made, factors=None, **there).total(active)
    if found is not None:
        return found
    listed = one_by_one(made)
    return float(active.reshape(-1)[listed.inputs[listed.weights != 0]].sum(dtype=np.float64))
