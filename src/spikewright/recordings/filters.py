"""Events that no light made: of hot pixels, and of noise that nothing nearby agrees with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikewright.errors import DataError
from spikewright.recordings.columns import Columns
from spikewright.recordings.recording import Recording

NEIGHBOURS = [(dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dx, dy) != (0, 0)]
NEVER = -(2**62)


def hot_pixels(recording: Recording, rate: float) -> NDArray[np.bool_]:
    """Which pixels send more events a second than a rate, over a whole recording: it is gone through once for it.

    Args:
        recording: of a camera.
        rate: events per second and pixel.

    Returns:
        ``(rows, columns)``.

    Raises:
        DataError: where all pixels that sent anything are.
    """
    width, height = recording.sensor_size
    counts = np.zeros(width * height, np.int64)
    for piece in recording.pieces():
        counts += np.bincount(piece.y.astype(np.int64) * width + piece.x, minlength=width * height)
    hot = counts > rate * recording.duration
    if counts.any() and not counts[~hot].any():
        raise DataError(f"{recording.name}: every pixel that sends anything sends more than {rate:g} events a second")
    return hot.reshape(height, width)


class NoiseFilter:
    """Lets an event through where one of the eight pixels around it sent another one shortly before.

    Source: the background activity filter of jAER (Delbruck, "Frame-free dynamic digital vision", 2008).

    Args:
        width, height: of the sensor.
        window: microseconds.
    """

    def __init__(self, width: int, height: int, window: float) -> None:
        self.width, self.height, self.window = width, height, window
        self.last = np.full((height + 2) * (width + 2), NEVER, np.int64)

    def __call__(self, piece: Columns) -> NDArray[np.bool_]:
        """Which events of the next piece, whose times do not fall, are supported."""
        count, row = len(piece), self.width + 2
        pixel = (piece.y.astype(np.int64) + 1) * row + piece.x + 1  # a border of pixels that send nothing
        place = np.arange(count)
        key = pixel * (count + 1) + place
        order = np.argsort(key, kind="stable")
        sorted_key, sorted_pixel, sorted_time = key[order], pixel[order], piece.t[order]
        kept = np.zeros(count, np.bool_)
        for dx, dy in NEIGHBOURS:
            beside = pixel + dy * row + dx
            at = np.searchsorted(sorted_key, beside * (count + 1) + place) - 1
            here = (at >= 0) & (sorted_pixel[at] == beside)
            before = np.where(here, sorted_time[at], self.last[beside])
            kept |= (before > NEVER) & (piece.t - before <= self.window)
        self.last[sorted_pixel] = sorted_time  # the last one of each pixel stays
        return kept
