"""A dense layer as a convolution: a row of values is a map of one pixel, and a flattened map is seen by one window."""

from __future__ import annotations

import numpy as np

from spikewright.chips.lowering.branch import Branch
from spikewright.chips.lowering.window import over_all
from spikewright.graph import Graph
from spikewright.nodes import Linear

LINEAR = "dense layer as a convolution"


def behind_linear(graph: Graph, node: Linear, branch: Branch) -> tuple[Branch, ...]:
    """The branch, reading what the dense layer reads."""
    window = over_all(node.weight.astype(np.float64), graph.shapes[node.inputs[0]])
    return (branch.reading(node.inputs[0], branch.window.behind(window), LINEAR),)
