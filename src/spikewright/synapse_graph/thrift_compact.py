"""Thrift's compact protocol, as much of it as the headers of a Parquet file need."""

from __future__ import annotations

from collections.abc import Sequence

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12


class Struct:
    """One struct, written field by field in the order of their numbers."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.last = 0

    def _head(self, field: int, kind: int) -> None:
        self.bytes.append((field - self.last) << 4 | kind)  # fields are never more than 15 apart here
        self.last = field

    def i32(self, field: int, value: int) -> Struct:
        """Add a 32-bit integer."""
        self._head(field, I32)
        self.bytes += varint(zigzag(value))
        return self

    def i64(self, field: int, value: int) -> Struct:
        """Add a 64-bit integer."""
        self._head(field, I64)
        self.bytes += varint(zigzag(value))
        return self

    def byte(self, field: int, value: int) -> Struct:
        """Add one byte."""
        self._head(field, 3)
        self.bytes.append(value)
        return self

    def boolean(self, field: int, value: bool) -> Struct:
        """Add true or false."""
        self._head(field, 1 if value else 2)
        return self

    def binary(self, field: int, value: bytes | str) -> Struct:
        """Add bytes, or text as UTF-8."""
        self._head(field, BINARY)
        self.bytes += _binary(value)
        return self

    def struct(self, field: int, value: Struct) -> Struct:
        """Add another struct."""
        self._head(field, STRUCT)
        self.bytes += value.end()
        return self

    def structs(self, field: int, values: Sequence[Struct]) -> Struct:
        """Add a list of structs."""
        return self._list(field, STRUCT, [value.end() for value in values])

    def strings(self, field: int, values: Sequence[str]) -> Struct:
        """Add a list of texts."""
        return self._list(field, BINARY, [_binary(value) for value in values])

    def numbers(self, field: int, values: Sequence[int]) -> Struct:
        """Add a list of 32-bit integers."""
        return self._list(field, I32, [varint(zigzag(value)) for value in values])

    def _list(self, field: int, kind: int, values: Sequence[bytes]) -> Struct:
        self._head(field, LIST)
        self.bytes += (
            bytes([len(values) << 4 | kind]) if len(values) < 15 else bytes([0xF0 | kind]) + varint(len(values))
        )
        self.bytes += b"".join(values)
        return self

    def end(self) -> bytes:
        """Its bytes, with the mark of the end."""
        return bytes(self.bytes) + b"\0"


def zigzag(value: int) -> int:
    """Signed numbers as unsigned ones, small for small."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def varint(value: int) -> bytes:
    """Seven bits a byte, lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _binary(value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return varint(len(raw)) + raw
