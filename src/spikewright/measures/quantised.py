"""The trained network rounded to as many levels as T timesteps have: what no spike that comes late or unevenly costs.

In T steps a neuron sends 0 to ``φT`` spikes (φ is the most it may send in one step, 1 for single spikes), so a spiking
network knows every activation in steps of λ/T at best. The network that rounds its activations so::

    x → clip(floor(T·x/λ + s), 0, φT) · λ/T        with s = ½, or as the network was trained

has no time and no spikes. Between the trained network and it lies what clipping and rounding cost, between it and the
spiking network's curve what unevenness and transients cost, which corrections and other neurons can get back. It is
what a layered schedule computes. Where the network was corrected or changed since its conversion, it stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.conversion import Conversion
from spikewright.encoders import Encoder
from spikewright.engines import windows
from spikewright.forward import Forward
from spikewright.graph import Graph
from spikewright.measures.plain import plain_curve, plain_number
from spikewright.nodes import IF, ReLU
from spikewright.tasks import Curve, Head, RunningScores

if TYPE_CHECKING:
    from torch import Tensor

UNCAPPED = 2**16
"""Spikes a step of a neuron that may send any number: so many are never reached, and as a power of two it is exact."""

FINEST = 20
"""Few-spike levels of more timesteps are not told from these."""


@dataclass(frozen=True, eq=False)
class QuantisedScores:
    """How good the quantised network's answers of one output are.

    They are compared with what the curves of ``HeadMeasures.curves`` are compared with: the labels, or where there are
    none the trained network's answers.

    Attributes:
        steps: ``S`` numbers of timesteps, rising.
        scores: by name, ``(S,)``: of the trained network rounded to the levels of so many timesteps.
        clipped: by name: of the trained network whose activations end where its neurons send spikes in every step,
            without rounding; what it lacks no number of timesteps gives back.
    """

    steps: tuple[int, ...]
    scores: Mapping[str, Curve]
    clipped: Mapping[str, float]

    def summary(self) -> dict[str, Any]:
        """The numbers as plain JSON-like values."""
        return {
            "timesteps": list(self.steps),
            "scores": {name: plain_curve(curve) for name, curve in self.scores.items()},
            "clipped": {name: plain_number(value) for name, value in self.clipped.items()},
        }


def levels_of(neuron: IF, timesteps: int) -> tuple[int, int | None]:
    """How many levels of T timesteps make up λ, and the highest one; None where there is none.

    Few-spike neurons, whose spikes weigh ``2^−t``, have ``2^T``; all others T.
    """
    if neuron.schedule == "few_spike":
        return windows.levels_of(neuron.schedule, min(timesteps, FINEST))
    return timesteps, None if neuron.max_spikes is None else neuron.max_spikes * timesteps


def quantised_graph(conversion: Conversion, timesteps: int | None) -> Graph:
    """The trained network in units of λ, its activations rounded to the levels of T timesteps.

    Args:
        conversion: of which the spikes a step are taken too.
        timesteps: T; None clips the activations and does not round.
    """
    neurons = {node.name: node for node in conversion.spiking.of_type(IF)}
    graph = conversion.normalised
    relus = [relu for relu in graph.of_type(ReLU) if relu.name in neurons]
    return graph.replaced(*(_as_counted(relu, neurons[relu.name], timesteps) for relu in relus))


def _as_counted(relu: ReLU, neuron: IF, timesteps: int | None) -> ReLU:
    """A rectifier that answers with what its neurons can count."""
    if timesteps is None:
        trained_so = neuron.max_spikes is None or relu.levels is not None  # trained levels end at a whole number of λ
        return relu if trained_so else relu.replace(ceiling=float(neuron.max_spikes or 0))
    made, most = levels_of(neuron, timesteps)
    highest = UNCAPPED * made if most is None else most
    shift = 0.5 if relu.levels is None else relu.shift
    return relu.replace(ceiling=highest / made, levels=highest, shift=shift)


class QuantisedObserver:
    """Runs the quantised networks beside a simulation, on the same samples.

    Args:
        conversion: what is measured.
        steps: the numbers of timesteps.
        heads: what is asked of every output, with the targets of all samples.
        encoder: of the simulation.
        device: a torch device.
    """

    def __init__(
        self, conversion: Conversion, steps: Sequence[int], heads: Mapping[str, Head], encoder: Encoder, device: str
    ) -> None:
        self.steps, self.heads, self.encoder, self.done = tuple(steps), heads, encoder, 0
        self.networks = [Forward(quantised_graph(conversion, t), device) for t in (*self.steps, None)]
        self.running: dict[str, RunningScores] = {
            name: head.task.running_scores(len(self.networks), head.answer) for name, head in heads.items()
        }

    def __call__(self, x: Tensor, analog: Mapping[str, Tensor]) -> None:
        """Count one batch.

        Args:
            x: its samples.
            analog: what the trained network answered, by output.
        """
        times = (*self.steps, self.steps[-1])
        answers = [network(self.encoder.mean(x, t)) for network, t in zip(self.networks, times, strict=True)]
        for name, head in self.heads.items():
            found = np.stack([one[name].cpu().numpy() for one in answers], axis=1)
            if head.targets is None:
                targets = head.task.decisions(analog[name].cpu().numpy(), head.answer)
            else:
                targets = head.targets[self.done : self.done + len(found)]
            self.running[name].add(found, targets)
        self.done += len(x)

    def results(self) -> dict[str, QuantisedScores]:
        """The scores of every output, by its name."""
        found = {}
        for name, running in self.running.items():
            scores = running.scores()
            rounded = {score: curve[:-1] for score, curve in scores.items()}
            found[name] = QuantisedScores(self.steps, rounded, {k: float(v[-1]) for k, v in scores.items()})
        return found
