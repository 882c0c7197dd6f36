"""``.h5`` files as Keras 2 wrote them, put together by hand: no Keras 2, and no TensorFlow, is at hand to write any.

The format is that of ``keras/engine/node.py`` (``Node.serialize``) and ``keras/layers/core/tf_op_layer.py`` of Keras
2.4 to 2.15. A layer ``TFOpLambda`` has the function's name in its settings. Its inbound node is one ``[layer, call,
tensor, kwargs]``, in no list of its own (``_preserve_input_structure_in_config``), or a list of them where the first
argument is one. Tensors among the further arguments are ``[layer, call, tensor]``, a constant first argument is
``["_CONSTANT_VALUE", -1, value, kwargs]``, tuples are ``{"class_name": "__tuple__", "items": […]}``. Published files
that show it: https://github.com/tensorflow/tfjs/issues/7271 (``math.multiply`` by a list); ``expand_dims`` and
``cast`` beside layers that read a tensor by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Array = np.ndarray[Any, Any]
Entry = dict[str, Any]


def layer(kind: str, name: str, reads: str, **config: Any) -> Entry:
    """A layer with one input."""
    described = {"name": name, "trainable": True, "dtype": "float32", **config}
    return {"class_name": kind, "config": described, "name": name, "inbound_nodes": [[[reads, 0, 0, {}]]]}


def function(name: str, node: Any) -> Entry:
    """A function of TensorFlow, by its canonical name."""
    kind = "SlicingOpLambda" if name.endswith("getitem") else "TFOpLambda"
    described = {"name": f"tf.{name}", "trainable": True, "dtype": "float32", "function": name}
    return {"class_name": kind, "config": described, "name": f"tf.{name}", "inbound_nodes": [node]}


def saved(
    path: Path,
    shape: Sequence[int],
    layers: Sequence[Entry],
    outputs: Sequence[str],
    weights: Mapping[str, Mapping[str, Array]] | None = None,
    version: str | None = "2.15.0",
) -> Path:
    """A functional model with the input ``x``, in a file."""
    start = {
        "class_name": "InputLayer",
        "config": {
            "batch_input_shape": [None, *shape],
            "dtype": "float32",
            "sparse": False,
            "ragged": False,
            "name": "x",
        },
        "name": "x",
        "inbound_nodes": [],
    }
    entries = [start, *layers]
    config = {
        "name": "model",
        "trainable": True,
        "layers": entries,
        "input_layers": [["x", 0, 0]],
        "output_layers": [[name, 0, 0] for name in outputs],
    }
    with h5py.File(path, "w") as file:
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": config})
        if version is not None:
            file.attrs["keras_version"] = version
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [entry["name"].encode() for entry in entries]
        for entry in entries:
            name = entry["name"]
            own, found = group.create_group(name), (weights or {}).get(name, {})
            own.attrs["weight_names"] = [f"{name}/{label}:0".encode() for label in found]
            for label, values in found.items():
                own[f"{name}/{label}:0"] = values
    return path
