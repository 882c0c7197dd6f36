"""How long an engine takes for a batch, foreseen: what it has to do (``work.py``), times what each of that costs.

The constants are seconds of one thread. ``benchmarks/engine_choice.py`` measures a zoo of networks and fits them; the
last fit was on a machine with AVX-512. They are the same on every machine and see neither data nor load, so that the
parts of a run, wherever they are done, are done by one engine.
"""

from __future__ import annotations

from collections.abc import Mapping

EVENT: Mapping[str, float] = {
    "additions": 3e-11,
    "additions in groups": 4.7e-12,
    "batches": 0.0013,
    "drawn": 3.7e-08,
    "entries": 2.5e-09,
    "graded products": 4.3e-11,
    "graded products in groups": 3e-10,
    "layers": 8e-08,
    "neurons": 5.2e-12,
    "neurons of a chunk": 2.9e-09,
    "nodes": 3.2e-05,
    "noted": 6.9e-10,
    "other neurons": 3.7e-10,
    "pooled": 2.5e-09,
    "pooled by events": 1.5e-08,
    "products at rest": 2.9e-10,
    "recorded": 1.3e-09,
    "recorded as events": 4.8e-08,
    "scattered graded": 3.5e-12,
    "scattered rows": 5.9e-09,
    "scattered spikes": 6.2e-11,
    "values": 9.8e-09,
}
"""The event engine's, by kind of work.

Those of scattered spikes and rows are older than the others: of the zoo one case scatters, now that potentials do not.
"""

REFERENCE: Mapping[str, float] = {
    "batches": 0.0012,
    "calls": 2.9e-05,
    "drawn": 4.4e-08,
    "neurons": 5.9e-09,
    "neurons that take back": 1.2e-08,
    "noted": 3.5e-09,
    "pooled": 2.6e-09,
    "pooled by estimates": 5e-09,
    "population calls": 7.3e-07,
    "products": 2.1e-11,
    "products in groups": 1.4e-10,
    "recorded": 7.7e-11,
    "recorded as events": 1.3e-08,
    "values": 6.8e-10,
    "weights": 3.1e-09,
}
"""The reference engine's, by kind of work."""


def seconds(work: Mapping[str, float], costs: Mapping[str, float]) -> float:
    """The time of one thread for an amount of work.

    Args:
        work: by kind, how much of it; see ``work.py``.
        costs: by kind, seconds of one: ``EVENT`` or ``REFERENCE``.
    """
    return sum(amount * costs[kind] for kind, amount in work.items() if amount)
