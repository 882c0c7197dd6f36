"""Functions of ``keras.ops`` that only move values: numpy does the same with numbered ones, which the nodes follow."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from spikewright.causes import Cause
from spikewright.frontends.common.gathers import SAMPLES, Numbers, bordered, gathered, numbered, padded, table_of
from spikewright.frontends.common.limits import check_constants
from spikewright.frontends.common.moves import NodePlan, depth_to_space, parts, space_to_depth
from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.common.rules import Rules
from spikewright.frontends.keras.call import Call, Rule, Value, straight
from spikewright.graph import Shape
from spikewright.nodes import Concat

FUNCTIONS = Rules[Rule]()
"""What keras.ops has functions for, and no layers."""
converts = FUNCTIONS.converts
BY_BACKEND = "Keras' backends differ in what it is"


def moved(call: Call, x: Value, function: Callable[[Numbers], Any], part: str = "") -> Value:
    """What a function of batches in Keras' order of axes does, as nodes; axes stay as they lie where they can."""
    check_constants(SAMPLES * prod(x.shape))
    numbers = numbered(x.node_shape)
    back = (0, *(place + 1 for place in x.order))
    table = table_of(function(numbers.transpose(back)), x.node_shape)
    order = x.order if table.ndim == len(x.shape) else straight(table.ndim)
    in_node = table.transpose(tuple(order.index(axis) for axis in range(table.ndim)))
    return chain(call, x, gathered(x.node_shape, in_node), order, part)


def chain(call: Call, x: Value, plans: list[NodePlan], order: Shape, part: str = "") -> Value:
    """Nodes each of which reads the one before; the axes of the last lie as ``order`` says."""
    for plan in plans:
        rank = len(plan.kind(name="", inputs=("",), **plan.fields).infer_shape(x.node_shape))
        own = ".".join(filter(None, (part, plan.part)))
        last = plan is plans[-1]
        x = call.emit(plan.kind, x, part=own, order=order if last else straight(rank), **plan.fields)
    return x


def _axis(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_MOVES: dict[str, Callable[[Numbers, Any], Any]] = {
    "BroadcastTo": lambda x, c: np.broadcast_to(x, (len(x), *c["shape"][1:])),
    "Diagonal": lambda x, c: np.diagonal(x, c.get("offset", 0), c.get("axis1", 0), c.get("axis2", 1)),
    "ExpandDims": lambda x, c: np.expand_dims(x, _axis(c["axis"])),
    "Flip": lambda x, c: np.flip(x, _axis(c["axis"])),
    "Moveaxis": lambda x, c: np.moveaxis(x, _axis(c["source"]), _axis(c["destination"])),
    "Repeat": lambda x, c: np.repeat(x, c["repeats"], c["axis"]),
    "Roll": lambda x, c: np.roll(x, _axis(c["shift"]), _axis(c["axis"])),
    "Rot90": lambda x, c: np.rot90(x, c.get("k", 1), _axis(c.get("axes", (0, 1)))),
    "Swapaxes": lambda x, c: np.swapaxes(x, c["axis1"], c["axis2"]),
    "Tile": lambda x, c: np.tile(x, c["repeats"]),
    "Transpose": lambda x, c: np.transpose(x, c.get("axes")),
    "Tril": lambda x, c: np.tril(x, c.get("k", 0)),
    "Triu": lambda x, c: np.triu(x, c.get("k", 0)),
}


@converts(*_MOVES)
def move(call: Call) -> Value:
    """An operator that numpy has by the same name."""
    x, kind = call.x, call.layer.kind
    if kind == "BroadcastTo" and call.config["shape"][0] not in (1, None, -1):
        call.refuse(Cause.BATCH_AXIS)
    if kind in ("Repeat", "Roll", "Flip") and call.config.get("axis") is None:
        call.refuse(Cause.BATCH_AXIS)
    return moved(call, x, lambda numbers: _MOVES[kind](numbers, call.config))


@converts("GetItem")
def item(call: Call) -> Value:
    """``x[key]``, the batch whole."""
    key = call.inputs[1] if len(call.inputs) == 2 else None
    listed = list(key) if isinstance(key, list | tuple) else [key]
    key = tuple(np.asarray(k, np.int64) if isinstance(k, list | np.ndarray) else k for k in listed)
    if not all(k is None or k is Ellipsis or isinstance(k, slice | int | np.ndarray) for k in key):
        call.refuse(f"it picks by {listed!s:.40}; only constants are supported")
    return moved(call, call.values[0], lambda numbers: numbers[key])


@converts("Take")
def take(call: Call) -> Value:
    """Positions along one axis; below 0 they count from behind."""
    if len(call.inputs) != 2 or isinstance(call.inputs[1], Value) or call.config.get("axis") is None:
        call.refuse(Cause.COMPUTED_WEIGHTS)
    read = np.asarray(call.inputs[1]).astype(np.int64)
    return moved(call, call.values[0], lambda numbers: np.take(numbers, read, call.config["axis"]))


@converts("Pad")
def pad(call: Call) -> Value:
    x, mode = call.x, str(call.config.get("mode", "constant"))
    pairs = [tuple(pair) for pair in call.config["pad_width"]]
    if len(pairs) != len(x.shape) + 1 or any(pairs[0]):
        call.refuse(Cause.BATCH_AXIS)
    padding = tuple(pairs[1:][x.order.index(axis)] for axis in range(len(x.order)))
    if mode == "symmetric" and max(map(max, pairs)) > 1 and not call.config.get("tensorflow"):
        call.refuse(f"{BY_BACKEND}: use reflect", operator="symmetric padding")
    value = call.settings.get("constant_values")
    if mode == "constant":
        return chain(call, x, padded(x.node_shape, padding, float(value or 0)), x.order)
    return chain(call, x, bordered(x.node_shape, padding, mode), x.order)


@converts("Split", "ArraySplit")
def split(call: Call) -> tuple[Value, ...]:
    x, given = call.x, call.config["indices_or_sections"]
    axis = call.axis(x, call.config.get("axis", 0))
    n = x.shape[axis]
    starts = [len(p) for p in np.array_split(np.arange(n), given)] if isinstance(given, int) else None
    ends = parts(tuple(starts)) if starts else _between(given, n)
    return tuple(_taken(call, x, axis, range(start, stop), str(k)) for k, (start, stop) in enumerate(ends))


def _taken(call: Call, x: Value, axis: int, read: int | range, part: str) -> Value:
    return moved(call, x, lambda numbers: numbers.take(read, axis + 1), part=part)


def _between(given: Any, n: int) -> list[tuple[int, int]]:
    cuts = [0, *(min(int(k), n) if k >= 0 else n + int(k) for k in given), n]
    return list(pairwise(cuts))


@converts("Unstack")
def unstack(call: Call) -> tuple[Value, ...]:
    x = call.x
    axis = call.axis(x, call.config.get("axis", 0))
    return tuple(_taken(call, x, axis, k, str(k)) for k in range(x.shape[axis]))


@converts("Stack")
def stack(call: Call) -> Value:
    """Each with a new axis, joined along it."""
    rank = len(call.values[0].shape) + 2
    axis = int(call.config.get("axis", 0)) % rank
    if axis == 0 or len(call.values) != len(call.inputs):
        call.refuse(Cause.BATCH_AXIS)
    wide = [moved(call, x, lambda m: np.expand_dims(m, axis), part=f"part{k}") for k, x in enumerate(call.values)]
    if len(wide) == 1:
        return wide[0]
    return call.emit(Concat, *(call.arranged(v, straight(rank - 1)) for v in wide), axis=axis - 1)


@converts("DepthToSpace", "SpaceToDepth")
def shuffled(call: Call) -> Value:
    """As TensorFlow has it: the channels of one place of a square lie side by side."""
    x, block = call.spatial(2), int(call.config["block_size"])
    channels, *places = x.node_shape
    if call.layer.kind == "DepthToSpace":
        if channels % block**2:
            raise Refusal(f"its {channels} channels cannot be laid out in blocks of {block} by {block}")
        return chain(call, x, depth_to_space(x.node_shape, block, blocks_first=True), x.order)
    if any(n % block for n in places):
        raise Refusal(f"{places[0]} by {places[1]} positions are not made of blocks of {block} by {block}")
    return chain(call, x, space_to_depth(x.node_shape, block, blocks_first=True), x.order)


def spread(call: Call, values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Values of one shape, repeated along the axes that others are longer in, their axes laid out as in the first."""
    wide = np.broadcast_shapes(*(v.shape for v in values))
    if any(len(v.shape) != len(wide) for v in values):
        call.refuse(Cause.BATCH_AXIS)
    found: list[Value] = []
    for k, v in enumerate(values):
        same = v.shape == wide
        repeated = v if same else moved(call, v, lambda m: np.broadcast_to(m, (len(m), *wide)), part=f"spread{k}")
        found.append(call.arranged(repeated, found[0].order) if found else repeated)
    return tuple(found)
