"""Batch norms fold into a linear layer: the one before, or the one after, or become one factor a channel.

Backwards, into ``y = W x + b`` before it: ``W ← s·W``, ``b ← s·b + t`` with ``s = gamma / sqrt(variance + epsilon)``
and ``t = beta − s·mean`` (Rueckauer et al. 2017, eq. 7).

Forwards, into the layer after it: ``W ← W·s`` per input channel and ``b ← b + Σ W·t``. Where that layer pads, the
zeros it pads with never had ``t`` added: the sum runs over the real inputs only, so that the bias becomes a map.
"""

from __future__ import annotations

import numpy as np

from spikewright.errors import GraphError
from spikewright.graph import Array, Graph, Node
from spikewright.nodes import AvgPool, BatchNorm, ChannelAffine, Conv, Flatten, Linear
from spikewright.nodes._window import has_padding
from spikewright.passes.rewrite import rewrite


@rewrite("folded", into="before")
def fold_batch_norm_backwards(graph: Graph) -> Graph:
    """Into the layer before, where that layer has no other reader."""
    for name in [node.name for node in graph.of_type(BatchNorm, ChannelAffine)]:
        norm = graph[name]  # as it is by now: what it reads may have been folded away
        layer = graph.sources(norm)[0]
        alone = graph.consumers[layer.name] == (norm.name,)
        if not alone or not _constant_in_channels(graph, norm):
            continue
        scale, shift = scale_and_shift(norm)
        if isinstance(layer, Conv | Linear):
            outputs = (-1, *(1 for _ in layer.weight.shape[1:]))
            wide = (-1, *(1 for _ in layer.bias.shape[1:]))
            folded: Node = layer.replace(
                weight=layer.weight * scale.reshape(outputs),
                bias=layer.bias * scale.reshape(wide) + shift.reshape(wide),
            )
        elif isinstance(layer, BatchNorm | ChannelAffine) and _constant_in_channels(graph, layer):
            factor, addend = scale_and_shift(layer)
            both = (factor * scale, addend * scale + shift)
            folded = ChannelAffine(name=layer.name, inputs=layer.inputs, scale=both[0], bias=both[1])
        else:
            continue
        graph = graph.replaced(folded).without(norm.name)
    return graph


@rewrite("folded", into="after")
def fold_batch_norm_forwards(graph: Graph) -> Graph:
    """Into the layer after, where every reader of the norm can take it."""
    for name in [node.name for node in reversed(graph.of_type(BatchNorm, ChannelAffine))]:  # the last of a chain first
        norm = graph[name]
        layers = _layers_after(graph, norm)
        if layers is None or not _constant_in_channels(graph, norm):
            continue
        scale, shift = scale_and_shift(norm)
        folded = [_fold_forwards(graph, layer, scale, shift) for layer in layers]
        graph = graph.replaced(*folded).without(norm.name)
    return graph


@rewrite("replaced")
def batch_norm_as_affine(graph: Graph) -> Graph:
    """What could not be folded stays, as one factor and one shift a channel."""
    return graph.replaced(
        *(
            ChannelAffine(name=norm.name, inputs=norm.inputs, scale=norm.scale, bias=norm.shift)
            for norm in graph.of_type(BatchNorm)
        )
    )


def scale_and_shift(norm: Node) -> tuple[Array, Array]:
    """Its ``y = scale · x + shift`` in double precision."""
    if isinstance(norm, BatchNorm):
        return norm.scale, norm.shift
    if not isinstance(norm, ChannelAffine):
        raise GraphError(f"{norm}: has no scale and shift")
    return norm.scale.astype(np.float64), norm.bias.astype(np.float64)


def _layers_after(graph: Graph, norm: Node) -> list[Conv | Linear] | None:
    """The layers that read a norm, through pooling and flattening that pass an affine map on unchanged."""
    layers: list[Conv | Linear] = []
    waiting = list(dict.fromkeys(graph.consumers[norm.name]))
    while waiting:
        node = graph[waiting.pop(0)]
        if isinstance(node, Conv | Linear) and node not in layers:
            layers.append(node)
        elif isinstance(node, Flatten) or (isinstance(node, AvgPool) and _mean_of_real_inputs(graph, node)):
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


def _fold_forwards(graph: Graph, layer: Conv | Linear, scale: Array, shift: Array) -> Node:
    shape = graph.input_shapes(layer)[0]
    if isinstance(layer, Linear):
        repeats = shape[0] // len(scale)  # a Flatten lays a channel out in one piece
        weight = layer.weight.astype(np.float64)
        moved = weight @ np.repeat(shift, repeats)
        return layer.replace(weight=weight * np.repeat(scale, repeats), bias=layer.bias + moved)
    per_group = layer.weight.shape[1]
    outputs = layer.weight.shape[0]
    group = np.arange(outputs) // (outputs // layer.groups)
    channel = group[:, None] * per_group + np.arange(per_group)[None, :]
    axes = (1,) * len(layer.kernel)
    weight = layer.weight * scale[channel].reshape(outputs, per_group, *axes)
    moved = layer.weight * shift[channel].reshape(outputs, per_group, *axes)
    if not has_padding(layer.padding) or not shift.any():
        added = moved.reshape(outputs, -1).sum(axis=1)
        wide = (-1, *(1 for _ in layer.bias.shape[1:]))
        return layer.replace(weight=weight, bias=layer.bias + added.reshape(wide))
    added = _convolved(layer, shift, shape)
    bias = layer.bias if layer.bias.ndim > 1 else layer.bias.reshape(-1, *axes)
    return layer.replace(weight=weight, bias=bias + added)


def _convolved(layer: Conv, shift: Array, shape: tuple[int, ...]) -> Array:
    """What the layer makes of the shift alone, padded with zeros: the exact bias of every output position."""
    import torch

    constant = np.broadcast_to(shift.reshape(-1, *(1 for _ in shape[1:])), shape)
    unbiased = layer.replace(bias=np.zeros(layer.weight.shape[0], np.float32))
    forward = unbiased.bind(lambda array: torch.tensor(array, dtype=torch.float64))
    result: Array = forward(torch.from_numpy(np.ascontiguousarray(constant, np.float64))[None])[0].numpy()
    return result
