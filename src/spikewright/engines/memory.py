"""What a run keeps of all samples, foreseen: one that could not end in this machine's memory does not begin."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path

from spikewright.engines.recording import Record, Recording
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.nodes import Output


def check_kept(graph: Graph, record: Record, recording: Recording, samples: int) -> None:
    """Refuse a run whose answers and records, which grow with samples and timesteps, need more than what is free.

    Args:
        graph: the spiking graph.
        record: whether answers are kept.
        recording: what is recorded densely, of which nodes, at how many timesteps.
        samples: of the whole data set.

    Raises:
        SettingsError: with the estimate, and what needs less.
    """
    kept: list[str] = []
    values = 0
    if record.outputs:
        kept.append("the answers")
        values += recording.timesteps * sum(prod(graph.shapes[node.name]) for node in graph.of_type(Output))
    for kind in ("spikes", "potentials"):
        if names := recording.nodes.get(kind):
            kept.append(kind)
            values += len(recording.steps) * sum(prod(graph.shapes[name]) for name in names)
    free, needed = available(), 4 * values * samples
    if free is not None and needed > free:
        raise SettingsError(
            f"keeping {' and '.join(kept)} of {samples:,} samples over {recording.timesteps} timesteps takes about "
            f"{gigabytes(needed)}, and {gigabytes(free)} are free: keep less (keep_outputs=False; events_to writes "
            "spikes to disk), or run parts of the data"
        )


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


def gigabytes(count: float) -> str:
    """A number of bytes as people read it: ``14.9 GiB``."""
    return f"{count / 2**30:,.1f} GiB"
