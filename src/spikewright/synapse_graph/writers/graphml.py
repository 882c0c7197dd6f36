"""GraphML, for NetworkX, Gephi and others: small networks."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from spikewright.synapse_graph.fan_outs import offsets
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.writers.csv import texts
from spikewright.synapse_graph.writers.writer import AtOnce, channels_last, every_block, joined, number
from spikewright.text import visible


class GraphMl(AtOnce):
    """A node a neuron, with its group and its indices; an edge a synapse, with edge and weight."""

    suffixes = (".graphml",)
    limit = 5_000_000
    about = "a node a neuron, with group and neuron (row;column;channel); an edge a synapse, with edge and weight"

    def whole(self, synapses: SynapseStream, path: Path) -> None:
        first = offsets(synapses)
        with path.open("w", encoding="utf-8") as file:
            file.write(
                '<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
            )
            for key, of, kind in (
                ("group", "node", "string"),
                ("neuron", "node", "string"),
                ("edge", "edge", "double"),
                ("weight", "edge", "double"),
            ):
                file.write(f'<key id="{key}" for="{of}" attr.name="{key}" attr.type="{kind}"/>\n')
            file.write('<graph edgedefault="directed">\n')
            for group in synapses.groups.values():
                indices = [axis.reshape(-1) for axis in np.indices(channels_last(group.shape))]
                for k, neuron in enumerate(joined(indices), start=first[group.name]):
                    name = escape(visible(group.name))
                    data = f'<data key="group">{name}</data><data key="neuron">{neuron}</data>'
                    file.write(f"<node id={quoteattr(f'n{k}')}>{data}</node>\n")
            edge = 0
            for projection in synapses.projections:
                source, dest = projection.path.source, projection.path.dest
                for block in every_block(synapses, projection):
                    starts = (number(block, "source", source.shape) + first[source.name]).tolist()
                    ends = (number(block, "dest", dest.shape) + first[dest.name]).tolist()
                    columns = {name: texts(block.column(name)) for name in ("edge", "weight") if name in block.columns}
                    for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
                        data = "".join(f'<data key="{name}">{value[k]}</data>' for name, value in columns.items())
                        file.write(f'<edge id="e{edge + k}" source="n{start}" target="n{end}">{data}</edge>\n')
                    edge += block.rows
            file.write("</graph>\n</graphml>\n")
