"""The activation that a network ends in: behind it stands nothing but what moves values.

It has no spikes of its own. ``prepare`` moves it into the ``Output``, which applies it to the readout, or leaves it
away; frontends ask here whether a sigmoid that they read stands at the end, the only place where there may be one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from spikewright.errors import GraphError, Problem
from spikewright.graph import Node, Shape
from spikewright.nodes import (
    Add,
    ChannelAffine,
    Concat,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Identity,
    MaxPool,
    Output,
    Pad,
    Permute,
    ReLU,
    Reshape,
    Sigmoid,
    Softmax,
    SumPool,
    Take,
    Tanh,
    Upsample,
)
from spikewright.nodes._window import Padding, has_padding
from spikewright.nodes.terminals import Activation

STAY_ZERO = ("relu", "tanh")
"""The activations of which zero is zero."""
ROWS = ("softmax", "log_softmax")
"""The activations in which one value depends on others along an axis."""


@dataclass(frozen=True)
class Ending:
    """An activation that values have been through, whatever moved them since.

    Attributes:
        activation, ceiling, axis: as of an Output; the axis is one of the values as they lie now.
    """

    activation: Activation
    ceiling: float | None = None
    axis: int = 0


def own_ending(node: Node) -> Ending | None:
    """The activation that a node is; a ReLU with levels is none, since it counts what neurons count."""
    if isinstance(node, Softmax):
        return Ending("log_softmax" if node.log else "softmax", axis=node.axis)
    if isinstance(node, ReLU) and node.levels is None and isinstance(node.ceiling, float | int | None):
        return Ending("relu", None if node.ceiling is None else float(node.ceiling))
    if isinstance(node, Sigmoid):
        return Ending("sigmoid")
    return Ending("tanh") if isinstance(node, Tanh) else None


def endings(nodes: Iterable[Node], *, drop: bool = False) -> dict[str, Ending]:
    """The last activation of every value that has been through one and was only moved since.

    Args:
        nodes: in topological order.
        drop: whether the activation is to be left away, and not to be applied behind all that moves values. Then it
            need not be the same function there: one of a single part of a concatenation counts too.
    """
    shapes: dict[str, Shape] = {}
    found: dict[str, Ending] = {}
    for node in nodes:
        before = [shapes.get(name, ()) for name in node.inputs]
        if all(name in shapes for name in node.inputs):
            shapes[node.name] = node.shape_after(*before)
        ending = own_ending(node) or _carried(node, found, before, shapes.get(node.name, ()), drop)
        if ending is not None:
            found[node.name] = ending
    return found


def misplaced(nodes: Sequence[Node], *, drop: bool = False, open_ended: bool = False) -> list[Node]:
    """The activations without a spiking form (softmax, sigmoid, tanh) that something reads that does more than move
    values, in order.

    Args:
        nodes: in topological order.
        drop: as of ``endings``.
        open_ended: whether what nothing reads was lost on the way, and so does not stand at the end.
    """
    found = endings(nodes, drop=drop)
    readers: dict[str, list[Node]] = {node.name: [] for node in nodes}
    for node in nodes:
        for name in node.inputs:
            readers.get(name, []).append(node)
    inside: set[str] = set()
    for node in reversed(nodes):
        ends = (isinstance(r, Output) or (r.name in found and own_ending(r) is None) for r in readers[node.name])
        lost = open_ended and not readers[node.name] and not isinstance(node, Output)
        if lost or not all(ends) or not inside.isdisjoint(reader.name for reader in readers[node.name]):
            inside.add(node.name)
    return [node for node in nodes if node.name in inside and isinstance(node, Softmax | Sigmoid | Tanh)]


def settled(nodes: Sequence[Node], problems: Iterable[Problem], reserved: Mapping[str, Problem]) -> list[Problem]:
    """The problems of a network that is being read, without those of activations that stand at its end.

    Args:
        nodes: what was made of it so far, its outputs among them.
        problems: in the order in which they were found.
        reserved: those among them that are none at the end, by the name of the activation's node.
    """
    problems = list(problems)
    if not reserved:
        return problems
    cut_short = any(problem not in reserved.values() for problem in problems)
    try:
        inside = {node.name for node in misplaced(nodes, drop=True, open_ended=cut_short)}
    except GraphError:
        if not cut_short:
            raise
        return problems  # what was refused leaves no graph to look at
    known = {node.name for node in nodes}
    last = {name for node in nodes if isinstance(node, Output) for name in node.inputs}
    wrong = {p for name, p in reserved.items() if name in inside or not (name in known or name in last)}
    return [problem for problem in problems if problem in wrong or problem not in reserved.values()]


def _carried(
    node: Node, found: Mapping[str, Ending], before: Sequence[Shape], after: Shape, drop: bool
) -> Ending | None:
    """The ending of what a node reads, as it is behind that node."""
    given = [found.get(name) for name in node.inputs]
    known = [ending for ending in given if ending is not None]
    if not known or isinstance(node, Output):
        return None
    behind = [_through(node, ending, before[0], after, drop) for ending in known]
    if drop:
        return None if None in behind else known[0]
    return behind[0] if all(ending == given[0] for ending in given) else None


def _through(node: Node, ending: Ending, before: Shape, after: Shape, drop: bool) -> Ending | None:
    """What an activation is behind one node; None where the two cannot change places."""
    along = ending.activation in ROWS and not drop
    if isinstance(node, Flatten | Reshape):
        axis = _same_axis(ending.axis, before, after) if along else 0
        return None if axis is None else replace(ending, axis=axis)
    if isinstance(node, Permute):
        return replace(ending, axis=node.axes.index(ending.axis)) if along else ending
    if isinstance(node, Concat):
        moves = not along or node.axis != ending.axis
    elif isinstance(node, Upsample):
        moves = not along or ending.axis == 0 or node.factor[ending.axis - 1] == 1
    elif isinstance(node, Take):
        moves = not along or not node.positions[ending.axis]
    elif isinstance(node, Pad):
        zeros = any(max(pair) > 0 for pair in node.padding)
        moves = not (along and any(node.padding[ending.axis])) and not (zeros and ending.activation not in STAY_ZERO)
    elif _picks(node, before):
        moves = not along or ending.axis == 0
    elif isinstance(node, MaxPool | GlobalMaxPool):  # a rectifier stays: neurons before a pool are what it is for
        moves = ending.activation in ("sigmoid", "tanh") and not has_padding(getattr(node, "padding", ()))
    else:
        moves = _does_nothing(node)
    return ending if moves else None


def _same_axis(axis: int, before: Shape, after: Shape) -> int | None:
    """Which axis of a reshaped value runs over the same values in the same steps."""
    places = [k for k in range(len(after)) if prod(after[:k]) == prod(before[:axis])]
    return next((k for k in places if after[k] == before[axis]), None)


def _picks(node: Node, before: Shape) -> bool:
    """Whether a pool has windows of one value each."""
    if isinstance(node, GlobalAvgPool | GlobalMaxPool):
        return prod(before[1:]) == 1
    return isinstance(node, SumPool | MaxPool) and prod(node.kernel) == 1 and not has_padding(_reach(node))


def _reach(node: SumPool | MaxPool) -> Padding:
    return node.reach if isinstance(node, SumPool) else node.padding


def _does_nothing(node: Node) -> bool:
    if isinstance(node, ChannelAffine):
        return bool((node.scale == 1).all() and not node.bias.any())
    return isinstance(node, Identity) or (isinstance(node, Add) and len(node.inputs) == 1)
