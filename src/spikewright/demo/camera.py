"""An event camera that looks at moving pictures: what N-MNIST's did, simulated and seeded.

A picture moves before the sensor along three straight saccades, a triangle, while each pixel compares the logarithm of
its intensity with that at its last event. Where the difference reaches its threshold it sends an event, brighter or
darker, at the time between two moments at which the line between them crosses; then it is blind for the refractory
time. Thresholds differ from pixel to pixel, and every pixel sends noise at random. As ESIM does (Rebecq et al., CoRL
2018), with the mismatch of thresholds and the noise of v2e (Hu et al., CVPRW 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 34
"""Rows and columns of the sensor, as N-MNIST has them."""


@dataclass(frozen=True)
class Camera:
    """What the camera is like.

    Attributes:
        duration, moment: microseconds of a recording, and between two moments at which intensities are computed.
        reach: pixels that the picture moves in each saccade.
        threshold, mismatch: of the logarithm of intensity: the mean, and the standard deviation from pixel to pixel.
        dark: intensity of black, where white is 1.
        refractory: microseconds without an event of a pixel after one.
        noise: random events per second and pixel.
        seed: of everything that is random.
    """

    duration: int = 120_000
    moment: int = 2_000
    reach: float = 4.0
    threshold: float = 0.6
    mismatch: float = 0.06
    dark: float = 0.1
    refractory: int = 2_000
    noise: float = 1.0
    seed: int = 0

    def record(self, pictures: NDArray[Any], first: int = 0) -> list[NDArray[Any]]:
        """The events of some pictures.

        Args:
            pictures: ``(B, 28, 28)``, 0 to 255.
            first: the number of the first, on which what is random depends.

        Returns:
            for each picture ``(E, 4)``: x, y, t and p, in the order of time.
        """
        random = np.random.default_rng([self.seed, first])
        count = len(pictures)
        canvas = np.zeros((count, SIDE + 12, SIDE + 12), np.float32)
        canvas[:, 9:37, 9:37] = pictures / np.float32(255)
        theta = random.normal(self.threshold, self.mismatch, (count, SIDE, SIDE)).clip(0.1).astype(np.float32)
        moments = np.arange(0, self.duration + 1, self.moment)
        before = np.log(self._seen(canvas, 0) + self.dark)
        known = before + theta * random.uniform(-0.5, 0.5, theta.shape).astype(np.float32)  # of what was seen before
        blind = np.full(before.shape, -self.refractory, np.int64)
        events = []
        for t in moments[1:]:
            now = np.log(self._seen(canvas, int(t)) + self.dark)
            for _ in range(3):  # at most so many events of a pixel between two moments
                change = now - known
                fires = np.abs(change) >= theta
                if not fires.any():
                    break
                which, y, x = np.nonzero(fires)
                step, sign = now[fires] - before[fires], np.sign(change[fires])
                crossing = known[fires] + sign * theta[fires]
                part = np.clip((crossing - before[fires]) / np.where(step == 0, 1, step), 0, 1)
                at = np.minimum((t - self.moment + part * self.moment).astype(np.int64), self.duration - 1)
                known[fires] = crossing
                seen = at - blind[fires] >= self.refractory
                blind[which[seen], y[seen], x[seen]] = at[seen]
                events.append(np.stack([which, x, y, at, sign > 0], axis=1)[seen])
            before = now
        rate = self.noise * self.duration * 1e-6
        number = random.poisson(rate * SIDE * SIDE * count)
        limits = (count, SIDE, SIDE, self.duration, 2)
        events.append(np.stack([random.integers(0, most, number) for most in limits], axis=1))
        found = np.concatenate(events)
        found = found[np.lexsort((found[:, 3], found[:, 0]))]
        places = np.searchsorted(found[:, 0], np.arange(count + 1))
        return [found[start:stop, 1:] for start, stop in pairwise(places)]

    def _seen(self, canvas: NDArray[Any], t: int) -> NDArray[Any]:
        """The pictures as they stand at a time, ``(B, SIDE, SIDE)``, bilinearly between pixels."""
        corners = np.array([[0, 0], [1, 1], [2, 0], [0, 0]]) / 2 * self.reach  # rows and columns of the triangle
        leg, part = divmod(3 * t / self.duration, 1)
        leg = min(int(leg), 2)
        part = part if 3 * t < 3 * self.duration else 1.0
        dy, dx = 4 + corners[leg] + part * (corners[leg + 1] - corners[leg])
        (y, fy), (x, fx) = ((int(shift), np.float32(shift % 1)) for shift in (dy, dx))
        rows = canvas[:, y : y + SIDE] * (1 - fy) + canvas[:, y + 1 : y + 1 + SIDE] * fy
        return rows[:, :, x : x + SIDE] * (1 - fx) + rows[:, :, x + 1 : x + 1 + SIDE] * fx


def write(path: Path, events: NDArray[Any]) -> None:
    """Events as N-MNIST has them, five bytes each."""
    x, y, t, p = events.T
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(np.stack([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255], axis=1).astype(np.uint8).tobytes())
