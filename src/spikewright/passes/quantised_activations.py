"""Activations that round, as quantisation-aware training writes them, become a ReLU with levels.

``floor(s·clip(x, 0, c) + t)``, and the same with the clip behind the floor, is a staircase of ``s·c`` steps. QCFS
(Bu et al. 2022) trains with it, since it is what an integrate-and-fire neuron with ``v_init = t·threshold`` counts.
``round(u)`` is ``floor(u + ½)`` but for halves, and what is whole in ``t`` moves out of a floor.
"""

from __future__ import annotations

from math import floor
from typing import Literal

import numpy as np

from spikewright.errors import Problem
from spikewright.graph import Graph, Node
from spikewright.nodes import BatchNorm, ChannelAffine, Floor, ReLU, Round
from spikewright.passes.rewrite import refusal, rewrite
from spikewright.passes.scale_and_shift import scale_and_shift

NO_STAIRCASE = (
    "rounding is only known beside a clip, s·clip(x, low, high) + t or behind it, whose bounds are a whole number of "
    "steps apart: a neuron counts up to some largest number"
)
WHOLE = 2e-6
"""How far, as a share, ``s·c`` may be from whole: what the rounding of both to single precision makes."""


@refusal()
def no_staircase(graph: Graph) -> list[Problem]:
    """Every Floor and Round that belongs to no staircase."""
    return [Problem(node.type, f"'{node.name}'", NO_STAIRCASE) for node in graph.of_type(Floor, Round)]


@rewrite("folded", into="before", stage="recognise", after=("drop_identities",))
def quantised_activations(graph: Graph) -> Graph:
    """Recognise staircases; a Floor or Round that belongs to none stays as it is."""
    for name in [node.name for node in graph.of_type(Floor, Round)]:
        step = graph[name]
        scale, shift, source = _affine(graph, graph.sources(step)[0])
        if not scale:
            continue
        if _clips(source):
            graph = _behind_clip(graph, step, source, scale, shift)
        else:
            graph = _before_clip(graph, step, source, scale, shift)
    return graph


def _affine(graph: Graph, node: Node) -> tuple[float, float, Node]:
    """The factor and shift that stand before a node, and what they apply to."""
    scale, shift = 1.0, 0.0
    while isinstance(node, BatchNorm | ChannelAffine):
        factor, addend = scale_and_shift(node)
        if (factor != factor.flat[0]).any() or (addend != addend.flat[0]).any():
            break  # no staircase has steps that differ from channel to channel
        scale, shift = scale * float(factor.flat[0]), scale * float(addend.flat[0]) + shift
        node = graph.sources(node)[0]
    return scale, shift, node


def _clips(node: Node) -> bool:
    return isinstance(node, ReLU) and isinstance(node.ceiling, float | int) and node.levels is None


def _behind_clip(graph: Graph, step: Node, clip: Node, scale: float, shift: float) -> Graph:
    """``step(scale · clip(x, 0, c) + shift)`` as ``whole + levels of x``; where it falls, of ``c − x``."""
    assert isinstance(clip, ReLU)
    ceiling = float(np.asarray(clip.ceiling))
    alone = len(graph.consumers[clip.name]) == 1
    falls = scale < 0
    scale, shift = abs(scale), shift + min(scale, 0.0) * ceiling
    levels, (whole, part, ties) = round(scale * ceiling), _rounding(step, shift)
    if levels < 1 or abs(scale * ceiling - levels) > WHOLE * levels:
        return graph
    if np.floor(np.float32(scale) * np.float32(ceiling) + np.float32(part)) != levels:
        return graph  # by rounding alone the last step is never reached
    if ties != "up" and not part and (whole % 2 or (whole + levels) % 2):
        return graph  # where it saturates it lies halfway, and goes to the even number: one step further, or not so far
    start = (-1.0, ceiling) if falls else (1.0, 0.0)
    name = clip.name if alone else graph.fresh_name(f"{clip.name}_steps")
    stepped = ReLU(name=name, inputs=clip.inputs, ceiling=ceiling, levels=levels, shift=part, ties=ties)
    return _stepped(graph, step, stepped, start, (scale, whole))


def _before_clip(graph: Graph, step: Node, source: Node, scale: float, shift: float) -> Graph:
    """``clip(step(scale · x + shift) + k, 0, c)`` as levels of x, moved by what is whole."""
    between, added, at = [step.name], 0.0, step
    while len(graph.consumers[at.name]) == 1:
        at = graph[graph.consumers[at.name][0]]
        if _clips(at):
            break
        if not isinstance(at, ChannelAffine) or (at.scale != 1).any() or (at.bias != np.rint(at.bias.flat[0])).any():
            return graph
        between.append(at.name)
        added += float(at.bias.flat[0])
    if not isinstance(at, ReLU) or not _clips(at):
        return graph
    levels = round(float(np.asarray(at.ceiling)))
    if levels < 1 or abs(float(np.asarray(at.ceiling)) - levels) > WHOLE * levels:
        return graph
    whole, part, ties = _rounding(step, shift + added)
    ties = "odd" if ties != "up" and added % 2 else "up" if ties == "up" else "even"
    ceiling = levels / abs(scale)
    stepped = at.replace(inputs=(source.name,), ceiling=ceiling, levels=levels, shift=part, ties=ties)
    start = (1.0 if scale > 0 else -1.0, whole / abs(scale))
    graph = graph.without(*between[1:], at.name)
    return _stepped(graph, graph[step.name], stepped, start, (abs(scale), 0.0))


Ties = Literal["up", "even", "odd"]


def _rounding(step: Node, shift: float) -> tuple[float, float, Ties]:
    """``step(u + shift)`` as ``whole + floor(u + part)``, and where halves go, counted from ``whole``."""
    if isinstance(step, Floor):
        return floor(shift), shift - floor(shift), "up"
    whole = floor(shift + 0.5)
    return whole, shift + 0.5 - whole, "odd" if whole % 2 else "even"


def _stepped(graph: Graph, step: Node, stepped: ReLU, start: tuple[float, float], end: tuple[float, float]) -> Graph:
    """The graph with a ReLU with levels in the place of a step: factor and shift before it, and behind it."""
    channels = graph.shapes[step.name][:1]
    nodes = [node for node in graph if node.name not in (step.name, stepped.name)]
    if start != (1.0, 0.0):
        name = graph.fresh_name(f"{step.name}_from")
        fields = {"scale": np.full(channels, start[0]), "bias": np.full(channels, start[1])}
        nodes.append(ChannelAffine(name=name, inputs=stepped.inputs, **fields))
        stepped = stepped.replace(inputs=(name,))
    fields = {"scale": np.full(channels, end[0]), "bias": np.full(channels, end[1])}
    whole = ChannelAffine(name=step.name, inputs=(stepped.name,), **fields)
    return graph.with_nodes([*nodes, stepped, whole]).needed()
