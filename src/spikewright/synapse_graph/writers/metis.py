"""The graph file of METIS and its relatives: small networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikewright.synapse_graph.fan_outs import offsets
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.writers.writer import AtOnce, every_block, number

PER_STEP = 1000


class Metis(AtOnce):
    """Undirected, one line a neuron: each neighbour and what a cut between them costs.

    The cost is how many spikes travel between the two in 1,000 timesteps, in whole numbers and at least 1, since METIS
    takes nothing else; 1 for each synapse without rates. Weights play no part: a spike is sent whatever it weighs.
    """

    suffixes = (".metis",)
    limit = 50_000_000
    about = "undirected; neurons counted from 1; a cost is spikes in 1,000 timesteps, at least 1 (1 without rates)"

    def whole(self, synapses: SynapseStream, path: Path) -> None:
        first = offsets(synapses)
        neurons = sum(group.neurons for group in synapses.groups.values())
        keys, costs = [np.zeros(0, np.int64)], [np.zeros(0)]
        for projection in synapses.projections:
            source, dest = projection.path.source, projection.path.dest
            sizes = synapses.mean_sizes
            for block in every_block(synapses, projection):
                # rates are flat with channels first, neurons here count with channels last
                which = number(block, "source", source.shape)
                start, end = which + first[source.name], number(block, "dest", dest.shape) + first[dest.name]
                cost = np.ones(block.rows)
                if sizes is not None:
                    last = np.moveaxis(sizes[source.name].reshape(source.shape), 0, -1).reshape(-1)
                    cost = last[which] * PER_STEP
                keys += [start * neurons + end, end * neurons + start]
                costs += [cost, cost]
        found, inverse = np.unique(np.concatenate(keys), return_inverse=True)
        total = np.maximum(np.rint(np.bincount(inverse, np.concatenate(costs), len(found))), 1).astype(np.int64)
        start, end = np.divmod(found, neurons)
        ends = np.searchsorted(start, np.arange(neurons + 1))
        with path.open("w", encoding="ascii") as file:
            file.write(f"{neurons} {len(found) // 2} 001\n")
            for low, high in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
                pairs = zip((end[low:high] + 1).tolist(), total[low:high].tolist(), strict=True)
                file.write(" ".join(f"{neighbour} {cost}" for neighbour, cost in pairs) + "\n")
