"""Zeros around a map become padding of what slides over it; behind a rectifier they do not make neurons.

Padding written as a layer of its own (``ZeroPad2d``, ``F.pad``, Keras' ``ZeroPadding``, ONNX ``Pad``) computes the same
as padding inside. Inside, batch norms fold across it, no neuron stands for a zero, and no engine moves a map to widen
it. Crops and zeros along the channels stay.
"""

from __future__ import annotations

from spikewright.graph import Graph, Node
from spikewright.nodes import AvgPool, Conv, MaxPool, Pad, ReLU, SumPool
from spikewright.nodes._window import Padding, has_padding, reaches_inputs
from spikewright.passes.rewrite import rewrite


@rewrite("replaced", after=("relu_before_max_pool",))
def pads_behind_rectifiers(graph: Graph) -> Graph:
    """``relu(pad(x)) = pad(relu(x))``, in steps too: every Pad that one ReLU reads, which it stands behind then."""
    for name in [node.name for node in graph.of_type(ReLU)]:
        while isinstance(pad := graph.sources(name)[0], Pad) and graph.consumers[pad.name] == (name,):
            graph = graph.swapped(name)
    return graph


@rewrite(
    "absorbed",
    into="after",
    after=("pads_behind_rectifiers",),
    before=("fold_batch_norm_backwards",),
    again_after=("fold_batch_norm_forwards",),  # norms stood between
)
def merge_pads(graph: Graph) -> Graph:
    """Each convolution, pool and Pad that can reads what the Pad before it reads; a Pad that none reads any more goes.

    Zeros go into convolutions and sums; into means that count their own padding, or have none; into a max pool where
    no value is below zero and each window holds a real one.
    """
    for name in [node.name for node in graph.of_type(Pad)]:
        pad = graph[name]
        if not isinstance(pad, Pad) or any(pad.padding[0]) or min(map(min, pad.padding)) < 0:
            continue
        wider = [_wider(graph, pad, graph[reader]) for reader in dict.fromkeys(graph.consumers[name])]
        graph = graph.replaced(*(node for node in wider if node is not None))
        if None not in wider:
            graph = graph.without(name)
    return graph


def _wider(graph: Graph, pad: Pad, reader: Node) -> Node | None:
    """The reader with the zeros in its own padding, reading what the Pad reads; None where it cannot."""
    padding = pad.padding[1:]
    if isinstance(reader, Pad):
        if min(map(min, reader.padding)) < 0:
            return None
        return reader.replace(inputs=pad.inputs, padding=_together(pad.padding, reader.padding))
    if not isinstance(reader, Conv | SumPool | MaxPool) or min(map(min, reader.padding)) < 0:
        return None
    together = _together(padding, reader.padding)
    if isinstance(reader, AvgPool) and not reader.count_padding:
        if has_padding(reader.padding):
            return None  # its own padding is not counted, these zeros are
        return reader.replace(inputs=pad.inputs, padding=together, count_padding=True)
    if isinstance(reader, MaxPool) and not _zeros_never_win(graph, pad, reader, together):
        return None
    return reader.replace(inputs=pad.inputs, padding=together)


def _zeros_never_win(graph: Graph, pad: Pad, pool: MaxPool, padding: Padding) -> bool:
    """Whether zeros are as good as what a max pool pads with: nothing is below zero, and no window is all zeros."""
    return isinstance(graph.sources(pad)[0], ReLU) and all(
        reaches_inputs(*axis)
        for axis in zip(graph.input_shapes(pad)[0][1:], pool.kernel, pool.stride, padding, pool.dilation, strict=True)
    )


def _together(first: Padding, second: Padding) -> Padding:
    return tuple((a + c, b + d) for (a, b), (c, d) in zip(first, second, strict=True))
