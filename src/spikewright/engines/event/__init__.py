"""The event engine: work proportional to spikes, in native code. See ``docs/engines.md``."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

__all__ = ["is_built"]


@cache
def is_built() -> bool:
    """Whether the native core was built when Spikewright was installed."""
    return find_spec("spikewright.engines.event._native") is not None
