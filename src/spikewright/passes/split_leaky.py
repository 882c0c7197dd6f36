"""``leaky(x) = relu(x) − slope · relu(−x)``: two populations, one for each sign, and a weight between them."""

from __future__ import annotations

import numpy as np

from spikewright.causes import Cause
from spikewright.errors import Problem
from spikewright.graph import Graph, Node
from spikewright.nodes import Add, ChannelAffine, LeakyReLU, ReLU
from spikewright.passes.rewrite import refusal, rewrite


@refusal(when={"leaky": "refuse"})
def unsplit_leaky(graph: Graph) -> list[Problem]:
    """Every leaky ReLU, unless they are to be split."""
    return [Problem.of(node.type, f"'{node.name}'", Cause.NEGATIVE_SLOPE) for node in graph.of_type(LeakyReLU)]


@rewrite("replaced", after=("drop_final_activations", "keep_final_activations"), when={"leaky": "split"})
def split_leaky(graph: Graph) -> Graph:
    """Every leaky ReLU as the difference of two rectifiers. The Add that joins them keeps the node's name."""
    nodes: list[Node] = []
    for node in graph:
        nodes += _split(graph, node) if isinstance(node, LeakyReLU) else [node]
    return graph.with_nodes(nodes)


def _split(graph: Graph, node: LeakyReLU) -> list[Node]:
    name, channels = node.name, graph.shapes[node.name][:1]
    parts = {part: graph.fresh_name(f"{name}_{part}") for part in ("positive", "minus", "negative", "leak")}
    slope = node.spread(graph.shapes[name])
    return [
        ReLU(name=parts["positive"], inputs=node.inputs),
        ChannelAffine(name=parts["minus"], inputs=node.inputs, scale=-np.ones(channels), bias=np.zeros(channels)),
        ReLU(name=parts["negative"], inputs=(parts["minus"],)),
        ChannelAffine(name=parts["leak"], inputs=(parts["negative"],), scale=-slope, bias=np.zeros(channels)),
        Add(name=name, inputs=(parts["positive"], parts["leak"])),
    ]
