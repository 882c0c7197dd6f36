"""A Parquet file of synapses, written from blocks without spelling out what repeats.

A general writer gets a column as one value for each row, hashes and packs every one. Here most columns hardly change
along most axes of a block, so their pages are runs (value, length) that follow from its shape, and the kernel's page is
compressed once for all positions that share it: only the edges cost work for each row.

What the file holds: one column chunk a row group for each column; index columns and groups with a dictionary (of an
index the numbers themselves), floats plain; every page compressed with zstd, but for floats that it cannot shorten;
smallest and largest value of every chunk.
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, BinaryIO

import numpy as np

from spikewright.arrow import pyarrow
from spikewright.connections import Array
from spikewright.graph import Shape
from spikewright.synapse_graph.blocks import SynapseBlock
from spikewright.synapse_graph.thrift_compact import Struct, varint

MAGIC = b"PAR1"
ROW_GROUP = 1 << 21
"""Rows after which a row group ends."""
INT32, FLOAT, BYTE_ARRAY = 1, 4, 6
PLAIN, RLE, RLE_DICTIONARY = 0, 3, 8
NONE, ZSTD = 0, 6
LEVEL = -1
"""The level of zstd: a higher one would shorten little, since what repeats is not there twice to begin with."""
CACHE = 32 << 20
"""Bytes of finished pages that are kept."""
SMALL = 1 << 13
"""Bytes of an array that is recognised by what it holds."""
SAMPLE = 1 << 18
"""Bytes of the first page of floats by which it is decided whether to compress them."""


@dataclass(frozen=True, eq=False)
class Page:
    """Header and content, and how many bytes both would be if nothing were compressed."""

    head: bytes
    content: bytes | memoryview
    size: int


@dataclass
class _Chunk:
    """One column of one row group while it grows."""

    pages: list[Page] = field(default_factory=list)
    codec: int = ZSTD
    uncompressed: int = 0
    low: Any = None
    high: Any = None
    nulls: int = 0

    def add(self, page: Page) -> None:
        self.pages.append(page)
        self.uncompressed += page.size

    def seen(self, low: Any, high: Any) -> None:
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)


@dataclass(frozen=True, eq=False)
class _Written:
    """One column of a row group as it lies in the file: from where its dictionary or, without one, its data start."""

    column: Column
    chunk: _Chunk
    start: int
    data: int
    end: int


@dataclass(frozen=True)
class Column:
    """One column of the file.

    Attributes:
        name: of it.
        kind: "group", "index" or "float".
        limit: for an index one more than the largest.
        wide: for an index whether it is declared with 32 bits instead of 16.
        optional: whether it may hold nulls.
    """

    name: str
    kind: str
    limit: int = 0
    wide: bool = False
    optional: bool = False

    @property
    def physical(self) -> int:
        """The type of the format that its values are stored as."""
        return {"group": BYTE_ARRAY, "index": INT32, "float": FLOAT}[self.kind]

    @property
    def by_dictionary(self) -> bool:
        """Whether pages hold indices into a dictionary."""
        return self.kind == "group" or (self.kind == "index" and self.limit <= 1 << 16)

    @property
    def packed(self) -> np.dtype[Any]:
        """The type of an index in a page."""
        return np.dtype("<u1" if self.limit <= 1 << 8 else "<u2" if self.limit <= 1 << 16 else "<u4")

    def element(self) -> Struct:
        """Its element of the schema."""
        made = Struct().i32(1, self.physical).i32(3, int(self.optional)).binary(4, self.name)
        if self.kind == "group":
            made.i32(6, 0).struct(10, Struct().struct(1, Struct()))
        elif self.kind == "index":
            integer = Struct().byte(1, 32 if self.wide else 16).boolean(2, False)
            made.i32(6, 13 if self.wide else 12).struct(10, Struct().struct(10, integer))
        return made


class ParquetFile:
    """Takes blocks of one projection and writes row groups.

    Args:
        file: to write to.
        columns: of it.
        groups: the text of every column that is a group.
        arrow_schema: kept in the file, so that Arrow reads back the types it was given; or None.
        facts: text that the file says of itself, by key.
    """

    def __init__(
        self,
        file: BinaryIO,
        columns: Sequence[Column],
        groups: dict[str, str],
        arrow_schema: bytes | None,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        self.facts = dict(facts or {})
        self.file, self.columns, self.groups, self.arrow_schema = file, columns, groups, arrow_schema
        self.compress: Callable[[Any], bytes] = lambda raw: codec.compress(raw, asbytes=True)
        codec = pyarrow().Codec("zstd", compression_level=LEVEL)
        self.pages: OrderedDict[tuple[object, ...], tuple[Any, Page]] = OrderedDict()
        self.kept = 0
        self.row_groups: list[tuple[int, list[_Written]]] = []
        self.total = 0
        self._put(MAGIC)
        self._start()

    def _put(self, raw: bytes | memoryview) -> None:
        self.file.write(raw)
        self.total += len(raw)

    def _start(self) -> None:
        self.rows = 0
        self.chunks = {column.name: _Chunk() for column in self.columns}

    def add(self, block: SynapseBlock) -> None:
        """One page a column."""
        for column in self.columns:
            self._page(column, self.chunks[column.name], block)
        self.rows += block.rows
        if self.rows >= ROW_GROUP:
            self._flush()

    def _page(self, column: Column, chunk: _Chunk, block: SynapseBlock) -> None:
        values = (
            np.zeros((1,) * len(block.shape), np.uint8) if column.kind == "group" else block.columns.get(column.name)
        )
        if values is None:
            chunk.nulls += block.rows
        elif column.kind != "group":
            chunk.seen(values.min(), values.max())
        if column.kind == "float" and not chunk.pages:
            chunk.codec = self._codec(values, block.shape)
        key = self._key(column, chunk, values, block.shape)
        if key is None or key not in self.pages:
            page = self._made(column, chunk, values, block)
            self._keep(key, values, page)
        else:
            _, page = self.pages[key]
        chunk.add(page)

    def _key(self, column: Column, chunk: _Chunk, values: Array | None, shape: Shape) -> tuple[object, ...] | None:
        """What says that a page was made before: small arrays are known by what they hold, a kernel by being itself."""
        if values is None or column.name == "edge":
            return None
        if values.nbytes <= SMALL:
            return column.name, chunk.codec, shape, values.shape, values.dtype.char, values.tobytes()
        return (id(values), chunk.codec, shape) if column.name == "weight" else None

    def _keep(self, key: tuple[object, ...] | None, values: Array | None, page: Page) -> None:
        if key is None:
            return
        self.pages[key] = (values, page)  # with the array, so that no other gets its id
        self.kept += len(page.content)
        while self.kept > CACHE and len(self.pages) > 1:
            _, (_, gone) = self.pages.popitem(last=False)
            self.kept -= len(gone.content)

    def _codec(self, values: Array | None, shape: Shape) -> int:
        """Whether floats get shorter by a tenth, judged by the beginning of their first page."""
        if values is None:
            return ZSTD
        sample = _spread(values, shape).view(np.uint8)[:SAMPLE]
        return ZSTD if len(self.compress(sample)) < 0.9 * len(sample) else NONE

    def _made(self, column: Column, chunk: _Chunk, values: Array | None, block: SynapseBlock) -> Page:
        body: list[Any] = []
        if column.optional:  # one run of definition levels: all there, or none
            levels = varint(block.rows << 1) + bytes([values is not None])
            body += [len(levels).to_bytes(4, "little"), levels]
        encoding = PLAIN
        if column.by_dictionary:
            encoding = RLE_DICTIONARY
            packed = np.dtype("<u1") if column.kind == "group" else column.packed
            body.append(indices(_narrow(values, packed), block.shape))
        elif values is not None:
            plain = np.dtype("<f4") if column.kind == "float" else np.dtype("<u4")
            body.append(_spread(values.astype(plain, copy=False), block.shape))
        header = Struct().i32(1, block.rows).i32(2, encoding).i32(3, RLE).i32(4, RLE)
        return self._whole(0, 5, header, body, chunk.codec)

    def _whole(self, kind: int, number: int, header: Struct, body: list[Any], codec: int) -> Page:
        if len(body) == 1 and isinstance(body[0], np.ndarray):
            raw: Any = body[0].data.cast("B")
        else:
            raw = b"".join(memoryview(piece).cast("B") for piece in body)
        stored = self.compress(raw) if codec == ZSTD else raw
        size = len(raw)
        head = Struct().i32(1, kind).i32(2, size).i32(3, len(stored)).struct(number, header).end()
        return Page(head, stored, len(head) + size)

    def _flush(self) -> None:
        written = []
        for column in self.columns:
            chunk, start = self.chunks[column.name], self.total
            if column.by_dictionary:
                page = self._dictionary(column)
                chunk.uncompressed += page.size
                self._put(page.head)
                self._put(page.content)
            data = self.total
            for page in chunk.pages:
                self._put(page.head)
                self._put(page.content)
            chunk.pages.clear()
            written.append(_Written(column, chunk, start, data, self.total))
        self.row_groups.append((self.rows, written))
        self._start()

    def _dictionary(self, column: Column) -> Page:
        if column.kind == "group":
            text = self.groups[column.name].encode()
            raw, count = len(text).to_bytes(4, "little") + text, 1
        else:
            raw, count = np.arange(column.limit, dtype="<u4").tobytes(), column.limit
        return self._whole(2, 7, Struct().i32(1, count).i32(2, PLAIN), [raw], ZSTD)

    def close(self) -> None:
        """Write what is left and the footer."""
        if self.rows or not self.row_groups:
            self._flush()
        footer = self._footer().end()
        self._put(footer)
        self._put(len(footer).to_bytes(4, "little"))
        self._put(MAGIC)

    def _footer(self) -> Struct:
        root = Struct().binary(4, "schema").i32(5, len(self.columns))
        rows = sum(count for count, _ in self.row_groups)
        made = Struct().i32(1, 2).structs(2, [root, *(column.element() for column in self.columns)]).i64(3, rows)
        made.structs(4, [self._row_group(count, written) for count, written in self.row_groups])
        facts: dict[str, str | bytes] = {**self.facts}
        if self.arrow_schema is not None:
            facts["ARROW:schema"] = base64.b64encode(self.arrow_schema)
        if facts:
            made.structs(5, [Struct().binary(1, key).binary(2, text) for key, text in facts.items()])
        made.binary(6, "spikewright")
        return made.structs(7, [Struct().struct(1, Struct()) for _ in self.columns])

    def _row_group(self, rows: int, written: Sequence[_Written]) -> Struct:
        columns = []
        for one in written:
            column, chunk = one.column, one.chunk
            encodings = [PLAIN, RLE, RLE_DICTIONARY] if column.by_dictionary else [PLAIN, RLE]
            meta = Struct().i32(1, column.physical).numbers(2, encodings).strings(3, [column.name])
            meta.i32(4, chunk.codec).i64(5, rows).i64(6, chunk.uncompressed).i64(7, one.end - one.start)
            meta.i64(9, one.data)
            if column.by_dictionary:
                meta.i64(11, one.start)
            meta.struct(12, self._statistics(column, chunk))
            columns.append(Struct().i64(2, one.start).struct(3, meta))
        uncompressed = sum(one.chunk.uncompressed for one in written)
        compressed = written[-1].end - written[0].start
        return Struct().structs(1, columns).i64(2, uncompressed).i64(3, rows).i64(6, compressed)

    def _statistics(self, column: Column, chunk: _Chunk) -> Struct:
        made = Struct().i64(3, chunk.nulls)
        if column.kind == "group":
            text = self.groups[column.name]
            return made.binary(5, text).binary(6, text)
        if chunk.low is None:
            return made
        if column.kind == "index":
            return made.binary(5, int(chunk.high).to_bytes(4, "little")).binary(6, int(chunk.low).to_bytes(4, "little"))
        # zero has two signs, and a reader may compare bits
        high, low = np.float32(chunk.high) + np.float32(0), np.float32(chunk.low)
        return made.binary(5, high.tobytes()).binary(6, (np.float32(-0.0) if low == 0 else low).tobytes())


def _narrow(values: Array | None, kind: np.dtype[Any]) -> Array:
    assert values is not None
    return values.astype(kind, copy=False)


def _spread(values: Array, shape: Shape) -> Array:
    """One value for each row."""
    if values.shape == shape and values.flags.c_contiguous:
        return values.reshape(-1)
    return np.ascontiguousarray(np.broadcast_to(values, shape)).reshape(-1)


def indices(values: Array, shape: Shape) -> bytes:
    """The numbers of dictionary entries as a page holds them: the width in bits, then runs.

    A value that stays for eight rows or more is a run of it. Else all are packed, which for a width of whole bytes
    is how they lie in memory.

    Args:
        values: unsigned, of one, two or four bytes, of as many axes as the block, of length one where nothing changes.
        shape: of the block.
    """
    width = values.dtype.itemsize
    changing = max((axis + 1 for axis, length in enumerate(values.shape) if length > 1), default=0)
    run = prod(shape[changing:])
    if run >= 8:
        each = _spread(values.reshape(values.shape[:changing]), shape[:changing])
        header = np.frombuffer(varint(run << 1), np.uint8)
        runs = np.empty((len(each), len(header) + width), np.uint8)
        runs[:, : len(header)] = header
        runs[:, len(header) :] = each.view(np.uint8).reshape(-1, width)
        return bytes([8 * width]) + runs.tobytes()
    flat = _spread(values, shape)
    groups = -(-len(flat) // 8)
    padding = bytes((8 * groups - len(flat)) * width)
    return b"".join((bytes([8 * width]), varint(groups << 1 | 1), flat.data.cast("B"), padding))
