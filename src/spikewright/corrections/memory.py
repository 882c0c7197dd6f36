"""What a walk through a network keeps, foreseen: one that could not end in this machine's memory does not begin."""

from __future__ import annotations

from math import prod

from spikewright.corrections.lanes import CHUNK, Lane, is_sink
from spikewright.corrections.walk import CACHE
from spikewright.engines.memory import check_room
from spikewright.forward import tensors_on
from spikewright.graph import Graph
from spikewright.timesteps import Timesteps

FLOAT, SPIKE = 4, 1
"""Bytes of a current, and of what a neuron sends in one step."""
WORKED_ON = 3
"""Tensors of the size of the largest that a chunk of samples has at one time."""


def walk_bytes(graph: Graph, samples: int, timesteps: int, constant: bool = True) -> int:
    """What ``Walk`` has in memory at most, estimated.

    Args:
        graph: the spiking graph; its neurons run free.
        samples: N.
        timesteps: T.
        constant: whether all steps bring the inputs the same.
    """
    lane = Lane(graph, tensors_on("cpu"))
    readers = {name: set(found) for name, found in lane.readers.items()}
    size = {name: prod(shape) for name, shape in graph.shapes.items()}
    steps: dict[str, int] = {}
    kept: dict[str, int] = {}
    most = 0
    for node in graph:
        name = node.name
        before = max((steps[one] for one in node.inputs), default=1 if constant else timesteps)
        steps[name] = timesteps if node.population else before
        if node.inputs and not is_sink(node) and name not in lane.shared:
            continue
        values = samples * steps[name] * size[name]
        own = values * (SPIKE if node.population else FLOAT) + samples * size[name] * FLOAT  # and the trained network's
        if node.inputs:
            at_once = max(size[one] for one in {name, *node.inputs, *lane.own(name)})
            chunk = max(at_once * steps[name], min(CHUNK, samples * at_once * steps[name]))
            currents = samples * before * max(size[one] for one in node.inputs)
            most = max(
                most,
                sum(kept.values()) + 2 * own + FLOAT * (WORKED_ON * chunk + (currents if currents <= CACHE else 0)),
            )
        if readers.get(name):
            kept[name] = own
        for source, found in readers.items():
            found.discard(name)
            if not found:
                kept.pop(source, None)
        most = max(most, sum(kept.values()))
    return most


def check_walk(what: object, graph: Graph, samples: int, timesteps: Timesteps, constant: bool = True) -> None:
    """Refuse a walk that needs more memory than is free.

    Args:
        what: is found by it, for the message.
        graph: the spiking graph; its neurons run free.
        samples: N.
        timesteps: T.
        constant: whether all steps bring the inputs the same.

    Raises:
        SettingsError: with the estimate, and what needs less.
    """
    check_room(
        f"{what}: what {samples:,} samples send in {timesteps.last:,} timesteps",
        walk_bytes(graph, samples, timesteps.last, constant),
        "correct for fewer timesteps, or on fewer samples (correction_samples, --correct-samples)",
    )
