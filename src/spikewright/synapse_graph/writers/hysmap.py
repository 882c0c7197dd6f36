"""The JSON of HySMap, which maps activity-weighted directed hypergraphs to meshes of cores.

The format: "neurons" with id, label and activity, and "hyperedges" with source, activity and destinations. Source:
https://github.com/amineux/HySMap, ``docs/architecture.md`` and its reader. Its neurons have 32-bit numbers and one
hyperedge each at most.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from spikewright.errors import SettingsError
from spikewright.synapse_graph.fan_outs import GroupFanOuts, channels_fastest, fan_out_sizes
from spikewright.synapse_graph.hyperedges import lines
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.writers.writer import AtOnce, channels_last, joined
from spikewright.text import visible

NEURONS = (1 << 32) - 1
AT_ONCE = 1 << 16


class Hysmap(AtOnce):
    """A neuron's label is its group and (row;column;channel), its activity the spikes it sends in a timestep.

    Without rates every activity is 1.
    """

    suffixes = (".hysmap",)
    about = "JSON; ids of neurons counted through from 0, channel fastest; activity is spikes in a timestep"

    def check(self, synapses: SynapseStream) -> None:
        super().check(synapses)
        neurons = sum(group.neurons for group in synapses.groups.values())
        if neurons > NEURONS:
            raise SettingsError(f"HySMap numbers neurons with 32 bits, {neurons:,} are too many; write .hgr")

    def whole(self, synapses: SynapseStream, path: Path) -> None:
        with path.open("w", encoding="utf-8") as file:
            file.write('{"name": "spikewright", "neurons": [')
            between, at = "\n", 0
            for name, group in synapses.groups.items():
                activity = _activity(synapses, name)
                shape = channels_last(group.shape)
                label = visible(name)
                for low in range(0, group.neurons, AT_ONCE):
                    some = np.arange(low, min(low + AT_ONCE, group.neurons))
                    rates = activity[some].tolist()
                    for k, (neuron, rate) in enumerate(zip(joined(np.unravel_index(some, shape)), rates, strict=True)):
                        text = json.dumps(f"{label}[{neuron}]", ensure_ascii=False)
                        file.write(f'{between}{{"id": {at + low + k}, "label": {text}, "activity": {rate:.9g}}}')
                        between = ",\n"
                at += group.neurons
            file.write('\n], "hyperedges": [')
            between = "\n"
            for name, sizes in fan_out_sizes(synapses).items():
                made, activity = GroupFanOuts.of(synapses, name), _activity(synapses, name)
                for fan_outs in made.between(0, len(sizes)):
                    for piece in lines(fan_outs, (), shift=0):
                        for line in piece.decode("ascii").splitlines():
                            source, _, dests = line.partition(" ")
                            rate = activity[int(source) - made.first]
                            file.write(f'{between}{{"source": {source}, "activity": {rate:.9g}, "destinations": [')
                            file.write(dests.replace(" ", ", "))
                            file.write("]}")
                            between = ",\n"
            file.write("\n]}\n")


def _activity(synapses: SynapseStream, name: str) -> np.ndarray:
    """What each neuron of a group sends in a timestep, in the order of their numbers."""
    group, sizes = synapses.groups[name], synapses.mean_sizes
    if sizes is None:
        return np.ones(group.neurons)
    if name not in sizes:  # nothing leaves it
        return np.zeros(group.neurons)
    return channels_fastest(sizes[name].astype(np.float64), group.shape)
