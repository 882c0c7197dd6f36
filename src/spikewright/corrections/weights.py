"""Weights and biases that make up for what spiking loses: layer by layer, trained without labels.

While all earlier layers spike already, the weights of one population are moved so that what it has sent after T steps
comes near the analog activation: the squared error of the count, ``Σ (n_T − a·T)²``, where ``n_T`` is what its neurons
really send. The count is a staircase of its mean input; its slope is taken for 1 between none and T spikes and for 0
outside (a straight-through estimator, as in the "advanced" calibration of Li et al. 2021). Of an output the mean input
itself comes near the analog value.

Populations that exchange window by window only round: a window is one step of the network in its units (``one_step``),
and the same is done with that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from spikewright.conversion import Conversion
from spikewright.corrections.corrector import Given, LayerCorrector
from spikewright.corrections.walk import Layer
from spikewright.encoders import Encoder
from spikewright.engines.windows import levels_of, one_step, schedule_of
from spikewright.errors import SettingsError
from spikewright.forward import tensors_on
from spikewright.graph import Array, Node
from spikewright.nodes import IF, Output
from spikewright.timesteps import Timesteps

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 32
"""Samples of one step."""


@dataclass(frozen=True)
class Weights(LayerCorrector):
    """Weights and biases of every layer; the only corrector that trains.

    Attributes:
        rounds: steps of Adam for each layer, the rate falling along half a cosine.
        rate: of the first step, as a part of the mean magnitude of a layer's weights.
    """

    rounds: int = 100
    rate: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rounds < 1 or not 0 < self.rate <= 1:
            raise SettingsError(
                f"weights: rounds must be 1 or more and the rate above 0 and at most 1, not {self.rounds} and "
                f"{self.rate:g}"
            )

    def layer(self, layer: Layer, given: Given) -> Iterable[Node]:
        import torch

        trained = [node for node in layer.operators if node.weighted]
        if layer.activations is None or not isinstance(layer.node, IF | Output) or not trained:
            return ()
        whole = given.encoder.units if isinstance(given.encoder, InUnits) else None
        trial = Trial(layer, trained, {t: whole or t for t in given.timesteps.values})
        before, generator = trial.error(), torch.Generator().manual_seed(given.seed)
        optimiser = torch.optim.Adam(trial.groups(self.rate))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.rounds)
        for _ in range(self.rounds):
            rows = torch.randperm(layer.samples, generator=generator)[:BATCH]
            optimiser.zero_grad()
            trial.loss(rows).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        return trial.nodes() if trial.error() < before else ()

    def apply(self, given: Given) -> Conversion:
        spiking = given.conversion.spiking
        schedule = schedule_of(spiking)
        if schedule == "free":
            return super().apply(given)
        steps = given.timesteps.last
        units, _ = levels_of(schedule, steps)
        stepped = given.conversion.with_spiking(one_step(spiking, steps))
        encoder = InUnits(given.encoder, steps, units)
        walk = replace(given, conversion=stepped, timesteps=Timesteps(1, 1), encoder=encoder).walk()
        for layer in walk:
            layer.replace(*self.layer(layer, replace(given, timesteps=Timesteps(1, 1), encoder=encoder)))
        nodes = [_of_a_step(node, walk.graph[node.name], units) for node in spiking]
        return given.conversion.corrected(spiking.with_nodes(nodes), self.remembered(given))


@dataclass(frozen=True)
class InUnits(Encoder):
    """What inputs bring in a whole window, in the units of its one step.

    Attributes:
        usual: how they are encoded.
        steps: T of a window.
        units: of λ.
    """

    usual: Encoder
    steps: int
    units: int

    def at(self, x: Tensor, t: int, first: int = 0) -> Tensor:  # noqa: ARG002
        return self.usual.mean(x, self.steps) * self.units

    def mean(self, x: Tensor, timesteps: int) -> Tensor:  # noqa: ARG002
        return self.usual.mean(x, self.steps)


def _of_a_step(node: Node, after: Node, units: int) -> Node:
    """A node with the weights that it was given as one of a network of whole windows."""
    if not node.weighted or all(np.array_equal(own, after.arrays[label]) for label, own in node.arrays.items()):
        return node
    scaled = {label: own / units if label == "bias" else own for label, own in after.arrays.items()}
    return node.replace(**scaled)


class Trial:
    """A layer with weights that can be moved.

    Args:
        layer: a population or an output.
        nodes: its operators that have weights.
        times: every T that it should be right at, with how many spikes then stand for λ: T, or the units of a window.
    """

    def __init__(self, layer: Layer, nodes: Sequence[Node], times: Mapping[int, int]) -> None:
        self.layer, self.trained, self.times = layer, nodes, times
        self.parameters: dict[tuple[str, str], Tensor] = {}
        self.functions: dict[str, Callable[..., Tensor]] = {node.name: self._bound(node) for node in nodes}
        put, shape, node = tensors_on(str(layer.device)), layer.shape, layer.node
        self.threshold = put(node.spread(node.threshold, shape) if isinstance(node, IF) else np.ones(()))
        self.v_init = put(node.spread(node.v_init, shape) if isinstance(node, IF) else np.zeros(()))

    def _bound(self, node: Node) -> Callable[..., Tensor]:
        """The forward function of a node, its arrays noted on their way to the device."""
        put = tensors_on(str(self.layer.device))

        def noted(array: Array) -> Tensor:
            tensor = put(array)
            for label, own in node.arrays.items():
                if own is array:
                    self.parameters[node.name, label] = tensor.requires_grad_()
            return tensor

        return node.bind(noted)

    def groups(self, rate: float) -> list[dict[str, object]]:
        """What is moved, for an optimiser: weights as fast as they are large, biases in units of the threshold."""
        theta = float(self.threshold.mean())
        return [
            {"params": [tensor], "lr": rate * (float(tensor.detach().abs().mean()) if label != "bias" else theta / 10)}
            for (_, label), tensor in self.parameters.items()
        ]

    def loss(self, rows: Tensor) -> Tensor:
        """Something whose gradient is that of the squared error of some samples, seen straight through the steps."""
        import torch

        wanted, sent = self.layer.rows(rows), self._sent(rows)
        total = torch.zeros(())
        for (t, units), n in zip(self.times.items(), sent, strict=True):
            mean = self.layer.read(rows, self.functions, mean_of=t)[:, 0]
            if n is None:
                total = total + (mean * (t / units) - wanted).square().mean()
                continue
            count = (mean * t + self.v_init) / self.threshold - 0.5
            with torch.no_grad():
                error = n - wanted * units
                rises = ((count > -0.5) & (count < units + 0.5)) | ((n > 0) & (n < units))
                slope = error * rises / (len(rows) * units)
            total = total + (count * slope).sum()
        return total

    def error(self) -> float:
        """The squared error of all samples, a mean over them."""
        import torch

        total = 0.0
        for start in range(0, self.layer.samples, BATCH):
            rows = torch.arange(start, min(start + BATCH, self.layer.samples))
            wanted = self.layer.rows(rows)
            for (t, units), n in zip(self.times.items(), self._sent(rows), strict=True):
                with torch.no_grad():
                    sent = n / units if n is not None else self.layer.read(rows, self.functions, t)[:, 0] * (t / units)
                    total += float((sent - wanted).double().square().sum()) * (1 if n is None else units)
        return total / self.layer.samples

    def _sent(self, rows: Tensor) -> list[Tensor | None]:
        """What the neurons have sent after every T that is wanted, ``(b, *shape)``; None of an output."""
        import torch

        if not isinstance(self.layer.node, IF):
            return [None for _ in self.times]
        with torch.no_grad():
            currents = self.layer.read(rows, self.functions)
        count: Tensor | None = None
        found: list[Tensor | None] = []
        for t, spikes in enumerate(self.layer.fire(currents), 1):
            count = spikes if count is None else count + spikes
            if t in self.times:
                found.append(count.clone())
        return found

    def nodes(self) -> tuple[Node, ...]:
        """The operators with the weights as they are now."""
        found = []
        for node in self.trained:
            own = {label: tensor for (name, label), tensor in self.parameters.items() if name == node.name}
            found.append(node.replace(**{label: tensor.detach().cpu().numpy() for label, tensor in own.items()}))
        return tuple(found)
