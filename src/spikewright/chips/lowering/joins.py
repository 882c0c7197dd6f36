"""Sums and concatenations: a branch for each of what is joined."""

from __future__ import annotations

from spikewright.chips.lowering.branch import Branch
from spikewright.nodes import Add

SUM = "sum as events of several sources"


def behind_sum(node: Add, branch: Branch) -> tuple[Branch, ...]:
    """The branch once for each of what is added up: a core hears any number of sources."""
    return tuple(branch.reading(name, None, SUM) for name in node.inputs)
