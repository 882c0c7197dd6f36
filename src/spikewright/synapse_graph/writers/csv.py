"""Comma-separated text, with the header that graph tools of this kind have."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikewright.synapse_graph.parts import ProjectionPart
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.writers.writer import InParts, joined, neuron
from spikewright.wiring import Projection

HEADER = ("source_group", "source_neuron", "dest_group", "dest_neuron", "edge", "weight")


class Csv(InParts):
    """A row a synapse; a neuron is its indices with semicolons between: row;column;channel."""

    suffixes = (".csv",)
    extension = "csv"
    about = (
        "a neuron is row;column;channel, or row;channel, or channel, as many as its group has axes; an apostrophe "
        "stands before names that a spreadsheet would take for formulas"
    )

    def head(self, synapses: SynapseStream) -> bytes:  # noqa: ARG002
        return (",".join(HEADER) + "\n").encode()

    def part(self, synapses: SynapseStream, projection: Projection, part: ProjectionPart, path: Path) -> None:
        source, dest = projection.path.source, projection.path.dest
        groups = [_quoted(source.name), _quoted(dest.name)]
        with path.open("w", encoding="utf-8", newline="") as file:
            for block in synapses.blocks(projection, part):
                starts = joined(neuron(block, "source", source.shape))
                ends = joined(neuron(block, "dest", dest.shape))
                weights = texts(block.column("weight"))
                edges = texts(block.column("edge")) if "edge" in block.columns else [""] * block.rows
                rows = zip(starts, ends, edges, weights, strict=True)
                file.writelines(f"{groups[0]},{s},{groups[1]},{d},{e},{w}\n" for s, d, e, w in rows)


def texts(values: NDArray[np.float32]) -> list[str]:
    """Floats as text that is read back as the same float32."""
    return [f"{value:.9g}" for value in values.tolist()]


def plain_text(name: str) -> str:
    """A name that no spreadsheet takes for a formula: an apostrophe before ``= + - @`` and what does not show."""
    return f"'{name}" if name[:1] in FORMULAS else name


FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


def _quoted(name: str) -> str:
    """A name as one field."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([plain_text(name)])  # which says what is quoted
    return line.getvalue().removesuffix("\r\n")
