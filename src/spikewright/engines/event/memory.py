"""Memory foreseen: a run that would not fit is refused before it starts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import prod

from spikewright.engines.event.compiler import Compiled
from spikewright.engines.memory import available, gigabytes
from spikewright.engines.recording import Recording, is_noted
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.nodes import Input, Output

FIRING = 0.1
"""Spikes of a neuron in a timestep, on average, where their number decides what is needed: most networks send fewer."""
EVENT_BYTES = 32
"""Bytes of one recorded event, when a batch is put together and written."""
MOST_AT_ONCE = 2**22
"""Values that are computed outside the native core in one go: little memory, and Ctrl-C is noticed soon."""


def few_at_a_time(samples: int, work: int, least: int = 1) -> Iterator[slice]:
    """The samples of a batch, ``least`` at a time where ``work``, the values computed for one, is much."""
    few = max(least, MOST_AT_ONCE // work)
    return (slice(first, first + few) for first in range(0, samples, few))


def check_memory(fixed: int, each: int, batch: int, timesteps: int) -> None:
    """Refuse a batch that needs more memory than this machine has free.

    Args:
        fixed: bytes needed whatever the batch.
        each: bytes needed for each sample.
        batch: how many samples.
        timesteps: for the message.

    Raises:
        SettingsError: with the estimate, and a batch size that fits.
    """
    free = available()
    if free is None or fixed + batch * each <= free:
        return
    fits = int((free - fixed) // each) if free > fixed else 0
    advice = f"a batch size of {fits} fits" if fits > 0 else "record less, or run fewer timesteps or threads"
    raise SettingsError(
        f"a batch of {batch} over {timesteps} timesteps needs about {gigabytes(fixed + batch * each)}, "
        f"and {gigabytes(free)} are free: {advice}"
    )


def fixed_bytes(graph: Graph, compiled: Compiled, record: Recording, threads: int, chunk: int) -> int:
    """What a run needs whatever the batch: the memory of its threads, and of samples worked on in torch."""
    thread: int = compiled.plan.bytes_per_thread(min(chunk, record.timesteps))
    arrays = 1
    if not record.whole:  # all timesteps of few samples, out of which some are kept
        thread += 4 * record.timesteps * dense_values(graph, record)
    if record.any("nonzero"):
        thread += 8 * sum(prod(graph.shapes[name]) for name in compiled.layers)
        arrays = 4
    return threads * thread + arrays * 4 * MOST_AT_ONCE


def dense_values(graph: Graph, record: Recording) -> int:
    """Values of one sample and timestep that are recorded densely."""
    return sum(prod(graph.shapes[name]) for kind in ("spikes", "potentials") for name in record.nodes.get(kind, ()))


def sample_bytes(graph: Graph, compiled: Compiled, record: Recording, sampled: Collection[str]) -> int:
    """What one sample of a batch needs: its input and currents, counts and answers, and what is recorded.

    Args:
        graph: the spiking graph.
        compiled: its plan.
        record: what is recorded.
        sampled: the layers that receive currents of the sample's own at every step.
    """
    timesteps, steps = record.timesteps, len(record.steps)
    values, events = 0, 0.0
    for name in compiled.layers:
        node, arrays = graph[name], 0
        if isinstance(node, Output):
            arrays += timesteps * (1 if node.activation is None else 2)
        elif isinstance(node, Input) and name not in sampled:
            arrays += timesteps
        if name in sampled:
            arrays += 1
        if node.population:
            arrays += 1
        arrays += steps * (record.has("spikes", name) + record.has("potentials", name))
        if record.any("nonzero") and not isinstance(node, Output):
            arrays += 2
        if record.has("events", name):
            events += FIRING * timesteps * prod(graph.shapes[name])
        values += arrays * prod(graph.shapes[name])
    if record.any("nonzero"):
        nodes = (node for node in graph if is_noted(node) and record.has("nonzero", node.name))
        noted = (graph.input_shapes(node) or (graph.shapes[node.name],) for node in nodes)
        values += sum(prod(shapes[0]) for shapes in noted)
    return 4 * values + int(EVENT_BYTES * events)
