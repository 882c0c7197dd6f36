"""One value that people have in hand, as an array: tensors of any kind, pictures, lists, numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikewright.errors import DataError
from spikewright.graph import Array

TABLES = {"DataFrame", "Series", "LazyFrame", "Table"}


def array_of(values: Any, what: str = "data") -> Array:
    """An array of a tensor (bfloat16 as float32, wherever it is), a picture of Pillow, an array, a list or a number.

    Raises:
        DataError: for anything that has no values, or rows of different lengths; it begins with ``what``.
    """
    kind = type(values).__name__
    if kind in TABLES:
        raise DataError(f"{what}: a {kind} has columns of its own; give arrays, such as table[columns].to_numpy()")
    if is_picture(values):
        from spikewright.data.decode import pixels

        shown = {"L": 1, "1": 1, "P": 3, "RGBA": 4, "I": 1, "F": 1}
        count = 1 if values.mode.startswith("I;16") else shown.get(values.mode, 3)
        return np.moveaxis(pixels(values, count, "refuse", what), -1, 0)
    try:
        if hasattr(values, "detach"):
            return _of_tensor(values)
        if np.ma.isMaskedArray(values) and np.ma.is_masked(values):
            raise DataError(f"{what}: a masked array with values that are masked; fill them in first")
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError, NotImplementedError, OverflowError) as error:
        reason = (str(error).splitlines() or [kind])[0][:100]
        raise DataError(f"{what}: cannot be read from a {kind} ({reason})") from error


def _of_tensor(tensor: Any) -> Array:
    import torch

    found = tensor.detach()
    if found.is_sparse or found.layout != torch.strided:
        found = found.to_dense()
    if found.is_quantized:
        found = found.dequantize()
    if found.dtype.is_floating_point and found.dtype not in (torch.float16, torch.float32, torch.float64):
        found = found.float()  # bfloat16, and those of 8 bits
    return np.asarray(found.cpu().resolve_conj().resolve_neg().numpy())


def not_finite(values: Array) -> int | None:
    """The first row with a NaN or an infinity in it; None where there is none."""
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return None
    return int(np.argwhere(~np.isfinite(values))[0][0])


def is_picture(values: Any) -> bool:
    """Whether a value is a picture of Pillow, which need not be installed to say so."""
    return any(c.__module__ == "PIL.Image" and c.__name__ == "Image" for c in type(values).__mro__)
