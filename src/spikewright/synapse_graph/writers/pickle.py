"""The older byte dump: pickled synapses one after the other. It is only ever written; reading one runs no pickle."""

from __future__ import annotations

import csv
import pickle
import pickletools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from spikewright.errors import DataError
from spikewright.files import atomic_path
from spikewright.settings import fits
from spikewright.synapse_graph.parts import ProjectionPart
from spikewright.synapse_graph.stream import SynapseStream
from spikewright.synapse_graph.writers.csv import HEADER, plain_text
from spikewright.synapse_graph.writers.writer import InParts, neuron
from spikewright.text import first_line
from spikewright.wiring import Projection

FIELDS = HEADER[:5]


class Pickle(InParts):
    """One pickled dict for each synapse: source_group, source_neuron, dest_group, dest_neuron and edge."""

    suffixes = (".pickle", ".pkl")
    extension = "pickle"
    about = "one pickled dict a synapse, one after the other until the file ends; a neuron is a tuple"

    def part(self, synapses: SynapseStream, projection: Projection, part: ProjectionPart, path: Path) -> None:
        source, dest = projection.path.source, projection.path.dest
        with path.open("wb") as file:
            for block in synapses.blocks(projection, part):
                starts = zip(*(axis.tolist() for axis in neuron(block, "source", source.shape)), strict=True)
                ends = zip(*(axis.tolist() for axis in neuron(block, "dest", dest.shape)), strict=True)
                edges = block.column("edge").tolist() if "edge" in block.columns else [None] * block.rows
                for start, end, edge in zip(starts, ends, edges, strict=True):
                    values = (source.name, start, dest.name, end, edge)
                    file.write(pickle.dumps(dict(zip(FIELDS, values, strict=True)), protocol=4))


def dump_to_csv(dump: Path | str, path: Path | str, force: bool = False) -> int:
    """A byte dump as CSV with the header source_group, source_neuron, dest_group, dest_neuron, edge.

    Nothing is unpickled: the dump is read as the few operations that make up dicts of text and numbers, and anything
    else in it is refused.

    Args:
        dump: the file to read.
        path: of the CSV.
        force: whether a file that stands there is replaced, once this one is whole.

    Returns:
        how many synapses there were.

    Raises:
        DataError: for a file that is missing or holds anything else.
        StorageError: when a file stands at the CSV's place, or it cannot be written.
    """
    if not Path(dump).is_file():
        raise DataError(f"{dump}: no such file")
    count = 0
    with (
        Path(dump).open("rb") as file,
        atomic_path(path, force) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as text,
    ):
        table = csv.writer(text, lineterminator="\n")
        table.writerow(FIELDS)
        for synapse in _dicts(file, dump):
            table.writerow([_field(synapse[name]) for name in FIELDS])
            count += 1
    return count


def _field(value: Any) -> Any:
    if isinstance(value, tuple):
        return ";".join(map(str, value))
    if isinstance(value, str):
        return plain_text(value)
    return f"{value:.9g}" if isinstance(value, float) else value


def _dicts(file: BinaryIO, name: Path | str) -> Iterator[dict[str, Any]]:
    while file.peek(1):  # type: ignore[attr-defined]
        where = file.tell()
        try:
            found = _literal(file)
        except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{name}: at byte {where}: not a dump of synapses ({first_line(error)})") from error
        if not isinstance(found, dict) or set(FIELDS) - set(found):
            raise DataError(f"{name}: at byte {where}: not a synapse with {', '.join(FIELDS)}")
        wrong = [label for label, kind in _KINDS.items() if not fits(found[label], kind)]
        if wrong:
            raise DataError(f"{name}: at byte {where}: its {wrong[0]} cannot be {found[wrong[0]]!r:.60}")
        yield found


_KINDS = {
    "source_group": str,
    "source_neuron": tuple[int, ...],
    "dest_group": str,
    "dest_neuron": tuple[int, ...],
    "edge": float | int | None,
}


MOST_OPERATIONS, MOST_TEXT = 1000, 1 << 20
"""Limits of one synapse, in operations and in bytes of text; the names of groups are no longer than that."""


class _Careful:
    """A file that makes no room for texts of absurd length before there is anything to read."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def read(self, size: int) -> bytes:
        if size > MOST_TEXT:
            raise ValueError(f"a text of {size:,} bytes")
        return self.file.read(size)

    def readline(self) -> bytes:
        return self.file.readline(MOST_TEXT)

    def tell(self) -> int:
        return self.file.tell()


def _literal(file: BinaryIO) -> Any:
    """One pickled value made of dicts, tuples, text, numbers and None."""
    stack: list[Any] = []
    memo: list[Any] = []
    mark = object()

    def since_mark() -> list[Any]:
        at = len(stack) - 1 - stack[::-1].index(mark)
        taken = stack[at + 1 :]
        del stack[at:]
        return taken

    for count, (operation, value, _) in enumerate(pickletools.genops(_Careful(file))):  # type: ignore[arg-type]
        if count > MOST_OPERATIONS:
            raise ValueError("it goes on and on")
        match operation.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                stack.append(mark)
            case "EMPTY_DICT":
                stack.append({})
            case "NONE":
                stack.append(None)
            case "SHORT_BINUNICODE" | "BINUNICODE" | "BININT" | "BININT1" | "BININT2" | "BINFLOAT":
                stack.append(value)
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                size = int(operation.name[-1])
                stack[-size:] = [tuple(stack[-size:])]
            case "MEMOIZE":
                memo.append(stack[-1])
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[int(value or 0)])
            case "SETITEM":
                item, key = stack.pop(), stack.pop()
                stack[-1][key] = item
            case "SETITEMS":
                pairs = since_mark()
                stack[-1].update(zip(pairs[::2], pairs[1::2], strict=True))
            case other:
                raise ValueError(f"it holds {other}")
    raise ValueError("it ends in the middle")
