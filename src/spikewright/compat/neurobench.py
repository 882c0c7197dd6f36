"""A spiking network as NeuroBench's harness takes it: with layers that its hooks find, so that its own metrics count.

torch is imported with the file, NeuroBench where it is used.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from spikewright.conversion import Conversion, spiking_graph
from spikewright.engines.reference import Simulation
from spikewright.errors import DataError, SettingsError
from spikewright.graph import Graph, Shape
from spikewright.nodes import IF, Conv, Linear, Output
from spikewright.settings import whole
from spikewright.training.spiking_module import SpikingModule

__all__ = ["LayeredNetwork", "Spikes", "neurobench_model"]


class Spikes(nn.Module):
    """What a population sent in a step passes through here, where hooks see it."""

    def forward(self, spikes: Tensor) -> Tensor:
        """The spikes as they are.

        Args:
            spikes: ``(samples, *shape)``.
        """
        return spikes


class LayeredNetwork(nn.Module):
    """A spiking graph whose convolutions and linear layers are torch's, called once a step, and whose spikes pass
    through a ``Spikes`` for each population. It answers as the reference engine does.

    Attributes:
        graph: the spiking graph.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self._simulation = Simulation(graph)
        self._spikes: dict[str, nn.Module] = {}
        for node in graph:
            if isinstance(node, Linear | Conv):
                layer, call = _layer(node, graph.input_shapes(node)[0])
                self.add_module(_free(self, node.name), layer)
                self._simulation.linear[node.name] = call
            elif isinstance(node, IF):
                self._spikes[node.name] = Spikes()
                self.add_module(_free(self, node.name), self._spikes[node.name])

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """What arrives at the output in each step, ``(samples, timesteps, *shape)``.

        Args:
            x: ``(samples, timesteps, *shape)``.

        Raises:
            DataError: for another shape.
        """
        if tuple(x.shape[2:]) != self.graph.sample_shape:
            wanted = ", ".join(map(str, self.graph.sample_shape))
            raise DataError(f"the network takes (samples, timesteps, {wanted}), the batch is {tuple(x.shape)}")
        state, (output, *_) = self._simulation.start(len(x)), self.graph.of_type(Output)
        arrived = []
        for t, frame in enumerate(x.float().unbind(1)):
            values = self._simulation.step(frame, state, t)
            for name, spikes in self._spikes.items():
                spikes(values[name])
            arrived.append(values[output.name])
        return torch.stack(arrived, 1)


def neurobench_model(network: Conversion | Graph | SpikingModule, timesteps: int | None = None) -> Any:
    """A ``NeuroBenchModel`` of a spiking network, for ``neurobench.benchmarks.Benchmark``.

    Its answers are ``(samples, timesteps, classes)``: what arrives at the output in each step, for post-processors such
    as ``choose_max_count``. Synaptic operations, sparsity of activations and of connections, and parameters are those
    of the spiking network; pools and factors of channels are no connections for NeuroBench.

    Args:
        network: a conversion, a spiking graph, or a module of ``sw.training.module`` with what it has learned.
        timesteps: how often each sample is shown; None for batches that have a time axis, ``(samples, timesteps,
            *shape)``.

    Raises:
        SettingsError: where NeuroBench is not installed, and for a network that does not spike.
    """
    graph = network.spiking() if isinstance(network, SpikingModule) else spiking_graph(network)
    if not graph.populations:
        raise SettingsError("the network has no spiking populations: convert it first")
    steps = None if timesteps is None else whole("timesteps", timesteps)
    try:
        from neurobench.models import NeuroBenchModel
    except ImportError as error:
        raise SettingsError("NeuroBench is not installed: pip install neurobench") from error

    class SpikingNeuroBenchModel(NeuroBenchModel):  # type: ignore[misc]
        """A spiking network in NeuroBench's words."""

        def __init__(self) -> None:
            super().__init__()
            self.net = LayeredNetwork(graph).eval()
            self.add_activation_module(Spikes)

        def __call__(self, batch: Tensor) -> Tensor:
            shown = batch if steps is None else batch[:, None].expand(-1, steps, *batch.shape[1:])
            return cast(Tensor, self.net(shown))

        def __net__(self) -> LayeredNetwork:
            return self.net

    return SpikingNeuroBenchModel()


def _layer(node: Linear | Conv, shape: Shape) -> tuple[nn.Module, Any]:
    """torch's layer of a node, and what is called with its input."""
    arrays = {name: torch.tensor(array, dtype=torch.float32) for name, array in node.arrays.items()}
    weight, bias = arrays["weight"], arrays["bias"]
    if isinstance(node, Linear):
        made: Any = nn.Linear(weight.shape[1], weight.shape[0])
        before: list[int] = []
    else:
        kinds: tuple[Any, ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
        even = all(low == high for low, high in node.padding)
        before = [] if even else [side for pair in reversed(node.padding) for side in pair]
        made = kinds[len(node.kernel) - 1](
            shape[0],
            weight.shape[0],
            node.kernel,
            node.stride,
            tuple(low for low, _ in node.padding) if even else 0,
            node.dilation,
            node.groups,
        )
    made.weight = nn.Parameter(weight)
    own = bias.ndim == 1
    made.bias = nn.Parameter(bias) if own else None

    def call(x: Tensor) -> Tensor:
        out = made(nn.functional.pad(x, before) if before else x)
        return cast(Tensor, out if own else out + bias)

    return made, call


def _free(net: nn.Module, name: str) -> str:
    """A name that torch allows and that is free."""
    found = name.replace(".", "_")
    while hasattr(net, found):
        found += "_"
    return found
