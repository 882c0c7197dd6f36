"""One picture: what its header says, and its pixels. Nothing is decoded whose size is not known and small enough."""

from __future__ import annotations

import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from spikewright.data.pictures import Encoded
from spikewright.data.resize import PIXELS, Size
from spikewright.errors import DataError
from spikewright.graph import Array
from spikewright.npz import sane

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF")
"""All that is opened, whatever a file is called: Pillow has others that start programs, as Ghostscript for EPS."""
SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif"} | {
    f".p{kind}m" for kind in "bgpn"
}
Alpha = Literal["refuse", "drop", "white", "black"]
PILLOW = r"PIL\."
"""Modules whose warnings are not heard while pictures are decoded."""
_TIFF = threading.RLock()
TURNED = (5, 6, 7, 8)
"""EXIF orientations that put rows in the place of columns."""


@dataclass(frozen=True)
class PictureHeader:
    """What the header of a picture says.

    Attributes:
        size: rows and columns, as it is seen upright.
        bits: of a value as it is decoded: 8, 16 or 32.
        lost: whether it has more bits a colour than are decoded.
    """

    size: Size
    bits: int
    lost: bool


def picture_header(path: Path | Encoded) -> PictureHeader:
    """A picture's header; no pixel is decoded.

    Raises:
        DataError: for a file that is no picture, damaged, or too large.
    """
    with _opened(path) as image:
        columns, rows = image.size
        upright = (columns, rows) if image.getexif().get(0x0112) in TURNED else (rows, columns)
        bits, stored = _bits(image), _stored_bits(path, image)
        if bits == 16 and stored not in (16, None) and image.format == "TIFF":
            raise DataError(f"{path}: has {stored} bits a value; save it with 8 or 16")
        return PictureHeader(upright, bits, stored is not None and stored > max(bits, 8))


def decode(path: Path | Encoded, channels: int, alpha: Alpha) -> Array:
    """A picture's pixels, as ``pixels`` gives them.

    Raises:
        DataError: for a file that is no picture, damaged, too large, or transparent where that has no meaning.
    """
    with _opened(path) as image:
        return pixels(image, channels, alpha, str(path))


def pixels(image: Image, channels: int, alpha: Alpha, where: str) -> Array:
    """The pixels of a picture, upright: ``(rows, columns, channels)``, with 8 bits, or 16 where it has them.

    Args:
        image: of Pillow.
        channels: 1 for grey (ITU-R 601-2, as Pillow has it), 3 for colours, 4 with alpha.
        alpha: what becomes of transparency where ``channels`` has no place for it.
        where: what to call it.

    Raises:
        DataError: for a picture that is transparent, and ``alpha`` is "refuse".
    """
    from PIL import ImageOps

    bits = _bits(image)  # a turned picture has forgotten what kind of file it is from
    image = ImageOps.exif_transpose(image)
    if bits > 8:
        return _grey(np.asarray(image).astype(np.uint16) if bits == 16 else np.asarray(image), channels)
    if image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        if channels < 4 and np.asarray(image.getchannel("A")).min() < 255:
            image = _opaque(image, alpha, where)
    found = np.asarray(image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels]))
    return found[..., None] if found.ndim == 2 else found


def _grey(found: Array, channels: int) -> Array:
    """Of more than 8 bits; repeated for colours, opaque where there is alpha."""
    bands = [found] * min(channels, 3)
    if channels == 4:
        opaque = np.iinfo(found.dtype).max if found.dtype.kind in "iu" else 1
        bands.append(np.full_like(found, opaque))
    return np.stack(bands, axis=-1)


def _opaque(image: Image, alpha: Alpha, where: str) -> Image:
    from PIL import Image as images

    if alpha == "refuse":
        raise DataError(
            f"{where}: is transparent in places, and the network takes no alpha; preprocess with alpha=drop (the "
            "colour beneath, as torchvision and Keras read it), alpha=white or alpha=black"
        )
    if alpha == "drop":
        return image.convert("RGB")
    behind = images.new("RGBA", image.size, alpha)
    behind.alpha_composite(image)
    return behind


def _bits(image: Image) -> int:
    """Of one value as Pillow decodes it. It has 16 bits as whole numbers of 32 where it scales them (PGM)."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PPM", "PNG")):
        return 16
    return 32 if image.mode in ("I", "F") else 8


def _start(path: Path | Encoded) -> bytes:
    """The first bytes of a file."""
    if isinstance(path, Encoded):
        return path.content[:128]
    with path.open("rb") as file:
        return file.read(128)


def _stored_bits(path: Path | Encoded, image: Image) -> int | None:
    """Of one value in the file; None where that is not known."""
    start = _start(path)
    if image.format == "PNG":
        return start[24]
    if image.format == "TIFF":
        stored = image.tag_v2.get(258, 1)  # type: ignore[attr-defined]
        return int(max(stored) if isinstance(stored, tuple) else stored)
    if image.format == "PPM" and image.mode == "RGB":
        found = re.match(rb"P[36](?:\s+#[^\n]*)*\s+\d+\s+\d+\s+(\d+)", start)
        return None if found is None else int(found[1]).bit_length()
    return None


@contextmanager
def _opened(path: Path | Encoded) -> Iterator[Image]:
    try:
        from PIL import Image as images
        from PIL import UnidentifiedImageError
    except ImportError:
        raise DataError("reading pictures needs Pillow: pip install 'spikewright[images]'") from None
    with sane(str(path), "take it out, or save it again"), _SILENCE:
        _check_size(path, _webp_size(path))
        try:
            given = BytesIO(path.content) if isinstance(path, Encoded) else path
            image = images.open(given, formats=FORMATS)
        except images.DecompressionBombError:
            raise DataError(f"{path}: is larger than {PIXELS:,} pixels; make it smaller first") from None
        except UnidentifiedImageError:
            raise DataError(f"{path}: not a readable picture; known are {', '.join(FORMATS)}") from None
        with image, _quiet() if image.format == "TIFF" else nullcontext():
            _check_size(path, image.size)
            yield image


class _Silence:
    """Without Pillow's warnings of what is odd in a file and does no harm, and what it logs of a damaged TIFF.

    Both are of the whole process, so that several threads that decode share one silence: the last one ends it.
    """

    def __init__(self) -> None:
        self.lock, self.inside, self.disabled = threading.Lock(), 0, False
        self.log = logging.getLogger("PIL.TiffImagePlugin")

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.disabled, self.log.disabled = self.log.disabled, True
                warnings.filterwarnings("ignore", module=PILLOW)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.log.disabled = self.disabled
                for one in [f for f in warnings.filters if getattr(f[3], "pattern", None) == PILLOW]:
                    cast("list[Any]", warnings.filters).remove(one)


_SILENCE = _Silence()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what libtiff writes to the error stream, below Python: what matters becomes an error; one at a time."""
    with _TIFF:
        yield from _unheard()


def _unheard() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # there is no error stream
        yield
        return
    try:
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_size(path: Path | Encoded, size: Size) -> None:
    if size[0] * size[1] > PIXELS:
        raise DataError(
            f"{path}: is a picture of {size[0]}×{size[1]}, more than {PIXELS:,} pixels; make it smaller first"
        )


def _webp_size(path: Path | Encoded) -> Size:
    """Of a WebP file, whose decoder takes memory when it is opened; (0, 0) of any other."""
    start = _start(path)[:32]
    if start[:4] != b"RIFF" or start[8:12] != b"WEBP":
        return 0, 0

    def number(first: int, count: int) -> int:
        return int.from_bytes(start[first : first + count], "little")

    if start[12:16] == b"VP8X":
        return 1 + number(24, 3), 1 + number(27, 3)
    if start[12:16] == b"VP8L":
        return 1 + (number(21, 4) & 0x3FFF), 1 + (number(21, 4) >> 14 & 0x3FFF)
    return number(26, 2) & 0x3FFF, number(28, 2) & 0x3FFF
