"""Activations of a trained network, layer by layer and batch by batch, stored and reloaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright.compat._networks import trained
from spikewright.compat.snntoolbox.storing import save_arrays
from spikewright.data import as_dataset
from spikewright.errors import DataError, SettingsError
from spikewright.forward import Forward
from spikewright.graph import Array, Graph, Node
from spikewright.nodes import Output
from spikewright.npz import read_npz
from spikewright.preparation import prepare
from spikewright.text import listed

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 10
"""How many samples run side by side unless somebody says otherwise."""
WORDS: Mapping[str, str] = {
    "Linear": "Dense",
    "Conv": "Conv{axes}D",
    "ConvTranspose": "Conv{axes}DTranspose",
    "AvgPool": "AveragePooling{axes}D",
    "MaxPool": "MaxPooling{axes}D",
    "ChannelAffine": "BatchNormalization",
    "Add": "Add",
}
"""What Keras calls the kinds of nodes that are layers with activations."""


@dataclass(frozen=True)
class Layer:
    """A layer as Keras counts them: an operator with the activation behind it.

    Attributes:
        name: of the operator's node.
        label: its kind in Keras' words.
        value: the node whose value is the layer's activation.
        parameters: whether it has weights.
    """

    name: str
    label: str
    value: str
    parameters: bool


def layers_of(graph: Graph) -> tuple[Layer, ...]:
    """The layers of a graph that have activations, in order: no inputs, flattening, padding or concatenation."""
    found = []
    for node in graph:
        if node.type in WORDS:
            axes = len(graph.shapes[node.name]) - 1
            found.append(Layer(node.name, WORDS[node.type].format(axes=axes), _activated(graph, node), node.weighted))
    return tuple(found)


def _activated(graph: Graph, node: Node) -> str:
    """The node that applies the activation of a layer: a rectifier or output that alone reads it, else itself."""
    name = node.name
    while len(graph.consumers[name]) == 1 and graph[graph.consumers[name][0]].type in ("ReLU", "Softmax", "Output"):
        name = graph.consumers[name][0]
    return name


def get_activations_layer(layer_in: Any, layer_out: Any, x: Any, batch_size: int | None = None) -> Array:
    """The activations of one layer over a whole data set, batch by batch.

    Args:
        layer_in: the input of the network, a Keras tensor or layer; or a network: a Graph, or what ``load`` takes.
        layer_out: the layer, a Keras tensor or layer; or its name in the network.
        x: the samples, ``(N, ...)``, as the network takes them.
        batch_size: samples that run side by side, 10 by default. Those left over behind the last full batch count too.

    Returns:
        ``(N, ...)``, in the layout of the framework that the network is from.

    Raises:
        SettingsError: for a layer that the network does not have.
        SpikewrightError: as ``load``.
    """
    if _is_keras(layer_in) and not hasattr(layer_in, "layers"):
        import keras

        network, value = trained(keras.Model(_tensor(layer_in), _tensor(layer_out))), None
    else:
        network, value = trained(layer_in, np.shape(x)[1:]), str(getattr(layer_out, "name", layer_out))
    wanted = network.of_type(Output)[0].name if value is None else _value_of(network, value)
    return next(iter(_activations(network, [wanted], x, batch_size).values()))


def get_activations_batch(ann: Any, x_batch: Any) -> list[tuple[Array, str]]:
    """The activations of every layer for one batch.

    Args:
        ann: the network: a Graph, or what ``load`` takes. Batch norms are folded, and dropout is gone.
        x_batch: ``(B, ...)``, as the network takes them.

    Returns:
        pairs of activations ``(B, ...)`` and what kind of layer it is in Keras' words, such as "Dense"; in order,
        without inputs and what only moves values.

    Raises:
        SpikewrightError: as ``load``.
    """
    folded, _ = prepare(trained(ann, np.shape(x_batch)[1:]))
    layers = layers_of(folded)
    found = _activations(folded, [layer.value for layer in layers], x_batch, len(x_batch))
    return [(found[layer.value], layer.label) for layer in layers]


def try_reload_activations(
    layer: Any, model: Any, x_norm: Any, batch_size: int | None, activ_dir: Path | str
) -> Array | None:
    """The activations of a layer from ``activ_dir``/NAME.npz, where they are those of this network and these samples;
    else computed, and stored there.

    Args:
        layer: a Keras layer, or its name in the network.
        model: the network: a Graph, or what ``load`` takes.
        x_norm: the samples, ``(N, ...)``; None takes what is stored of the network, whatever the samples were.
        batch_size: as of ``get_activations_layer``.
        activ_dir: the folder, made where it is missing.

    Returns:
        ``(N, ...)``; None where nothing of this network is stored and there are no samples.

    Raises:
        SpikewrightError: as ``get_activations_layer``; StorageError where they cannot be written.
    """
    name = str(getattr(layer, "name", layer))
    network = trained(model, None if x_norm is None else np.shape(x_norm)[1:])
    path = Path(activ_dir) / f"{name.replace('/', '_')}.npz"
    keys = {"network": network.fingerprint}
    if x_norm is not None:
        keys["data"] = as_dataset(x_norm, network.inputs).fingerprint
    stored = _stored(path, keys)
    if stored is not None or x_norm is None:
        return stored
    found = get_activations_layer(network, name, x_norm, batch_size)
    save_arrays(path, {"arr_0": found, **keys})
    return found


def _stored(path: Path, keys: Mapping[str, str]) -> Array | None:
    """What a file holds, if it says that it is of this network and these samples; one that says nothing is not."""
    if not path.is_file():
        return None
    try:
        held = read_npz(path)
    except DataError:  # another program's, or damaged: it is written anew
        return None
    ours = "arr_0" in held and all(str(held.get(key)) == text for key, text in keys.items())
    return held["arr_0"] if ours else None


def _activations(graph: Graph, values: list[str], x: Any, batch_size: int | None) -> dict[str, Array]:
    """The values of some nodes over all samples, by name, in the layout of the framework."""
    import torch

    last = graph.meta.get("layout") == "channels_last"
    parts: dict[str, list[Array]] = {name: [] for name in values}

    def keeper(name: str) -> Any:
        def keep(value: Tensor) -> None:
            rows = value.cpu().numpy()
            parts[name].append((np.moveaxis(rows, 1, -1) if last and rows.ndim > 2 else rows).copy())

        return keep

    forward, watch = Forward(graph), {name: keeper(name) for name in values}
    for batch in _batches(graph, x, BATCH if batch_size is None else batch_size):
        forward(torch.from_numpy(batch), watch)
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def _batches(graph: Graph, x: Any, size: int) -> Iterator[Array]:
    for batch, _ in as_dataset(x, graph.inputs).batches(size):
        yield np.ascontiguousarray(batch)


def _value_of(graph: Graph, name: str) -> str:
    """The node whose value is the activation of a layer of that name; of other nodes their own."""
    by_name = {layer.name: layer.value for layer in layers_of(graph)}
    if name in by_name:
        return by_name[name]
    if name not in graph.by_name:
        raise SettingsError(f"no layer '{name[:60]}'; there are {listed(list(by_name))}")
    return name


def _is_keras(value: Any) -> bool:
    return type(value).__module__.split(".")[0] == "keras"


def _tensor(value: Any) -> Any:
    """A Keras tensor, or what a Keras layer gives."""
    return getattr(value, "output", value)
