"""What pictures say of their making, in the metadata of their files: SVG, PNG and PDF."""

from __future__ import annotations

import re
from html import unescape

from spikewright.provenance import PROVENANCE

IN_SVG = re.compile(rb"<dc:description>(.*?)</dc:description>", re.DOTALL)
IN_PDF = re.compile(rb"/Subject \(((?:[^\\()]|\\.)*)\)", re.DOTALL)
PNG = b"\x89PNG\r\n\x1a\n"
TEXT = b"tEXt"


def record_in(file: bytes, suffix: str) -> str | None:
    """The record in a picture; None where it has none.

    Args:
        file: its bytes.
        suffix: ``.svg``, ``.png`` or ``.pdf``.

    Raises:
        ValueError: for a record that is no text.
    """
    if suffix == ".png":
        return _in_png(file)
    found = (IN_SVG if suffix == ".svg" else IN_PDF).search(file)
    if found is None:
        return None
    text = found[1].decode()
    text = unescape(text) if suffix == ".svg" else re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
    return text if text.startswith("[") else None


def _in_png(file: bytes) -> str | None:
    """The text chunk of that name: chunks are length, kind, contents and a checksum, one after the other."""
    place = len(PNG) if file.startswith(PNG) else len(file)
    while place + 8 <= len(file):
        length, kind = int.from_bytes(file[place : place + 4], "big"), file[place + 4 : place + 8]
        name, _, text = file[place + 8 : place + 8 + length].partition(b"\0")
        if kind == TEXT and name == PROVENANCE.encode():
            return text.decode("latin-1")
        place += 12 + length
    return None
