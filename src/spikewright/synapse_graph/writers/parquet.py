"""A folder of Parquet files: the default, for networks of any size."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from spikewright.synapse_graph.blocks import COLUMNS
from spikewright.synapse_graph.parquet import Column, ParquetFile
from spikewright.synapse_graph.parts import ProjectionPart
from spikewright.synapse_graph.settings import KEY, digest
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.writers.writer import InParts, channels_last
from spikewright.wiring import Projection


class Parquet(InParts):
    """One file for each part; every reader of Parquet reads the folder as one table."""

    suffixes = (".parquet",)
    folder = True
    extension = "parquet"
    needs_arrow = True
    about = "columns source_row, source_column, source_channel and the same of dest; axes a group lacks are 0"

    def part(self, synapses: SynapseStream, projection: Projection, part: ProjectionPart, path: Path) -> None:
        ends = {"source": projection.path.source, "dest": projection.path.dest}
        columns = [Column(f"{side}_group", "group") for side in ends]
        for name in COLUMNS:
            side, _, axis = name.partition("_")
            if not axis:
                columns.append(Column(name, "float", optional=name == "edge" and synapses.rates is None))
                continue
            columns.append(Column(name, "index", _extent(ends[side].shape, axis), synapses.type_of(name).itemsize == 4))
        texts = {f"{side}_group": group.name for side, group in ends.items()}
        schema: Any = synapses.schema.serialize()
        with path.open("wb") as file:
            facts = {KEY: digest(synapses, self)}
            made = ParquetFile(file, columns, texts, schema.to_pybytes(), facts)
            for block in synapses.blocks(projection, part):
                made.add(block)
            made.close()

    def mark(self, file: Path) -> str | None:
        from pyarrow.parquet import read_metadata

        metadata: bytes | None = (read_metadata(file).metadata or {}).get(KEY.encode())
        return None if metadata is None or not re.fullmatch(r"\d{4,}-\d{5,}\.parquet", file.name) else metadata.decode()


def _extent(shape: tuple[int, ...], axis: str) -> int:
    """How many indices a group has along an axis; one where it has no such axis."""
    last = channels_last(shape)
    known = dict(
        zip(("row", "column", "channel") if len(last) == 3 else ("row", "channel")[-len(last) :], last, strict=True)
    )
    return known.get(axis, 1)
