"""A folder of class folders with pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikewright.errors import DataError
from spikewright.graph import Array

SUFFIXES = {".png", ".jpg", ".jpeg"}


def image_folder(path: Path, channels: int | None) -> tuple[Array, Array]:
    """Pictures ``(N, C, H, W)`` as uint8 with the index of their folder, folders and files in sorted order.

    Args:
        path: holds a folder for each class.
        channels: 1 for grey, 3 or None for colour.

    Raises:
        DataError: for no pictures, pictures of different sizes, or a file that cannot be read.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise DataError("reading pictures needs Pillow: pip install 'spikewright[images]'") from None
    classes = sorted(p for p in path.iterdir() if p.is_dir())
    files = [(f, k) for k, c in enumerate(classes) for f in sorted(c.iterdir()) if f.suffix.lower() in SUFFIXES]
    if not files:
        raise DataError(f"{path}: no data here: expected idx or npz files, or class folders with PNG or JPG files")
    pictures: list[Array] = []
    for file, _ in files:
        try:
            with Image.open(file) as image:
                picture = np.asarray(image.convert("L" if channels == 1 else "RGB"))
        except (OSError, UnidentifiedImageError) as error:
            raise DataError(f"{file}: not a readable picture ({error})") from error
        if pictures and picture.shape != pictures[0].shape:
            raise DataError(
                f"{file}: is {picture.shape[:2]}, the first picture {pictures[0].shape[:2]}; resize them all"
            )
        pictures.append(picture)
    x = np.stack(pictures)
    return (x[:, None] if x.ndim == 3 else np.moveaxis(x, -1, 1)), np.array([k for _, k in files])
