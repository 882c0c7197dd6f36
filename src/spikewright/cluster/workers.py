"""What runs on a worker beside the parts themselves."""

from __future__ import annotations

import pickle
from importlib.metadata import version
from typing import Any

from spikewright.parts.machine import machine


def facts() -> dict[str, str]:
    """What is installed on a worker, and what the last digits of its numbers depend on."""
    return {"spikewright": version("spikewright"), **machine()}


def opened(packed: bytes) -> Any:
    """What the client packed once for all parts."""
    return pickle.loads(packed)  # from the client, over the cluster that it trusts
