"""Losses beside that of the task: synaptic operations beyond a limit, and firing rates.

torch is imported where they are computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.chips.chip import Speck
from spikewright.connections.listing import one_by_one
from spikewright.conversion import Conversion, spiking_graph
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.measures.synops import reached
from spikewright.text import listed
from spikewright.training.cores import CoreCosts, core_costs, speck

if TYPE_CHECKING:
    from torch import Tensor

    from spikewright.training.spiking_module import Pass

Costs = Mapping[str, Mapping[str, NDArray[np.float64]]]


def spike_costs(graph: Graph) -> Costs:
    """How many synaptic operations a spike of each neuron causes: by layer and population, in the population's shape.

    Exact at borders and behind pools, the same as ``measures.synops`` counts. Layers that hear no spikes, but analog
    inputs or what other layers hand on without neurons, are not there: no training of neurons changes their work.

    Args:
        graph: a spiking graph.
    """
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    others: dict[str, NDArray[np.bool_]] = {}
    """Where something else than spikes has a part in the value."""
    for node in graph:
        name, shape = node.name, graph.shapes[node.name]
        made = node.connections(*graph.input_shapes(node)) if node.inputs else None
        gathers = node.population and made is not None
        if made is not None and (node.weighted or gathers):
            (source,) = node.inputs
            found[name] = {}
            _walk_back(graph, source, np.where(others[source], 0.0, made.fan_out()), found[name])
        if node.population and not gathers:
            others[name] = np.zeros(shape, bool)
        elif node.weighted or not node.inputs:
            others[name] = np.ones(shape, bool)
        else:
            others[name] = reached(node, others)
    return {name: costs for name, costs in found.items() if costs}


def _walk_back(graph: Graph, name: str, cost: NDArray[np.float64], found: dict[str, NDArray[np.float64]]) -> None:
    """What each event of a value costs, back to the populations that sent it: the transpose of ``Node.events``."""
    node = graph[name]
    if not cost.any() or not node.inputs or (node.weighted and not node.population):
        return
    if node.population:
        found[name] = found.get(name, 0) + cost
        return
    shapes = graph.input_shapes(node)
    table, made = node.moving(*shapes), node.connections(*shapes)
    if table is not None:
        row = np.zeros(sum(prod(shape) for shape in shapes))
        np.add.at(row, table[table >= 0], cost[table >= 0])
        parts = np.split(row, np.cumsum([prod(shape) for shape in shapes])[:-1])
    elif made is not None:
        pairs = one_by_one(made)
        parts = [np.bincount(pairs.inputs, cost.ravel()[pairs.outputs], prod(shapes[0])).astype(np.float64)]
    else:
        parts = [cost] * len(shapes)  # a sum
    for source, part, shape in zip(node.inputs, parts, shapes, strict=True):
        _walk_back(graph, source, part.reshape(shape), found)


@dataclass(frozen=True, eq=False)
class SynOpsLoss:
    """What synaptic operations exceed: the sum of relative excesses ``max(0, (s − limit)/limit)``.

    With ``dt`` operations are those of a second, ``s/(T·dt)``, else of a sample over all steps. Source: the SynOps loss
    of sinabs' tips for training; operations here are exact, behind pools and in branches too.

    Attributes:
        network: a spiking graph, or a conversion.
        limits: by layer, and by number those of a chip's cores; or one number for each core of the chip, or for each
            layer where there is none. None for none, or where neither total nor limits are given for the chip's own.
        total: of all layers together; None for none.
        dt: seconds of a step; None for operations of a sample.
        chip: whose cores have limits, or its name; its layers are given to cores as ``check`` does.
        costs: by layer and population, what a spike costs.
        cores: the same by core.

    Raises:
        SettingsError: for a limit that is not positive, a layer or core that hears no spikes, or no limit at all.
        UnsupportedModelError: with everything that no core of the chip computes.
    """

    network: Graph | Conversion
    limits: Mapping[str | int, float] | Mapping[str, float] | float | None = None
    total: float | None = None
    dt: float | None = None
    chip: Speck | str | None = None
    costs: Costs = field(init=False)
    cores: CoreCosts = field(init=False)

    def __post_init__(self) -> None:
        costs = spike_costs(spiking_graph(self.network))
        cores = {} if self.chip is None else core_costs(self.network, self.chip)
        object.__setattr__(self, "costs", MappingProxyType(costs))
        object.__setattr__(self, "cores", MappingProxyType(cores))
        given = self.limits if self.limits is not None or self.total is not None else self._of_chip()
        everywhere: Mapping[Any, Any] = costs if self.chip is None else cores
        named: dict[Any, Any] = dict(given) if isinstance(given, Mapping) else {}
        if given is not None and not isinstance(given, Mapping):
            named = dict.fromkeys(everywhere, given)
        object.__setattr__(self, "limits", MappingProxyType(named))
        if not named and self.total is None:
            raise SettingsError("a loss of synaptic operations needs a limit: of layers, of cores with chip, or total")
        for name in named:
            if isinstance(name, int) and name not in cores:
                some = listed(list(map(str, cores))) if cores else "none: say which chip"
                raise SettingsError(f"no core {name} hears spikes of other layers; there are {some}")
            if isinstance(name, str) and name not in costs:
                raise SettingsError(f"no layer '{name[:40]}' hears spikes; there are {listed(list(costs))}")
        for label, value in [*named.items(), ("total", self.total), ("dt", self.dt)]:
            if value is not None and not (isinstance(value, int | float) and 0 < value < float("inf")):
                raise SettingsError(f"synaptic operations: {label} must be a positive number, not {value!r:.40}")

    def _of_chip(self) -> float | None:
        """The most operations that a core of the chip may do in a second."""
        if self.chip is None:
            return None
        own = speck(self.chip)
        if own.synops_per_second is None:
            raise SettingsError(f"no limit of synaptic operations of a core of {own} is public: give the one you know")
        if self.dt is None:
            raise SettingsError(f"operations of {own} are those of a second: say how long a step is (dt)")
        return own.synops_per_second

    def synops(self, done: Pass) -> dict[str, Tensor]:
        """The mean synaptic operations of a sample by layer, or those of a second where ``dt`` is given.

        Args:
            done: a pass with counts.

        Raises:
            SettingsError: for a pass without.
        """
        return self._counted(done, self.costs)

    def core_synops(self, done: Pass) -> dict[int, Tensor]:
        """The same by core of the chip, of which every layer there has one, shortcuts with it.

        Args:
            done: a pass with counts.

        Raises:
            SettingsError: for a pass without.
        """
        return self._counted(done, self.cores)

    def _counted(self, done: Pass, costs: Mapping[Any, Mapping[str, NDArray[np.float64]]]) -> dict[Any, Tensor]:
        import torch

        if not done.counts:
            raise SettingsError("operations are counted from spikes: run(x, timesteps, counts=True)")
        seconds = 1.0 if self.dt is None else done.steps * self.dt
        found: dict[Any, Any] = {}
        for place, sources in costs.items():
            for name, cost in sources.items():
                counts = done.counts[name]
                wide = torch.as_tensor(cost, dtype=counts.dtype, device=counts.device)
                found[place] = found.get(place, 0) + (counts * wide).sum() / (len(counts) * seconds)
        return found

    def __call__(self, done: Pass) -> Tensor:
        """The loss of a pass with counts: a number that is 0 where all limits are kept."""
        import torch

        layers = self.synops(done)
        found: dict[Any, Tensor] = {**layers, **self.core_synops(done)}
        assert isinstance(self.limits, Mapping)
        excess = [(found[place] - limit) / limit for place, limit in self.limits.items()]
        if self.total is not None:
            excess.append((torch.stack(list(layers.values())).sum() - self.total) / self.total)
        return torch.stack(excess).relu().sum()


@dataclass(frozen=True)
class FiringRateLoss:
    """How far firing rates are from what they should be: the mean over populations of ``((r − target)/target)²``.

    Attributes:
        target: spikes of a neuron in a step, on average over the population: one for all, or by population.
        above: whether only rates above the target count.
    """

    target: float | Mapping[str, float]
    above: bool = False

    def __post_init__(self) -> None:
        targets = self.target.values() if isinstance(self.target, Mapping) else [self.target]
        for target in targets:
            if not 0 < target < float("inf"):
                raise SettingsError(f"a target of firing rates is a positive number of spikes a step, not {target:g}")

    def __call__(self, done: Pass) -> Tensor:
        """The loss of a pass with counts.

        Raises:
            SettingsError: for a pass without counts, or a population that does not exist.
        """
        import torch

        if not done.counts:
            raise SettingsError("firing rates are counted from spikes: run(x, timesteps, counts=True)")
        targets = self.target if isinstance(self.target, Mapping) else dict.fromkeys(done.counts, self.target)
        for name in targets:
            if name not in done.counts:
                raise SettingsError(f"no population is called '{name[:40]}'; there are {listed(list(done.counts))}")
        off = [(done.counts[name].mean() / done.steps - target) / target for name, target in targets.items()]
        errors = torch.stack(off)
        return (errors.relu() if self.above else errors).square().mean()
