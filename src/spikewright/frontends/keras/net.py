"""What a Keras description says: layers, how often each is called and on what, and models inside of models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from spikewright.errors import ModelFileError
from spikewright.frontends.keras import lambdas
from spikewright.frontends.keras.file import AGAIN
from spikewright.frontends.keras.weights import Weights
from spikewright.text import first_line

FUNCTIONAL = ("Functional", "Model")
MODELS = ("Sequential", *FUNCTIONAL)
HOMES = ("keras", "tensorflow", "tf_keras", "keras_core")
"""The packages whose layers are Keras' own."""


@dataclass(frozen=True)
class Ref:
    """One tensor: what a layer gives at one of its calls."""

    layer: str
    call: int = 0
    tensor: int = 0


@dataclass(frozen=True)
class Site:
    """One call of a layer.

    Attributes:
        inputs: tensors, and constants, in order.
        settings: further arguments by name.
    """

    inputs: tuple[Any, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Layer:
    """A layer as it was described.

    Attributes:
        kind: its class.
        module: where that class comes from, where the description says so; None for the user's own script.
        inside: what it is made of, for a model.
    """

    kind: str
    name: str
    config: Mapping[str, Any]
    sites: tuple[Site, ...]
    weights: Weights
    module: str | None = "keras"
    inside: Net | None = None

    @property
    def custom(self) -> bool:
        """Whether its class is the user's own and not one of Keras."""
        return self.module is None or self.module.split(".")[0] not in HOMES or ">" in self.kind

    @property
    def is_operation(self) -> bool:
        """Whether it is a function of ``keras.ops``, or an operator between tensors, and no layer."""
        return self.module is not None and ".ops" in self.module


@dataclass(frozen=True)
class Net:
    """A model: its layers, and which tensors go in and come out.

    Attributes:
        labels: of the outputs, where they are a dictionary.
        version: of the Keras that described it; empty where nothing says so.
    """

    name: str
    layers: tuple[Layer, ...]
    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]
    labels: tuple[str, ...] = ()
    version: str = ""

    def walk(self) -> Iterator[Layer]:
        """Every layer, those of nested models in the place of the model."""
        for layer in self.layers:
            yield from layer.inside.walk() if layer.inside else (layer,)


def is_model(data: Mapping[str, Any]) -> bool:
    """Whether a description is of a model that says what it is made of."""
    config = data.get("config")
    return data.get("class_name") in MODELS and (isinstance(config, list) or "layers" in (config or {}))


def parse(data: Mapping[str, Any], weights: Weights) -> Net:
    """The model that a description says.

    Raises:
        ModelFileError: for references to what is not there, two layers of one name, or anything out of shape.
    """
    try:
        config = data["config"]
        listed = config if isinstance(config, list) else config["layers"]  # a bare list: Keras 2.2 and before
        name = str(config.get("name", "model")) if isinstance(config, dict) else "model"
        names = [str(_name(entry)) for entry in listed]
        twice = next((n for n, count in Counter(names).items() if count > 1), None)
        if twice is not None:
            raise ModelFileError(f"two layers of '{name}' are called '{twice}'; {AGAIN}")
        children = weights.children([(n, str(entry["class_name"])) for n, entry in zip(names, listed, strict=True)])
        layers = [_layer(n, entry, children[n]) for n, entry in zip(names, listed, strict=True)]
        if data["class_name"] == "Sequential":
            return _chain(name, layers, config if isinstance(config, dict) else {})
        old = any(isinstance(node, list) for entry in listed for node in entry.get("inbound_nodes") or ())
        net = Net(
            name,
            tuple(layers),
            tuple(Ref(*ref) for _, ref in _leaves(config["input_layers"])),
            tuple(Ref(*ref) for _, ref in _leaves(config["output_layers"])),
            _labels(config["output_layers"]),
        )
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise ModelFileError(
            f"its description is damaged ({type(error).__name__}: {first_line(error)}); {AGAIN}"
        ) from error
    return _counted(net, old)


def _name(entry: Mapping[str, Any]) -> str:
    config = entry["config"]
    return str(entry.get("name") or (config.get("name") if isinstance(config, dict) else None) or "model")


def _layer(name: str, entry: Mapping[str, Any], weights: Weights) -> Layer:
    kind = str(entry["class_name"])
    registered = entry.get("registered_name")
    config = entry["config"]
    if kind in lambdas.KINDS:
        return _function(name, entry, weights)
    return Layer(
        kind=str(registered) if registered and ">" in str(registered) else kind,
        name=name,
        config=config if isinstance(config, dict) else {},
        sites=tuple(_site(node) for node in entry.get("inbound_nodes") or ()),
        weights=weights,
        module=entry.get("module", "keras"),
        inside=parse(entry, weights) if is_model(entry) else None,
    )


def _function(name: str, entry: Mapping[str, Any], weights: Weights) -> Layer:
    """A function of TensorFlow, called once as Keras 2 writes it."""
    calls = [lambdas.translated(str(entry["config"]["function"]), node, Ref) for node in entry["inbound_nodes"]]
    if any((call.kind, call.config) != (calls[0].kind, calls[0].config) for call in calls):
        raise ModelFileError(f"'{name}' is called several times, with other settings each; {AGAIN}")
    sites = tuple(Site(call.inputs, call.further) for call in calls)
    return Layer(calls[0].kind, name, calls[0].config, sites, weights, calls[0].module)


def _site(node: Any) -> Site:
    """A call, as Keras 3 writes it (args and kwargs), or as Keras 2 did (a list of layer, call, tensor, kwargs)."""
    if isinstance(node, dict):
        settings = {key: _revived(value) for key, value in (node.get("kwargs") or {}).items()}
        # Layers may be called with their input by name; what is not a tensor stays a setting.
        named = [value for value in settings.values() if _has_tensors(value)]
        inputs = _flat([_revived(value) for value in node.get("args") or ()] + named)
        return Site(tuple(inputs), {k: v for k, v in settings.items() if not _has_tensors(v)})
    entries = [node] if node and isinstance(node[0], str) else node
    settings = {k: v for entry in entries if len(entry) > 3 for k, v in (entry[3] or {}).items()}
    return Site(tuple(Ref(*entry[:3]) for entry in entries), settings)


def _revived(value: Any) -> Any:
    """Tensors and arrays from their descriptions; dictionaries as lists, in Keras' order; anything else as it is."""
    if isinstance(value, list):
        return [_revived(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        return [_revived(value[key]) for key in sorted(value)]
    config = value.get("config")
    match value.get("class_name"):
        case "__keras_tensor__" if config:
            return Ref(*config["keras_history"])
        case "__tensor__" | "__numpy__" if config:
            return np.asarray(config["value"], np.float64)
        case "__slice__" if config is not None:
            return slice(*(config.get(end) for end in ("start", "stop", "step")))
        case "__ellipsis__":
            return Ellipsis
        case "__tuple__":
            return [_revived(v) for v in value["items"]]
    return value


def _has_tensors(value: Any) -> bool:
    return isinstance(value, Ref) or (isinstance(value, list) and any(_has_tensors(v) for v in value))


def _flat(values: list[Any]) -> list[Any]:
    """Lists of tensors taken apart; lists of numbers stay what they are."""
    return [one for v in values for one in (_flat(v) if isinstance(v, list) and _has_tensors(v) else [v])]


def _leaves(tree: Any) -> list[tuple[str, Any]]:
    """The references of a list or dictionary of them, in Keras' order, with their keys."""
    if isinstance(tree, dict):
        return [(str(key), ref) for key in sorted(tree) for _, ref in _leaves(tree[key])]
    if isinstance(tree, list) and tree and isinstance(tree[0], str):
        return [("", tree[:3])]
    return [leaf for branch in tree for leaf in _leaves(branch)]


def _labels(tree: Any) -> tuple[str, ...]:
    labels = tuple(label for label, _ in _leaves(tree))
    return labels if all(labels) and len(set(labels)) == len(labels) else ()


def _chain(name: str, layers: list[Layer], config: Mapping[str, Any]) -> Net:
    """A Sequential model: every layer reads the one before; the first an input, which older files leave out."""
    if not layers:
        raise ModelFileError(f"the model '{name}' has no layers")
    if layers[0].kind != "InputLayer":
        start, inside = layers[0].config, layers[0].inside
        shape = start.get("batch_input_shape") or start.get("batch_shape") or config.get("build_input_shape")
        if shape is None and inside is not None:
            shape = inside.layers[0].config.get("batch_shape") or inside.layers[0].config.get("batch_input_shape")
        label = "input" if all(layer.name != "input" for layer in layers) else f"{layers[0].name}_input"
        first = Layer("InputLayer", label, {"batch_shape": shape}, (), layers[0].weights)
        layers = [first, *layers]
    linked = [layers[0]]
    for layer in layers[1:]:
        before = linked[-1].name
        linked.append(replace(layer, sites=(Site((Ref(before),)),)))
    return Net(name, tuple(linked), (Ref(linked[0].name),), (Ref(linked[-1].name),))


def _counted(net: Net, old: bool) -> Net:
    """The same with the calls of nested models counted from 0: Keras may count a model's own making as a call of it.

    Keras 3 does so for the outputs of a network only, Keras 2 (``old``) for all; that the last call is one too high
    tells where it does, and settles what subclasses and versions do differently.
    """
    asked = [ref for layer in net.layers for site in layer.sites for ref in site.inputs if isinstance(ref, Ref)]

    def first(layer: Layer, refs: Sequence[Ref], likely: bool) -> int:
        calls = {ref.call for ref in refs if ref.layer == layer.name}
        return int(bool(calls) and 0 not in calls and (likely or len(layer.sites) in calls))

    inner = [layer for layer in net.layers if layer.inside]
    for_inputs = {layer.name: first(layer, asked, old) for layer in inner}
    for_outputs = {layer.name: first(layer, net.outputs, old or layer.kind in FUNCTIONAL) for layer in inner}

    def moved(ref: Any, by: Mapping[str, int]) -> Any:
        return replace(ref, call=ref.call - by.get(ref.layer, 0)) if isinstance(ref, Ref) else ref

    def recounted(site: Site) -> Site:
        return replace(site, inputs=tuple(moved(given, for_inputs) for given in site.inputs))

    layers = tuple(replace(layer, sites=tuple(map(recounted, layer.sites))) for layer in net.layers)
    return replace(net, layers=layers, outputs=tuple(moved(ref, for_outputs) for ref in net.outputs))
