"""Weights and biases that make up for what spiking loses: layer by layer, fitted and trained without labels.

While all earlier layers spike already, the weights of one population are moved twice. First so that its mean input over
T steps comes near the analog network's, by least squares: what earlier layers send wrongly is made up for by what they
send rightly. Then so that what it has sent after T steps comes near the analog activation: the squared error of the
count, ``Σ (n_T − a·T)²``, where ``n_T`` is what its neurons really send. The count is a staircase of its mean input;
its slope is taken for 1 between no spike and the most there can be, T times the cap of a step, and for 0 outside (a
straight-through estimator, as in the "advanced" calibration of Li et al. 2021). Of an output the mean input itself
comes near the analog value.

Populations that exchange window by window only round: ``Walk`` makes a window one step of neurons that may send many
spikes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from spikewright.corrections.corrector import MOST_ROUNDS, Given, LayerCorrector
from spikewright.corrections.least_squares import least_squares
from spikewright.corrections.walk import Layer
from spikewright.errors import SettingsError
from spikewright.forward import tensors_on
from spikewright.graph import Array, Node
from spikewright.nodes import IF, Output
from spikewright.settings import whole

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 32
"""Samples of one step."""


@dataclass(frozen=True)
class Weights(LayerCorrector):
    """Weights and biases of every layer; the only corrector that trains.

    Attributes:
        fitting: steps of conjugate gradients for the mean input of each layer; few of them, so that a layer with more
            weights than samples does not learn these by heart.
        rounds: steps of Adam for the counts of each layer, the rate falling along half a cosine.
        rate: of the first step, as a part of the mean magnitude of a layer's weights.
    """

    fitting: int = 8
    rounds: int = 60
    rate: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.fitting, self.rounds) < 0 or not self.fitting + self.rounds or not 0 < self.rate <= 1:
            raise SettingsError(
                "weights: fitting and rounds must be 0 or more, not 0 both, and the rate above 0 and at most 1, not "
                f"{self.fitting}, {self.rounds} and {self.rate:g}"
            )
        for label in ("fitting", "rounds"):
            whole(f"weights: {label}", getattr(self, label), 0, MOST_ROUNDS)

    def layer(self, layer: Layer, given: Given) -> Iterable[Node]:
        trained = [node for node in layer.operators if node.weighted]
        if layer.activations is None or not isinstance(layer.node, IF | Output) or not trained:
            return ()
        trial = Trial(layer, trained, given.timesteps.values)
        errors, best = [trial.error()], trial.values()
        for move in (self._fit, partial(self._train, seed=given.seed)):
            move(trial)
            errors.append(trial.error())
            if errors[-1] < min(errors[:-1]):
                best = trial.values()
            trial.put(best)
        return trial.nodes() if min(errors) < errors[0] else ()

    def _fit(self, trial: Trial) -> None:
        """By the mean input of all samples."""
        least_squares(list(trial.parameters.values()), trial.mean_inputs, self.fitting)

    def _train(self, trial: Trial, seed: int) -> None:
        """By the counts of a few samples at a time."""
        import torch

        generator = torch.Generator().manual_seed(seed)
        optimiser = torch.optim.Adam(trial.groups(self.rate))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(self.rounds, 1))
        for _ in range(self.rounds):
            rows = torch.randperm(trial.layer.samples, generator=generator)[:BATCH]
            optimiser.zero_grad()
            trial.loss(rows).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()


class Trial:
    """A layer with weights that can be moved.

    Args:
        layer: a population or an output.
        nodes: its operators that have weights.
        times: every T that it should be right at.
    """

    def __init__(self, layer: Layer, nodes: Sequence[Node], times: Sequence[int]) -> None:
        self.layer, self.trained, self.times = layer, nodes, times
        self.parameters: dict[tuple[str, str], Tensor] = {}
        self.functions: dict[str, Callable[..., Tensor]] = {node.name: self._bound(node) for node in nodes}
        put, shape, node = tensors_on(str(layer.device)), layer.shape, layer.node
        self.threshold = put(node.spread(node.threshold, shape) if isinstance(node, IF) else np.ones(()))
        self.most = (node.max_spikes or inf) if isinstance(node, IF) else inf
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

    def values(self) -> list[Tensor]:
        """A copy of the parameters."""
        return [tensor.detach().clone() for tensor in self.parameters.values()]

    def put(self, values: Sequence[Tensor]) -> None:
        """Set the parameters."""
        import torch

        with torch.no_grad():
            for tensor, value in zip(self.parameters.values(), values, strict=True):
                tensor.copy_(value)

    def mean_inputs(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The mean input of all samples over every T, a few at a time, and that of the analog network."""
        import torch

        for start in range(0, self.layer.samples, BATCH):
            rows = torch.arange(start, min(start + BATCH, self.layer.samples))
            wanted = self.layer.analog_currents(rows).clone()
            for t in self.times:
                yield self.layer.read(rows, self.functions, mean_of=t)[:, 0], wanted

    def loss(self, rows: Tensor) -> Tensor:
        """Something whose gradient is that of the squared error of some samples, seen straight through the steps."""
        import torch

        wanted, sent = self.layer.rows(rows), self._sent(rows)
        total = torch.zeros(())
        for t, n in zip(self.times, sent, strict=True):
            mean = self.layer.read(rows, self.functions, mean_of=t)[:, 0]
            if n is None:
                total = total + (mean - wanted).square().mean()
                continue
            count = (mean * t + self.v_init) / self.threshold - 0.5
            with torch.no_grad():
                error, most = n - wanted * t, self.most * t
                rises = ((count > -0.5) & (count < most + 0.5)) | ((n > 0) & (n < most))
                slope = error * rises / (len(rows) * t)
            total = total + (count * slope).sum()
        return total

    def error(self) -> float:
        """The squared error of all samples, a mean over them."""
        import torch

        total = 0.0
        for start in range(0, self.layer.samples, BATCH):
            rows = torch.arange(start, min(start + BATCH, self.layer.samples))
            wanted = self.layer.rows(rows)
            for t, n in zip(self.times, self._sent(rows), strict=True):
                with torch.no_grad():
                    sent = n / t if n is not None else self.layer.read(rows, self.functions, t)[:, 0]
                    total += float((sent - wanted).double().square().sum()) * (1 if n is None else t)
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
