"""Memory foreseen: a run that would not fit is refused before it starts."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from math import prod
from pathlib import Path

from spikewright.engines.event.compiler import Compiled
from spikewright.errors import SettingsError
from spikewright.graph import Graph, Node
from spikewright.nodes import IF, Input, Output

FIRING = 0.1
"""Spikes of a neuron in a timestep, on average, where their number decides what is needed: most networks send fewer."""
EVENT_BYTES = 32
"""Of one recorded event, when a batch is put together and written."""
MOST_AT_ONCE = 2**22
"""Values that are computed outside the native core in one go: little memory, and Ctrl-C is noticed soon."""


def in_pieces(samples: int, work: int) -> Iterator[slice]:
    """The samples of a batch, few at a time where ``work``, the values computed for one, is much."""
    few = max(1, MOST_AT_ONCE // work)
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
        f"a batch of {batch} over {timesteps} timesteps needs about {_gigabytes(fixed + batch * each)}, "
        f"and {_gigabytes(free)} are free: {advice}"
    )


def fixed_bytes(
    graph: Graph, compiled: Compiled, timesteps: int, record: Collection[str], threads: int, chunk: int
) -> int:
    """What a run needs whatever the batch: the memory of its threads, and of samples worked on in torch."""
    thread: int = compiled.plan.bytes_per_thread(min(chunk, timesteps))
    arrays = 1
    if "nonzero" in record:
        thread += 8 * sum(prod(graph.shapes[name]) for name in compiled.layers)
        arrays = 4
    return threads * thread + arrays * 4 * MOST_AT_ONCE


def sample_bytes(
    graph: Graph, compiled: Compiled, timesteps: int, record: Collection[str], sampled: Collection[str]
) -> int:
    """What one sample of a batch needs: its input and currents, counts and answers, and what is recorded.

    Args:
        graph: the spiking graph.
        compiled: its plan.
        timesteps: T.
        record: any of ``RECORDS``.
        sampled: the layers that receive currents of the sample's own at every step.
    """
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
            arrays += 1 + timesteps * ("spikes" in record)
        if isinstance(node, IF):
            arrays += timesteps * ("potentials" in record)
        if "nonzero" in record and not isinstance(node, Output):
            arrays += 2
        if node.population and "events" in record:
            events += FIRING * timesteps * prod(graph.shapes[name])
        values += arrays * prod(graph.shapes[name])
    if "nonzero" in record:
        noted = (graph.input_shapes(node) or (graph.shapes[node.name],) for node in graph if is_noted(node))
        values += sum(prod(shapes[0]) for shapes in noted)
    return 4 * values + int(EVENT_BYTES * events)


def is_noted(node: Node) -> bool:
    """Whether activity is recorded of what a node reads, or is."""
    return node.weighted or not node.inputs


def available() -> int | None:
    """Bytes that can be had without swapping, or None where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _gigabytes(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"
