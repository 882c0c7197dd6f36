"""Means, sums and maxima over axes of a sample: pools whose windows span those axes."""

from __future__ import annotations

from collections.abc import Collection
from math import prod
from typing import Any, Literal

import numpy as np

from spikewright.frontends.common.limits import check_joined
from spikewright.frontends.common.moves import NodePlan, reshaped
from spikewright.frontends.common.windows import side_by_side
from spikewright.graph import Node, Shape
from spikewright.nodes import AvgPool, Flatten, GlobalAvgPool, GlobalMaxPool, Linear, MaxPool, Permute, Reshape, SumPool

Reduction = Literal["mean", "sum", "max"]
MOST_AXES = 4
"""The most axes of a sample that a pool can tell apart."""


def reduced(shape: Shape, gone: Collection[int], kind: Reduction, *, keep: bool) -> list[NodePlan]:
    """The nodes that take axes of a sample away.

    Args:
        shape: of a sample.
        gone: the axes over which it runs; one at least.
        kind: what is made of the values along them.
        keep: whether these axes stay, with a length of one.

    Returns:
        the nodes, the last of which has the operator's own name; the axes that are kept stay in their order.

    Raises:
        Refusal: for a neuron that would read more values than any layer has.
    """
    kept = [axis for axis in range(len(shape)) if axis not in gone]
    after = tuple(1 if axis in gone else n for axis, n in enumerate(shape) if keep or axis not in gone)
    if not kept:
        return _own_name(_of_all(shape, kind), (1,) if kind != "max" else (1, 1), after)
    if len(shape) > MOST_AXES:  # all that stays as one axis, and all that goes as another
        order = (*kept, *sorted(gone))
        rows = (prod(shape[axis] for axis in kept), prod(shape[axis] for axis in gone))
        plans = [NodePlan(Permute, "before", {"axes": order}), NodePlan(Reshape, "rows", {"shape": rows})]
        return _own_name([*plans, _pool(kind, rows, rows[1:])], (rows[0], 1), after)
    # Pools leave the first axis alone: one that is kept is put there.
    order = (kept[0], *(axis for axis in range(len(shape)) if axis != kept[0])) if 0 in gone else (*range(len(shape)),)
    turned = tuple(shape[axis] for axis in order)
    window = tuple(shape[axis] if axis in gone else 1 for axis in order[1:])
    plans = [NodePlan(Permute, "before", {"axes": order})] if 0 in gone else []
    plans.append(_pool(kind, turned, window))
    return _own_name(plans, (turned[0], *(n // k for n, k in zip(turned[1:], window, strict=True))), after)


def _own_name(plans: list[NodePlan], found: Shape, wanted: Shape) -> list[NodePlan]:
    """The plans, and where they end in another shape than is wanted a reshape, which then has the operator's name."""
    if found == wanted:
        return plans
    *first, last = plans
    return [*first, NodePlan(last.kind, "reduced", last.fields), reshaped(wanted)]


def _pool(kind: Reduction, shape: Shape, window: Shape) -> NodePlan:
    if kind != "sum" and window == shape[1:]:
        return NodePlan(GlobalMaxPool if kind == "max" else GlobalAvgPool)
    pools: dict[str, type[Node]] = {"mean": AvgPool, "sum": SumPool, "max": MaxPool}
    pool = pools[kind]
    return NodePlan(pool, "", side_by_side(pool, window))


def _of_all(shape: Shape, kind: Reduction) -> list[NodePlan]:
    """The nodes that leave one number of a sample: a layer of one neuron, or a pool over one row."""
    count = prod(shape)
    if kind == "max":
        return [NodePlan(Reshape, "row", {"shape": (1, count)}), NodePlan(GlobalMaxPool)]
    check_joined(count)
    row = [] if len(shape) == 1 else [NodePlan(Flatten, "row")]
    layer: dict[str, Any] = {"weight": np.full((1, count), 1.0 if kind == "sum" else 1 / count), "bias": np.zeros(1)}
    return [*row, NodePlan(Linear, "", layer)]
