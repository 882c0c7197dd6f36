"""Rewrites of the graph, one a file: each keeps what the network computes and is proved by running before and after.

Each pass is also an attribute of this package. What a type checker knows of these is in ``__init__.pyi``, which
``make stubs`` writes.
"""

from spikewright.passes.order import ordered, passes, refusals, steps
from spikewright.passes.rewrite import Change, Pass, RefusalCheck, recorded, refusal, rewrite, run_passes

vars().update(steps.own)

__all__ = [
    "Change",
    "Pass",
    "RefusalCheck",
    "ordered",
    "passes",
    "recorded",
    "refusal",
    "refusals",
    "rewrite",
    "run_passes",
    "steps",
    *steps.own,
]
