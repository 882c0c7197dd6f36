"""A Keras model, as the other side of a comparison: channels turned where they go in and come out."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.errors import ModelFileError
from spikewright.frontends.common.files import missing
from spikewright.frontends.keras.call import Value
from spikewright.frontends.keras.walk import Walk
from spikewright.frontends.verify import ON_A_GPU, ROUNDED, SIZES, TOLERANCE, Batch, Original, Trace, groups
from spikewright.graph import Array, Graph, Shape
from spikewright.text import first_line

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BORDER = (
    "with uneven 'same' padding Keras on PyTorch repeats the border, where TensorFlow and JAX leave it out, "
    "as the graph does; verify=False (--no-verify) takes that"
)

OTHERWISE = "computes hard_sigmoid otherwise, and the graph as it did; verify=False (--no-verify) takes that"


def loaded(path: Path) -> Any:
    """The model in a file, built by Keras; its ``Lambda`` layers and custom classes were refused before.

    Raises:
        SettingsError: where Keras, or what it computes with, is not installed.
        ModelFileError: where Keras cannot load it.
    """
    if "keras" not in sys.modules and find_spec("tensorflow") is None:
        os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras would look for TensorFlow
    try:
        import keras
    except ImportError:
        raise missing("comparing with Keras", "keras and a backend for it", "verify") from None
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises what it pleases
        raise ModelFileError(
            f"{path}: Keras {keras.__version__} cannot load it to compare with ({first_line(error)}); "
            "verify=False (--no-verify) takes it unseen"
        ) from error


def keras_original(model: Any, walk: Walk, graph: Graph, outputs: Mapping[str, Value]) -> Original:
    """A model that a walk made a graph of.

    Args:
        model: in memory.
        walk: through it.
        graph: what came of it.
        outputs: which of Keras' tensors each output of the graph is.
    """
    starts = list(model.inputs)
    fixed = next((int(start.shape[0]) for start in starts if start.shape[0] is not None), None)
    layers = {layer.name: layer for layer in model.layers}
    seen = [
        (layers[name], value)
        for name, value in walk.layers.items()
        if name in layers and value.node in graph and graph[value.node].inputs
    ]
    made_by = {value.node: layer for layer, value in seen}

    def fed(batch: Batch) -> list[Array]:
        return [_as_in_keras(batch[value.node], value.order) for value in walk.inputs]

    def run(batch: Batch) -> Batch:
        found = _called(model, fed(batch))
        return {
            name: _as_in_graph(y, walk.order(len(value.order)))
            for (name, value), y in zip(outputs.items(), found, strict=True)
        }

    @cache
    def part(start: int, stop: int) -> Any:
        return _home(model).Model(model.inputs, [layer.output for layer, _ in seen[start:stop]])

    def values(batch: Batch) -> Iterator[tuple[str, Tensor]]:
        given = fed(batch)
        for group in groups([prod(value.shape) * len(given[0]) for _, value in seen]):
            found = _called(part(group.start, group.stop), given)
            for (_, value), y in zip(seen[group], found, strict=True):
                yield value.node, _as_in_graph(y, value.order)

    def hint(name: str) -> str:
        layer = made_by.get(name)
        if getattr(getattr(layer, "activation", None), "__name__", "") == "hard_sigmoid" and walk.version[:1] in "12":
            return f"Keras {walk.version}, which wrote the file, {OTHERWISE}"
        padded = type(layer).__name__.startswith("AveragePooling") and getattr(layer, "padding", "") == "same"
        return BORDER if padded and _home(model).backend.backend() == "torch" else ""

    return Original(
        "Keras",
        run,
        {value.node: _dtype(start) for value, start in zip(walk.inputs, starts, strict=True)},
        own_size=fixed or SIZES[0],
        sizes=(fixed,) if fixed else SIZES,
        tolerance=_tolerance(model),
        trace=Trace(tuple(value.node for _, value in seen), values, fixed),
        hint=hint,
    )


def _home(model: Any) -> Any:
    """The package that a model's class is of: keras, tf_keras."""
    return import_module(next(c.__module__ for c in type(model).__mro__ if c.__name__ == "Model").split(".")[0])


def _called(model: Any, given: list[Array]) -> list[Tensor]:
    """What a model answers, its outputs in Keras' order."""
    import torch

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of inputs in a dictionary that are given as a list
        found = model(given if len(given) > 1 else given[0], training=False)
    return [_tensor(y) for y in _leaves(found)]


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in _leaves(tree[key])]
    return [leaf for branch in tree for leaf in _leaves(branch)] if isinstance(tree, list | tuple) else [tree]


def _tensor(value: Any) -> Tensor:
    """A tensor of any backend as one of PyTorch's."""
    import torch

    return value.detach().cpu() if isinstance(value, torch.Tensor) else torch.from_numpy(np.array(value, np.float32))


def _as_in_keras(x: Tensor, order: Shape) -> Array:
    return np.ascontiguousarray(x.permute(0, *(1 + axis for axis in order)).numpy())


def _as_in_graph(y: Tensor, order: Shape) -> Tensor:
    return y.permute(0, *(1 + order.index(axis) for axis in range(len(order))))


def _dtype(start: Any) -> torch.dtype:
    import torch

    found = getattr(torch, str(getattr(start.dtype, "name", start.dtype)), torch.float32)
    return found if isinstance(found, torch.dtype) else torch.float32


def _tolerance(model: Any) -> float:
    names = [str(getattr(getattr(layer, "dtype_policy", None), "name", "")) for layer in model.layers]
    places = [str(getattr(w.value, "device", getattr(w, "device", ""))).lower() for w in model.weights[:1]]
    found = [ROUNDED.get(name.removeprefix("mixed_"), TOLERANCE) for name in names]
    found += [ON_A_GPU for place in places if "cuda" in place or "gpu" in place]
    return max(found, default=TOLERANCE)
