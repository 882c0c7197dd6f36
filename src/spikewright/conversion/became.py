"""What conversion does with each node of a trained network."""

from __future__ import annotations

from collections.abc import Sequence

from spikewright.graph import Graph
from spikewright.nodes import GlobalAvgPool, GlobalMaxPool, LeakyReLU, MaxPool, ReLU
from spikewright.passes import Change


def what_became(graph: Graph, changes: Sequence[Change]) -> dict[str, str]:
    """What conversion does with each node of a trained graph: kept, folded, absorbed, replaced by what, applied to the
    readout, or dropped.

    Args:
        graph: as a frontend made it.
        changes: from ``prepare``.
    """
    done = {change.node: change.verb for change in changes if change.verb != "added"}
    found = {}
    for node in graph:
        verb = done.get(node.name, "kept")
        if verb == "applied":
            verb = "applied to the readout"
        elif verb in ("kept", "replaced") and isinstance(node, ReLU):
            verb = "replaced by IF"
        elif verb in ("kept", "replaced") and isinstance(node, MaxPool | GlobalMaxPool):
            verb = "replaced by SpikeMaxPool"
        elif verb == "replaced":
            kind = {GlobalAvgPool: "AvgPool", LeakyReLU: "two IF"}.get(type(node), "ChannelAffine")
            verb = f"replaced by {kind}"
        found[node.name] = verb
    return found
