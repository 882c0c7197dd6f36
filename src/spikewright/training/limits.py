"""What weights are kept to while they learn: the threshold behind them, and noise that they must bear.

torch is imported where it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from spikewright.errors import SettingsError
from spikewright.nodes import IF, AvgPool, Input
from spikewright.wiring import projections

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from spikewright.training.spiking_module import SpikingModule

Parameters = Mapping[tuple[str, str], "Tensor"]
LEAST_THRESHOLD = 1e-3
"""Thresholds that are trained stay at or above this share of what they were before training."""


@dataclass(frozen=True)
class Reach:
    """What weights reach along one path.

    Attributes:
        population: behind them.
        event: what one event adds to a potential by a weight of 1: what an event of an input stands for, 1 of spikes,
            divided by the places of average pools between.
        aligned: whether the first axis of the weights are the channels of the population.
    """

    population: str
    event: float
    aligned: bool


def clip_weights(module: SpikingModule, event_values: Mapping[str, float] | None = None) -> int:
    """Clip weights to the threshold of the neurons that they reach; call it after every step of an optimiser.

    A neuron of an event-driven chip sends one spike for an event: where an event adds more than the threshold, some of
    the potential is left for events that follow, whatever they are. So it is what one event adds that is kept at or
    below the threshold, in whatever unit the weights are: behind an average pool a weight may be as many times larger
    as the pool has places, behind an input as many times as an event stands for less than 1, and of thresholds that
    differ from channel to channel each weight has its own. Thresholds that are trained are kept above 0.

    Args:
        module: whose parameters are changed in place.
        event_values: what one event of an input stands for, by its name, as an encoder has it (``event_values``); of
            others what the network was converted with (``Input.event_value``), which a chip takes too, and 1 where it
            says nothing.

    Returns:
        how many weights were clipped.
    """
    import torch

    with torch.no_grad():
        keep_thresholds(module)
        clipped = 0
        for place, reached in receivers(module, event_values or {}).items():
            parameter = module.trained[place]
            for one in reached:
                threshold = _threshold(module, one.population).to(parameter) / one.event
                if one.aligned and threshold.ndim == 1:
                    most = threshold.view(-1, *(1 for _ in parameter.shape[1:])).expand_as(parameter)
                else:
                    most = threshold.min().expand_as(parameter)
                clipped += int((parameter > most).sum())
                parameter.copy_(torch.minimum(parameter, most))
    return clipped


def keep_thresholds(module: SpikingModule) -> None:
    """Keep trained thresholds above 0, in place; call it after every step of an optimiser.

    They stay at or above a thousandth of what they were: neurons that one of 0 or below let spike for ever are no
    network that can be saved. ``clip_weights`` calls it too.

    Args:
        module: whose parameters are changed in place.
    """
    import torch

    with torch.no_grad():
        for (name, label), parameter in module.trained.items():
            if label == "threshold":
                least = LEAST_THRESHOLD * torch.tensor(module.graph[name].arrays["threshold"]).to(parameter)
                parameter.copy_(torch.maximum(parameter, least))


def receivers(
    module: SpikingModule, event_values: Mapping[str, float] | None = None
) -> Mapping[tuple[str, str], tuple[Reach, ...]]:
    """What each array of trained weights reaches, along every path.

    Args:
        module: with the weights.
        event_values: of inputs: see ``clip_weights``.
    """
    graph = module.graph
    found: dict[tuple[str, str], tuple[Reach, ...]] = {}
    for projection in projections(graph, pools="folded"):
        path = projection.path
        if not isinstance(graph.by_name.get(path.dest.name), IF):
            continue
        nodes = [graph[name] for name in path.through]
        source = graph.by_name.get(path.source.name)
        own = source.event_value if isinstance(source, Input) else None
        event = (event_values or {}).get(path.source.name, own) or 1.0
        pooled = prod(prod(node.kernel) for node in nodes if isinstance(node, AvgPool))
        for node in nodes:
            reach = Reach(path.dest.name, event / pooled, node is nodes[-1] and path.after is None)
            for label in ("weight", "scale"):
                place = node.name, label
                if place in module.trained:
                    found[place] = (*found.get(place, ()), reach)
    return found


def _threshold(module: SpikingModule, population: str) -> Tensor:
    """Of a population, trained or not: one number, one a channel, or one a neuron."""
    import torch

    learned = module.trained.get((population, "threshold"))
    return torch.tensor(module.graph[population].arrays["threshold"]) if learned is None else learned


class WeightNoise:
    """Normally distributed noise on weights while they learn, as a share of the largest of their layer.

    It stands in for parameters (``module.stand_ins``) in each call of a module in training mode.

    Args:
        size: the standard deviation as a share of the largest weight of a layer.
        seed: of the draws.

    Raises:
        SettingsError: for a size that is not positive.
    """

    def __init__(self, size: float, seed: int = 0) -> None:
        if not 0 < size < float("inf"):
            raise SettingsError(f"noise of weights is a positive share of the largest one, not {size:g}")
        self.size, self.seed = size, seed
        self._step = 0
        self._generator: Generator | None = None

    def begin(self, step: int) -> None:
        """Draw on as at the beginning of a step of the optimiser, so that one can be repeated."""
        self._step, self._generator = step, None

    def __call__(self, parameters: Parameters) -> dict[tuple[str, str], Tensor]:
        """The parameters with noise on those that are weights."""
        import torch

        found = dict(parameters)
        for place, weight in parameters.items():
            if place[1] not in ("weight", "scale"):
                continue
            if self._generator is None:
                self._generator = torch.Generator(weight.device).manual_seed(self.seed + 1_000_003 * self._step)
            drawn = torch.randn(weight.shape, generator=self._generator, dtype=weight.dtype, device=weight.device)
            found[place] = weight + self.size * weight.detach().abs().max() * drawn
        return found
