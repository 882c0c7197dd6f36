"""Tensors stored in ONNX models, or in files beside them: sizes are compared before anything is read."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spikewright.errors import ModelFileError
from spikewright.graph import Array
from spikewright.text import first_line

if TYPE_CHECKING:
    from onnx import TensorProto


def stored_array(tensor: TensorProto, folder: Path | None) -> Array:
    """The numbers of a stored tensor; nothing but numbers is read.

    Args:
        tensor: with its numbers inside, or in a file.
        folder: of the model; its tensors may lie in no other. None for a model without one.

    Raises:
        ModelFileError: for numbers that are missing, of a type that is no number, or in a place they must not be in.
    """
    from onnx import TensorProto, numpy_helper

    where = f"the stored tensor '{tensor.name}'"
    if tensor.data_type in (TensorProto.STRING, TensorProto.COMPLEX64, TensorProto.COMPLEX128):
        raise ModelFileError(f"{where} holds {TensorProto.DataType.Name(tensor.data_type)}, not real numbers")
    if any(n < 0 for n in tensor.dims):
        raise ModelFileError(f"{where} has the shape {tuple(tensor.dims)}; export the model again")
    try:
        if tensor.data_location == TensorProto.EXTERNAL:
            return _outside(tensor, where, folder)
        _check_inside(tensor, where)
        array: Array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError, OSError, OverflowError) as error:
        raise ModelFileError(f"{where} cannot be read ({first_line(error)}); export the model again") from error
    return array


def _check_inside(tensor: TensorProto, where: str) -> None:
    """Packed types are unpacked before their shape is looked at, so it is compared here."""
    if prod(tensor.dims) > 64 * (tensor.ByteSize() + 8):
        raise ModelFileError(
            f"{where} claims the shape {tuple(tensor.dims)} but is stored in {tensor.ByteSize()} bytes"
        )


def _outside(tensor: TensorProto, where: str, folder: Path | None) -> Array:
    """Numbers in a file of the model's own folder."""
    from onnx import helper

    if folder is None:
        raise ModelFileError(f"{where} lies in another file; give the path of the model instead of the loaded model")
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    path = folder / location
    inside = path.resolve().is_relative_to(folder.resolve())
    if not location or not inside or any(p.is_symlink() for p in (path, *path.parents) if p.is_relative_to(folder)):
        raise ModelFileError(
            f"{where} lies in '{location}', outside of the model's folder or behind a link, and was not read; "
            "put the file beside the model and export it again"
        )
    if not path.is_file():
        raise ModelFileError(f"{where} lies in '{location}', which is missing; copy it beside the model")
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    start, count = int(entries.get("offset", 0)), prod(tensor.dims)
    length = int(entries.get("length", count * dtype.itemsize))
    if dtype.name.endswith(("int2", "int4", "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn")):
        raise ModelFileError(f"{where} is packed as {dtype.name}; store it as int8 or float32")
    if length != count * dtype.itemsize or start < 0 or start + length > path.stat().st_size:
        raise ModelFileError(
            f"{where} of shape {tuple(tensor.dims)} needs {count * dtype.itemsize} bytes; "
            f"'{location}' does not hold these from {start} on: copy it again"
        )
    with path.open("rb") as file:
        file.seek(start)
        return np.frombuffer(file.read(length), dtype).reshape(tuple(tensor.dims))
