"""What the arrays of an ``.npz`` are, by their names: samples, targets, names of classes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from spikewright.data.folders import Split
from spikewright.data.labels import Targets
from spikewright.data.source import PIECE
from spikewright.errors import DataError
from spikewright.graph import Array
from spikewright.npz import Header, read_npz


def target_names(headers: Mapping[str, Header], plain: str, inputs: Collection[str] = ()) -> dict[str, str]:
    """The arrays of an ``.npz`` that hold targets, with the outputs they are of: ``plain``, or those ``plain_NAME``."""
    if not plain or plain in headers:
        return {plain: ""} if plain else {}
    heads = (name for name in headers if name.startswith(f"{plain}_") and name not in inputs)
    return {name: name.removeprefix(f"{plain}_") for name in heads}


def targets_by_name(arrays: Mapping[str, Array], names: Mapping[str, str]) -> Targets | None:
    """Those of the one output, or of several by name."""
    if "" in names.values():
        return arrays[next(iter(names))]
    return {output: arrays[name] for name, output in names.items()} or None


def sample_names(path: Path, headers: Mapping[str, Header], split: Split) -> tuple[str, str]:
    """The names of samples and of targets in an ``.npz``; the second is empty where there cannot be any."""
    pairs = [(f"x_{split}", f"y_{split}"), ("x", "y"), ("x_norm", ""), ("x_test", "y_test"), ("arr_0", "arr_1")]
    for x, y in pairs:
        if x in headers:
            return x, y
    held = list(headers)[:20]
    raise DataError(f"{path}: holds {', '.join(held) or 'nothing'}; expected arrays named x and y")


def named_classes(path: Path, headers: Mapping[str, Header]) -> tuple[str, ...]:
    """The names of classes that an ``.npz`` holds as texts in "classes"; none where it holds no such array."""
    header = headers.get("classes")
    if header is None or header.dtype.kind != "U" or len(header.shape) != 1 or header.nbytes > PIECE:
        return ()
    return tuple(read_npz(path, ["classes"])["classes"].tolist())
