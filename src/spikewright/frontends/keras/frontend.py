"""Keras: ``.keras`` archives, legacy ``.h5`` files, and models in memory, of any backend and without running any.

Descriptions and weights are read as they are: Keras is not needed for files, nothing in a file is built or executed
unless a comparison with Keras itself is asked for,
and what old versions wrote differently is no matter of a loader. Networks with channels last become graphs with
channels first; axes are moved by a Permute only where their order means something.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from spikewright.causes import Cause
from spikewright.errors import ModelFileError, Problem, UnsupportedModelError
from spikewright.frontends.keras.call import Value
from spikewright.frontends.keras.file import AGAIN, DAMAGE, opened
from spikewright.frontends.keras.net import HOMES, MODELS, Net, is_model, parse
from spikewright.frontends.keras.operators import RULES
from spikewright.frontends.keras.original import keras_original, loaded
from spikewright.frontends.keras.walk import Walk
from spikewright.frontends.keras.weights import Archived, Legacy, Live
from spikewright.frontends.verify import SECONDS, UNSEEN, Verified, verified
from spikewright.graph import Graph, Node, Shape
from spikewright.nodes import Output, Permute
from spikewright.text import first_line

SUBCLASS = "a subclass of Model says only in code what it does; build it with Model(inputs, outputs) or Sequential"


def from_keras(
    source: Any,
    *,
    shape: Shape | None = None,
    verify: bool | None = None,
    verify_seconds: float = SECONDS,
) -> Graph:
    """A Keras model as a graph.

    Args:
        source: the path of a ``.keras`` or ``.h5`` file, or a functional or sequential model.
        shape: of one sample, channels first, for models that leave it open.
        verify: whether the graph is run beside the model before it is returned. None does so for a model in memory;
            True for a file too, which Keras then loads and builds, and refuses what cannot be compared.
        verify_seconds: after which no further batch of samples is begun.

    Returns:
        the graph; its nodes have the names of the layers, those of nested models with a path: ``"encoder/conv1"``.
        ``meta["layout"]`` is ``"channels_last"`` where Keras has the channels last: populations of shape
        (channels, rows, columns) here are then (rows, columns, channels) there.

    Raises:
        UnsupportedModelError: with every layer that cannot be converted, and its place.
        ModelFileError: for a file that is missing, damaged or hostile, and for weights that do not fit.
        GraphError: for weights that are not finite, and for a graph that does not compute what the model does.
        SettingsError: where a package is missing.
    """
    if not isinstance(source, str | Path):
        walk, graph, values = _graph(_live(source), shape)
        if verify is False:
            return UNSEEN.on(graph)
        original = keras_original(source, walk, graph, values)
        return verified(graph, original, source.name, seconds=verify_seconds, strict=verify is True)
    path = Path(source)
    walk, graph, values = _from_path(path, shape)
    if verify is False:
        return UNSEEN.on(graph)
    if verify is None:
        return Verified(notes=("a file is compared with verify=True (--verify)",)).on(graph)
    original = keras_original(loaded(path), walk, graph, values)
    return verified(graph, original, str(path), seconds=verify_seconds, strict=True)


Read = tuple[Walk, Graph, dict[str, Value]]
"""The walk over a network, the graph, and which of Keras' tensors each output is."""


def _from_path(path: Path, shape: Shape | None) -> Read:
    """What a file says."""
    with opened(path) as (config, weights, archive):
        try:
            if not is_model(config):
                raise _not_a_model(str(config.get("class_name")))
            net = parse(config, Archived(weights) if archive else Legacy(weights))
            return _graph(replace(net, version=str(config.get("keras_version", ""))), shape)
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from error
        except DAMAGE as error:
            raise ModelFileError(f"{path}: damaged ({first_line(error)}); {AGAIN}") from error


def is_keras(model: Any) -> bool:
    """Whether an object is a model or layer of Keras; Keras is not imported."""
    return any(c.__module__.split(".")[0] in HOMES and c.__name__ == "Layer" for c in type(model).__mro__)


def _live(model: Any) -> Net:
    """The description of a model in memory.

    Raises:
        UnsupportedModelError: with every layer that is no layer of Keras and cannot describe itself.
    """
    if not hasattr(model, "layers") or type(model).__name__ not in MODELS:
        raise _not_a_model(type(model).__name__)
    try:
        data = {"class_name": type(model).__name__, "config": _listed(model.get_config())}
    except NotImplementedError as error:
        raise UnsupportedModelError(_foreign(model, "")) from error
    if not is_model(data):
        raise _not_a_model(type(model).__name__)
    home = next(c.__module__.split(".")[0] for c in type(model).__mro__ if c.__module__.split(".")[0] in HOMES)
    return replace(parse(data, Live(model)), version=str(getattr(sys.modules[home], "__version__", "")))


def _listed(config: Any) -> Any:
    """With lists for tuples, as files have them."""
    if isinstance(config, dict):
        return {key: _listed(value) for key, value in config.items()}
    return [_listed(value) for value in config] if isinstance(config, list | tuple) else config


def _not_a_model(kind: str) -> UnsupportedModelError:
    return UnsupportedModelError([Problem(kind, "the model itself", SUBCLASS)])


def _foreign(model: Any, path: str) -> list[Problem]:
    """Every layer whose class is not Keras' own."""
    found = []
    for layer in model.layers:
        home = type(layer).__module__
        if hasattr(layer, "layers") and type(layer).__name__ in MODELS:
            found += _foreign(layer, f"{path}{layer.name}/")
        elif home.split(".")[0] not in HOMES:
            where = f"'{path}{layer.name}'"
            found.append(Problem.of(type(layer).__name__, where, Cause.OWN_CODE, f"its class is of {home}"))
    return found


def _graph(net: Net, shape: Shape | None) -> Read:
    walk = Walk(RULES, net, shape)
    values = dict(zip(walk.outputs, walk.run(net), strict=True))
    ends = [Output(name=name, inputs=(value.node,)) for name, value in values.items()]
    walk.problems.check([*walk.nodes, *ends])
    if walk.damage is not None:
        raise walk.damage
    outputs: list[Node] = [_output(walk, name, value) for name, value in values.items()]
    meta = {"source": "keras", "model": net.name, "layout": walk.layout}
    return walk, Graph([*walk.nodes, *outputs], meta).needed(), values


def _output(walk: Walk, label: str, value: Value) -> Node:
    """An output, its axes laid out as those of inputs are."""
    order = walk.order(len(value.order))
    if value.order == order:
        return Output(name=label, inputs=(value.node,))
    axes = tuple(value.order[order.index(axis)] for axis in range(len(order)))
    moved = Permute(name=walk.names.unique(f"{label}.permute"), inputs=(value.node,), axes=axes)
    walk.nodes.append(moved)
    return Output(name=label, inputs=(moved.name,))
