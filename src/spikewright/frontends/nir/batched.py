"""Graphs whose shapes count the batch: NIR's do not, and some exporters write those of the tensor they were shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from spikewright.frontends.common.refusals import Refusal
from spikewright.frontends.nir.call import numbers, shape_of
from spikewright.frontends.nir.flat import TERMINALS, Flat
from spikewright.graph import Shape


def without_batch(flat: Flat) -> Iterator[Flat]:
    """The graph with the first axis of its inputs as that of a batch, in each way in which it can be meant.

    Sizes must agree wherever the axis is stated; a batch of more than one must be stated by all outputs too, since one
    axis of a sample could as well be meant. A Flatten may count it (those that keep it) or not (snnTorch's do not,
    while its inputs do).
    """
    try:
        inputs, outputs = (_stated(flat, kind) for kind in TERMINALS)
    except Refusal:
        return
    if any(len(shape) < 2 for shape in inputs) or len({shape[0] for shape in inputs}) != 1:
        return
    batch = inputs[0][0]
    if batch != 1 and not all(len(shape) > 1 and shape[0] == batch for shape in outputs):
        return
    for counted in (True, False):
        nodes = {
            name: node if name in flat.inner else _without(node, batch, counted) for name, node in flat.nodes.items()
        }
        yield replace(flat, nodes=nodes, batch=batch)


def _stated(flat: Flat, kind: str) -> list[Shape]:
    """The shapes that all outer nodes of a kind state, () where one states none."""
    ends = (node for name, node in flat.nodes.items() if node["type"] == kind and name not in flat.inner)
    return [() if node.get("shape") is None else shape_of(node["shape"], "shape") for node in ends]


def _without(node: Mapping[str, Any], batch: int, counted: bool) -> Mapping[str, Any]:
    if node["type"] in TERMINALS:
        return {**node, "shape": _cut(node.get("shape"), batch)} if node.get("shape") is not None else node
    if node["type"] != "Flatten" or not counted:
        return node
    axes = {label: _moved(node[label]) for label in ("start_dim", "end_dim") if label in node}
    return {**node, **axes}


def _cut(shape: Any, batch: int) -> Any:
    try:
        stated = shape_of(shape, "shape")
    except Refusal:
        return shape  # refused where it is read
    return stated[1:] if len(stated) > 1 and stated[0] == batch else shape


def _moved(axis: Any) -> Any:
    """An axis that counts the batch as one that does not; from the first on, a batch of one is flattened alike."""
    try:
        values = numbers(axis, "axis")
    except Refusal:
        return axis
    return values - 1 if values.size == 1 and values.dtype.kind in "iu" and values.item() > 0 else axis
