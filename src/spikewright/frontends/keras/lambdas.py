"""Functions of TensorFlow in models of Keras 2, which wrote them as ``TFOpLambda`` layers, as functions of keras.ops.

Keras 2 names the function (``math.reduce_mean``), says what its first argument reads, and writes all others by name,
tensors among them as ``[layer, call, tensor]``. A constant that stands first is ``["_CONSTANT_VALUE", -1, value, …]``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np

from spikewright.frontends.common.rules import words

KINDS = ("TFOpLambda", "SlicingOpLambda")
CONSTANT = "_CONSTANT_VALUE"
Settings = dict[str, Any]


@dataclass(frozen=True)
class Counterpart:
    """What keras.ops, or Keras as a layer, has for a function.

    Attributes:
        kind: its class.
        further: the arguments behind the first that may be tensors, by TensorFlow's names.
        settings: Keras' names of other arguments, by TensorFlow's.
        changed: what is left to do to the settings.
        layer: whether it is a layer.
    """

    kind: str
    further: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    changed: Callable[[Settings], Settings] | None = None
    layer: bool = False


def _same(text: str) -> dict[str, str]:
    return {name: name for name in words(text)}


def _cut_points(settings: Settings) -> Settings:
    """Sizes of parts as the positions between them."""
    sizes = settings["indices_or_sections"]
    if isinstance(sizes, int):
        return {"axis": 0, **settings}
    return {"axis": 0, **settings, "indices_or_sections": list(accumulate(sizes))[:-1]}


def _size(settings: Settings) -> Settings:
    height, width = settings.pop("size")
    return {**settings, "height": height, "width": width}


def _pad(settings: Settings) -> Settings:
    return {**settings, "mode": str(settings.get("mode", "constant")).lower(), "tensorflow": True}


def _flips(axis: int) -> Callable[[Settings], Settings]:
    return lambda settings: {**settings, "axis": axis}


AXIS, REDUCED = {"axis": "axis"}, {"axis": "axis", "keepdims": "keepdims", "keep_dims": "keepdims"}
_OF_TWO = {
    "Add": "math.add add __operators__.add nn.bias_add",
    "Subtract": "math.subtract subtract __operators__.sub",
    "Multiply": "math.multiply multiply __operators__.mul",
    "TrueDivide": "math.divide divide math.truediv truediv realdiv __operators__.truediv",
    "Maximum": "math.maximum maximum",
    "Minimum": "math.minimum minimum",
    "Greater": "math.greater greater __operators__.gt",
    "GreaterEqual": "math.greater_equal greater_equal __operators__.ge",
    "Less": "math.less less __operators__.lt",
    "LessEqual": "math.less_equal less_equal __operators__.le",
    "Equal": "math.equal equal __operators__.eq",
    "NotEqual": "math.not_equal not_equal __operators__.ne",
    "LogicalAnd": "math.logical_and logical_and __operators__.and",
    "LogicalOr": "math.logical_or logical_or __operators__.or",
    "LogicalXor": "math.logical_xor __operators__.xor",
    "FloorDivide": "math.floordiv floordiv",
    "Power": "math.pow pow __operators__.pow",
}
_OF_ONE = {
    "Relu": "nn.relu",
    "Relu6": "nn.relu6",
    "Sigmoid": "nn.sigmoid math.sigmoid sigmoid",
    "Tanh": "nn.tanh math.tanh tanh",
    "Negative": "math.negative negative __operators__.neg",
    "Absolute": "math.abs abs __operators__.abs",
    "Sign": "math.sign sign",
    "Floor": "math.floor floor",
    "Round": "math.round round",
    "Ceil": "math.ceil",
    "LogicalNot": "math.logical_not logical_not __operators__.invert",
    "Exp": "math.exp exp",
    "Gelu": "nn.gelu",
    "Silu": "nn.silu nn.swish",
    "Elu": "nn.elu",
    "Selu": "nn.selu",
    "Softplus": "nn.softplus math.softplus",
    "Softsign": "nn.softsign math.softsign",
    "Square": "math.square square",
    "Sqrt": "math.sqrt sqrt",
    "Rsqrt": "math.rsqrt",
}
COUNTERPARTS: dict[str, Counterpart] = {
    **{name: Counterpart(kind, ("y", "bias")) for kind, names in _OF_TWO.items() for name in words(names)},
    **{name: Counterpart(kind) for kind, names in _OF_ONE.items() for name in words(names)},
    "__operators__.getitem": Counterpart("GetItem", ("slice_spec",)),
    "add_n": Counterpart("Add"),
    "broadcast_to": Counterpart("BroadcastTo", settings=_same("shape")),
    "cast": Counterpart("Cast", settings=_same("dtype")),
    "clip_by_value": Counterpart("Clip", settings={"clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "concat": Counterpart("Concatenate", settings=AXIS),
    "expand_dims": Counterpart("ExpandDims", settings=AXIS),
    "gather": Counterpart("Take", ("indices",), AXIS),
    "identity": Counterpart("Identity", layer=True),
    "stop_gradient": Counterpart("Identity", layer=True),
    "image.flip_left_right": Counterpart("Flip", changed=_flips(-2)),
    "image.flip_up_down": Counterpart("Flip", changed=_flips(-3)),
    "image.resize": Counterpart(
        "Resizing", (), {"size": "size", "method": "interpolation", "antialias": "antialias"}, _size, layer=True
    ),
    "linalg.matmul": Counterpart("Matmul", ("b",)),
    "math.cumsum": Counterpart("Cumsum", settings=AXIS),
    "math.reduce_max": Counterpart("Max", settings=REDUCED),
    "math.reduce_mean": Counterpart("Mean", settings=REDUCED),
    "math.reduce_sum": Counterpart("Sum", settings=REDUCED),
    "nn.depth_to_space": Counterpart("DepthToSpace", settings=_same("block_size")),
    "nn.leaky_relu": Counterpart(
        "LeakyRelu", settings={"alpha": "negative_slope"}, changed=lambda s: {"negative_slope": 0.2, **s}
    ),
    "nn.log_softmax": Counterpart("LogSoftmax", settings=AXIS),
    "nn.softmax": Counterpart("Softmax", settings=AXIS),
    "nn.space_to_depth": Counterpart("SpaceToDepth", settings=_same("block_size")),
    "pad": Counterpart("Pad", (), {"paddings": "pad_width", **_same("mode constant_values")}, _pad),
    "repeat": Counterpart("Repeat", settings=_same("repeats axis")),
    "reshape": Counterpart("Reshape", settings={"shape": "newshape"}),
    "reverse": Counterpart("Flip", settings=AXIS),
    "roll": Counterpart("Roll", settings=_same("shift axis")),
    "split": Counterpart("Split", (), {"num_or_size_splits": "indices_or_sections", "axis": "axis"}, _cut_points),
    "squeeze": Counterpart("Squeeze", settings=AXIS),
    "stack": Counterpart("Stack", settings=AXIS),
    "tile": Counterpart("Tile", settings={"multiples": "repeats"}),
    "transpose": Counterpart("Transpose", settings={"perm": "axes"}),
    "unstack": Counterpart("Unstack", settings=AXIS),
    "where": Counterpart("Where", ("x", "y")),
}
COUNTERPARTS |= {
    "matmul": COUNTERPARTS["linalg.matmul"],
    "cumsum": COUNTERPARTS["math.cumsum"],
    "image.resize_images": COUNTERPARTS["image.resize"],
    "where_v2": COUNTERPARTS["where"],
    **{name: COUNTERPARTS[f"math.{name}"] for name in ("reduce_max", "reduce_mean", "reduce_sum")},
}
"""By the names of TensorFlow's functions, without ``tf.`` and ``compat.v1.``."""


@dataclass(frozen=True)
class Translated:
    """A function of TensorFlow as one of Keras.

    Attributes:
        kind: its class, or the function's own name where there is none.
        module: where that class comes from.
        config: its settings.
        inputs: tensors (as ``reference`` makes them) and constants, in order.
        further: arguments that have no counterpart.
    """

    kind: str
    module: str
    config: Settings
    inputs: tuple[Any, ...]
    further: Settings


def translated(function: str, node: Any, reference: Callable[..., Any]) -> Translated:
    """One call of a function, as Keras 2 wrote it.

    Args:
        function: its name, as in ``"math.reduce_mean"``.
        node: what the first argument reads, and all further arguments by name.
        reference: makes a tensor of the name of a layer, the number of a call and the number of a tensor.
    """
    entries = [node] if isinstance(node[0], str) else node
    given = {k: v for entry in entries if len(entry) > 3 for k, v in (entry[3] or {}).items()}
    first = [_plain(entry[2]) if entry[0] == CONSTANT else reference(*entry[:3]) for entry in entries]
    found = COUNTERPARTS.get(function.removeprefix("compat.v1."))
    if found is None:
        return Translated(f"tf.{function}", "keras.ops", {}, tuple(first), {})
    read = {k: _revived(v, reference) for k, v in given.items() if k != "name" and v is not None}
    inputs = (*first, *(read.pop(name) for name in found.further if name in read))
    settings = {own: read.pop(name) for name, own in found.settings.items() if name in read}
    if found.changed is not None:
        settings = found.changed(settings)
    if found.kind == "Pad" and "constant_values" in settings:
        read["constant_values"] = settings.pop("constant_values")
    return Translated(found.kind, "keras" if found.layer else "keras.ops", settings, inputs, read)


def _revived(value: Any, reference: Callable[..., Any]) -> Any:
    """An argument: a tensor, slices of an index, or what is written."""
    if isinstance(value, dict):
        if value.get("class_name") == "__ellipsis__":
            return Ellipsis
        if value.get("class_name") == "__tuple__":
            return [_revived(part, reference) for part in value["items"]]
        return slice(*(value.get(end) for end in ("start", "stop", "step"))) if "start" in value else value
    if isinstance(value, list):
        if len(value) == 3 and isinstance(value[0], str) and all(isinstance(n, int) for n in value[1:]):
            return reference(*value)
        return [_revived(part, reference) for part in value]
    return value


def _plain(value: Any) -> Any:
    return np.asarray(value, np.float64) if isinstance(value, list | int | float) else value
