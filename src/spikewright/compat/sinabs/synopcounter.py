"""sinabs' ``SNNAnalyzer``: statistics of spikes and synaptic operations, by its keys, with the numbers of ours.

Times are milliseconds throughout; what ends in ``/s`` counts per second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikewright.compat._running import RunningNetwork
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.measures import SynOps, synops
from spikewright.nodes import IF, Input


@dataclass
class _Seen:
    """What was seen of one layer.

    Attributes:
        last: of the last call.
        total: the sum over calls.
    """

    last: dict[str, Any] = field(default_factory=dict)
    total: dict[str, Any] = field(default_factory=dict)

    def add(self, found: Mapping[str, Any]) -> None:
        self.last = dict(found)
        self.total = {key: self.total.get(key, 0) + value for key, value in found.items()}


class SNNAnalyzer:
    """Statistics of a spiking network, gathered whenever it is called.

    Connections are counted by the map of each layer, borders exact, also behind pooling of any kind. While it is there,
    no gradients flow through the network: ``sw.training.SynOpsLoss`` is for training on operations.

    Args:
        model: from ``from_torch``, its ``spiking_model``, or a network of the SpikingJelly module.
        dt: the length of a timestep in milliseconds.

    Raises:
        SettingsError: for a network of another kind, and a length that is not positive.
    """

    def __init__(self, model: nn.Module, dt: float = 1.0) -> None:
        if not 0 < dt < float("inf"):
            raise SettingsError(f"dt: must be a positive number of milliseconds, not {dt}")
        self.model, self.dt = model, dt
        self._spiking: dict[str, _Seen] = {}
        self._parameter: dict[str, _Seen] = {}
        self._calls, self._timesteps = 0, 0
        self._network: RunningNetwork | None = None
        self._attach()

    def _attach(self) -> None:
        found = [part for part in self.model.modules() if isinstance(part, RunningNetwork)]
        if not found:
            raise SettingsError(
                "SNNAnalyzer watches networks of spikewright.compat.sinabs.from_model.from_torch(model, input_shape=…)"
            )
        self._network = found[0]
        self._network.watchers.append(self._see)

    def detach(self) -> None:
        """Stop watching; what was seen is kept."""
        if self._network is not None and self._see in self._network.watchers:
            self._network.watchers.remove(self._see)

    def reset(self) -> None:
        """Forget what was seen."""
        self._spiking, self._parameter = {}, {}
        self._calls, self._timesteps = 0, 0

    def _see(self, values: Mapping[str, Tensor]) -> None:
        assert self._network is not None
        graph = self._network.net.graph
        timesteps = len(next(iter(values.values())))
        for node in graph.of_type(IF):
            spikes, current = (values[name].transpose(0, 1) for name in (node.name, node.inputs[0]))
            self._spiking.setdefault(node.name, _Seen()).add({"output": spikes, "input": current})
        for name, found in _operations(graph, values, timesteps).items():
            macs = found.input_connections * timesteps
            self._parameter.setdefault(name, _Seen()).add({"synops": found.total, "macs": macs})
        self._calls, self._timesteps = self._calls + 1, timesteps

    def get_layer_statistics(self, average: bool = False) -> dict[str, dict[str, dict[str, Any]]]:
        """Statistics of each layer.

        Args:
            average: whether they are the mean over all calls, which must have been of one size, or of the last call.

        Returns:
            under "spiking", by population: ``n_neurons``, ``input`` and ``output`` ``(samples, timesteps, *shape)``,
            ``firing_rate`` and ``firing_rate_per_neuron`` in spikes per timestep. Under "parameter", by layer with
            weights: ``synops`` per sample; ``macs`` per sample, the multiplications of an analog input, which are no
            synaptic operations; ``num_timesteps``; ``time_window`` in milliseconds; ``SynOps/s`` and ``synops/s``.
        """
        spiking: dict[str, dict[str, Any]] = {}
        for name, seen in self._spiking.items():
            output = self._of(seen, average, "output")
            spiking[name] = {
                "n_neurons": output[0, 0].numel(),
                "input": self._of(seen, average, "input"),
                "output": output,
                "firing_rate": output.mean(),
                "firing_rate_per_neuron": output.mean((0, 1)),
            }
        parameter: dict[str, dict[str, Any]] = {}
        window = self._timesteps * self.dt
        for name, seen in self._parameter.items():
            count = torch.tensor(float(self._of(seen, average, "synops")))
            parameter[name] = {
                "synops": count,
                "macs": torch.tensor(float(self._of(seen, average, "macs"))),
                "num_timesteps": self._timesteps,
                "time_window": window,
                "SynOps/s": count / window * 1000,
                "synops/s": count / window * 1000,
            }
        return {"spiking": spiking, "parameter": parameter}

    def get_model_statistics(self, average: bool = False) -> dict[str, Any]:
        """Statistics of the whole network: ``firing_rate`` in spikes per neuron and timestep, ``synops`` per sample
        and ``n_spiking_neurons``.

        Args:
            average: as of ``get_layer_statistics``.
        """
        layers = self.get_layer_statistics(average)
        rates = [layer["firing_rate_per_neuron"].ravel() for layer in layers["spiking"].values()]
        counts = [layer["synops"] for layer in layers["parameter"].values()]
        return {
            "firing_rate": torch.cat(rates).mean() if rates else torch.tensor(0.0),
            "synops": torch.stack(counts).sum() if counts else torch.tensor(0.0),
            "n_spiking_neurons": torch.tensor(float(sum(rate.numel() for rate in rates))),
        }

    def _of(self, seen: _Seen, average: bool, key: str) -> Any:
        return seen.total[key] / self._calls if average else seen.last[key]


def _operations(graph: Graph, values: Mapping[str, Tensor], timesteps: int) -> dict[str, SynOps]:
    """Synaptic operations per sample; inputs of whole numbers are events, others are analog."""

    def per_sample(rows: Tensor) -> Any:
        return np.asarray(rows.sum(0).double().mean(0).cpu().numpy())

    sent = [node.name for node in graph.populations]
    sent += [node.name for node in graph.of_type(Input) if bool((values[node.name] == values[node.name].round()).all())]
    counts = {name: per_sample(values[name].abs()) for name in sent}
    weighted = [node for node in graph if node.weighted and node.inputs]
    nonzero = {node.name: per_sample((values[node.inputs[0]] != 0).float()) for node in weighted}
    return synops(graph, counts, nonzero, timesteps)
