"""What weights are kept to while they learn: the threshold behind them, and noise that they must bear.

torch is imported where it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING

from spikewright.errors import SettingsError
from spikewright.nodes import IF, AvgPool
from spikewright.wiring import projections

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from spikewright.training.spiking_module import SpikingModule

Parameters = Mapping[tuple[str, str], "Tensor"]
LEAST_THRESHOLD = 1e-3
"""Thresholds that are trained stay above this."""


def clip_weights(module: SpikingModule) -> int:
    """Clip weights to the threshold of the neurons that they reach; call it after every step of an optimiser.

    A neuron of an event-driven chip sends one spike for an event: a weight above the threshold leaves some of its
    potential for events that follow, whatever they are. Behind an average pool a weight may be as many times larger as
    the pool has places, as each event weighs so much less. Thresholds that are trained are kept above 0.

    Args:
        module: whose parameters are changed in place.

    Returns:
        how many weights were clipped.
    """
    import torch

    with torch.no_grad():
        keep_thresholds(module)
        clipped = 0
        for place, (population, pooled) in receivers(module).items():
            threshold = module.trained.get((population, "threshold"))
            fixed = module.graph[population].arrays["threshold"].min()
            most = pooled * (float(fixed) if threshold is None else float(threshold.min()))
            parameter = module.trained[place]
            clipped += int((parameter > most).sum())
            parameter.clamp_(max=most)
    return clipped


def keep_thresholds(module: SpikingModule) -> None:
    """Keep trained thresholds above 0, in place; call it after every step of an optimiser."""
    import torch

    with torch.no_grad():
        for (_, label), parameter in module.trained.items():
            if label == "threshold":
                parameter.clamp_(min=LEAST_THRESHOLD)


def receivers(module: SpikingModule) -> Mapping[tuple[str, str], tuple[str, float]]:
    """The population that each array of trained weights reaches, and how many places the pools before it have."""
    graph = module.graph
    found: dict[tuple[str, str], tuple[str, float]] = {}
    for projection in projections(graph, pools="folded"):
        path = projection.path
        if not isinstance(graph.by_name.get(path.dest.name), IF):
            continue
        nodes = [graph[name] for name in path.through]
        pooled = prod(prod(node.kernel) for node in nodes if isinstance(node, AvgPool))
        for node in nodes:
            for label in ("weight", "scale"):
                if (node.name, label) in module.trained:
                    found[node.name, label] = path.dest.name, float(pooled)
    return found


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
