"""Frames of events as pictures: brighter in one colour, darker in another, as PNG in the page itself."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray

BRIGHT, DARK = (31, 119, 180), (214, 96, 32)
"""Colours that are told apart on light and on dark paper, and by those who see fewer."""


def frame_picture(frame: NDArray[Any], most: float) -> str:
    """A frame as the address of a picture, one pixel an input.

    Args:
        frame: ``(1 or 2, rows, columns)``: darker and brighter, or both in one, signed or not.
        most: the value that is drawn in full colour.
    """
    bright = frame[1] if len(frame) == 2 else np.maximum(frame[0], 0)
    dark = frame[0] if len(frame) == 2 else np.maximum(-frame[0], 0)
    strength = np.clip(np.maximum(bright, dark) / (most or 1.0), 0, 1) ** 0.6
    colours = np.where((bright >= dark)[..., None], BRIGHT, DARK)
    return png(np.concatenate([colours, (255 * strength)[..., None]], axis=-1).astype(np.uint8))


def png(pixels: NDArray[np.uint8]) -> str:
    """A picture ``(rows, columns, 4)`` of red, green, blue and opacity as a data address."""
    rows, columns = pixels.shape[:2]
    lines = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(pixels))

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", columns, rows, 8, 6, 0, 0, 0)
    made = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")
    return f"data:image/png;base64,{b64encode(made).decode()}"
