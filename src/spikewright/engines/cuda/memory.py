"""How much is worked on at a time: memory foreseen, so that it grows neither with T nor with the batch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import prod

from spikewright.graph import Graph, Node
from spikewright.nodes import IF, Output, SpikeMaxPool

BUDGET = 2**30
"""Bytes for values on their way through the network. A share of what is free would not do: libraries choose their
algorithms by the sizes they are given, and a run must not depend on who else uses the device."""
STEPS = 16
"""Timesteps that go together before more samples do: potentials are read and written once for all of them."""
MOST_ROWS = 2**15
"""Samples times timesteps in one call of an operator: more makes nothing faster, and some libraries stop at 2^16."""
BYTES = 4


def chunk_sizes(graph: Graph, resting: Collection[str], batch: int, timesteps: int, budget: int) -> tuple[int, int]:
    """How many samples are worked on at a time, and how many of their timesteps; at least one of each.

    Args:
        graph: a spiking graph.
        resting: the nodes that are computed once, since they do not change with time.
        batch: how many samples there are.
        timesteps: T.
        budget: bytes.
    """
    still = [node for node in graph if node.name in resting]
    moving = [node for node in graph if node.name not in resting]
    once = BYTES * (most_at_once(graph, still) + sum(_remembered(graph, node) for node in moving))
    each = BYTES * most_at_once(graph, moving)
    samples = _between(budget // (once + each * min(timesteps, STEPS)), batch)
    room = (budget // samples - once) // max(1, each)
    steps = _between(min(room, MOST_ROWS // samples), timesteps)
    return _evenly(batch, samples), _evenly(timesteps, steps)


def most_at_once(graph: Graph, nodes: Sequence[Node]) -> int:
    """The most values that one sample has in memory while ``nodes`` are run, for one timestep.

    A node is taken to need what it reads and makes once more, for padded copies and for what a library wants; a pool
    of spikes four times, for estimates and indices.
    """
    done, made = done_after(graph, nodes), {node.name for node in nodes}
    alive = most = 0
    for node in nodes:
        own = prod(graph.shapes[node.name])
        read = sum(prod(shape) for shape in graph.input_shapes(node))
        alive += own
        most = max(most, alive + (own + read) * (4 if isinstance(node, SpikeMaxPool) else 1))
        alive -= sum(prod(graph.shapes[name]) for name in done[node.name] if name in made)
    return most


def done_after(graph: Graph, nodes: Sequence[Node]) -> Mapping[str, Sequence[str]]:
    """The values, by node, that nobody reads any more once it is done; what others than ``nodes`` read stays."""
    names, last = {node.name for node in nodes}, {node.name: node.name for node in nodes}
    for node in nodes:
        last.update(dict.fromkeys(node.inputs, node.name))
    done: dict[str, list[str]] = {name: [] for name in names}
    for name, reader in last.items():
        if names.issuperset(graph.consumers[name]):
            done[reader].append(name)
    return done


def stretches(total: int, size: int) -> Iterator[slice]:
    """``total`` samples or timesteps, ``size`` at a time."""
    return (slice(first, min(first + size, total)) for first in range(0, total, size))


def _remembered(graph: Graph, node: Node) -> int:
    """Values of one sample that a node keeps from chunk to chunk, those before and those after it."""
    if isinstance(node, IF):
        remembers = 1 + node.signed + (node.no_debt or node.fired_bias is not None)
        return 2 * remembers * prod(graph.shapes[node.name])
    if isinstance(node, Output):
        return 2 * prod(graph.shapes[node.name])
    if isinstance(node, SpikeMaxPool):
        trains = node.horizon if node.policy == "fir_max" else 0
        return 2 * ((1 + trains) * prod(graph.input_shapes(node)[0]) + prod(graph.shapes[node.name]))
    return 0


def _between(count: int, most: int) -> int:
    return max(1, min(count, most))


def _evenly(total: int, size: int) -> int:
    """The size of as many stretches as ``size`` makes, all alike."""
    return -(-total // -(-total // size))
