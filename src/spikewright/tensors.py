"""Our files: arrays in a safetensors file, and a JSON text beside them that says what they are.

A digest in the text covers the text and the arrays, so that a file that was damaged on its way is never believed: a
flipped bit of a weight is a weight like any other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import ModelFileError, StorageError
from spikewright.settings import fits
from spikewright.text import first_line

Arrays = Mapping[str, NDArray[Any]]

OURS = "spikewright-"
"""What the key of every kind of file begins with."""
DIGEST = "digest"
NESTED = 100
"""Levels of lists and tables in a description."""
DIGITS = 400
"""The most digits of a number in a description; the largest float has 309."""
MOST_TEXT, MOST_PARTS = 1 << 26, 1 << 21
"""Characters of a description, and lists and tables in it: Python needs a hundred bytes for each of these."""


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        key: under which the description lies in the file's metadata.
        noun: what such a file is called: "Spikewright graph".
        contents: what is in it: "graph".
        format: the number this version writes and reads.
        facts: what the description must hold beside ``format``.
        optional: what it may hold too.
        again: what to do about a damaged one.
    """

    key: str
    noun: str
    contents: str
    format: int
    facts: frozenset[str]
    optional: frozenset[str] = frozenset()
    again: str = "copy it again"


def write_tensors(path: Path, kind: Kind, facts: Mapping[str, Any], arrays: Arrays) -> None:
    """Write a file of ours; wrap it in ``atomic_path``.

    Args:
        path: the file.
        kind: of file.
        facts: its description: JSON-like.
        arrays: by name.

    Raises:
        StorageError: for facts that JSON cannot hold.
        OSError: when the disk refuses.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        written = json.loads(json.dumps({"format": kind.format, **facts}, allow_nan=False))  # as read: tuples are lists
    except (TypeError, ValueError, RecursionError) as error:
        raise StorageError(
            f"the description of the {kind.noun} cannot be written as JSON ({first_line(error)})"
        ) from error
    text = json.dumps({**written, DIGEST: digest(written, arrays)})
    try:
        save_file(dict(arrays), path, {kind.key: text})
    except SafetensorError as error:  # what it makes of a full disk
        raise OSError(first_line(error)) from error


def holds(path: Path | str, kind: Kind) -> bool:
    """Whether a file says that it is of a kind; whether that is true and undamaged, only reading it tells."""
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        return False
    try:
        with safe_open(str(path), framework="numpy") as file:
            return kind.key in (file.metadata() or {})
    except (OSError, SafetensorError, TypeError, ValueError, LookupError, AttributeError, OverflowError):
        return False


def read_tensors(path: Path | str, kind: Kind) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what ``write_tensors`` wrote. Nothing in the file is executed; the arrays are no larger than the file.

    Returns:
        the facts, with exactly the entries that the kind has, their values yet to be checked; and the arrays.

    Raises:
        ModelFileError: for a file that is missing, damaged, of another kind, or from a later version.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise ModelFileError(f"{path}: no such file")
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            text = metadata.get(kind.key)
            arrays = {key: file.get_tensor(key) for key in file.keys()} if text is not None else {}  # noqa: SIM118
    except (OSError, SafetensorError, TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        raise ModelFileError(f"{path}: not a readable {kind.noun} ({first_line(error)}); {kind.again}") from error
    if text is None:
        held = next((key.removeprefix(OURS) for key in metadata if key.startswith(OURS)), "")
        found = f"holds {_one(held)}," if held else "a safetensors file, but"
        raise NotOurs(f"{path}: {found} not {_one(kind.contents)} of Spikewright; give another path", held)
    try:
        facts = strict_json(text)
        if "format" not in facts:
            raise ValueError("it states no format")
        found = facts["format"]
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ModelFileError(
            f"{path}: the description of its {kind.contents} is damaged ({first_line(error)}); {kind.again}"
        ) from error
    if type(found) is int and found > kind.format:
        raise ModelFileError(
            f"{path}: {kind.contents} format {found!s:.20}, this version reads {kind.format}; upgrade spikewright"
        )
    if type(found) is int and 0 < found < kind.format:
        raise ModelFileError(f"{path}: {kind.contents} format {found}, this version reads {kind.format}; {kind.again}")
    if type(found) is not int or found != kind.format:
        raise ModelFileError(f"{path}: {kind.contents} of an unknown format {found!s:.20}; {kind.again}")
    stated = facts.pop(DIGEST, None)
    if stated is not None and stated != digest(facts, arrays):
        raise ModelFileError(f"{path}: damaged, its contents do not have the digest that it states; {kind.again}")
    missing = kind.facts - facts.keys()
    unknown = facts.keys() - kind.facts - kind.optional - {"format"}
    if missing or unknown:
        trouble = f"lacks {min(missing)}" if missing else f"has an unknown part '{min(unknown)}'"
        raise ModelFileError(f"{path}: the description of its {kind.contents} {trouble}; {kind.again}")
    return facts, arrays


class NotOurs(ModelFileError):
    """A safetensors file without the description that was looked for.

    Attributes:
        held: what of ours it holds instead: "graph", "conversion", "statistics"; empty for a file of others.
    """

    def __init__(self, message: str, held: str = "") -> None:
        super().__init__(message)
        self.held = held


def _one(contents: str) -> str:
    """``a graph``, ``statistics``."""
    return contents if contents.endswith("s") else f"a {contents}"


def check_facts(facts: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """Refuse facts that are not of the kinds that they were written as.

    Raises:
        ModelFileError: for the first that is not.
    """
    for label, hint in hints.items():
        if not fits(facts[label], hint):
            raise ModelFileError(f"its {label} cannot be {facts[label]!s:.40}")


def digest(facts: Mapping[str, Any], arrays: Arrays) -> str:
    """SHA-256 of a description and of arrays with their names, types and shapes."""
    made = hashlib.sha256(json.dumps(facts, sort_keys=True, allow_nan=True).encode())
    for name, array in sorted(arrays.items()):
        made.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        made.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return made.hexdigest()


def strict_json(text: str | bytes) -> dict[str, Any]:
    """A JSON object without what JSON does not know or two readers may read differently.

    Raises:
        ValueError: for text that is no object, NaN and infinities, two entries of one name, absurd numbers or nesting.
        RecursionError: for nesting beyond what Python itself reads.
    """
    written = text if isinstance(text, str) else text.decode("utf-8")
    if len(written) > MOST_TEXT or written.count("[") + written.count("{") > MOST_PARTS:
        raise ValueError("it is absurdly large")
    found = json.loads(written, object_pairs_hook=_once, parse_constant=_constant, parse_int=_int, parse_float=_float)
    if not isinstance(found, dict):
        raise ValueError("it is no table")
    waiting: list[tuple[Any, int]] = [(found, 1)]
    while waiting:
        value, level = waiting.pop()
        if level > NESTED:
            raise ValueError(f"it is nested more than {NESTED} levels deep")
        inner: Iterable[Any] = value.values() if isinstance(value, dict) else value
        waiting.extend((one, level + 1) for one in inner if isinstance(one, dict | list))
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("two entries have one name")
    return found


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _int(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"a number has {len(text)} digits")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text:.20} is no number that a float can hold")
    return value
