"""How long an engine takes for a batch, foreseen: what it has to do (``work.py``), times what each of that costs.

The constants are seconds of one thread. ``benchmarks/engine_choice.py`` measures a zoo of networks and fits them; the
last fit was on a machine with AVX2. They are the same on every machine and see neither data nor load, so that the
parts of a run, wherever they are done, are done by one engine.
"""

from __future__ import annotations

from collections.abc import Mapping

EVENT: Mapping[str, float] = {
    "additions": 1.1e-10,
    "additions in groups": 9.1e-11,
    "batches": 0.0025,
    "drawn": 4e-08,
    "entries": 1.3e-09,
    "graded products": 1.9e-11,
    "graded products in groups": 3e-10,
    "layers": 1.3e-07,
    "neurons": 7.3e-12,
    "neurons of a chunk": 3.7e-09,
    "nodes": 1.2e-05,
    "noted": 1.6e-09,
    "other neurons": 1.2e-09,
    "pooled": 2e-09,
    "pooled by events": 7.7e-09,
    "products at rest": 1.8e-10,
    "recorded": 4.2e-09,
    "recorded as events": 4.7e-08,
    "scattered graded": 2.7e-10,
    "scattered spikes": 8.5e-10,
    "values": 1.1e-08,
}
"""The event engine's, by kind of work."""

REFERENCE: Mapping[str, float] = {
    "batches": 0.0019,
    "calls": 4.8e-05,
    "drawn": 1.5e-08,
    "neurons": 3.5e-09,
    "neurons that take back": 9.2e-09,
    "noted": 6.6e-09,
    "pooled": 2.8e-09,
    "pooled by estimates": 8.7e-09,
    "population calls": 4.5e-05,
    "products": 5.7e-11,
    "products in groups": 4.4e-10,
    "recorded": 4.1e-09,
    "recorded as events": 1.6e-08,
    "values": 1.3e-09,
}
"""The reference engine's, by kind of work."""


def seconds(work: Mapping[str, float], costs: Mapping[str, float]) -> float:
    """The time of one thread for an amount of work.

    Args:
        work: by kind, how much of it; see ``work.py``.
        costs: by kind, seconds of one: ``EVENT`` or ``REFERENCE``.
    """
    return sum(amount * costs[kind] for kind, amount in work.items() if amount)
