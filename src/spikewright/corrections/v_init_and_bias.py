"""Initial potentials and static biases together, one of each a channel, by the squared error of what is sent.

Layer by layer, while all earlier layers spike already, the pair that makes ``Σ (n_T − a·T)²`` least: ``n_T`` is what a
neuron has sent after T steps, ``a`` the analog activation in units of λ, the sum over samples and positions of the
channel and every T that is corrected for. A mean that is right (``v_init``, ``bias``) still lets neurons send too much
here and too little there; a spike too many cannot be taken back, so that a neuron is better off waiting, with a lower
initial potential and as much more of a bias. Along that line, and along each of the two alone, the pair is looked for
in steps that become finer. Currents are worked out once; trying a pair is no more than letting the neurons run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from spikewright.corrections.bias import with_bias
from spikewright.corrections.corrector import Given, LayerCorrector
from spikewright.corrections.walk import Chunk, Layer, channel_sums
from spikewright.graph import Array, Node
from spikewright.nodes import IF

GRIDS = ((0.25, 3), (0.125, 2))
"""Rounds over all lines: the step of each, in thresholds, and how many of them to either side."""
VALUES = 2**21
"""Currents that pairs are tried on, of one layer: enough for a mean over each channel."""


@dataclass(frozen=True)
class VInitAndBias(LayerCorrector):
    """A pair of initial potential and static bias for each channel, of least squared error."""

    def layer(self, layer: Layer, given: Given) -> Iterable[Node]:
        node, times = layer.node, given.timesteps.values
        if not isinstance(node, IF) or layer.activations is None:
            return ()
        theta = node.spread(node.threshold, layer.shape).astype(np.float64)
        by_channel = theta.reshape(len(theta), -1).mean(axis=1)
        start = node.spread(node.v_init, layer.shape).astype(np.float64)
        chunks = some_of(layer)

        def error(v_init: Array, bias: Array) -> Array:
            moved = node.replace(v_init=start + theta * _wide(v_init, theta))
            return squared_error(layer, chunks, moved, bias * by_channel, times)

        weighted = any(one.weighted for one in layer.operators)
        v_init, bias = least(error, len(theta), 1 / given.timesteps.last if weighted else 0.0)
        changed: list[Node] = [node.replace(v_init=_narrowed(start + theta * _wide(v_init, theta)))]
        return [*with_bias(layer, bias * by_channel), *changed] if bias.any() else changed


def least(error: Callable[[Array, Array], Array], channels: int, per_step: float) -> tuple[Array, Array]:
    """What is to be added to initial potential and bias of each channel, in thresholds, for the least error.

    Args:
        error: of each channel, given both, all ``(channels,)``.
        channels: how many there are.
        per_step: the bias that makes one threshold over all steps; 0 leaves biases alone.
    """
    v_init, bias = np.zeros(channels), np.zeros(channels)
    best = error(v_init, bias)
    lines = ((-1.0, per_step), (1.0, 0.0), (0.0, per_step / 2), (1.0, 0.0)) if per_step else ((1.0, 0.0),)
    for step, reach in GRIDS:
        for along_v, along_bias in lines:
            from_v, from_bias = v_init, bias
            for k in (k for k in range(-reach, reach + 1) if k):
                tried = from_v + k * step * along_v, from_bias + k * step * along_bias
                found = error(*tried)
                better = found < best
                best = np.where(better, found, best)
                v_init, bias = np.where(better, tried[0], v_init), np.where(better, tried[1], bias)
    return v_init, bias


def some_of(layer: Layer) -> list[Chunk]:
    """Samples of a layer, as many as are worth trying on."""
    found: list[Chunk] = []
    left = VALUES
    for chunk in layer.chunks():
        each = chunk.activations[0].numel() * layer.timesteps
        take = min(max(left // each, 1), len(chunk.activations))
        rows = slice(chunk.rows.start, chunk.rows.start + take)
        found.append(Chunk(rows, chunk.currents[:take], chunk.activations[:take]))
        left -= take * each
        if left < each:
            break
    return found


def squared_error(layer: Layer, chunks: Iterable[Chunk], node: IF, bias: Array, times: Iterable[int]) -> Array:
    """``(channels,)``: the squared error of what neurons have sent, added up over samples, positions and every T.

    Args:
        layer: the population.
        chunks: some of its samples.
        node: the neurons to try.
        bias: ``(channels,)``: what is added to their currents at each step.
        times: every T. Errors of a longer time weigh less, each is divided by its T.
    """
    wanted, total = set(times), np.zeros(layer.shape[0])
    for chunk in chunks:
        wide = chunk.currents.new_tensor(bias).reshape(-1, *(1 for _ in layer.shape[1:]))
        sent = None
        for t, spikes in enumerate(layer.fire(chunk.currents + wide, node), 1):
            sent = spikes if sent is None else sent + spikes
            if t in wanted:
                total += channel_sums((sent - chunk.activations * t).square()).cpu().numpy() / t
    return total


def _wide(values: Array, like: Array) -> Array:
    return np.broadcast_to(values.reshape(-1, *(1 for _ in like.shape[1:])), like.shape)


def _narrowed(values: Array) -> Array:
    """One a channel where the positions agree, else one a neuron."""
    flat = values.reshape(len(values), -1)
    return flat[:, 0].copy() if (flat == flat[:, :1]).all() else values
