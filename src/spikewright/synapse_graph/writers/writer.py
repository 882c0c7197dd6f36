"""What a format of synapses is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import SettingsError
from spikewright.graph import Shape
from spikewright.synapse_graph.blocks import SynapseBlock
from spikewright.synapse_graph.parts import ProjectionPart
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.wiring import Projection
from spikewright.worded import Worded


@dataclass(frozen=True)
class Writer(Worded, ABC):
    """Base of all formats: one a file, whose name is the format's; its fields are the format's options."""

    suffixes: ClassVar[tuple[str, ...]]
    """What paths of this format end with."""
    folder: ClassVar[bool] = False
    """Whether it is a folder of files."""
    limit: ClassVar[int | None] = None
    """How many synapses it can take; None for any number."""

    needs_arrow: ClassVar[bool] = False
    """Whether it needs pyarrow."""
    about: ClassVar[str] = ""
    """What neurons and numbers mean in it, for the log."""

    def mark(self, file: Path) -> str | None:  # noqa: ARG002
        """What a file in a folder of this format says of the settings it was made by.

        Returns:
            their digest; empty for a file that is ours and does not say; None for what is not ours.

        Raises:
            Exception: of any kind, for a file that cannot be read.
        """
        return None

    def check(self, synapses: SynapseStream) -> None:
        """Refuse a graph that the format cannot hold, before anything is written.

        Raises:
            SettingsError: saying what it cannot hold, and what to do.
        """
        if self.limit is not None and len(synapses) > self.limit:
            raise SettingsError(
                f"{len(synapses):,} synapses are too many for this format, which takes {self.limit:,}; write .parquet"
            )

    def size(self, synapses: SynapseStream) -> int | None:  # noqa: ARG002
        """About how many bytes it will be; None where nobody knows before it is written."""
        return None


@dataclass(frozen=True)
class Piece:
    """A stretch of a graph that is written by itself.

    Attributes:
        name: of it; pieces follow each other as their names are sorted.
        rows: how many synapses it has.
        write: writes it to a file.
    """

    name: str
    rows: int
    write: Callable[[Path], None]


class Parted(Writer):
    """A format that is written piece by piece, each for itself, so that a run can go on where it stopped."""

    extension: ClassVar[str]

    @abstractmethod
    def pieces(self, synapses: SynapseStream) -> Sequence[Piece]:
        """All of them, in order: the same for the same graph and options."""

    def head(self, synapses: SynapseStream) -> bytes:  # noqa: ARG002
        """What stands before the first piece, where all become one file."""
        return b""


class InParts(Parted):
    """A format in which every part of a projection is a piece."""

    @abstractmethod
    def part(self, synapses: SynapseStream, projection: Projection, part: ProjectionPart, path: Path) -> None:
        """Write one part."""

    def pieces(self, synapses: SynapseStream) -> Sequence[Piece]:
        return [
            Piece(f"{p:04d}-{k:05d}", part.rows, partial(self.part, synapses, projection, part))
            for p, projection in enumerate(synapses.projections)
            for k, part in enumerate(synapses.parts(projection))
        ]


class AtOnce(Writer):
    """A format for small networks, written in one go."""

    @abstractmethod
    def whole(self, synapses: SynapseStream, path: Path) -> None:
        """Write everything to a file, or into a folder that is there."""


def every_block(synapses: SynapseStream, projection: Projection) -> Iterator[SynapseBlock]:
    """The blocks of all parts of a projection."""
    for part in synapses.parts(projection):
        yield from synapses.blocks(projection, part)


def channels_last(shape: Shape) -> Shape:
    """The (row, column, channel) axes of a group, as many as it has: planes count into the rows."""
    if len(shape) < 3:
        return (*shape[1:], shape[0])
    return (prod(shape[1:-1]), shape[-1], shape[0])


def neuron(block: SynapseBlock, side: str, shape: Shape) -> tuple[NDArray[np.int64], ...]:
    """The index of a neuron along each axis that its group has, for every synapse."""
    names = {1: ("channel",), 2: ("row", "channel")}.get(len(shape), ("row", "column", "channel"))
    return tuple(block.column(f"{side}_{name}") for name in names)


def number(block: SynapseBlock, side: str, shape: Shape) -> NDArray[np.int64]:
    """Which neuron of its group, counted through (row, column, channel) with the channel fastest."""
    found = np.zeros(block.rows, np.int64)
    for index, length in zip(neuron(block, side, shape), channels_last(shape), strict=True):
        found = found * length + index
    return found


def joined(indices: Sequence[NDArray[np.int64]], separator: str = ";") -> list[str]:
    """Indices as text: 3;4;0."""
    return [separator.join(map(str, index)) for index in zip(*(axis.tolist() for axis in indices), strict=True)]
