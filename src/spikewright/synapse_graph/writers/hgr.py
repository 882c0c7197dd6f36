"""Hypergraphs as hMETIS, KaHyPar and their relatives read them.

The format: a line "hyperedges vertices kinds-of-weights", a line for each hyperedge (its weight, then its vertices,
counted from 1), then a line for each vertex's weight. Source: Karypis and Kumar, hMETIS 1.5 manual, 1998, section 4.1;
Mt-KaHyPar, FileFormats.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from spikewright.synapse_graph.decimals import decimals
from spikewright.synapse_graph.fan_outs import (
    LatestFanOuts,
    Numbers,
    channels_fastest,
    digits,
    fan_out_sizes,
    offsets,
    stretches,
)
from spikewright.synapse_graph.hyperedges import END, lines
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.vertices import Vertices
from spikewright.synapse_graph.writers.metis import PER_STEP
from spikewright.synapse_graph.writers.writer import Parted, Piece


@dataclass(frozen=True)
class Hgr(Parted):
    """One hyperedge for each neuron that sends: the neuron, and every neuron that its spikes reach, each once.

    Its weight is how many spikes it sends in 1,000 timesteps, in whole numbers and at least 1; without rates there are
    no weights. Cut by connectivity (each hyperedge counts once for every part but one that it touches), that is how
    many spikes travel between cores that hand each spike on to all their own neurons.

    Attributes:
        grouped: whether all channels of one position of a map are one vertex, which weighs as many neurons. A hyperedge
            then is of all those together, and its weight the sum of theirs.
        balance: what vertices weigh: "neurons" (1 each, or as many as are grouped), or "synapses" that end there.
    """

    grouped: bool = False
    balance: Literal["neurons", "synapses"] = "neurons"

    suffixes = (".hgr",)
    extension = "hgr"
    about = "a hyperedge a source neuron, with all it reaches; vertices counted from 1, channel fastest"

    def head(self, synapses: SynapseStream) -> bytes:
        vertices = Vertices(synapses, self.grouped)
        edges = sum(int((vertices.sums(sizes, name) > 0).sum()) for name, sizes in fan_out_sizes(synapses).items())
        kinds = 10 * self._weighs_vertices + (synapses.rates is not None)
        return f"{edges} {vertices.total}{f' {kinds}' if kinds else ''}\n".encode()

    def pieces(self, synapses: SynapseStream) -> Sequence[Piece]:
        vertices, latest = Vertices(synapses, self.grouped), LatestFanOuts(synapses)
        found: list[Piece] = []
        for g, (name, sizes) in enumerate(fan_out_sizes(synapses).items()):
            together = vertices.together(name)
            for k, (low, high, rows) in enumerate(stretches(vertices.sums(sizes, name), synapses.part_rows)):
                write = partial(self._hyperedges, vertices, latest, name, low * together, high * together)
                found.append(Piece(f"0-{g:04d}-{k:05d}", rows, write))
        if self._weighs_vertices:
            found += [
                Piece(f"1-{g:04d}", 0, partial(self._vertex_weights, vertices, name))
                for g, name in enumerate(synapses.groups)
            ]
        return found

    def size(self, synapses: SynapseStream) -> int | None:
        if self._weighs_vertices:
            return None
        first, total = offsets(synapses), len(self.head(synapses))
        for one in synapses.projections:
            dest = one.path.dest
            total += int(channels_fastest(one.fan_in(), dest.shape) @ (digits(first[dest.name] + 1, dest.neurons) + 1))
        vertices = Vertices(synapses, False)
        for name, sizes in fan_out_sizes(synapses).items():
            sends, weights = sizes > 0, self._weights(vertices, name)
            total += int((digits(first[name] + 1, len(sizes)) + 1)[sends].sum())
            if weights is not None:
                total += int((np.floor(np.log10(weights[sends])) + 2).sum())
        return total

    @property
    def _weighs_vertices(self) -> bool:
        return self.grouped or self.balance == "synapses"

    def _weights(self, vertices: Vertices, name: str) -> Numbers | None:
        """Of the hyperedge of every vertex of a group."""
        sizes = vertices.synapses.mean_sizes
        if sizes is None:
            return None
        each = channels_fastest(sizes[name].astype(np.float64), vertices.synapses.groups[name].shape)
        return np.asarray(np.maximum(np.rint(vertices.sums(each, name) * PER_STEP), 1), np.int64)

    def _hyperedges(
        self, vertices: Vertices, latest: LatestFanOuts, name: str, low: int, high: int, path: Path
    ) -> None:
        weights, first = self._weights(vertices, name), vertices.first(name)
        with path.open("wb") as file:
            for neurons in latest.of(name).between(low, high, vertices.together(name)):
                some = vertices.fan_outs(neurons, name)
                at = some.first - first
                before = () if weights is None else (weights[at : at + int(some.lengths.sum())],)
                file.writelines(lines(some, before, shift=1))

    def _vertex_weights(self, vertices: Vertices, name: str, path: Path) -> None:
        group = vertices.synapses.groups[name]
        weights = np.ones(group.neurons, np.int64)
        if self.balance == "synapses":
            arriving = [one.fan_in() for one in vertices.synapses.projections if one.path.dest.name == name]
            weights = channels_fastest(np.sum([weights * 0, *arriving], axis=0), group.shape)
        path.write_bytes(decimals(np.maximum(vertices.sums(weights, name), 1), END))
