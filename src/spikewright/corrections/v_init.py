"""Initial potentials that make up for the counts that are missing: nothing but ``v_init`` changes.

Layer by layer, while all earlier layers spike already: ``v_init += θ·Σ_t mean(a − s_t)``, a few rounds of it, where
``a`` is the analog activation in units of λ and ``s_t`` what was sent at step t (the "potential" correction of Li et
al. 2021, per channel and in rounds).

Of a range it is ``v_init += θ·(Σ_T e(T)/T²) / (Σ_T 1/T²)`` with the error ``e(T)`` of the count after T steps: the
least squares of the error of the rate, on which a potential has 1/T of its size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spikewright.corrections.corrector import MOST_ROUNDS, Given, LayerCorrector
from spikewright.corrections.walk import Layer
from spikewright.graph import Array, Node
from spikewright.nodes import IF
from spikewright.settings import whole

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class VInit(LayerCorrector):
    """Initial potentials, per channel or per neuron.

    Attributes:
        neurons: one for each neuron, half-way to the mean of its channel, in place of one a channel.
        rounds: how often.
    """

    neurons: bool = False
    rounds: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("v_init: rounds", self.rounds, 1, MOST_ROUNDS)

    def layer(self, layer: Layer, given: Given) -> Iterable[Node]:
        node = layer.node
        if not isinstance(node, IF) or layer.activations is None:
            return ()
        times = given.timesteps.values
        theta = node.spread(node.threshold, layer.shape).astype(np.float64)
        v_init = node.spread(node.v_init, layer.shape).astype(np.float64)
        for _ in range(self.rounds):
            error = self._missing(layer, node.replace(v_init=v_init), times)
            by_channel = error.reshape(len(error), -1).mean(axis=1).reshape(-1, *(1 for _ in layer.shape[1:]))
            step = (error + by_channel) / 2 if self.neurons else np.broadcast_to(by_channel, error.shape)
            v_init = np.clip(v_init + theta * step, LOWEST * theta, HIGHEST * theta)
        if not self.neurons:
            v_init = _one_a_channel(v_init)
        return (node.replace(v_init=v_init),)

    def _missing(self, layer: Layer, node: IF, times: Iterable[int]) -> Array:
        """``(*shape)``: how many spikes a neuron lacks after T steps, the mean over samples, and over T by 1/T²."""
        total: Tensor | None = None
        wanted = set(times)
        for chunk in layer.chunks():
            sent = None
            for t, spikes in enumerate(layer.fire(chunk.currents, node), 1):
                sent = spikes if sent is None else sent + spikes
                if t in wanted:
                    lacking = (chunk.activations * t - sent).double().sum(dim=0) / t**2
                    total = lacking if total is None else total + lacking
        assert total is not None
        return np.asarray((total / (layer.samples * sum(t**-2 for t in wanted))).cpu().numpy())


LOWEST, HIGHEST = -1.5, 2.5
"""Between these an initial potential stays, in units of the threshold."""


def _one_a_channel(values: Array) -> Array:
    return np.asarray(values.reshape(len(values), -1)[:, 0].copy())
