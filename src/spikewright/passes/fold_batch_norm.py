"""Batch norms fold into a linear layer: the one before, or the one after, or become one factor a channel.

Backwards, into ``y = W x + b`` before it: ``W ← s·W``, ``b ← s·b + t`` with ``s = gamma / sqrt(variance + epsilon)``
and ``t = beta − s·mean`` (Rueckauer et al. 2017, eq. 7).

Forwards, into the layer after it: ``W ← W·s`` per input channel and ``b ← b + Σ W·t``. Where that layer pads, the
zeros it pads with never had ``t`` added: the sum runs over the real inputs only, so that the bias becomes a map.

How weights take in a factor and a shift stands with each layer: ``followed_by`` and ``preceded_by``.
"""

from __future__ import annotations

from spikewright.graph import Graph, Node
from spikewright.nodes import AdaptiveAvgPool, AvgPool, BatchNorm, ChannelAffine, Flatten
from spikewright.nodes._window import has_padding
from spikewright.passes.rewrite import rewrite
from spikewright.passes.scale_and_shift import scale_and_shift


@rewrite(
    "folded",
    into="before",
    after=("permutation_into_linear",),
    again_after=("norm_behind_max_pool",),  # norms that met behind a pool
)
def fold_batch_norm_backwards(graph: Graph) -> Graph:
    """Fold norms into the layer before, where that layer has no other reader."""
    for name in [node.name for node in graph.of_type(BatchNorm, ChannelAffine)]:
        norm = graph[name]  # as it is by now: what it reads may have been folded away
        layer = graph.sources(norm)[0]
        alone = graph.consumers[layer.name] == (norm.name,)
        if not alone or not _constant_in_channels(graph, norm):
            continue
        scale, shift = scale_and_shift(norm)
        if isinstance(layer, BatchNorm | ChannelAffine):
            if not _constant_in_channels(graph, layer):
                continue
            factor, addend = scale_and_shift(layer)
            both = (factor * scale, addend * scale + shift)
            folded: Node = ChannelAffine(name=layer.name, inputs=layer.inputs, scale=both[0], bias=both[1])
        elif type(layer).followed_by is not Node.followed_by:
            folded = layer.followed_by(scale, shift)
        else:
            continue
        graph = graph.replaced(folded).without(norm.name)
    return graph


@rewrite("folded", into="after", after=("norm_behind_max_pool",))
def fold_batch_norm_forwards(graph: Graph) -> Graph:
    """Fold norms into the layer after, where every reader of the norm can take it."""
    for name in [node.name for node in reversed(graph.of_type(BatchNorm, ChannelAffine))]:  # the last of a chain first
        norm = graph[name]
        layers = _layers_after(graph, norm)
        if layers is None or not _constant_in_channels(graph, norm):
            continue
        scale, shift = scale_and_shift(norm)
        if (scale == 1).all() and not shift.any():
            continue  # a shortcut that explicit_projections put there for scales to come
        folded = [layer.preceded_by(scale, shift, graph.input_shapes(layer)[0]) for layer in layers]
        graph = graph.replaced(*folded).without(norm.name)
    return graph


@rewrite("replaced", after=("fold_batch_norm_forwards",))
def batch_norm_as_affine(graph: Graph) -> Graph:
    """What could not be folded stays, as one factor and one shift a channel."""
    return graph.replaced(
        *(
            ChannelAffine(name=norm.name, inputs=norm.inputs, scale=norm.scale, bias=norm.shift)
            for norm in graph.of_type(BatchNorm)
        )
    )


def _layers_after(graph: Graph, norm: Node) -> list[Node] | None:
    """The layers that read a norm, through pooling and flattening that pass an affine map on unchanged."""
    layers: list[Node] = []
    waiting = list(dict.fromkeys(graph.consumers[norm.name]))
    while waiting:
        node = graph[waiting.pop(0)]
        if type(node).preceded_by is not Node.preceded_by:
            if node not in layers:
                layers.append(node)
        elif isinstance(node, Flatten | AdaptiveAvgPool) or (
            isinstance(node, AvgPool) and _mean_of_real_inputs(graph, node)
        ):
            waiting += dict.fromkeys(graph.consumers[node.name])
        else:
            return None
    return layers


def _constant_in_channels(graph: Graph, norm: Node) -> bool:
    """Whether its factors are the same all over a channel: the windows of what follows then see one factor each."""
    channels = graph.shapes[norm.name][:1]
    return all(array.shape == channels for array in scale_and_shift(norm))


def _mean_of_real_inputs(graph: Graph, pool: AvgPool) -> bool:
    """Whether the pool of a constant is that constant: no window counts padding, or lies wholly in it."""
    if pool.count_padding:
        return not has_padding(pool.padding)
    lengths, outputs = graph.input_shapes(pool)[0][1:], graph.shapes[pool.name][1:]
    return all(
        low < kernel and (windows - 1) * stride < low + length
        for (low, _), kernel, stride, length, windows in zip(
            pool.padding, pool.kernel, pool.stride, lengths, outputs, strict=True
        )
    )
