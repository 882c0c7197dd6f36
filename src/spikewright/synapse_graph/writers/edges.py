"""A list of edges between numbered neurons, for partitioners and network tools."""

from __future__ import annotations

from pathlib import Path

from spikewright.synapse_graph.fan_outs import offsets
from spikewright.synapse_graph.parts import ProjectionPart
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.writers.csv import texts
from spikewright.synapse_graph.writers.writer import InParts, number
from spikewright.wiring import Projection


class Edges(InParts):
    """A line a synapse: source, destination, edge (the weight where there are no rates), with tabs between."""

    suffixes = (".edges", ".tsv")
    extension = "edges"
    about = "neurons of all groups counted through from 0, each group by (row, column, channel), channel fastest"

    def part(self, synapses: SynapseStream, projection: Projection, part: ProjectionPart, path: Path) -> None:
        source, dest = projection.path.source, projection.path.dest
        first = offsets(synapses)
        with path.open("w", encoding="ascii") as file:
            for block in synapses.blocks(projection, part):
                starts = (number(block, "source", source.shape) + first[source.name]).tolist()
                ends = (number(block, "dest", dest.shape) + first[dest.name]).tolist()
                values = texts(block.column("edge" if "edge" in block.columns else "weight"))
                file.writelines(f"{s}\t{d}\t{v}\n" for s, d, v in zip(starts, ends, values, strict=True))
