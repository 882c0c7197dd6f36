"""Effective operations in the manner of NeuroBench: what is zero costs nothing.

A connection counts in a timestep where its input value and its weight are both not zero: as an accumulate (AC)
where every value that arrives at its layer is −1, 0 or 1, else as a multiply-accumulate (MAC).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spikewright.engines import Run
from spikewright.graph import Array, Graph, Node

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Operations:
    """Of one layer, per sample, over all timesteps.

    Attributes:
        acs: effective accumulates.
        macs: effective multiply-accumulates.
        dense: connections times timesteps, zero or not.
        activation_sparsity: fraction of the input values that were zero, over all timesteps.
        connection_sparsity: fraction of the weights that are zero.
    """

    acs: float
    macs: float
    dense: int
    activation_sparsity: float
    connection_sparsity: float


def operations(graph: Graph, run: Run) -> dict[str, Operations]:
    """Effective operations of every layer with weights; the run must have recorded "nonzero"."""
    import torch

    found = {}
    for name, active in run.nonzero.items():
        node = graph[name]
        if not node.weighted:
            continue
        mask = _mask(node)
        forward = mask.bind(lambda array: torch.tensor(array, dtype=torch.float64))
        done: Tensor = forward(torch.from_numpy(np.ascontiguousarray(active))[None]).sum()
        effective = float(done) / run.samples
        graded = name in run.graded
        weights = np.concatenate([w.ravel() for w in _weights(node).values()])
        found[name] = Operations(
            acs=0.0 if graded else effective,
            macs=effective if graded else 0.0,
            dense=graph.macs(node) * run.timesteps,
            activation_sparsity=1 - float(active.mean()) / (run.samples * run.timesteps),
            connection_sparsity=float((weights == 0).mean()),
        )
    return found


def _weights(node: Node) -> dict[str, Array]:
    return {label: array for label, array in node.arrays.items() if label != "bias"}


def _mask(node: Node) -> Node:
    """The same connections, with weight one where there is a weight, and no bias."""
    ones = {label: (array != 0).astype(np.float32) for label, array in _weights(node).items()}
    return node.replace(**ones, bias=np.zeros_like(node.arrays["bias"]))
