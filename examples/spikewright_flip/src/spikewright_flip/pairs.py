"""Which neuron reaches which: two numbers a line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spikewright.synapse_graph.writers import InParts, number, offsets

if TYPE_CHECKING:
    from spikewright.synapse_graph.parts import Part
    from spikewright.synapse_graph.stream import Synapses
    from spikewright.wiring import Projection


class Pairs(InParts):
    """A line a synapse: the numbers of its neurons with a space between."""

    suffixes = (".pairs",)
    extension = "pairs"
    about = "neurons of all groups counted through from 0, each group by (row, column, channel), channel fastest"

    def part(self, synapses: Synapses, projection: Projection, part: Part, path: Path) -> None:
        source, dest = projection.path.source, projection.path.dest
        first = offsets(synapses)
        with path.open("w", encoding="ascii") as file:
            for block in synapses.blocks(projection, part):
                starts = (number(block, "source", source.shape) + first[source.name]).tolist()
                ends = (number(block, "dest", dest.shape) + first[dest.name]).tolist()
                file.writelines(f"{start} {end}\n" for start, end in zip(starts, ends, strict=True))
