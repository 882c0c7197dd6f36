"""Events in arrays: which of them are x, y, t and p, and in which unit their times are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from spikewright.errors import DataError
from spikewright.recordings.columns import NAMES, Columns

NAMES_OF = {
    "x": ("x", "xs", "x_pos", "col", "columns"),
    "y": ("y", "ys", "y_pos", "row", "rows"),
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "p": ("p", "ps", "pol", "polarity", "polarities", "on"),
}
UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
PIECE = 2**19


def columns_among(names: Collection[str]) -> dict[str, str]:
    """The name that each column has among some; empty where one of the four has none, or several.

    Args:
        names: of arrays or of the fields of a structured array.
    """
    known = {name.lower(): name for name in names}
    found = {column: [known[one] for one in words if one in known] for column, words in NAMES_OF.items()}
    return {column: one[0] for column, one in found.items()} if all(len(one) == 1 for one in found.values()) else {}


def microseconds(times: Any, unit: str | None) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Times in whole microseconds.

    Args:
        times: ``(E,)`` numbers.
        unit: of ``UNITS``; None for seconds where they have fractions (floats), else microseconds.
    """
    found = np.asarray(times)
    factor = UNITS[unit] if unit else 1e6 if found.dtype.kind == "f" else 1.0
    if found.dtype.kind == "f" or factor != 1:
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = np.rint(found.astype(np.float64) * factor)
        if not (np.abs(scaled) < 2**62).all():
            raise ValueError("a time that is no number of microseconds")
        return scaled.astype(np.int64)
    whole = found.astype(np.int64)
    if len(whole) and not -(2**62) < int(whole.min()) <= int(whole.max()) < 2**62:
        raise ValueError("a time that is no number of microseconds")
    return whole


def check_arrays(arrays: Mapping[str, Any]) -> int:
    """How many events four arrays hold.

    Raises:
        ValueError: for such as are no numbers, have several axes, or are not as long as each other.
    """
    lengths = {len(array) if array.ndim == 1 else -1 for array in arrays.values()}
    if len(lengths) != 1 or lengths == {-1} or any(array.dtype.kind not in "buif" for array in arrays.values()):
        shapes = ", ".join(f"{name} {array.shape} {array.dtype}" for name, array in arrays.items())
        raise ValueError(f"x, y, t and p are rows of numbers of one length, not {shapes}")
    return lengths.pop()


def pieces_of(arrays: Mapping[str, Any], unit: str | None, offset: int = 0) -> Iterator[Columns]:
    """Events of arrays, or of what is sliced like them, piece after piece.

    Args:
        arrays: by column.
        unit: of their times; see ``microseconds``.
        offset: microseconds to be added.
    """
    count = check_arrays(arrays)
    for start in range(0, count, PIECE):
        x, y, t, p = (np.asarray(arrays[name][start : start + PIECE]) for name in NAMES)
        for place in (x, y):
            if place.dtype.kind == "f" and not np.isfinite(place).all():
                raise ValueError("a place that is no number")
        x, y = (np.clip(place, -1, 2**31 - 1) for place in (x, y))  # what lies outside stays outside
        yield Columns.of(x, y, microseconds(t, unit) + offset, p)


def by_time(columns: Columns) -> Columns:
    """Events in the order of their times, those of one time as they came."""
    if (np.diff(columns.t) >= 0).all():
        return columns
    return columns[np.argsort(columns.t, kind="stable")]


def columns_of_array(array: Any, order: str | None, unit: str | None, name: str = "this array") -> Columns:
    """The events of a structured array, or of an array ``(E, 4)`` whose columns have an order.

    Args:
        array: of the user; or arrays by name.
        order: of the columns, as in "txyp"; None for a structured array.
        unit: of the times; see ``microseconds``.
        name: of where it is from, for messages.

    Raises:
        DataError: for any other array.
    """
    arrays: dict[str, Any]
    found: Any = np.zeros((0, 4)) if isinstance(array, Mapping) else np.asarray(array)
    if isinstance(array, Mapping):
        named = columns_among([str(name) for name in array])
        if not named:
            raise DataError(f"{name}: arrays of {', '.join(map(str, array))[:80]}; a recording has x, y, t and p")
        arrays = {column: np.asarray(array[name]) for column, name in named.items()}
    elif found.dtype.names:
        named = columns_among(found.dtype.names)
        if not named or found.ndim != 1:
            raise DataError(
                f"{name}: a structured array with the fields {', '.join(found.dtype.names)[:80]}; a recording has "
                "x, y, t and p"
            )
        arrays = {column: found[name] for column, name in named.items()}
    else:
        if found.ndim != 2 or found.shape[1] != 4:
            raise DataError(
                f"{name}: an array of the shape {found.shape}; a recording has four columns, or the fields x, y, t, p"
            )
        if order is None:
            raise DataError(f"{name}: four columns do not say which is which: give order='txyp', say")
        arrays = {column: found[:, order.index(column)] for column in NAMES}
    try:
        return by_time(Columns.joined(list(pieces_of(arrays, unit))))
    except ValueError as error:
        raise DataError(f"{name}: holds no recording: {error}") from error
