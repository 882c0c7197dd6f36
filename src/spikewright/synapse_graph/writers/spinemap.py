"""The three text files of SpiNeMap, which clusters spiking networks for crossbars.

The format: ``connection_info.txt``, ``weight_info.txt`` and ``spike_info.txt``, each with a line a neuron: its number,
then its destinations, the weights of these in the same order, and the times of its spikes. Source: Balaji et al.,
Mapping Spiking Neural Networks to Neuromorphic Hardware, IEEE TVLSI 28(1), 2020, and the readers of
https://github.com/drexel-DISCO/SpiNeMap, of which the clustering takes from the times only how many there are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikewright.errors import SettingsError
from spikewright.settings import whole
from spikewright.synapse_graph.by_source import by_source
from spikewright.synapse_graph.fan_outs import channels_fastest, fan_out_sizes, offsets
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.writers.csv import texts
from spikewright.synapse_graph.writers.writer import AtOnce

CONNECTIONS, WEIGHTS, SPIKES = FILES = ("connection_info.txt", "weight_info.txt", "spike_info.txt")
MOST_SPIKES = 10**9


@dataclass(frozen=True)
class Spinemap(AtOnce):
    """A line for each neuron that sends. Rates say how often it does; its spikes are spread evenly over the timesteps.

    Attributes:
        timesteps: how many spikes are written of; None for as many as the rates are of.
    """

    timesteps: int | None = None

    suffixes = (".spinemap",)
    folder = True
    limit = 50_000_000
    about = "neurons counted through from 0, channel fastest; spikes spread evenly by rate, times from 0"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.timesteps is not None:
            whole("timesteps", self.timesteps)

    def check(self, synapses: SynapseStream) -> None:
        super().check(synapses)
        if synapses.rates is None:
            raise SettingsError("SpiNeMap needs to know how often neurons spike: give --data or --rates (rates=)")
        spikes = sum(float(sizes.sum()) for sizes in (synapses.mean_sizes or {}).values()) * self._steps(synapses)
        if spikes > MOST_SPIKES:
            raise SettingsError(f"{spikes:,.0f} spikes are too many to write as text; give fewer timesteps=")

    def _steps(self, synapses: SynapseStream) -> int:
        return self.timesteps or (synapses.rates.timesteps if synapses.rates is not None else 0) or 1000

    def whole(self, synapses: SynapseStream, path: Path) -> None:
        with (path / CONNECTIONS).open("w") as connections, (path / WEIGHTS).open("w") as weights:
            for name in fan_out_sizes(synapses):
                for source, dest, weight in by_source(synapses, name):
                    borders = np.flatnonzero(np.append(True, source[1:] != source[:-1])).tolist()
                    ends, values = list(map(str, dest.tolist())), texts(weight)
                    for low, high in zip(borders, [*borders[1:], len(source)], strict=True):
                        connections.write(f"{source[low]} {' '.join(ends[low:high])}\n")
                        weights.write(f"{source[low]} {' '.join(values[low:high])}\n")
        steps, first = self._steps(synapses), offsets(synapses)
        sizes = synapses.mean_sizes or {}
        with (path / SPIKES).open("w") as spikes:
            for name, leaving in fan_out_sizes(synapses).items():
                rates = channels_fastest(sizes[name].astype(np.float64), synapses.groups[name].shape)
                counts = np.rint(rates * steps).astype(np.int64)
                for k in np.flatnonzero(leaving).tolist():
                    times = ((np.arange(counts[k]) + 0.5) * steps / max(counts[k], 1)).astype(np.int64)
                    spikes.write(" ".join(map(str, (first[name] + k, *times.tolist()))) + "\n")

    def mark(self, file: Path) -> str | None:
        if file.name not in FILES:
            return None
        with file.open("rb") as raw:
            return "" if re.match(rb"\d+( [-+.e\d]+)*\s", raw.read(1 << 16)) else None
