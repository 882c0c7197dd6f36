"""Biases that make up for the spikes that are missing: one a channel, one a channel and step, or three a channel.

All go layer by layer through time, while all earlier layers spike already. With ``a`` the analog activation in units of
λ, ``s_t`` what was sent at step t and means over samples and positions of a channel, the error of the cumulative count
is ``e(T) = mean(T·a − Σ_t s_t)``.

* static: ``b += Σ_T T·e(T) / Σ_T T²``, the least squares of what is added to each step, over every T that is corrected
  for; of one T it is the mean error of the rate (the "light" calibration of Li et al. 2021).
* ``steps``: FTBC (Wu et al. 2024, arXiv 2403.18388): ``b[t] += α·mean(a − s_t)``, step after step, each of which is
  taken again with the new bias before the next one. Their ``β`` is ``−b``.
* ``steps,form=linear``: ``b0 + b1·t/(T−1) + b2·[it has fired]``, least squares of ``a − s_t`` with a ridge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from spikewright.conversion import Conversion
from spikewright.corrections.corrector import MOST_ROUNDS, Given, LayerCorrector
from spikewright.corrections.walk import Layer, Neurons, channel_sums
from spikewright.engines.windows import schedule_of
from spikewright.errors import SettingsError
from spikewright.graph import Array, Node
from spikewright.nodes import IF, Add, ChannelAffine, Output
from spikewright.settings import whole
from spikewright.timesteps import Timesteps

if TYPE_CHECKING:
    from torch import Tensor

RIDGE = 1e-4
"""Added to the mean squares of what the three numbers weigh."""
ROUNDS, STEPS_ROUNDS = 4, 10
"""How often where nothing is said: of static biases, and of those by step."""


@dataclass(frozen=True)
class Bias(LayerCorrector):
    """Biases of populations, and static ones of outputs too.

    Attributes:
        steps: one for each step in place of one for all. Nothing is added after the last step, so that answers still
            end where they did.
        form: of those for each step: a "table" of them, or "linear" in time and in whether the neuron has fired.
        rounds: how often; None for 4, or 10 of steps.
        rate: α, the part of an error that is made up for in one round of ``steps``.
    """

    steps: bool = False
    form: Literal["table", "linear"] = "table"
    rounds: int | None = None
    rate: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form == "linear" and not self.steps:
            raise SettingsError("bias: a form is one of biases by step; write bias:steps,form=linear")
        if self.rounds is not None:
            whole("bias: rounds", self.rounds, 1, MOST_ROUNDS)
        if not 0 < self.rate <= 1:
            raise SettingsError(f"bias: rate must be above 0 and at most 1, not {self.rate:g}")

    def layer(self, layer: Layer, given: Given) -> Iterable[Node]:
        if layer.activations is None or not isinstance(layer.node, IF | Output):
            return ()
        if not self.steps:
            return with_bias(layer, static_bias(layer, given.timesteps.values, self.rounds or ROUNDS))
        if isinstance(layer.node, Output):
            return ()
        if self.form == "linear":
            return (self._linear(layer, layer.node),)
        return (self._table(layer, layer.node),)

    def check(self, conversion: Conversion, timesteps: Timesteps, before: Sequence[str] = ()) -> None:
        schedule = schedule_of(conversion.spiking)
        if self.steps and schedule != "free":
            raise SettingsError(
                f"bias: {schedule} neurons add up all steps of a window, so that a bias for each of them is one for "
                "all: take bias, v_init or weights"
            )
        super().check(conversion, timesteps, before)

    def _table(self, layer: Layer, node: IF) -> IF:
        """The neurons with a bias for each step."""
        import torch

        theta = thresholds_by_channel(layer, node)
        table = _known_table(node, layer, theta)
        bare = Neurons(node.replace(step_bias=None, fired_bias=None), layer.shape, layer.device)
        chunks = layer.kept()
        wanted = _total(channel_sums(chunk.activations) for chunk in chunks)
        count = sum(chunk.activations[:, 0].numel() for chunk in chunks)
        for _ in range(self.rounds or STEPS_ROUNDS):
            states = [bare.start(len(chunk.activations)) for chunk in chunks]
            for t in range(layer.timesteps):
                with torch.inference_mode():
                    bias = layer.wide(table[t] * theta)
                    tried = [bare.step(c.at(t) + bias, state, t)[0] for c, state in zip(chunks, states, strict=True)]
                    table[t] += self.rate * (wanted - _total(map(channel_sums, tried))) / count
                    bias = layer.wide(table[t] * theta)
                    states = [bare.step(c.at(t) + bias, state, t)[1] for c, state in zip(chunks, states, strict=True)]
        return node.replace(step_bias=table * theta, fired_bias=None)

    def _linear(self, layer: Layer, node: IF) -> IF:
        """The neurons with three numbers a channel for the bias of each step."""
        theta = thresholds_by_channel(layer, node)
        ramp = np.arange(layer.timesteps) / max(layer.timesteps - 1, 1)
        base, numbers, made = _known_table(node, layer, theta), np.zeros((len(theta), 3)), node
        chunks = layer.kept()
        for _ in range(self.rounds or STEPS_ROUNDS):
            squares, products, count = np.zeros((len(theta), 3, 3)), np.zeros((len(theta), 3)), 0
            for chunk in chunks:
                fired = chunk.activations.new_zeros(chunk.activations.shape)
                for t, sent in enumerate(layer.fire(chunk.currents, made)):
                    lacking = chunk.activations - sent
                    has_fired, lacking_then = (_numbers(channel_sums(one)) for one in (fired, lacking * fired))
                    each = sent[:, 0].numel()
                    weights = np.array([1.0, ramp[t]])
                    squares[:, :2, :2] += each * np.outer(weights, weights)
                    squares[:, :2, 2] += has_fired[:, None] * weights
                    squares[:, 2, :2] += has_fired[:, None] * weights
                    squares[:, 2, 2] += has_fired
                    products[:, :2] += _numbers(channel_sums(lacking))[:, None] * weights
                    products[:, 2] += lacking_then
                    count += each
                    fired = fired.maximum((sent != 0).to(fired.dtype))
            system = squares / count + RIDGE * np.eye(3)
            numbers += self.rate * np.linalg.solve(system, products[:, :, None] / count)[:, :, 0]
            table = base + numbers[:, 0] + numbers[:, 1] * ramp[:, None]
            made = node.replace(step_bias=table * theta, fired_bias=numbers[:, 2] * theta)
        return made


def static_bias(layer: Layer, times: Iterable[int], rounds: int) -> Array:
    """``(channels,)``: what is to be added to the currents of each step, in their unit."""
    wanted = set(times)
    node = layer.node
    theta = thresholds_by_channel(layer, node) if isinstance(node, IF) else np.ones(layer.shape[0])
    bias = np.zeros(layer.shape[0])
    for _ in range(rounds if isinstance(node, IF) else 1):
        error = np.zeros_like(bias)
        for chunk in layer.chunks():
            analog, sent = _numbers(channel_sums(chunk.activations)), np.zeros_like(bias)
            for t, values in enumerate(layer.fire(chunk.currents + layer.wide(bias * theta)), 1):
                sent = sent + _numbers(channel_sums(values))
                if t in wanted:
                    error += t * (t * analog - sent)
        bias += error / layer.neurons / sum(t * t for t in wanted)
    return np.asarray(bias * theta)


def with_bias(layer: Layer, bias: Array) -> tuple[Node, ...]:
    """The node that takes a bias of each channel in: the last operator before a population, that no other one reads.

    Where there is none, a one-to-one projection comes between.

    Args:
        layer: the population.
        bias: ``(channels,)``.
    """
    own = {node.name: node for node in layer.operators}
    waiting = [layer.node.inputs[0]]
    while waiting:
        node = own.get(waiting.pop(0))
        if node is not None and node.weighted:
            return (node.followed_by(np.ones(len(bias)), bias),)
        if isinstance(node, Add):
            waiting += node.inputs
    name = layer.graph.fresh_name(f"{layer.name}_bias")
    return (ChannelAffine(name=name, inputs=layer.node.inputs[:1], scale=np.ones(len(bias)), bias=bias),)


def thresholds_by_channel(layer: Layer, node: IF) -> Array:
    """``(channels,)``: the mean threshold of each channel."""
    wide = node.spread(node.threshold, layer.shape).astype(np.float64)
    return np.asarray(wide.reshape(len(wide), -1).mean(axis=1))


def _numbers(values: Tensor) -> Array:
    return np.asarray(values.cpu().numpy())


def _total(several: Iterable[Tensor]) -> Array:
    return np.asarray(np.sum([_numbers(one) for one in several], axis=0))


def _known_table(node: IF, layer: Layer, theta: Array) -> Array:
    """``(T, channels)``: the biases by step that neurons have already, in units of the threshold."""
    table = np.zeros((layer.timesteps, layer.shape[0]))
    if node.step_bias is not None:
        rows = min(len(table), len(node.step_bias))
        table[:rows] = node.step_bias[:rows] / theta
    return table
