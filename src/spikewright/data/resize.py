"""Pictures made larger, smaller and cut, with the meaning that training code has: torchvision's, on PIL pictures.

A picture here is ``(rows, columns)`` or ``(rows, columns, channels)``; what comes out has its type, so that rounding is
that of PIL too. 16 bits are resized as floats and rounded.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from spikewright.errors import DataError
from spikewright.graph import Array

Filter = Literal["bilinear", "nearest", "bicubic"]
Size = tuple[int, int]
PIXELS = 2**26
"""The largest picture that is read or made, 8192 by 8192: less than what Pillow warns of."""


def size_of(shape: Size, wanted: int | Size | None) -> Size:
    """The rows and columns of a picture once it is resized; a single number is that of the shorter side.

    Source: ``torchvision.transforms.functional._compute_resized_output_size``.

    Raises:
        DataError: for more than ``PIXELS``.
    """
    if wanted is None:
        return shape
    if isinstance(wanted, tuple):
        return wanted
    rows, columns = shape
    size = (wanted, int(wanted * columns / rows)) if rows <= columns else (int(wanted * rows / columns), wanted)
    if size[0] * size[1] > PIXELS:
        raise DataError(f"a picture of {rows}×{columns} would become {size[0]}×{size[1]}; give resize=ROWSxCOLUMNS")
    return size


def resized(picture: Array, wanted: int | Size | None, kind: Filter, antialias: bool) -> Array:
    """A picture in another size. Without ``antialias`` (``tf.image.resize``) the values become float32, unrounded."""
    size = size_of(picture.shape[:2], wanted)
    if size == picture.shape[:2]:
        return picture
    smooth = antialias or kind != "bilinear"
    if smooth and (picture.ndim == 2 or (picture.shape[2] == 3 and picture.dtype == np.uint8)):
        return _resampled(picture, size, kind)
    bands = [picture] if picture.ndim == 2 else [picture[..., k] for k in range(picture.shape[2])]
    made = [_resampled(band, size, kind) if smooth else _interpolated(band, size) for band in bands]
    return made[0] if picture.ndim == 2 else np.stack(made, axis=-1)


def padded(picture: Array, sides: tuple[int, int, int, int]) -> Array:
    """Zeros put on at the left, the top, the right and the bottom."""
    left, top, right, bottom = sides
    return np.pad(picture, ((top, bottom), (left, right), *((0, 0),) * (picture.ndim - 2))) if any(sides) else picture


def cropped(picture: Array, size: Size | None) -> Array:
    """The middle of a picture; one that is smaller gets zeros around it first.

    Source: ``torchvision.transforms.functional.center_crop``, whose halves are rounded to even.
    """
    if size is None:
        return picture
    rows, columns = picture.shape[:2]
    high, wide = max(0, size[0] - rows), max(0, size[1] - columns)
    picture = padded(picture, (wide // 2, high // 2, (wide + 1) // 2, (high + 1) // 2))
    top, left = (round((have - want) / 2) for have, want in zip(picture.shape[:2], size, strict=True))
    return picture[top : top + size[0], left : left + size[1]]


def _resampled(band: Array, size: Size, kind: Filter) -> Array:
    """By Pillow: 8 bits as 8 bits, three colours of them at a time; else one band as float32, 16 bits then rounded."""
    from PIL import Image

    filters = {
        "bilinear": Image.Resampling.BILINEAR,
        "nearest": Image.Resampling.NEAREST,
        "bicubic": Image.Resampling.BICUBIC,
    }
    plain = np.ascontiguousarray(band if band.dtype == np.uint8 else band.astype(np.float32))
    made = np.asarray(Image.fromarray(plain).resize((size[1], size[0]), filters[kind]))
    return np.rint(made).clip(0, 65535).astype(np.uint16) if band.dtype == np.uint16 else made


def _interpolated(band: Array, size: Size) -> Array:
    import torch

    x = torch.from_numpy(np.ascontiguousarray(band, dtype=np.float32))[None, None]
    made: Array = torch.nn.functional.interpolate(x, size, mode="bilinear", align_corners=False)[0, 0].numpy()
    return made
