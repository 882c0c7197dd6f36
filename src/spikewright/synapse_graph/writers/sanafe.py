"""The YAML of SANA-FE, which simulates how long chips of many cores take for a spiking network, and what energy.

The format: "network" with "groups" of neurons and "edges", and "mappings" of neurons to cores and their units. Source:
https://github.com/SLAM-Lab/SANA-FE, its documentation of models and example networks; Boyle et al., SANA-FE, IEEE TCAD
44(8), 2025. What its soma "leaky_integrate_fire" does in a step::

    v ← trunc(64·leak_decay·v) / 64 + bias + input
    a spike and v ← v − threshold (reset_mode soft), or v ← reset (hard), where v > threshold

It has no initial potential, so that one more neuron, which spikes in the first step alone, brings it. Currents,
thresholds and potentials are written in units of 1/1024 threshold, so that its steps of 1/64 hardly matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import SettingsError
from spikewright.nodes import IF, SpikeMaxPool
from spikewright.rates import Rates, mean_values
from spikewright.settings import whole
from spikewright.synapse_graph.fan_outs import channels_fastest
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.writers.writer import AtOnce, every_block, number
from spikewright.text import free_name
from spikewright.wiring import Group

UNIT = 1024.0
LEAST = 1 / 128
"""What is taken off a threshold of ``UNIT``, so that neurons fire at it and not only above it."""
NEVER = 1e30
"""The threshold of neurons that only add up."""


@dataclass(frozen=True)
class Sanafe(AtOnce):
    """A network of neurons on cores: filled one after the other, group after group.

    Inputs become neurons that spike as often as their mean values say, evenly, so that these must lie in 0 to 1.

    Attributes:
        neurons: how many a core holds.
        cores: how many a tile has.
        tiles: how many there are.
        timesteps: how many the inputs spike for; None for as many as the rates are of.
        soma, inputs, synapse, dendrite: names of units in the description of the chip; those of SANA-FE's Loihi.
    """

    neurons: int = 1024
    cores: int = 4
    tiles: int = 32
    timesteps: int | None = None
    soma: str = "loihi_lif"
    inputs: str = "loihi_inputs"
    synapse: str = "loihi_sparse_synapse"
    dendrite: str = "loihi_dendrites"

    suffixes = (".yaml", ".yml", ".sanafe")
    limit = 5_000_000
    about = "neurons of a group counted by (row, column, channel), channel fastest; currents in 1/1024 threshold"

    def __post_init__(self) -> None:
        super().__post_init__()
        for label in ("neurons", "cores", "tiles"):
            whole(label, getattr(self, label))
        if self.timesteps is not None:
            whole("timesteps", self.timesteps)
        for label in ("soma", "inputs", "synapse", "dendrite"):
            if not re.fullmatch(r"\w+", getattr(self, label)):
                raise SettingsError(f"sanafe: {label} is the name of a unit, made of letters, digits and _")

    def check(self, synapses: SynapseStream) -> None:
        super().check(synapses)
        if synapses.rates is None:
            raise SettingsError("SANA-FE needs to know how often inputs spike: give --data or --rates (rates=)")
        for name, group in synapses.groups.items():
            reason = _not_held(synapses, group)
            if reason:
                raise SettingsError(f"SANA-FE cannot hold '{name}': {reason}")
        needed, there = self._core(self._all(synapses) - 1) + 1, self.cores * self.tiles
        if needed > there:
            raise SettingsError(
                f"{self._all(synapses):,} neurons need {needed:,} cores of {self.neurons:,}, the chip has {there:,}; "
                "give --format sanafe:tiles=…, and to SANA-FE a chip of as many"
            )

    def _all(self, synapses: SynapseStream) -> int:
        return sum(group.neurons for group in synapses.groups.values()) + 1

    def _core(self, neuron: int) -> int:
        return neuron // self.neurons

    def _place(self, neuron: int) -> str:
        tile, core = divmod(self._core(neuron), self.cores)
        return f"{tile}.{core}"

    def whole(self, synapses: SynapseStream, path: Path) -> None:
        names: dict[str, str] = {}
        for name in synapses.groups:
            names[name] = free_name(re.sub(r"\W", "_", name) or "group", {"start", *names.values()})
        somata = {name: _somata(synapses, group) for name, group in synapses.groups.items() if group.kind != "input"}
        with path.open("w", encoding="utf-8") as file:
            file.write("network:\n  name: spikewright\n  groups:\n")
            file.write("    - name: start\n      attributes: []\n      neurons:\n        - 0: [spikes: [1]]\n")
            for name, group in synapses.groups.items():
                file.write(f"    - name: {names[name]}\n      attributes: []\n      neurons:\n")
                neurons = self._trains(synapses, name) if group.kind == "input" else somata[name].lines()
                file.writelines(f"        - {neuron}\n" for neuron in neurons)
            file.write("  edges:\n")
            for name, one in somata.items():
                for k in np.flatnonzero(one.initial).tolist():
                    file.write(f"    - start.0 -> {names[name]}.{k}: [weight: {one.initial[k]:.9g}]\n")
            self._edges(synapses, names, somata, file)
            file.write("mappings:\n")
            file.writelines(f"  - {line}\n" for line in self._mappings(synapses, names))

    def _trains(self, synapses: SynapseStream, name: str) -> Iterator[str]:
        """The spikes of each input neuron, spread evenly by its rate."""
        steps = self.timesteps or (synapses.rates.timesteps if synapses.rates is not None else 0) or 1000
        rates = _inputs(synapses, synapses.groups[name])
        for k, rate in enumerate(rates.tolist()):
            sent = np.floor(np.arange(1, steps + 1) * rate + 1e-9)
            spikes = np.diff(sent, prepend=0).astype(int).tolist()
            yield f"{k}: [spikes: [{', '.join(map(str, spikes))}]]"

    def _edges(self, synapses: SynapseStream, names: dict[str, str], somata: dict[str, _Somata], file: TextIO) -> None:
        for one in synapses.projections:
            source, dest = one.path.source, one.path.dest
            for block in every_block(synapses, one):
                ends = number(block, "dest", dest.shape)
                weights = block.column("weight").astype(np.float64) * somata[dest.name].unit[ends]
                starts = number(block, "source", source.shape).tolist()
                for start, end, weight in zip(starts, ends.tolist(), weights.tolist(), strict=True):
                    edge = f"{names[source.name]}.{start} -> {names[dest.name]}.{end}"
                    file.write(f"    - {edge}: [weight: {weight:.9g}]\n")

    def _mappings(self, synapses: SynapseStream, names: dict[str, str]) -> Iterator[str]:
        units = f"synapse: {self.synapse}, dendrite: {self.dendrite}"
        yield f'start.0: [core: {self._place(0)}, soma: "{self.inputs}[0]", {units}]'
        at = 1
        for name, group in synapses.groups.items():
            if group.kind == "input":  # a unit of the soma for each
                for k in range(group.neurons):
                    unit = f"{self.inputs}[{(at + k) % self.neurons}]"
                    yield f'{names[name]}.{k}: [core: {self._place(at + k)}, soma: "{unit}", {units}]'
            else:
                low = 0
                while low < group.neurons:
                    high = min(group.neurons, (self._core(at + low) + 1) * self.neurons - at)
                    core = self._place(at + low)
                    yield f"{names[name]}.{low}..{high - 1}: [core: {core}, soma: {self.soma}, {units}]"
                    low = high
            at += group.neurons


@dataclass(frozen=True, eq=False)
class _Somata:
    """What the neurons of a group are like, each by number.

    Attributes:
        unit: what a current of 1 is in the file.
        threshold, bias, initial: as they stand in the file; ``initial`` is the potential before the first step.
        reset: of them all: how, to what, and what is left of the potential after a step.
    """

    unit: NDArray[np.float64]
    threshold: NDArray[np.float64]
    bias: NDArray[np.float64]
    initial: NDArray[np.float64]
    reset: str

    def lines(self) -> Iterator[str]:
        """An entry a neuron."""
        for k, (threshold, bias) in enumerate(zip(self.threshold.tolist(), self.bias.tolist(), strict=True)):
            yield f"{k}: [soma: {{threshold: {threshold:.12g}, bias: {bias:.9g}, {self.reset}}}]"


def _somata(synapses: SynapseStream, group: Group) -> _Somata:
    graph = synapses.graph
    node = graph[group.name]
    assert synapses.rates is not None
    silent = {name: np.zeros_like(np.asarray(values)) for name, values in synapses.rates.values.items()}
    before = node.inputs[0]
    arriving = mean_values(graph, Rates(silent, graph.fingerprint), {before})[before].reshape(group.shape)
    bias = channels_fastest(arriving.astype(np.float64), group.shape)
    if not isinstance(node, IF):
        ones = np.ones(group.neurons)
        return _Somata(ones, ones * NEVER, bias, ones * 0, "reset_mode: soft, leak_decay: 1.0")
    threshold, initial = (
        channels_fastest(np.array(node.spread(values, group.shape), np.float64), group.shape)
        for values in (node.threshold, node.v_init)
    )
    unit = UNIT / threshold
    how = "reset_mode: soft" if node.reset == "subtract" else f"reset_mode: hard, reset: {node.v_reset:.9g}"
    reset = f"{how}, leak_decay: {float(node.decay):.9g}"
    return _Somata(unit, np.full(group.neurons, UNIT - LEAST), bias * unit, initial * unit, reset)


def _inputs(synapses: SynapseStream, group: Group) -> NDArray[np.float64]:
    values = (synapses.mean_values or {})[group.name]
    return channels_fastest(np.asarray(values, np.float64), group.shape)


def _not_held(synapses: SynapseStream, group: Group) -> str:
    """Why there are no such neurons there; empty where there are."""
    if group.kind == "pool":
        return "a pool holds values, and its neurons send spikes; give --pools folded (pools='folded')"
    if group.kind == "relay":
        return "between two layers without neurons are values, and its neurons send spikes"
    if group.kind == "input":
        rates = _inputs(synapses, group)
        within = rates.min() >= 0 and rates.max() <= 1
        return "" if within else "its inputs spike once a timestep at most: mean values must lie in 0 to 1"
    node = synapses.graph[group.name]
    if isinstance(node, SpikeMaxPool):
        return "it has no maximum of spikes; convert a network with average pools"
    if isinstance(node, IF):
        for label, only in (("max_spikes", 1), ("signed", False), ("no_debt", False), ("schedule", "free")):
            if getattr(node, label) != only:
                return f"its neurons know only {label}={only}; convert with that"
        if node.v_min is not None or node.step_bias is not None:
            return "its neurons have no lowest potential and no bias for each step; convert without"
        if node.reset == "zero" and node.v_reset:
            return (
                "its neurons are reset to one potential for all, in units of each one's threshold; only 0 is the same"
            )
    return ""
