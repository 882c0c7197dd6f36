"""Weights of Keras layers, wherever they lie: in a ``.keras`` archive, in a legacy ``.h5`` file, or in a live model.

Each tells the arrays of a layer in the order in which Keras makes them. Shapes are compared with what the layer says
before any value is read.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.errors import ModelFileError
from spikewright.frontends.keras.file import AGAIN, check_stored, child, decoded
from spikewright.graph import Array, Shape

Siblings = Sequence[tuple[str, str]]
"""The layers of one model, in order: their names and their classes."""
Named = list[tuple[str, Any]]
"""Variables by name: datasets or arrays, in Keras' order; a ``.keras`` archive only numbers them."""


class Weights(ABC):
    """The weights of one layer, or of one model and the layers in it."""

    @abstractmethod
    def children(self, layers: Siblings) -> Mapping[str, Weights]:
        """The weights of each layer of a model, by the layer's name."""

    @abstractmethod
    def variables(self) -> Named:
        """The layer's own."""

    def has(self, name: str) -> bool:
        """Whether the layer has a variable of that name, where the names are known."""
        return any(found == name for found, _ in self.variables())

    def read(self, wanted: Mapping[str, Shape], where: str) -> dict[str, Array]:
        """The arrays of a layer.

        Args:
            wanted: names and shapes of all that it has, in Keras' order.
            where: the layer's place, for messages.

        Raises:
            ModelFileError: for missing or superfluous weights, other shapes, or numbers that are no floats.
        """
        found = self.variables()
        if len(found) != len(wanted):
            names = f" ({', '.join(wanted)})" if wanted else ""
            counts = f"has {len(wanted)} weights{names}, the model holds {len(found)} for it"
            raise ModelFileError(f"'{where}' {counts}; {AGAIN}")
        named = {name for name, _ in found} == set(wanted)
        arrays = dict(found) if named else dict(zip(wanted, (value for _, value in found), strict=True))
        return {name: _array(arrays[name], shape, f"'{where}', {name}") for name, shape in wanted.items()}


class Nothing(Weights):
    """A layer that the file has no weights for."""

    def children(self, layers: Siblings) -> Mapping[str, Weights]:
        return {name: self for name, _ in layers}

    def variables(self) -> Named:
        return []


class Archived(Weights):
    """Weights in a ``.keras`` archive: a group for each layer, called after its class, its arrays numbered.

    Newer versions of Keras write each layer's name beside its weights; for others the layers of one class go by rank.
    """

    def __init__(self, group: Any) -> None:
        self.group = group

    def children(self, layers: Siblings) -> Mapping[str, Weights]:
        folder = next((f for f in ("layers", "_layer_checkpoint_dependencies") if f in self.group), None)
        if folder is None:
            return Nothing().children(layers)
        groups = {key: child(self.group, f"{folder}/{key}") for key in child(self.group, folder)}
        named = {_stored_name(group): group for group in groups.values()}
        if None not in named:
            matched = {name: named.pop(name) for name, _ in layers if name in named}
            left = [str(name) for name, group in named.items() if _holds_arrays(group)]
        else:
            matched, left = _by_rank(groups, layers)
        if left:
            raise ModelFileError(f"holds weights for '{left[0]}', which the network does not have; {AGAIN}")
        return {name: Archived(matched[name]) if name in matched else Nothing() for name, _ in layers}

    def variables(self) -> Named:
        if "vars" not in self.group:
            return []
        group = child(self.group, "vars")
        return [(key, child(group, key)) for key in sorted(group, key=int)]


def _stored_name(group: Any) -> str | None:
    name = child(group, "vars").attrs.get("name") if "vars" in group else None
    return None if name is None else decoded(name)


def _holds_arrays(group: Any) -> bool:
    return ("vars" in group and len(group["vars"]) > 0) or "layers" in group


def _by_rank(groups: Mapping[str, Any], layers: Siblings) -> tuple[dict[str, Any], list[str]]:
    """``conv2d``, ``conv2d_1`` and so on for the layers of one class; the groups that are too many."""
    stored: dict[str, list[str]] = defaultdict(list)
    kinds = {snake(kind) for _, kind in layers}
    for key in sorted(groups, key=_rank):
        stored[key if key in kinds else re.sub(r"_\d+$", "", key)].append(key)
    matched = {}
    for name, kind in layers:
        if stored[snake(kind)]:
            matched[name] = groups[stored[snake(kind)].pop(0)]
    return matched, [key for keys in stored.values() for key in keys if _holds_arrays(groups[key])]


def _rank(key: str) -> int:
    """The number behind ``conv2d_1``, 0 where there is none."""
    digits = re.search(r"_(\d+)$", key)
    return int(digits[1]) if digits else 0


def snake(kind: str) -> str:
    """A class name as Keras writes it in archives: ``Conv2DTranspose`` as ``conv2d_transpose``."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)).lower()


class Legacy(Weights):
    """Weights in an ``.h5`` file: a group for each layer of the model; a nested model has one for all.

    Args:
        group: of a layer of the outermost model, or, for itself, of all of them.
        path: of a layer inside of models, below the outermost.
    """

    def __init__(self, group: Any, path: tuple[str, ...] | None = None) -> None:
        self.group, self.path = group, path

    def children(self, layers: Siblings) -> Mapping[str, Weights]:
        if self.path is not None:
            return {name: Legacy(self.group, (*self.path, name)) for name, _ in layers}
        stored = _names(self.group, "layer_names")
        known = {name for name, _ in layers}
        for name in stored:
            if name not in known and _names(child(self.group, name), "weight_names"):
                raise ModelFileError(f"holds weights for '{name}', which the network does not have; {AGAIN}")
        return {name: Legacy(child(self.group, name), ()) if name in stored else Nothing() for name, _ in layers}

    def variables(self) -> Named:
        names = _names(self.group, "weight_names")
        if self.path:
            # What nested models hold is told apart by the paths of variables, as far as that is needed.
            parts = {name: name.split("/") for name in names}
            names = [name for name in names if len(parts[name]) > 1 and parts[name][-2] == self.path[-1]]
            for outer in self.path[-2::-1]:
                inside = [name for name in names if outer in parts[name][:-2]]
                names = inside or names
        return [(name.split("/")[-1].split(":")[0], child(self.group, name)) for name in names]


def _names(group: Any, label: str) -> list[str]:
    """A list of names among the attributes of a group, which Keras splits up when it is long."""
    if label in group.attrs:
        return [decoded(name) for name in group.attrs[label]]
    found: list[list[str]] = []
    while f"{label}{len(found)}" in group.attrs:
        found.append([decoded(name) for name in group.attrs[f"{label}{len(found)}"]])
    return [name for part in found for name in part]


class Live(Weights):
    """Weights of a model in memory."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def children(self, layers: Siblings) -> Mapping[str, Weights]:
        inside = {layer.name: layer for layer in self.layer.layers}
        return {name: Live(inside[name]) if name in inside else Nothing() for name, _ in layers}

    def variables(self) -> Named:
        names = [str(v.name).split("/")[-1].split(":")[0] for v in self.layer.weights]
        return list(zip(names, self.layer.get_weights(), strict=True))


def _array(value: Any, shape: Shape, where: str) -> Array:
    """The values of a variable, after a look at their shape and kind."""
    if not hasattr(value, "dtype") or value.shape is None or tuple(value.shape) != shape:
        found = tuple(getattr(value, "shape", None) or ())
        raise ModelFileError(f"{where}: has the shape {found} where the layer needs {shape}; {AGAIN}")
    if not isinstance(value, np.ndarray):
        check_stored(value, where)
        value = _widened(value)
    if value.dtype.kind in "iub" and shape:
        raise ModelFileError(f"{where}: is {value.dtype}; {Cause.QUANTISED.advice}")
    if value.dtype.kind != "f" and value.dtype.name != "bfloat16" and shape:
        raise ModelFileError(f"{where}: is {value.dtype}, not floats; {AGAIN}")
    return np.asarray(value, np.float32 if value.dtype.name == "bfloat16" else None)


def _widened(dataset: Any) -> Array:
    """A dataset as an array; bfloat16, which HDF5 has no name for, as the upper halves of float32."""
    values = np.asarray(dataset[()])
    if values.dtype == np.dtype("V2"):
        halves = values.view(np.uint16).astype(np.uint32)
        return (halves << 16).view(np.float32)
    return values
