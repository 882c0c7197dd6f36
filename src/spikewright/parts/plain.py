"""What was counted, as plain values and arrays: for files that run nothing when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import ModelFileError

Kind = TypeVar("Kind", bound=type)
_KINDS: dict[str, type] = {}
WIDEST = 2**53
"""Whole numbers beyond are written as text: not every reader of JSON holds them."""


def storable(kind: Kind) -> Kind:
    """Say that what was counted may hold objects of a class: all their attributes are plain values, arrays, or such.

    Only classes that were named so are made when a file is read, without running anything of theirs.
    """
    _KINDS[_name(kind)] = kind
    return kind


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def to_plain(value: Any) -> tuple[Any, dict[str, NDArray[Any]]]:
    """A value as JSON-like values that refer to arrays, and these arrays by name.

    Args:
        value: None, numbers, texts, arrays, lists, tuples, sets and mappings of such, and objects of storable classes.

    Raises:
        TypeError: for anything else.
    """
    arrays: dict[str, NDArray[Any]] = {}
    return _plain(value, arrays), arrays


def from_plain(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """What ``to_plain`` was given, made anew.

    Raises:
        ModelFileError: for what it did not make.
    """
    try:
        return _made(value, arrays)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"what was counted is damaged ({error!s:.80})") from error


def _kept(array: NDArray[Any], arrays: dict[str, NDArray[Any]]) -> str:
    name = str(len(arrays))
    arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
    return name


def _plain(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, int) and abs(value) > WIDEST:
        return {"int": hex(value)}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, np.ndarray):
        return {"array": _kept(value, arrays)}
    if isinstance(value, np.generic):
        return {"number": _kept(np.asarray(value), arrays)}
    if isinstance(value, list):
        if len(value) > 1 and _alike(value):  # of hundreds of batches: one array
            return {"rows": _kept(np.concatenate(value), arrays), "lengths": [len(one) for one in value]}
        return {"list": [_plain(one, arrays) for one in value]}
    if isinstance(value, tuple):
        return {"tuple": [_plain(one, arrays) for one in value]}
    if isinstance(value, frozenset | set):
        return {"set": sorted(value)}
    if isinstance(value, Mapping):
        return {"table": [[_plain(key, arrays), _plain(one, arrays)] for key, one in value.items()]}
    name = _name(type(value))
    if _KINDS.get(name) is not type(value):
        raise TypeError(f"{name} is not storable")
    return {"kind": name, "fields": {label: _plain(one, arrays) for label, one in vars(value).items()}}


def _alike(values: list[Any]) -> bool:
    first = values[0]
    return all(
        isinstance(one, np.ndarray) and one.ndim and (one.dtype, one.shape[1:]) == (first.dtype, first.shape[1:])
        for one in values
    )


def _made(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if not isinstance(value, dict):
        return value
    if "float" in value:
        return float.fromhex(value["float"])
    if "int" in value:
        return int(value["int"], 16)
    if "bytes" in value:
        return bytes.fromhex(value["bytes"])
    if "array" in value:
        return arrays[value["array"]]
    if "number" in value:
        return arrays[value["number"]][()]
    if "rows" in value:
        ends = np.cumsum(value["lengths"])[:-1]
        return np.split(arrays[value["rows"]], ends)
    if "list" in value:
        return [_made(one, arrays) for one in value["list"]]
    if "tuple" in value:
        return tuple(_made(one, arrays) for one in value["tuple"])
    if "set" in value:
        return frozenset(value["set"])
    if "table" in value:
        return {_made(key, arrays): _made(one, arrays) for key, one in value["table"]}
    kind = _KINDS[value["kind"]]
    if is_dataclass(kind) and not {field.name for field in fields(kind)} <= value["fields"].keys():
        raise ValueError(f"{value['kind']} lacks a field")
    found: Any = object.__new__(kind)
    for label, one in value["fields"].items():
        object.__setattr__(found, label, _made(one, arrays))
    return found
