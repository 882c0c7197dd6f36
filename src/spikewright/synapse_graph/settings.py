"""What decides which bytes are written: two runs with the same settings write the same."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikewright.synapse_graph.stream import SynapseStream
    from spikewright.synapse_graph.writers import Writer

FORMAT = 3
KEY = "spikewright-synapses"
"""The key under which a file of a graph says by which settings it was made."""


def settings(synapses: SynapseStream, writer: Writer) -> dict[str, Any]:
    """All of it, as plain values."""
    return {
        "format": FORMAT,
        "writer": str(writer),
        "network": synapses.graph.fingerprint,
        "rates": synapses.rates_key,
        "pools": synapses.pools,
        "pool_weight": synapses.pool_weight,
        "part_rows": synapses.part_rows,
    }


def digest(synapses: SynapseStream, writer: Writer) -> str:
    """The settings in 32 characters: what binds a part to them."""
    text = json.dumps(settings(synapses, writer), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
