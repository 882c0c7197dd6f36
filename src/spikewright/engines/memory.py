"""What a run needs, foreseen: one that could not end in this machine's memory does not begin.

What a batch needs grows with its timesteps, so that of long runs fewer samples are side by side: memory stays bounded,
and progress is seen.
"""

from __future__ import annotations

import os
from math import prod
from pathlib import Path

from spikewright.engines.recording import Record, Recording
from spikewright.errors import SettingsError
from spikewright.graph import Graph
from spikewright.nodes import Output

AT_ONCE = 2**18
"""Timesteps of all samples of a batch together; of longer runs fewer samples are side by side, at least one."""
MEMORY = Path("/proc/meminfo")
OBJECT = 512
"""Bytes of one answer of one timestep that is a tensor of its own for a while, beside its values."""


def side_by_side(batch_size: int, timesteps: int) -> int:
    """How many samples a batch has: fewer than asked for where the run is long."""
    return max(1, min(batch_size, AT_ONCE // timesteps))


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
    check_room(
        f"keeping {' and '.join(kept)} of {samples:,} samples over {recording.timesteps:,} timesteps",
        4 * values * samples,
        "keep less (keep_outputs=False; events_to writes spikes to disk), or run parts of the data",
    )


def check_answers(graph: Graph, samples: int, timesteps: int) -> None:
    """Refuse a run whose answers to one batch, at every timestep, need more memory than is free, on any engine.

    Args:
        graph: the spiking graph.
        samples: of a batch.
        timesteps: T.

    Raises:
        SettingsError: with the estimate.
    """
    values = sum(prod(graph.shapes[node.name]) for node in graph.of_type(Output))
    check_room(
        f"the answers to {samples:,} samples at each of {timesteps:,} timesteps",
        timesteps * (8 * values * samples + OBJECT),
        "run fewer timesteps",
        plural=True,
    )


def check_room(what: str, needed: float, advice: str, *, plural: bool = False) -> None:
    """Refuse what needs more memory than is free.

    Args:
        what: needs it, for the message.
        needed: bytes.
        advice: what needs less.
        plural: whether ``what`` is several things.

    Raises:
        SettingsError: with the estimate.
    """
    free = available()
    if free is not None and needed > free:
        takes = "take" if plural else "takes"
        raise SettingsError(f"{what} {takes} about {gigabytes(needed)}, and {gigabytes(free)} are free: {advice}")


def available() -> int | None:
    """Bytes that can be had without swapping, or None where the system does not say."""
    try:
        with MEMORY.open("rb", buffering=0) as file:  # one of the first lines; asked for every batch
            _, label, rest = file.read(512).partition(b"MemAvailable:")
        if label:
            return int(rest.split(None, 1)[0]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def gigabytes(count: float) -> str:
    """A number of bytes as people read it: ``14.9 GiB``."""
    return f"{count / 2**30:,.1f} GiB"
