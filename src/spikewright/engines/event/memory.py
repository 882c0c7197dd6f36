"""Memory foreseen: a run that would not fit is refused before it starts."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from math import prod
from pathlib import Path

from spikewright.engines.event.compiler import Compiled
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.nodes import IF, Input, Output

MOST_AT_ONCE = 2**22
"""Values that are computed outside the native core in one go: little memory, and Ctrl-C is noticed soon."""


def in_pieces(samples: int, work: int) -> Iterator[slice]:
    """The samples of a batch, few at a time where ``work``, the values computed for one, is much."""
    few = max(1, MOST_AT_ONCE // work)
    return (slice(first, first + few) for first in range(0, samples, few))


def check_memory(
    graph: Graph,
    compiled: Compiled,
    batch: int,
    timesteps: int,
    threads: int,
    chunk: int,
    record: Collection[str],
    constant: bool,
) -> None:
    """Refuse a batch that needs more memory than this machine has free.

    Raises:
        SettingsError: with the estimate, and a batch size that fits.
    """
    each = sample_bytes(graph, compiled, timesteps, record, constant)
    fixed = min(threads, batch) * compiled.plan.bytes_per_thread(min(chunk, timesteps))
    free = available()
    if free is None or fixed + batch * each <= free:
        return
    fits = int((free - fixed) // each) if free > fixed else 0
    advice = f"a batch size of {fits} fits" if fits > 0 else "record less, or run fewer timesteps or threads"
    raise SettingsError(
        f"a batch of {batch} over {timesteps} timesteps needs about {_gigabytes(fixed + batch * each)}, "
        f"and {_gigabytes(free)} are free: {advice}"
    )


def sample_bytes(graph: Graph, compiled: Compiled, timesteps: int, record: Collection[str], constant: bool) -> int:
    """What one sample of a batch needs: its currents, counts and answers, and what is recorded."""
    values = 0
    for name in compiled.layers:
        node, size = graph[name], prod(graph.shapes[name])
        steps = 2 * timesteps if isinstance(node, Output) else 3
        if isinstance(node, Input):
            steps += 0 if constant else 2 * timesteps
        if node.population and "spikes" in record:
            steps += timesteps
        if isinstance(node, IF) and "potentials" in record:
            steps += timesteps
        values += steps * size
    return 4 * values


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
