"""Recordings as the native core takes them: lists of events, in its own order."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from spikewright.recordings import EventBatch


def lists_of(x: EventBatch, timesteps: int) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Where each step of each sample begins, ``(B, T + 1)``, and every event's neuron, channels last, and value."""
    here = slice(None) if timesteps >= x.shape[1] else x.timestep < timesteps  # of a long recording its beginning
    sample, timestep, inputs, value = x.sample[here], x.timestep[here], x.neuron[here], x.value[here]
    channels, positions = x.sample_shape[0], prod(x.sample_shape[1:])
    neuron = inputs % positions * channels + inputs // positions
    step = sample * (timesteps + 1) + timestep
    order = np.lexsort((neuron, step))
    places = np.arange(len(x) * (timesteps + 1))
    start = np.searchsorted(step[order], places).astype(np.int64)
    return start, neuron[order].astype(np.int32), np.ascontiguousarray(value[order], np.float32)
