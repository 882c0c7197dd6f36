"""Recordings of a sensor as frames of events: arrays, or an ``.npz`` file, of t, x, y and p."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import DataError
from spikewright.graph import Shape
from spikewright.npz import npz_headers, read_npz

LABELS = ("t", "x", "y", "p")
MOST_FRAMES = 2**20


def is_recording(path: Path | str) -> bool:
    """Whether a file is an ``.npz`` of t, x, y and p."""
    if not str(path).endswith(".npz") or not Path(path).is_file():
        return False
    return set(LABELS) <= set(npz_headers(Path(path)))


def frames(recording: Mapping[str, Any] | Path | str, shape: Shape, dt: float) -> NDArray[np.float32]:
    """The events of a recording, counted in steps.

    Args:
        recording: by name ``(events,)`` arrays: t in microseconds, x the column, y the row, and p, 0 or 1; or an
            ``.npz`` file of them.
        shape: of the network's input, ``(channels, rows, columns)``: with two channels p is the channel, with one p
            makes no difference.
        dt: how long a step is, in seconds.

    Returns:
        ``(1, steps, *shape)``: one sample for the encoder "events".

    Raises:
        DataError: for arrays that are no recording, or events outside the input.
    """
    where = "the recording" if isinstance(recording, Mapping) else str(recording)
    arrays = recording if isinstance(recording, Mapping) else read_npz(Path(recording))
    lacking = [label for label in LABELS if label not in arrays]
    if lacking:
        raise DataError(f"{where}: a recording has t (microseconds), x, y and p; it lacks {', '.join(lacking)}")
    t, x, y, p = (np.asarray(arrays[label]) for label in LABELS)
    if t.ndim != 1 or {x.shape, y.shape, p.shape} != {t.shape} or any(a.dtype.kind not in "iub" for a in (t, x, y, p)):
        raise DataError(f"{where}: t, x, y and p are whole numbers, one each for every event")
    if not len(t):
        raise DataError(f"{where}: it holds no events")
    if len(shape) != 3 or shape[0] not in (1, 2):
        raise DataError(f"{where}: events of a sensor fit an input of 1 or 2 channels and a map, not {shape}")
    if x.min() < 0 or y.min() < 0 or x.max() >= shape[2] or y.max() >= shape[1] or not np.isin(p, (0, 1)).all():
        raise DataError(
            f"{where}: its events reach x {x.max()}, y {y.max()}, p {p.max()}; the network's input has "
            f"{shape[2]} columns, {shape[1]} rows and p of 0 and 1: crop it"
        )
    step = ((t.astype(np.int64) - int(t.min())) / (dt * 1e6)).astype(np.int64)
    if int(step.max()) >= MOST_FRAMES:
        raise DataError(
            f"{where}: it lasts {int(step.max()) + 1:,} steps of {dt:g} s; at most {MOST_FRAMES:,}: take a part"
        )
    found = np.zeros((1, int(step.max()) + 1, *shape), np.float32)
    channel = p.astype(np.int64) if shape[0] == 2 else np.zeros_like(step)
    np.add.at(found[0], (step, channel, y.astype(np.int64), x.astype(np.int64)), 1)
    return found
