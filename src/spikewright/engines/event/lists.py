"""Recordings as the native core takes them: lists of events, in its own order."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from spikewright.recordings import EventBatch


def lists_of(x: EventBatch, timesteps: int) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Where each step of each sample begins, ``(B, T + 1)``, and every event's neuron, channels last, and value."""
    channels, positions = x.sample_shape[0], prod(x.sample_shape[1:])
    neuron = x.neuron % positions * channels + x.neuron // positions
    step = x.sample * (timesteps + 1) + x.timestep
    order = np.lexsort((neuron, step))
    places = np.arange(len(x) * (timesteps + 1))
    start = np.searchsorted(step[order], places).astype(np.int64)
    return start, neuron[order].astype(np.int32), np.ascontiguousarray(x.value[order], np.float32)
